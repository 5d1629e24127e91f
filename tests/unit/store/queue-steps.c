/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The steps of a random history of the queue: each changes the model as the words of the manual have it and asks the store
 * to do the same. What follows for others is left to model_settle(). */
#include <string.h>

#include "tests/unit/store/queue-trial.h"

#define USER 1000

unsigned trial_dice(Trial *t, unsigned n)
{
    return (unsigned) g_rand_int_range(t->random, 0, (gint32) n);
}

/* One of the tasks that fit, or NULL. */
static ModelTask *pick(Trial *t, bool (*fits)(const Trial *t, const ModelTask *task))
{
    g_autoptr(GPtrArray) found = g_ptr_array_new();

    for (guint i = 0; i < t->m->tasks->len; i++)
        if (fits(t, t->m->tasks->pdata[i]))
            g_ptr_array_add(found, t->m->tasks->pdata[i]);
    return found->len > 0 ? found->pdata[trial_dice(t, found->len)] : NULL;
}

static bool is_visible(const Trial *t, const ModelTask *task)
{
    return model_is_visible(t->m, task);
}

static bool is_taken(const Trial *t, const ModelTask *task)
{
    return task->taken;
}

static bool is_ready(const Trial *t, const ModelTask *task)
{
    return model_is_visible(t->m, task) && task->state == TASK_QUEUED && !task->taken;
}

/* ------------------------------------------------------------------ submitting */

typedef struct Call {
    Submission *submission;
    uint64_t batch, next; /* next: id of the task that is being added */
} Call;

static guint lane_get(Trial *t, const char *key, uint32_t parallel)
{
    ModelLane lane = { .name = g_strdup(key), .parallel = parallel };

    for (guint i = 0; i < t->m->lanes->len; i++)
        if (strcmp(g_array_index(t->m->lanes, ModelLane, i).name, key) == 0) {
            g_free(lane.name);
            return i + 1;
        }
    g_array_append_val(t->m->lanes, lane);
    return t->m->lanes->len;
}

/* A queue that exists; 0: none. */
static guint pick_queue(Trial *t)
{
    guint q = trial_dice(t, t->m->queues->len + 1);

    return q > 0 && !g_array_index(t->m->queues, ModelLane, q - 1).gone ? q : 0;
}

static uint64_t position_of(const Trial *t, const ModelTask *task)
{
    uint64_t position = 0;

    for (uint64_t id = 1; id < task->id; id++)
        position += model_task(t->m, id)->batch == task->batch;
    return position;
}

static ModelTask *pick_target(Trial *t, const Call *call, const TaskSpec *spec, DependencyKind kind)
{
    ModelTask *task = NULL;

    for (int tries = 0; tries < 20; tries++) {
        if (call->next == 1)
            return NULL;
        task = model_task(t->m, 1 + trial_dice(t, (unsigned) MIN(call->next - 1, 60)) +
                                    (call->next > 61 ? call->next - 61 : 0));
        if (task->batch != call->batch && !model_is_visible(t->m, task))
            continue;
        if (kind != DEPENDENCY_AFTER_CORR)
            return task;
        if (task->count == spec->array_count && spec->array_index == 0)
            return model_task(t->m, task->first);
    }
    return NULL;
}

static bool random_condition(Trial *t, const Call *call, const TaskSpec *spec, Dependency *given,
                             Dependency *meant)
{
    Dependency condition = { .kind = (DependencyKind) trial_dice(t, _DEPENDENCY_KIND_MAX), .status = 3 };
    const ModelTask *task;

    if (trial_dice(t, 3) == 0)
        condition.kind = DEPENDENCY_AFTER_OK;
    if (condition.kind != DEPENDENCY_EXIT)
        condition.status = 0;
    task = pick_target(t, call, spec, condition.kind);
    if (!task)
        return false;
    condition.id = task->id;
    *given = *meant = condition;
    if (task->batch == call->batch) {
        if (trial_dice(t, 2) == 0) {
            given->target = TARGET_LOCAL;
            given->id = position_of(t, task);
        }
    } else if (trial_dice(t, 3) == 0 && condition.kind < DEPENDENCY_AFTER_CORR) {
        given->target = meant->target = TARGET_BATCH;
        given->id = meant->id = task->batch;
    }
    return true;
}

