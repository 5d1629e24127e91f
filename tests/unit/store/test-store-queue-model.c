/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Random histories of a queue: dependencies, times, named queues, throttled arrays, names of which one at a time may run,
 * retries, hold, release, edit, forgetting, restarts; alone and several in one transaction. After each step the store must say
 * what the model (queue-model.c) says. A failure prints its seed: PAREXEC_MODEL_SEED=N runs that one alone,
 * PAREXEC_MODEL_SEEDS=N so many. */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/store/queue-trial.h"

#define SEEDS 12
#define STEPS 200

/* ------------------------------------------------------------------ what was told */

/* Is the number one of "4 7-9 12!"? */
static bool is_told(const char *told, uint64_t number)
{
    g_auto(GStrv) words = g_strsplit(told, " ", -1);

    for (char **word = words; *word; word++) {
        char *end;
        uint64_t first = g_ascii_strtoull(*word, &end, 10),
                 last = *end == '-' ? g_ascii_strtoull(end + 1, NULL, 10) : first;
        if (first <= number && number <= last)
            return true;
    }
    return false;
}

/* What a task is now and was not before the step, the core has been told, and nothing else. */
static void check_told_of_task(Trial *t, const ModelTask *task, const char *ready, const char *skipped,
                               bool alone)
{
    bool seen = model_is_visible(t->m, task), gated = model_batch(t->m, task->batch)->gated;
    bool is_ready = seen && task->state == TASK_QUEUED && !task->taken;

    if (is_ready && task->before != TASK_QUEUED && !task->quiet && (task->before >= 0 || gated) &&
        !is_told(ready, task->id) && !strchr(ready, '+'))
        g_error("nobody was told that %" G_GUINT64_FORMAT " is ready: %s", task->id, ready);
    if (alone && !is_ready && is_told(ready, task->id))
        g_error("%" G_GUINT64_FORMAT " is not ready", task->id);
    if (seen && task->state == TASK_SKIPPED && task->before >= 0 && task->before != TASK_SKIPPED &&
        !is_told(skipped, task->id))
        g_error("nobody was told that %" G_GUINT64_FORMAT " is skipped: %s", task->id, skipped);
    if (alone && (!seen || task->state != TASK_SKIPPED) && is_told(skipped, task->id))
        g_error("%" G_GUINT64_FORMAT " is not skipped", task->id);
}

static guint times_ended(Trial *t, uint64_t batch)
{
    guint n = 0;

    for (guint i = 0; i < t->f->ended->len; i++)
        n += g_array_index(t->f->ended, BatchEnd, i).batch == batch;
    return n;
}

static void check_told_of_batch(Trial *t, uint64_t id, const char *halted, bool alone)
{
    ModelBatch *batch = model_batch(t->m, id);
    guint ended = times_ended(t, id);

    if (batch->phase == MODEL_COMMITTED && batch->ended && !batch->ended_before)
        g_assert_cmpuint(ended, >=, 1);
    if (!alone) {
        batch->halted |= is_told(halted, id); /* in the middle of it, perhaps */
        return;
    }
    g_assert_cmpuint(ended, <=, batch->ended);
    if (batch->halts != is_told(halted, id))
        g_error("batch %" G_GUINT64_FORMAT " is%s to be halted: %s", id, batch->halts ? "" : " not", halted);
}

static void check_ends(Trial *t)
{
    for (guint i = 0; i < t->f->ended->len; i++) {
        const BatchEnd *end = &g_array_index(t->f->ended, BatchEnd, i);
        g_assert_cmpuint(end->count, ==, model_batch_count(t->m, end->batch, -1));
        g_assert_cmpuint(end->succeeded, ==, model_batch_count(t->m, end->batch, TASK_SUCCEEDED));
        g_assert_cmpuint(end->failed, ==, model_batch_count(t->m, end->batch, TASK_FAILED));
        g_assert_cmpuint(end->cancelled, ==, model_batch_count(t->m, end->batch, TASK_CANCELLED));
        g_assert_cmpuint(end->skipped, ==, model_batch_count(t->m, end->batch, TASK_SKIPPED));
    }
}

static void check_told(Trial *t, bool alone)
{
    g_autofree char *ready = take_told(t->f->ready), *skipped = take_told(t->f->skipped);
    g_autofree char *halted = take_told(t->f->halted);

    for (guint i = 0; i < t->m->tasks->len; i++)
        check_told_of_task(t, t->m->tasks->pdata[i], ready, skipped, alone);
    for (guint i = 0; i < t->m->batches->len; i++)
        check_told_of_batch(t, i + 1, halted, alone);
    if (alone)
        check_ends(t);
    g_array_set_size(t->f->ended, 0);
}

/* ------------------------------------------------------------------ what stands alone */

