/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The store of the core's tests: a table of tasks in memory, and a queue of what was asked for. Follows the contract of
 * core/ports.h to the letter, so that what the core gets wrong is seen. */
#include "fake-store.h"

#include <string.h>

#include "core/worker.h"

typedef struct Op Op;
struct Op {
    void (*run)(FakeStore *store, Op *op);
    Submission *submission;
    TaskFilter *filter;
    WorkerRecord *record;
    Assignment *assignments;
    Settlement *settlements;
    size_t n, limit;
    uint64_t batch;
    uint32_t user;
    bool enabled;
    union {
        StoreDone done;
        StoreSubmitted submitted;
        StoreWindow window;
        StoreCancelled cancelled;
        StoreRow row;
    };
    void *userdata;
};

static void op_free(Op *op)
{
    submission_free(op->submission);
    task_filter_free(op->filter);
    worker_record_free(op->record);
    for (size_t i = 0; op->settlements && i < op->n; i++)
        settlement_done(&op->settlements[i]);
    g_free(op->assignments);
    g_free(op->settlements);
    g_free(op);
}

static void ask(StorePort *port, const Op *op)
{
    FakeStore *store = (FakeStore *) port;

    store->n_calls++;
    g_queue_push_tail(&store->ops, g_memdup2(op, sizeof *op));
}

static int take_failure(FakeStore *store)
{
    int r = store->fail;

    store->fail = 0;
    return r;
}

/* ---- tasks */

static void task_free(gpointer data)
{
    FakeTask *task = data;

    task_spec_free(task->spec);
    settlement_done(&task->last);
    g_free(task);
}

static FakeTask *find(FakeStore *store, uint64_t id)
{
    return g_tree_lookup(store->tasks, &id);
}

FakeTask *fake_store_task(FakeStore *store, uint64_t id)
{
    FakeTask *task = find(store, id);

    if (!task)
        g_error("there is no task %" G_GUINT64_FORMAT, id);
    return task;
}

static void add_tasks(FakeStore *store, TaskSpec *spec, bool committed)
{
    spec->id = store->next_task;
    if (spec->context->id == 0)
        spec->context->id = store->next_context++;
    for (uint64_t i = 0; i < spec->array_count; i++) {
        FakeTask *task = g_new0(FakeTask, 1);
        task->spec = task_spec_copy(spec);
        task->spec->id = store->next_task++;
        task->spec->array_count = 1;
        if (spec->array_index != ARRAY_INDEX_NONE)
            task->spec->array_index = spec->array_index + i;
        task->state = TASK_QUEUED;
        task->committed = committed;
        g_tree_insert(store->tasks, &task->spec->id, task);
    }
}

static gboolean commit_task(gpointer key, gpointer value, gpointer batch)
{
    FakeTask *task = value;

    task->committed |= task->spec->batch == *(uint64_t *) batch;
    return FALSE;
}

static void run_submit(FakeStore *store, Op *op)
{
    Submission *submission = op->submission;
    int r = take_failure(store);

    if (r >= 0) {
        if (submission->batch == 0)
            submission->batch = store->next_batch++;
        submission->first = store->next_task;
        for (guint i = 0; i < submission->tasks->len; i++) {
            TaskSpec *spec = submission->tasks->pdata[i];
            spec->batch = submission->batch;
            add_tasks(store, spec, submission->commit);
        }
        submission->count = store->next_task - submission->first;
        if (submission->commit)
            g_tree_foreach(store->tasks, commit_task, &submission->batch);
    }
    op->submitted(r, submission, op->userdata);
}

static void store_submit(StorePort *port, Submission *submission, StoreSubmitted done, void *userdata)
{
    ask(port, &(Op){ .run = run_submit, .submission = submission, .submitted = done, .userdata = userdata });
}

static gboolean collect_batch(gpointer key, gpointer value, gpointer userdata)
{
    Op *op = userdata;

    if (((FakeTask *) value)->spec->batch == op->batch)
        g_ptr_array_add(op->submission->tasks, key);
    return FALSE;
}

static void run_discard(FakeStore *store, Op *op)
{
    op->submission = g_new0(Submission, 1);
    op->submission->tasks = g_ptr_array_new();
    g_tree_foreach(store->tasks, collect_batch, op);
    for (guint i = 0; i < op->submission->tasks->len; i++)
        g_tree_remove(store->tasks, op->submission->tasks->pdata[i]);
}

static void store_discard_batch(StorePort *port, uint64_t batch)
{
    ask(port, &(Op){ .run = run_discard, .batch = batch });
}