static const ModelGate *random_gate(Trial *t, const Call *call, TaskSpec *spec)
{
    ModelGate *gate = g_new0(ModelGate, 1);
    GArray *given = g_array_new(FALSE, FALSE, sizeof(Dependency));
    uint32_t clause = 0;

    *gate = (ModelGate){ call->next, g_array_new(FALSE, FALSE, sizeof(Dependency)), trial_dice(t, 6) == 0 };
    for (unsigned n = 1 + trial_dice(t, 4); n > 0; n--) {
        Dependency one, meant;
        if (!random_condition(t, call, spec, &one, &meant))
            continue;
        bool corr = one.kind == DEPENDENCY_AFTER_CORR;
        clause += corr || trial_dice(t, 3) > 0;
        one.clause = meant.clause = clause;
        clause += corr;
        g_array_append_val(given, one);
        g_array_append_val(gate->conditions, meant);
    }
    g_ptr_array_add(t->m->gates, gate);
    if (given->len == 0) {
        g_array_unref(given);
        return NULL;
    }
    gate_of(spec)->dependencies = given;
    spec->gate->keep_unsatisfied = gate->keep;
    return gate;
}

/* Fills the spec in, and the model's task that it stands for. */
static void random_task(Trial *t, const Call *call, TaskSpec *spec, ModelTask *task)
{
    if (trial_dice(t, 3) == 0) {
        spec->array_index = 0;
        spec->array_count = task->count = 1 + trial_dice(t, 5);
    }
    spec->priority = task->priority = (int32_t) trial_dice(t, 3) - 1;
    if (trial_dice(t, 2) == 0)
        task->gate = random_gate(t, call, spec);
    if (trial_dice(t, 8) == 0)
        gate_of(spec)->held = true;
    if (trial_dice(t, 8) == 0) {
        task->wall = trial_dice(t, 2) == 0;
        uint64_t delay = 1 + trial_dice(t, 100);
        task->due = (task->wall ? TEST_NOW : TEST_BOOT) + t->m->time + delay;
        gate_of(spec)->delay_usec = task->wall ? 0 : delay;
        gate_of(spec)->not_before_usec = task->wall ? task->due : 0;
    }
    task->queue = trial_dice(t, 2) == 0 ? pick_queue(t) : 0;
    if (task->queue > 0)
        gate_of(spec)->queue = g_strdup(g_array_index(t->m->queues, ModelLane, task->queue - 1).name);
    if (trial_dice(t, 6) == 0) {
        gate_of(spec)->singleton = true;
        task->lane = lane_get(t, spec->name, 1);
    } else if (task->count > 0 && trial_dice(t, 2) == 0) {
        g_autofree char *key = g_strdup_printf("array %" G_GUINT64_FORMAT, call->next);
        gate_of(spec)->parallel = 1 + trial_dice(t, 2);
        task->lane = lane_get(t, key, spec->gate->parallel);
    }
    if (spec->gate && spec->gate->held)
        task->state = TASK_HELD;
    else if (task->gate)
        task->state = TASK_BLOCKED;
    else
        model_go_on(task);
}

static void add_random_task(Trial *t, Call *call)
{
    char name[] = { (char) ('a' + trial_dice(t, 3)), '\0' };
    TaskSpec *spec = add_task(t->f, call->submission, name);
    ModelTask task = { .batch = call->batch, .first = call->next, .before = -1 };

    random_task(t, call, spec, &task);
    model_batch(t->m, call->batch)->gated |= spec->gate != NULL;
    for (uint64_t i = 0; i < MAX(task.count, 1); i++) {
        task.id = call->next++;
        g_ptr_array_add(t->m->tasks, g_memdup2(&task, sizeof task));
    }
}

typedef struct Expected {
    uint64_t batch, first, count;
} Expected;

static void check_submitted(int r, Submission *submission, void *userdata)
{
    g_autofree Expected *expected = userdata;

    if (r == -ECANCELED) /* there is no store */
        return;
    if (r < 0)
        g_error("%s: %s", g_strerror(-r), submission->refusal);
    g_assert_cmpuint(submission->batch, ==, expected->batch);
    g_assert_cmpuint(submission->first, ==, expected->first);
    g_assert_cmpuint(submission->count, ==, expected->count);
}

