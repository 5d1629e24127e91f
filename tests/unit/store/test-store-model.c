/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A few thousand random operations on the store and on a simple list of tasks in memory: both must always say the same. */
#include "tests/unit/store/store-fixture.h"

#include <string.h>

typedef struct ModelTask {
    uint64_t id, batch, fence;
    uint32_t uid, attempts, worker;
    int32_t priority;
    TaskState state; /* as it is shown */
    bool held, cancelled;
    char name[2];
} ModelTask;

typedef enum ModelPhase { MODEL_OPEN, MODEL_COMMITTED, MODEL_GONE } ModelPhase;

typedef struct ModelBatch {
    uint64_t id;
    uint32_t uid;
    ModelPhase phase;
    bool ended;
} ModelBatch;

typedef struct Model {
    Fixture *f;
    GArray *tasks;   /* ModelTask: id n is at n - 1 */
    GArray *batches; /* ModelBatch */
    unsigned n_ended;
} Model;

static const uint32_t uids[] = { 0, 1000, 1001 };

#define TASK(m, i) (&g_array_index((m)->tasks, ModelTask, i))
#define BATCH(m, i) (&g_array_index((m)->batches, ModelBatch, i))

static unsigned dice(unsigned n)
{
    return (unsigned) g_test_rand_int_range(0, (gint32) n);
}

static bool is_visible(const Model *m, const ModelTask *task)
{
    return BATCH(m, task->batch - 1)->phase == MODEL_COMMITTED;
}

/* ------------------------------------------------------------------ what the store should say */

/* Notes which batches have ended by now. */
static void model_end_batches(Model *m)
{
    for (guint b = 0; b < m->batches->len; b++) {
        ModelBatch *batch = BATCH(m, b);
        bool ended = batch->phase == MODEL_COMMITTED;
        for (guint i = 0; ended && i < m->tasks->len; i++)
            ended = TASK(m, i)->batch != batch->id || task_state_is_end(TASK(m, i)->state);
        if (ended && !batch->ended)
            m->n_ended++;
        batch->ended |= ended;
    }
}

static int by_urgency(gconstpointer a, gconstpointer b)
{
    const ModelTask *x = *(ModelTask *const *) a, *y = *(ModelTask *const *) b;

    if (x->priority != y->priority)
        return x->priority > y->priority ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

static GPtrArray *model_waiting(Model *m, uint32_t user)
{
    GPtrArray *waiting = g_ptr_array_new();

    for (guint i = 0; i < m->tasks->len; i++) {
        ModelTask *task = TASK(m, i);
        if (is_visible(m, task) && task->state == TASK_QUEUED && !task->held &&
            (user == UID_ANYBODY || user == task->uid))
            g_ptr_array_add(waiting, task);
    }
    g_ptr_array_sort(waiting, by_urgency);
    return waiting;
}

static char *model_window(Model *m, uint32_t user, size_t limit)
{
    g_autoptr(GPtrArray) waiting = model_waiting(m, user);
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < waiting->len && i < limit; i++)
        g_string_append_printf(text, "%s%" G_GUINT64_FORMAT, i > 0 ? " " : "",
                               ((ModelTask *) waiting->pdata[i])->id);
    if (waiting->len > limit)
        g_string_append(text, " +");
    return g_string_free(text, FALSE);
}

static bool model_matches(const Model *m, const TaskFilter *filter, const ModelTask *task)
{
    bool found = !filter->ids;

    for (guint i = 0; !found && i < filter->ids->len; i++)
        found = g_array_index(filter->ids, uint64_t, i) == task->id;
    return found && is_visible(m, task) && (filter->batch == 0 || filter->batch == task->batch) &&
           (filter->states == 0 || filter->states & 1U << task->state) &&
           (!filter->name || strcmp(filter->name, task->name) == 0) &&
           (filter->owner == UID_ANYBODY || filter->owner == task->uid);
}