/* ---- the window */

static int compare_order(gconstpointer a, gconstpointer b)
{
    const FakeTask *x = *(FakeTask *const *) a, *y = *(FakeTask *const *) b;

    if (x->spec->priority != y->spec->priority)
        return x->spec->priority > y->spec->priority ? -1 : 1;
    return (x->spec->id > y->spec->id) - (x->spec->id < y->spec->id);
}

typedef struct Collect {
    GPtrArray *tasks;
    uint32_t user;
} Collect;

static gboolean collect_next(gpointer key, gpointer value, gpointer userdata)
{
    FakeTask *task = value;
    Collect *collect = userdata;

    if (task->committed && task->state == TASK_QUEUED && task->worker == 0 &&
        (collect->user == UID_ANYBODY || collect->user == task->spec->context->uid))
        g_ptr_array_add(collect->tasks, task);
    return FALSE;
}

static void spec_free(gpointer spec)
{
    task_spec_free(spec);
}

static void run_load_window(FakeStore *store, Op *op)
{
    g_autoptr(GPtrArray) found = g_ptr_array_new();
    GPtrArray *specs = g_ptr_array_new_with_free_func(spec_free);
    int r = take_failure(store);

    store->n_windows_loaded++;
    g_tree_foreach(store->tasks, collect_next, &(Collect){ found, op->user });
    g_ptr_array_sort(found, compare_order);
    for (guint i = 0; i < found->len && i < op->limit; i++)
        g_ptr_array_add(specs, task_spec_copy(((FakeTask *) found->pdata[i])->spec));
    if (r < 0)
        g_clear_pointer(&specs, g_ptr_array_unref);
    op->window(r, specs, found->len <= op->limit, op->userdata);
}

static void store_load_window(StorePort *port, uint32_t user, size_t limit, StoreWindow done, void *userdata)
{
    ask(port, &(Op){ .run = run_load_window, .user = user, .limit = limit, .window = done, .userdata = userdata });
}

/* ---- the way of a task */

static void run_assign(FakeStore *store, Op *op)
{
    for (size_t i = 0; i < op->n; i++) {
        FakeTask *task = fake_store_task(store, op->assignments[i].task);
        if (task->state != TASK_QUEUED) /* it ended meanwhile */
            continue;
        g_assert_cmpuint(op->assignments[i].fence, >, task->spec->fence);
        g_assert_cmpuint(task->worker, ==, 0);
        task->spec->fence = op->assignments[i].fence;
        task->worker = op->assignments[i].worker;
        task->start_usec = 0;
    }
}

static void store_assign(StorePort *port, const Assignment *assignments, size_t n)
{
    ask(port, &(Op){ .run = run_assign, .assignments = g_memdup2(assignments, n * sizeof *assignments), .n = n });
}

static void run_started(FakeStore *store, Op *op)
{
    for (size_t i = 0; i < op->n; i++) {
        FakeTask *task = fake_store_task(store, op->assignments[i].task);
        if (task->worker == 0 || task->spec->fence != op->assignments[i].fence)
            continue;
        task->state = TASK_RUNNING;
        task->start_usec = op->assignments[i].start_usec;
    }
}

static void store_started(StorePort *port, const Assignment *assignments, size_t n)
{
    ask(port, &(Op){ .run = run_started, .assignments = g_memdup2(assignments, n * sizeof *assignments), .n = n });
}

static void settle_one(FakeTask *task, Settlement *settlement)
{
    if (task_state_is_end(task->state) || task->spec->fence != settlement->result.fence ||
        (task->worker == 0 && (settlement->attempted || !task_state_is_end(settlement->next))))
        return;
    g_assert_true(settlement->next == task->state || task_state_may_follow(task->state, settlement->next));
    task->state = settlement->next;
    task->worker = 0;
    task->start_usec = 0;
    task->cancelled = false;
    task->n_attempts += settlement->attempted;
    task->spec->attempts = settlement->attempts;
    task->spec->lost = settlement->lost;
    settlement_done(&task->last);
    task->last = *settlement;
    settlement->reason = NULL;
    settlement->result.stderr_tail = NULL;
}

static void run_settle(FakeStore *store, Op *op)
{
    for (size_t i = 0; i < op->n; i++)
        settle_one(fake_store_task(store, op->settlements[i].result.task), &op->settlements[i]);
    if (op->done)
        op->done(0, op->userdata);
}