static void do_submit(Trial *t)
{
    Call call = { .submission = submission_new(USER, trial_dice(t, 4) > 0), .next = t->m->tasks->len + 1 };
    Expected *expected = g_new(Expected, 1);
    ModelBatch *batch;

    call.submission->submitted_usec = TEST_NOW + t->m->time;
    call.submission->boot_usec = TEST_BOOT + t->m->time;
    for (guint i = 0; i < t->m->batches->len; i++)
        if (model_batch(t->m, i + 1)->phase == MODEL_OPEN && trial_dice(t, 2) == 0)
            call.batch = i + 1;
    call.submission->batch = call.batch;
    if (call.batch == 0) {
        g_ptr_array_add(t->m->batches, g_new0(ModelBatch, 1));
        call.batch = t->m->batches->len;
        model_batch(t->m, call.batch)->max_fails = UINT64_MAX;
    }
    *expected = (Expected){ call.batch, call.next, 0 };
    for (unsigned n = 1 + trial_dice(t, 4); n > 0; n--)
        add_random_task(t, &call);
    expected->count = call.next - expected->first;
    batch = model_batch(t->m, call.batch);
    if (call.submission->commit) {
        batch->phase = MODEL_COMMITTED;
        batch->max_fails = call.submission->halt.max_fails =
            trial_dice(t, 4) == 0 ? 1 + trial_dice(t, 2) : UINT64_MAX;
    }
    t->f->port->submit(t->f->port, call.submission, check_submitted, expected);
}

static void do_discard(Trial *t)
{
    for (guint i = 0; i < t->m->batches->len; i++)
        if (model_batch(t->m, i + 1)->phase == MODEL_OPEN && trial_dice(t, 3) == 0) {
            t->f->port->discard_batch(t->f->port, i + 1);
            model_batch(t->m, i + 1)->phase = MODEL_GONE;
            return;
        }
}

/* ------------------------------------------------------------------ running */

static void do_assign(Trial *t)
{
    for (unsigned n = 1 + trial_dice(t, 3); n > 0; n--) {
        ModelTask *task = pick(t, is_ready);
        if (!task)
            return;
        task->taken = true;
        task->cancelled = false;
        t->f->port->assign(t->f->port, &(Assignment){ .task = task->id, .fence = ++task->fence, .worker = 7 },
                           1);
    }
}

static void do_start(Trial *t)
{
    ModelTask *task = pick(t, is_taken);

    if (!task)
        return;
    t->f->port->started(
        t->f->port, &(Assignment){ .task = task->id, .fence = task->fence, .start_usec = TEST_NOW + 10 }, 1);
    task->state = TASK_RUNNING;
}

static void check_done(int r, void *userdata)
{
    g_assert_cmpint(r, ==, 0);
}

static void do_settle(Trial *t)
{
    static const struct {
        Outcome outcome;
        int status;
        TaskState next;
    } ends[] = {
        { OUTCOME_EXITED, 0, TASK_SUCCEEDED }, { OUTCOME_EXITED, 0, TASK_SUCCEEDED },
        { OUTCOME_EXITED, 0, TASK_SUCCEEDED }, { OUTCOME_EXITED, 3, TASK_FAILED },
        { OUTCOME_EXITED, 4, TASK_FAILED },    { OUTCOME_OOM, 0, TASK_FAILED },
        { OUTCOME_TIMEOUT, 0, TASK_FAILED },   { OUTCOME_EXITED, 3, TASK_WAITING },
        { OUTCOME_LOST, 0, TASK_QUEUED },      { OUTCOME_EXITED, 3, TASK_HELD },
        { OUTCOME_EXITED, 3, TASK_QUEUED },
    };
    size_t i = trial_dice(t, G_N_ELEMENTS(ends));
    ModelTask *task = pick(t, is_taken);
    Settlement s;

    if (!task)
        return;
    s = settlement_of(task->id, task->fence, ends[i].next, task->attempts);
    s.attempted = task->state == TASK_RUNNING || trial_dice(t, 3) == 0;
    if (task->cancelled)
        s.next = TASK_CANCELLED;
    else if (!s.attempted)
        s.next = trial_dice(t, 4) == 0 ? TASK_HELD : TASK_QUEUED;
    if (s.attempted) {
        s.result.outcome = task->outcome = ends[i].outcome;
        s.result.exit_status = task->status = ends[i].status;
        s.attempts = ++task->attempts;
    }
    if (s.attempted && t->tail_bytes > 0)
        s.result.stderr_tail = g_bytes_new_take(g_malloc0(t->tail_bytes), t->tail_bytes);
    if (s.next == TASK_WAITING) {
        s.due_usec = task->due = TEST_BOOT + t->m->time + 1 + trial_dice(t, 100);
        task->wall = false;
    }
    task->state = (int) s.next;
    task->taken = false;
    task->quiet = true;
    t->f->port->settle(t->f->port, &s, 1, check_done, NULL);
}