static bool is_referred_to(const Model *m, uint64_t batch)
{
    for (guint i = 0; i < m->tasks->len; i++) {
        const ModelTask *task = m->tasks->pdata[i];
        if (!task->gate || model_batch(m, task->batch)->phase == MODEL_GONE)
            continue;
        for (guint k = 0; k < task->gate->conditions->len; k++) {
            const Dependency *condition = &g_array_index(task->gate->conditions, Dependency, k);
            if (condition->target == TARGET_BATCH ? condition->id == batch
                                                  : model_task(m, condition->id)->batch == batch)
                return true;
        }
    }
    return false;
}

static void check_not_awaited(Trial *t, uint64_t batch)
{
    const ModelTask *task = model_waits_for_batch(t->m, batch);

    if (task) {
        g_autofree char *text = trial_describe(t, task);
        g_error("batch %" G_GUINT64_FORMAT " was forgotten, but not by %s", batch, text);
    }
}

static void do_prune(Trial *t)
{
    prune(t->f, (uint64_t) g_get_real_time() + 1000);
    for (guint i = 0; i < t->m->tasks->len; i++) {
        const ModelTask *task = t->m->tasks->pdata[i];
        ModelBatch *batch = model_batch(t->m, task->batch);
        g_autoptr(TaskRow) row = NULL;
        if (batch->phase != MODEL_COMMITTED)
            continue;
        row = get_row(t->f, task->id);
        if (!row) {
            g_assert_true(batch->ended);
            check_not_awaited(t, task->batch);
            t->forgetful |= is_referred_to(t->m, task->batch);
            batch->phase = MODEL_GONE;
        }
    }
    for (guint i = 0; i < t->m->batches->len; i++)
        if (model_batch(t->m, i + 1)->phase == MODEL_COMMITTED && model_batch(t->m, i + 1)->ended)
            g_assert_true(is_referred_to(t->m, i + 1));
}

static void do_restart(Trial *t)
{
    fixture_verify(t->f);
    for (guint i = 0; i < t->m->batches->len; i++)
        if (model_batch(t->m, i + 1)->phase == MODEL_OPEN)
            model_batch(t->m, i + 1)->phase = MODEL_GONE;
}

static void do_remove_queue(Trial *t)
{
    guint q = trial_dice(t, t->m->queues->len + 1);
    ModelLane *queue = q > 0 ? &g_array_index(t->m->queues, ModelLane, q - 1) : NULL;
    bool busy = false;

    if (!queue || queue->gone)
        return;
    for (guint i = 0; i < t->m->tasks->len; i++) {
        const ModelTask *task = t->m->tasks->pdata[i];
        busy |= task->queue == q && model_batch(t->m, task->batch)->phase != MODEL_GONE &&
                (task->state == MODEL_GATED || !task_state_is_end((TaskState) task->state));
    }
    g_assert_cmpint(remove_queue(t->f, queue->name), ==, busy ? -EBUSY : 0);
    queue->gone = !busy;
}

/* ------------------------------------------------------------------ histories */

static void step_alone(Trial *t)
{
    static const TrialStep rare[] = { do_prune, do_restart, do_remove_queue };

    model_begin_step(t->m);
    (trial_dice(t, 20) == 0 ? rare[trial_dice(t, G_N_ELEMENTS(rare))] : trial_step(t))(t);
    model_settle(t->m);
    model_settle_batches(t->m);
}

/* Several in one transaction. */
static void step_together(Trial *t)
{
    model_begin_step(t->m);
    fixture_hold(t->f);
    for (unsigned n = 2 + trial_dice(t, 6); n > 0; n--) {
        trial_step(t)(t);
        model_settle(t->m);
    }
    model_settle_batches(t->m);
    fixture_release(t->f);
}

static void run_history(uint32_t seed, unsigned steps)
{
    Trial t = { .f = fixture_new(), .m = model_new(), .random = g_rand_new_with_seed(seed) };

    g_test_message("seed %u", seed);
    for (unsigned i = 0; i < steps; i++) {
        bool alone = trial_dice(&t, 4) > 0;
        (alone ? step_alone : step_together)(&t);
        fixture_drain(t.f);
        trial_check_states(&t);
        trial_check_counts(&t);
        check_told(&t, alone);
    }
    fixture_verify(t.f);
    g_rand_free(t.random);
    model_free(t.m);
    fixture_free(t.f);
}

static void test_histories(void)
{
    const char *one = g_getenv("PAREXEC_MODEL_SEED"), *many = g_getenv("PAREXEC_MODEL_SEEDS");
    unsigned n = many ? (unsigned) strtoul(many, NULL, 10) : SEEDS;

    if (one) {
        run_history((uint32_t) strtoul(one, NULL, 10), STEPS);
        return;
    }
    for (uint32_t seed = 1; seed <= n; seed++)
        run_history(seed, STEPS);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/store/queue-model", test_histories);
    return g_test_run();
}