/* ------------------------------------------------------------------ filters */

static TaskFilter *filter_copy(const TaskFilter *filter)
{
    TaskFilter *copy = task_filter_new();

    *copy = *filter;
    copy->ids = filter->ids ? g_array_copy(filter->ids) : NULL;
    copy->name = g_strdup(filter->name);
    return copy;
}

static TaskFilter *random_filter(const Model *m)
{
    TaskFilter *filter = task_filter_new();

    if (dice(3) == 0) {
        filter->ids = g_array_new(FALSE, FALSE, sizeof(uint64_t));
        for (unsigned n = dice(20); n > 0; n--) {
            uint64_t id = dice(m->tasks->len + 3);
            for (unsigned run = dice(4); run > 0; run--, id++)
                g_array_append_val(filter->ids, id);
        }
    }
    if (dice(3) == 0)
        filter->batch = dice(m->batches->len + 2);
    if (dice(3) == 0)
        filter->states = (1U << dice(_TASK_STATE_MAX)) | (1U << dice(_TASK_STATE_MAX));
    if (dice(3) == 0)
        filter->name = g_strdup_printf("%c", 'a' + (char) dice(4));
    if (dice(4) == 0)
        filter->owner = uids[dice(G_N_ELEMENTS(uids))];
    return filter;
}

static TaskFilter *make_copy(void *userdata)
{
    return filter_copy(userdata);
}

/* ------------------------------------------------------------------ operations */

static void model_add(Model *m, const TaskSpec *spec, uint64_t batch, uint32_t uid)
{
    for (uint64_t i = 0; i < spec->array_count; i++) {
        ModelTask task = { .id = m->tasks->len + 1,
                           .batch = batch,
                           .uid = uid,
                           .priority = spec->priority,
                           .state = TASK_QUEUED };
        task.name[0] = spec->name[0];
        g_array_append_val(m->tasks, task);
    }
}

static void do_submit(Model *m)
{
    ModelBatch *open = NULL, fresh = { .id = m->batches->len + 1 };
    uint32_t uid = uids[dice(G_N_ELEMENTS(uids))];
    Submission *submission;
    Submitted submitted;
    uint64_t batch;

    for (guint i = 0; i < m->batches->len; i++)
        if (BATCH(m, i)->phase == MODEL_OPEN && dice(2) == 0)
            open = BATCH(m, i);
    if (open)
        uid = open->uid;
    submission = submission_new(uid, dice(3) > 0);
    submission->batch = open ? open->id : 0;
    batch = open ? open->id : fresh.id;
    for (unsigned n = dice(5); n > 0; n--) {
        char name[2] = { (char) ('a' + dice(3)), '\0' };
        TaskSpec *spec = add_task(m->f, submission, name);
        spec->priority = (int32_t) dice(3) - 1;
        if (dice(3) == 0) {
            spec->array_count = 1 + dice(20);
            spec->array_index = 0;
        }
        model_add(m, spec, batch, uid);
    }
    if (!open) {
        fresh.uid = uid;
        g_array_append_val(m->batches, fresh);
    }
    if (submission->commit)
        BATCH(m, batch - 1)->phase = MODEL_COMMITTED;
    submitted = submit(m->f, submission);
    g_assert_cmpint(submitted.r, ==, 0);
    g_assert_cmpuint(submitted.batch, ==, batch);
}

static void do_discard(Model *m)
{
    for (guint i = 0; i < m->batches->len; i++)
        if (BATCH(m, i)->phase == MODEL_OPEN && dice(3) == 0) {
            m->f->port->discard_batch(m->f->port, BATCH(m, i)->id);
            BATCH(m, i)->phase = MODEL_GONE;
            return;
        }
}