static void do_wake(Trial *t)
{
    t->m->time += trial_dice(t, 40);
    for (guint i = 0; i < t->m->tasks->len; i++) {
        ModelTask *task = t->m->tasks->pdata[i];
        if (task->due == 0 || task->due > (task->wall ? TEST_NOW : TEST_BOOT) + t->m->time)
            continue;
        task->due = 0;
        if (task->state == TASK_WAITING && model_batch(t->m, task->batch)->phase != MODEL_GONE)
            model_go_on(task);
    }
    t->f->port->wake(t->f->port, TEST_BOOT + t->m->time, TEST_NOW + t->m->time);
}

/* ------------------------------------------------------------------ steering */

static TaskFilter *random_filter(Trial *t, GPtrArray *matching)
{
    TaskFilter *filter = task_filter_new();

    if (trial_dice(t, 3) == 0 && t->m->batches->len > 0) {
        filter->batch = 1 + trial_dice(t, t->m->batches->len);
    } else {
        filter->ids = g_array_new(FALSE, FALSE, sizeof(uint64_t));
        for (unsigned n = 1 + trial_dice(t, 4); n > 0; n--) {
            const ModelTask *task = pick(t, is_visible);
            if (task)
                g_array_append_val(filter->ids, task->id);
        }
    }
    for (guint i = 0; i < t->m->tasks->len; i++) {
        ModelTask *task = t->m->tasks->pdata[i];
        bool found = filter->batch == task->batch;
        for (guint k = 0; filter->ids && k < filter->ids->len; k++)
            found |= g_array_index(filter->ids, uint64_t, k) == task->id;
        if (found && model_is_visible(t->m, task))
            g_ptr_array_add(matching, task);
    }
    return filter;
}

static void check_cancelled(int r, GArray *cancelled, GArray *held, void *userdata)
{
    g_assert_cmpint(r, ==, 0);
}

static void do_cancel(Trial *t)
{
    g_autoptr(GPtrArray) matching = g_ptr_array_new();
    TaskFilter *filter = random_filter(t, matching);

    for (guint i = 0; i < matching->len; i++) {
        ModelTask *task = matching->pdata[i];
        if (task->taken)
            task->cancelled = true;
        else if (model_is_live(t->m, task))
            task->state = TASK_CANCELLED;
    }
    t->f->port->cancel(t->f->port, filter, UID_ANYBODY, TEST_NOW, check_cancelled, NULL);
}

typedef struct Modification {
    uint64_t count; /* of tasks that it should change */
    GString *text;
} Modification;

static void check_modified(int r, const Modified *modified, void *userdata)
{
    g_autofree Modification *modification = userdata;

    if (r != -ECANCELED && (r < 0 || modified->count != modification->count))
        g_error("%s: %d, %" G_GUINT64_FORMAT " instead of %" G_GUINT64_FORMAT, modification->text->str, r,
                modified->count, modification->count);
    g_string_free(modification->text, TRUE);
}

/* A worker has it and it has not started. */
static bool comes_back(const ModelTask *task)
{
    return task->taken && task->state == TASK_QUEUED && !task->cancelled;
}

static uint64_t model_hold(Trial *t, ModelTask *task, bool may_go_on, const TaskEdit *edit)
{
    if (comes_back(task))
        return 1;
    if (task->taken || !model_is_live(t->m, task) || task->state == TASK_HELD)
        return 0;
    task->state = TASK_HELD;
    return 1;
}

static void enter(ModelTask *task, bool may_go_on)
{
    if (may_go_on)
        model_go_on(task);
    else
        task->state = TASK_BLOCKED;
}

static uint64_t model_release(Trial *t, ModelTask *task, bool may_go_on, const TaskEdit *edit)
{
    if (task->taken || task->state != TASK_HELD)
        return 0;
    enter(task, may_go_on);
    return 1;
}

static uint64_t model_retry(Trial *t, ModelTask *task, bool may_go_on, const TaskEdit *edit)
{
    if (task->state != TASK_FAILED && task->state != TASK_CANCELLED)
        return 0; /* what was skipped lives again with what it waited for */
    model_batch(t->m, task->batch)->halted = false;
    enter(task, may_go_on);
    return 1;
}