static void store_settle(StorePort *port, Settlement *settlements, size_t n, StoreDone done, void *userdata)
{
    ((FakeStore *) port)->n_settle_calls++;
    ask(port, &(Op){ .run = run_settle, .settlements = g_memdup2(settlements, n * sizeof *settlements), .n = n, .done = done,
                     .userdata = userdata });
}

/* ---- cancelling */

static bool matches(const TaskFilter *filter, const FakeTask *task)
{
    bool listed = !filter->ids;

    for (guint i = 0; filter->ids && i < filter->ids->len; i++)
        listed |= g_array_index(filter->ids, uint64_t, i) == task->spec->id;
    return listed && task->committed && !task_state_is_end(task->state) && (!filter->batch || filter->batch == task->spec->batch) &&
           (filter->owner == UID_ANYBODY || filter->owner == task->spec->context->uid);
}

typedef struct Cancel {
    const TaskFilter *filter;
    uint32_t only_uid;
    GArray *ranges, *held;
} Cancel;

static gboolean cancel_task(gpointer key, gpointer value, gpointer userdata)
{
    Cancel *cancel = userdata;
    FakeTask *task = value;
    uint64_t id = task->spec->id;
    IdRange *last = cancel->ranges->len > 0 ? &g_array_index(cancel->ranges, IdRange, cancel->ranges->len - 1) : NULL;

    if (!matches(cancel->filter, task) || (cancel->only_uid != UID_ANYBODY && cancel->only_uid != task->spec->context->uid))
        return FALSE;
    if (task->worker > 0) {
        task->cancelled = true;
        g_array_append_val(cancel->held, id);
        return FALSE;
    }
    task->state = TASK_CANCELLED;
    if (last && last->last + 1 == id)
        last->last = id;
    else
        g_array_append_val(cancel->ranges, ((IdRange){ id, id }));
    return FALSE;
}

static void run_cancel(FakeStore *store, Op *op)
{
    g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(IdRange)), held = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    int r = take_failure(store);

    if (r >= 0)
        g_tree_foreach(store->tasks, cancel_task, &(Cancel){ op->filter, op->user, ranges, held });
    op->cancelled(r, ranges, held, op->userdata);
}

static void store_cancel(StorePort *port, TaskFilter *filter, uint32_t only_uid, uint64_t now_usec, StoreCancelled done, void *userdata)
{
    ask(port, &(Op){ .run = run_cancel, .filter = filter, .user = only_uid, .cancelled = done, .userdata = userdata });
}

/* ---- workers and settings */

static WorkerSpec *spec_copy(const WorkerSpec *spec)
{
    WorkerSpec *copy = worker_spec_new();

    g_free(copy->name);
    copy->name = g_strdup(spec->name);
    worker_limits_copy(&copy->limits, &spec->limits);
    copy->slots = spec->slots;
    copy->engine = spec->engine;
    copy->user = spec->user;
    copy->environment = spec->environment ? g_bytes_ref(spec->environment) : NULL;
    return copy;
}

static WorkerRecord *record_copy(const WorkerRecord *record)
{
    WorkerRecord *copy = g_memdup2(record, sizeof *record);

    copy->spec = spec_copy(record->spec);
    copy->process.unit = g_strdup(record->process.unit);
    copy->process.control_group = g_strdup(record->process.control_group);
    return copy;
}

static void run_record(FakeStore *store, Op *op)
{
    int r = op->done ? take_failure(store) : 0;

    if (r >= 0 && (op->done || g_hash_table_contains(store->workers, GUINT_TO_POINTER(op->record->number))))
        g_hash_table_replace(store->workers, GUINT_TO_POINTER(op->record->number), record_copy(op->record));
    if (op->done)
        op->done(r, op->userdata);
}

static void store_add_worker(StorePort *port, const WorkerRecord *record, StoreDone done, void *userdata)
{
    g_assert_nonnull(done);
    ask(port, &(Op){ .run = run_record, .record = record_copy(record), .done = done, .userdata = userdata });
}

static void store_update_worker(StorePort *port, const WorkerRecord *record)
{
    ask(port, &(Op){ .run = run_record, .record = record_copy(record) });
}

static void run_get(FakeStore *store, Op *op)
{
    const FakeTask *task = find(store, op->batch);

    if (!task || !task->committed) {
        op->row(-ENOENT, NULL, op->userdata);
        return;
    }
    TaskRow *row = g_new0(TaskRow, 1);
    row->spec = task_spec_copy(task->spec);
    row->state = task->state;
    row->worker = task->worker;
    row->start_usec = task->start_usec;
    op->row(0, row, op->userdata);
}