static void do_assign(Model *m)
{
    uint32_t user = dice(2) == 0 ? UID_ANYBODY : uids[dice(G_N_ELEMENTS(uids))];
    g_autoptr(GPtrArray) waiting = model_waiting(m, user);
    g_autoptr(GArray) assignments = g_array_new(FALSE, FALSE, sizeof(Assignment));
    size_t limit = 1 + dice(40);
    g_autofree char *expected = model_window(m, user, limit);

    assert_string(window_of(m->f, user, limit), expected);
    for (guint i = 0; i < waiting->len && i < limit; i++) {
        ModelTask *task = waiting->pdata[i];
        if (dice(4) == 0)
            continue;
        task->held = true;
        task->cancelled = false;
        task->worker = 1 + dice(5);
        Assignment assignment = { .task = task->id, .fence = ++task->fence, .worker = task->worker };
        g_array_append_val(assignments, assignment);
    }
    m->f->port->assign(m->f->port, (Assignment *) assignments->data, assignments->len);
}

static ModelTask *random_held(const Model *m)
{
    g_autoptr(GPtrArray) held = g_ptr_array_new();

    for (guint i = 0; i < m->tasks->len; i++)
        if (TASK(m, i)->held)
            g_ptr_array_add(held, TASK(m, i));
    return held->len > 0 ? held->pdata[dice(held->len)] : NULL;
}

static void do_start(Model *m)
{
    ModelTask *task = random_held(m);

    if (!task)
        return;
    m->f->port->started(
        m->f->port, &(Assignment){ .task = task->id, .fence = task->fence, .start_usec = 1 + dice(1000) }, 1);
    task->state = TASK_RUNNING;
}

static void do_settle(Model *m)
{
    static const TaskState nexts[] = { TASK_SUCCEEDED, TASK_SUCCEEDED, TASK_FAILED,
                                       TASK_QUEUED,    TASK_CANCELLED, TASK_SKIPPED };
    ModelTask *task = random_held(m);
    Settlement settlement;
    bool attempted;

    if (!task)
        return;
    attempted = task->state == TASK_RUNNING || dice(4) == 0;
    settlement =
        settlement_of(task->id, task->fence, nexts[dice(G_N_ELEMENTS(nexts))], task->attempts + attempted);
    settlement.attempted = attempted;
    if (dice(10) == 0) { /* of an earlier life: nothing happens */
        settlement.result.fence += dice(2) == 0 ? 1 : UINT64_MAX;
        g_assert_cmpint(settle(m->f, settlement), ==, 0);
        return;
    }
    task->state = settlement.next;
    task->held = false;
    task->attempts = settlement.attempts;
    g_assert_cmpint(settle(m->f, settlement), ==, 0);
}

static char *model_cancel(Model *m, const TaskFilter *filter, uint32_t only)
{
    GString *text = g_string_new(NULL), *held = g_string_new(NULL);
    uint64_t last = 0, first = 0;

    for (guint i = 0; i <= m->tasks->len; i++) {
        ModelTask *task = i < m->tasks->len ? TASK(m, i) : NULL;
        bool hit = task && !task_state_is_end(task->state) && model_matches(m, filter, task) &&
                   (only == UID_ANYBODY || only == task->uid);
        if (hit && task->held) {
            g_string_append_printf(held, "%s%" G_GUINT64_FORMAT, held->len > 0 ? " " : " | ", task->id);
            task->cancelled = true;
        } else if (hit) {
            task->state = TASK_CANCELLED;
            if (first == 0)
                first = task->id;
            last = task->id;
        }
        /* each range is of one batch */
        if (first > 0 &&
            (!task || last != task->id || i + 1 == m->tasks->len || TASK(m, i + 1)->batch != task->batch)) {
            g_string_append_printf(text, "%s%" G_GUINT64_FORMAT, text->len > 0 ? " " : "", first);
            if (last > first)
                g_string_append_printf(text, "-%" G_GUINT64_FORMAT, last);
            first = 0;
        }
    }
    g_string_append(text, held->str);
    g_string_free(held, TRUE);
    return g_string_free(text, FALSE);
}