static uint64_t model_edit(Trial *t, ModelTask *task, bool may_go_on, const TaskEdit *edit)
{
    if (!model_is_live(t->m, task) || (task->taken && !comes_back(task)))
        return 0;
    if (edit->set_priority)
        task->priority = edit->priority;
    if (edit->queue)
        task->queue = 0;
    for (guint q = 1; edit->queue && q <= t->m->queues->len; q++)
        if (!g_array_index(t->m->queues, ModelLane, q - 1).gone &&
            strcmp(g_array_index(t->m->queues, ModelLane, q - 1).name, edit->queue) == 0)
            task->queue = q;
    if (!task->taken && (task->state == TASK_QUEUED || task->state == MODEL_GATED))
        model_go_on(task);
    return 1;
}

static void do_modify(Trial *t, TaskAction action, TaskEdit *edit,
                      uint64_t (*change)(Trial *t, ModelTask *task, bool may_go_on, const TaskEdit *edit))
{
    g_autoptr(GPtrArray) matching = g_ptr_array_new();
    TaskFilter *filter = random_filter(t, matching);
    g_autofree bool *may_go_on = g_new0(bool, matching->len + 1);
    Modification *modification = g_new0(Modification, 1);

    modification->text = g_string_new(NULL);
    g_string_printf(modification->text, "action %d on", action);
    for (guint i = 0; i < matching->len; i++)
        may_go_on[i] = model_may_go_on(t->m, matching->pdata[i]);
    for (guint i = 0; i < matching->len; i++) {
        ModelTask *task = matching->pdata[i];
        g_string_append_printf(modification->text, " %" G_GUINT64_FORMAT " (state %d%s)", task->id,
                               task->state, task->taken ? ", taken" : "");
        modification->count += change(t, task, may_go_on[i], edit);
    }
    t->f->port->modify(t->f->port, filter, UID_ANYBODY, action, edit, check_modified, modification);
}

static void do_hold(Trial *t)
{
    do_modify(t, TASK_HOLD, NULL, model_hold);
}

static void do_release(Trial *t)
{
    do_modify(t, TASK_RELEASE, NULL, model_release);
}

static void do_retry(Trial *t)
{
    if (t->forgetful)
        return;
    do_modify(t, TASK_RETRY, NULL, model_retry);
}

static void do_edit(Trial *t)
{
    TaskEdit *edit = g_new0(TaskEdit, 1);
    guint queue = pick_queue(t);

    edit->set_priority = trial_dice(t, 2) == 0;
    edit->priority = (int32_t) trial_dice(t, 3) - 1;
    if (!edit->set_priority || trial_dice(t, 3) == 0)
        edit->queue = g_strdup(queue > 0 ? g_array_index(t->m->queues, ModelLane, queue - 1).name : "");
    do_modify(t, TASK_EDIT, edit, model_edit);
}

static void do_set_queue(Trial *t)
{
    ModelLane fresh = { .parallel = trial_dice(t, 4) };
    char name[] = { (char) ('x' + trial_dice(t, 2)), '\0' };
    ModelLane *queue = NULL;

    for (guint i = 0; i < t->m->queues->len; i++)
        if (!g_array_index(t->m->queues, ModelLane, i).gone &&
            strcmp(g_array_index(t->m->queues, ModelLane, i).name, name) == 0)
            queue = &g_array_index(t->m->queues, ModelLane, i);
    if (queue)
        queue->parallel = fresh.parallel;
    t->f->port->set_queue(t->f->port, name, fresh.parallel, check_done, NULL);
    if (queue)
        return;
    fresh.name = g_strdup(name);
    g_array_append_val(t->m->queues, fresh);
}

TrialStep trial_step(Trial *t)
{
    static const TrialStep steps[] = {
        do_submit, do_submit,  do_submit, do_discard, do_assign,  do_assign, do_assign, do_assign,
        do_start,  do_start,   do_settle, do_settle,  do_settle,  do_settle, do_wake,   do_cancel,
        do_hold,   do_release, do_retry,  do_edit,    do_release, do_retry,  do_start,  do_set_queue,
    };

    return steps[trial_dice(t, G_N_ELEMENTS(steps))];
}

TrialStep trial_kept_step(Trial *t)
{
    static const TrialStep steps[] = { do_assign, do_start, do_settle, do_settle, do_wake };

    return steps[trial_dice(t, G_N_ELEMENTS(steps))];
}