static void store_get(StorePort *port, uint64_t task, StoreRow done, void *userdata)
{
    ask(port, &(Op){ .run = run_get, .batch = task, .row = done, .userdata = userdata });
}

static void run_forget(FakeStore *store, Op *op)
{
    g_hash_table_remove(store->workers, GUINT_TO_POINTER(op->user));
}

static void store_forget_worker(StorePort *port, uint32_t number)
{
    ask(port, &(Op){ .run = run_forget, .user = number });
}

static void run_set_enabled(FakeStore *store, Op *op)
{
    int r = take_failure(store);

    if (r >= 0)
        store->enabled = op->enabled;
    op->done(r, op->userdata);
}

static void store_set_enabled(StorePort *port, bool enabled, StoreDone done, void *userdata)
{
    ask(port, &(Op){ .run = run_set_enabled, .enabled = enabled, .done = done, .userdata = userdata });
}

/* ---- answering */

static gboolean count_task(gpointer key, gpointer value, gpointer counts)
{
    const FakeTask *task = value;

    ((StoreCounts *) counts)->by_state[task->state] += task->committed;
    return FALSE;
}

void fake_store_dispatch_one(FakeStore *store)
{
    Op *op = g_queue_pop_head(&store->ops);
    StoreCounts counts = { 0 };

    g_assert_nonnull(op);
    op->run(store, op);
    op_free(op);
    g_tree_foreach(store->tasks, count_task, &counts);
    if (store->events.counts_changed)
        store->events.counts_changed(&counts, store->events.userdata);
}

void fake_store_dispatch(FakeStore *store)
{
    while (!g_queue_is_empty(&store->ops))
        fake_store_dispatch_one(store);
}

/* ---- life */

static gboolean hold_task(gpointer key, gpointer value, gpointer array)
{
    const FakeTask *task = value;

    if (task->worker == 0)
        return FALSE;
    HeldTask *held = g_new(HeldTask, 1);
    *held = (HeldTask){ task_spec_copy(task->spec), task->worker, task->start_usec, task->cancelled };
    g_ptr_array_add(array, held);
    return FALSE;
}

static void held_free(gpointer held)
{
    held_task_free(held);
}

static void record_free(gpointer record)
{
    worker_record_free(record);
}

static int compare_records(gconstpointer a, gconstpointer b)
{
    const WorkerRecord *x = *(WorkerRecord *const *) a, *y = *(WorkerRecord *const *) b;

    return (x->number > y->number) - (x->number < y->number);
}

StoreSnapshot *fake_store_snapshot(FakeStore *store)
{
    StoreSnapshot *snapshot = g_new0(StoreSnapshot, 1);
    GHashTableIter iter;
    gpointer record;

    snapshot->workers = g_ptr_array_new_with_free_func(record_free);
    snapshot->held = g_ptr_array_new_with_free_func(held_free);
    snapshot->next_worker = 1;
    snapshot->enabled = store->enabled;
    g_hash_table_iter_init(&iter, store->workers);
    while (g_hash_table_iter_next(&iter, NULL, &record)) {
        g_ptr_array_add(snapshot->workers, record_copy(record));
        snapshot->next_worker = MAX(snapshot->next_worker, ((WorkerRecord *) record)->number + 1);
    }
    g_ptr_array_sort(snapshot->workers, compare_records);
    g_tree_foreach(store->tasks, hold_task, snapshot->held);
    g_tree_foreach(store->tasks, count_task, &snapshot->counts);
    return snapshot;
}

static int compare_ids(gconstpointer a, gconstpointer b, gpointer unused)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static const StorePort port_table = {
    .submit = store_submit,
    .discard_batch = store_discard_batch,
    .load_window = store_load_window,
    .assign = store_assign,
    .started = store_started,
    .settle = store_settle,
    .cancel = store_cancel,
    .add_worker = store_add_worker,
    .update_worker = store_update_worker,
    .get = store_get,
    .forget_worker = store_forget_worker,
    .set_enabled = store_set_enabled,
};

void fake_store_init(FakeStore *store)
{
    *store = (FakeStore){ .port = port_table, .next_task = 1, .next_batch = 1, .next_context = 1, .enabled = true };
    g_queue_init(&store->ops);
    store->tasks = g_tree_new_full(compare_ids, NULL, NULL, task_free);
    store->workers = g_hash_table_new_full(NULL, NULL, NULL, record_free);
}

void fake_store_done(FakeStore *store)
{
    Op *op;

    while ((op = g_queue_pop_head(&store->ops)))
        op_free(op);
    g_tree_destroy(store->tasks);
    g_hash_table_unref(store->workers);
}