static void sort_held(char *text)
{
    char *bar = strchr(text, '|');
    g_auto(GStrv) words = NULL;
    bool swapped = true;

    if (!bar)
        return;
    words = g_strsplit(bar + 2, " ", -1);
    while (swapped) {
        swapped = false;
        for (guint i = 0; words[i] && words[i + 1]; i++)
            if (g_ascii_strtoull(words[i], NULL, 10) > g_ascii_strtoull(words[i + 1], NULL, 10)) {
                char *word = words[i];
                words[i] = words[i + 1];
                words[i + 1] = word;
                swapped = true;
            }
    }
    g_autofree char *joined = g_strjoinv(" ", words);
    memcpy(bar + 2, joined, strlen(joined));
}

static void do_cancel(Model *m)
{
    g_autoptr(TaskFilter) filter = random_filter(m);
    uint32_t uid = uids[dice(G_N_ELEMENTS(uids))], only = dice(2) == 0 ? UID_ANYBODY : uid;
    uint64_t foreign = 0;
    g_autofree char *expected = NULL;
    g_autofree char *got = NULL;

    if (task_filter_is_empty(filter))
        return;
    for (guint i = 0; i < m->tasks->len; i++)
        foreign += TASK(m, i)->uid != uid && !task_state_is_end(TASK(m, i)->state) &&
                   model_matches(m, filter, TASK(m, i));
    g_assert_cmpuint(examine(m->f, filter_copy(filter), uid).foreign, ==, foreign);
    expected = model_cancel(m, filter, only);
    got = cancel(m->f, filter_copy(filter), only);
    sort_held(got);
    g_assert_cmpstr(got, ==, expected);
}

static void do_list(Model *m)
{
    g_autoptr(TaskFilter) filter = random_filter(m);
    GString *expected = g_string_new(NULL);
    bool reverse = dice(2) == 0;

    for (guint i = 0; i < m->tasks->len; i++) {
        const ModelTask *task = TASK(m, reverse ? m->tasks->len - 1 - i : i);
        if (model_matches(m, filter, task))
            g_string_append_printf(expected, "%s%" G_GUINT64_FORMAT, expected->len > 0 ? " " : "", task->id);
    }
    assert_string(list_all(m->f, make_copy, filter, 1 + dice(60), reverse), expected->str);
    g_string_free(expected, TRUE);
}

static void do_get(Model *m)
{
    const ModelTask *task;
    g_autoptr(TaskRow) row = NULL;

    if (m->tasks->len == 0)
        return;
    task = TASK(m, dice(m->tasks->len));
    row = get_row(m->f, task->id);
    if (!is_visible(m, task)) {
        g_assert_null(row);
        return;
    }
    g_assert_nonnull(row);
    g_assert_cmpuint(row->spec->id, ==, task->id);
    g_assert_cmpuint(row->spec->batch, ==, task->batch);
    g_assert_cmpint(row->spec->priority, ==, task->priority);
    g_assert_cmpuint(row->spec->context->uid, ==, task->uid);
    g_assert_cmpstr(row->spec->name, ==, task->name);
    g_assert_cmpuint(row->spec->fence, ==, task->fence);
    g_assert_cmpint(row->state, ==, task->state);
    g_assert_cmpuint(row->spec->attempts, ==, task->attempts);
    g_assert_cmpuint(row->attempt, ==, task->attempts + (task->state == TASK_RUNNING));
    g_assert_cmpuint(row->attempts->len, ==, task->attempts);
    if (task->held)
        g_assert_cmpuint(row->worker, ==, task->worker);
}

static void check_held(Model *m)
{
    guint n = 0;

    for (guint i = 0; i < m->tasks->len; i++) {
        const ModelTask *task = TASK(m, i);
        const HeldTask *held;
        if (!task->held)
            continue;
        g_assert_cmpuint(n, <, m->f->snapshot->held->len);
        held = m->f->snapshot->held->pdata[n++];
        g_assert_cmpuint(held->spec->id, ==, task->id);
        g_assert_cmpuint(held->spec->fence, ==, task->fence);
        g_assert_cmpuint(held->worker, ==, task->worker);
        g_assert_cmpint(held->start_usec > 0, ==, task->state == TASK_RUNNING);
        g_assert_cmpint(held->cancelled, ==, task->cancelled);
    }
    g_assert_cmpuint(n, ==, m->f->snapshot->held->len);
}

/* Everything that was not committed is gone. */
static void do_restart(Model *m)
{
    fixture_verify(m->f);
    for (guint i = 0; i < m->batches->len; i++)
        if (BATCH(m, i)->phase == MODEL_OPEN)
            BATCH(m, i)->phase = MODEL_GONE;
    check_held(m);
}

static void check(Model *m)
{
    StoreCounts counts = { 0 };

    fixture_drain(m->f);
    for (guint i = 0; i < m->tasks->len; i++)
        if (is_visible(m, TASK(m, i)))
            counts.by_state[TASK(m, i)->state]++;
    for (TaskState state = 0; state < _TASK_STATE_MAX; state++)
        g_assert_cmpuint(m->f->counts.by_state[state], ==, counts.by_state[state]);
    model_end_batches(m);
    g_assert_cmpuint(m->f->ended->len, ==, m->n_ended);
}

static void check_ended(Model *m)
{
    for (guint e = 0; e < m->f->ended->len; e++) {
        const BatchEnd *end = &g_array_index(m->f->ended, BatchEnd, e);
        BatchEnd sums = { 0 };
        g_assert_true(BATCH(m, end->batch - 1)->ended);
        BATCH(m, end->batch - 1)->ended = false; /* told once */
        for (guint i = 0; i < m->tasks->len; i++) {
            const ModelTask *task = TASK(m, i);
            if (task->batch != end->batch)
                continue;
            sums.count++;
            sums.succeeded += task->state == TASK_SUCCEEDED;
            sums.failed += task->state == TASK_FAILED;
            sums.cancelled += task->state == TASK_CANCELLED;
            sums.skipped += task->state == TASK_SKIPPED;
            sums.single = task->id;
        }
        g_assert_cmpuint(end->count, ==, sums.count);
        g_assert_cmpuint(end->succeeded, ==, sums.succeeded);
        g_assert_cmpuint(end->failed, ==, sums.failed);
        g_assert_cmpuint(end->cancelled, ==, sums.cancelled);
        g_assert_cmpuint(end->skipped, ==, sums.skipped);
        g_assert_cmpuint(end->single, ==, sums.count == 1 ? sums.single : 0);
    }
}

static void (*const operations[])(Model *m) = {
    do_submit, do_discard, do_assign, do_assign, do_start,  do_start, do_start,
    do_settle, do_settle,  do_settle, do_settle, do_cancel, do_list,  do_get,
};

static void test_model(void)
{
    Model m = {
        .f = fixture_new(),
        .tasks = g_array_new(FALSE, FALSE, sizeof(ModelTask)),
        .batches = g_array_new(FALSE, FALSE, sizeof(ModelBatch)),
    };
    const unsigned n = g_test_slow() ? 40000 : 4000;

    for (unsigned i = 0; i < n; i++) {
        operations[dice(G_N_ELEMENTS(operations))](&m);
        check(&m);
        if (i < n - 500 && dice(200) == 0)
            do_restart(&m);
    }
    g_assert_cmpuint(fixture_check_plans(m.f), >, 40);
    do_restart(&m);
    check_ended(&m);
    g_test_message("%u tasks in %u batches, %u ended", m.tasks->len, m.batches->len, m.n_ended);
    g_array_unref(m.tasks);
    g_array_unref(m.batches);
    fixture_free(m.f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/store/model", test_model);
    return g_test_run();
}
