/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The store of the core's tests: a table of tasks in memory, and a queue of what was asked for. Follows the contract of
 * core/ports.h to the letter, so that what the core gets wrong is seen. */
#include "fake-store-internal.h"

#include <string.h>

#include "core/worker.h"

static void op_free(Op *op)
{
    submission_free(op->submission);
    task_filter_free(op->filter);
    worker_record_free(op->record);
    task_edit_free(op->edit);
    g_free(op->name);
    for (size_t i = 0; op->settlements && i < op->n; i++)
        settlement_done(&op->settlements[i]);
    g_free(op->assignments);
    g_free(op->settlements);
    g_free(op);
}

void fake_store_ask(StorePort *port, const Op *op)
{
    FakeStore *store = (FakeStore *) port;

    store->n_calls++;
    g_queue_push_tail(&store->ops, g_memdup2(op, sizeof *op));
}

int fake_store_take_failure(FakeStore *store)
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

FakeTask *fake_store_find(FakeStore *store, uint64_t id)
{
    return g_tree_lookup(store->tasks, &id);
}

FakeTask *fake_store_task(FakeStore *store, uint64_t id)
{
    FakeTask *task = fake_store_find(store, id);

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
        task->state = spec->gate && spec->gate->held ? TASK_HELD : TASK_QUEUED;
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

/* It may be handed out now, and the core cannot know. */
void fake_store_note_ready(FakeStore *store, const FakeTask *task)
{
    g_ptr_array_add(store->ready, task_spec_copy(task->spec));
}

static void note_gated(FakeStore *store, const Submission *submission)
{
    bool gated = false;

    for (guint i = 0; i < submission->tasks->len; i++)
        gated |= ((TaskSpec *) submission->tasks->pdata[i])->gate != NULL;
    for (uint64_t id = submission->first; gated && id < submission->first + submission->count; id++)
        if (fake_store_task(store, id)->state == TASK_QUEUED)
            fake_store_note_ready(store, fake_store_task(store, id));
}

static void run_submit(FakeStore *store, Op *op)
{
    Submission *submission = op->submission;
    int r = fake_store_take_failure(store);

    if (r >= 0 && submission->key && g_strcmp0(submission->key, store->known_key) == 0) {
        submission->known = true;
        submission->batch = store->known_batch;
    } else if (r >= 0) {
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
        if (submission->commit)
            note_gated(store, submission);
    }
    op->submitted(r, submission, op->userdata);
}

static void store_submit(StorePort *port, Submission *submission, StoreSubmitted done, void *userdata)
{
    fake_store_ask(
        port, &(Op){ .run = run_submit, .submission = submission, .submitted = done, .userdata = userdata });
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
    fake_store_ask(port, &(Op){ .run = run_discard, .batch = batch });
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
    const char *class;
    QueuePlace after;
} Collect;

static gboolean collect_next(gpointer key, gpointer value, gpointer userdata)
{
    FakeTask *task = value;
    Collect *collect = userdata;

    if (collect->after.priority < task->spec->priority ||
        (collect->after.priority == task->spec->priority && collect->after.id >= task->spec->id))
        return FALSE;
    if (task->committed && task->state == TASK_QUEUED && task->worker == 0 &&
        (collect->user == UID_ANYBODY || collect->user == task->spec->context->uid) &&
        g_strcmp0(collect->class, task->spec->class) == 0)
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
    int r = fake_store_take_failure(store);

    store->n_windows_loaded++;
    g_tree_foreach(store->tasks, collect_next, &(Collect){ found, op->user, op->name, op->after });
    g_ptr_array_sort(found, compare_order);
    for (guint i = 0; i < found->len && i < op->limit; i++)
        g_ptr_array_add(specs, task_spec_copy(((FakeTask *) found->pdata[i])->spec));
    if (r < 0)
        g_clear_pointer(&specs, g_ptr_array_unref);
    op->window(r, specs, found->len <= op->limit, op->userdata);
}

static void store_load_window(StorePort *port, uint32_t user, const char *class, QueuePlace after, size_t limit,
                              StoreWindow done, void *userdata)
{
    fake_store_ask(port, &(Op){ .run = run_load_window,
                                .user = user,
                                .name = g_strdup(class),
                                .after = after,
                                .limit = limit,
                                .window = done,
                                .userdata = userdata });
}

/* ---- the way of a task */

static void run_assign(FakeStore *store, Op *op)
{
    for (size_t i = 0; i < op->n; i++) {
        FakeTask *task = fake_store_task(store, op->assignments[i].task);
        g_assert_cmpuint(op->assignments[i].fence, >, task->spec->fence);
        g_assert_cmpuint(task->worker, ==, 0);
        task->spec->fence = op->assignments[i].fence; /* in any case: it is not to be used again */
        if (task->state != TASK_QUEUED)               /* it ended or is held meanwhile */
            continue;
        task->worker = op->assignments[i].worker;
        task->start_usec = 0;
    }
}

static void store_assign(StorePort *port, const Assignment *assignments, size_t n)
{
    fake_store_ask(
        port,
        &(Op){ .run = run_assign, .assignments = g_memdup2(assignments, n * sizeof *assignments), .n = n });
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
    fake_store_ask(
        port,
        &(Op){ .run = run_started, .assignments = g_memdup2(assignments, n * sizeof *assignments), .n = n });
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
    task->spec->spent = settlement->spent;
    if (settlement->memory_max_bytes > 0)
        task->spec->memory_max_bytes = settlement->memory_max_bytes;
    task->due_usec = settlement->next == TASK_WAITING ? settlement->due_usec : UINT64_MAX;
    settlement_done(&task->last);
    task->last = *settlement;
    settlement->reason = NULL;
    settlement->result.stderr_tail = NULL;
    settlement->result.data = NULL;
    settlement->result.note = NULL;
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
    fake_store_ask(port, &(Op){ .run = run_settle,
                                .settlements = g_memdup2(settlements, n * sizeof *settlements),
                                .n = n,
                                .done = done,
                                .userdata = userdata });
}

static void store_hurry(StorePort *port)
{
    ((FakeStore *) port)->n_hurries++;
}

/* ---- cancelling */

bool fake_store_matches(const TaskFilter *filter, const FakeTask *task)
{
    bool listed = !filter->ids;

    for (guint i = 0; filter->ids && i < filter->ids->len; i++)
        listed |= g_array_index(filter->ids, uint64_t, i) == task->spec->id;
    return listed && task->committed && (!filter->states || filter->states & 1U << task->state) &&
           (!filter->batch || filter->batch == task->spec->batch) &&
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
    IdRange *last =
        cancel->ranges->len > 0 ? &g_array_index(cancel->ranges, IdRange, cancel->ranges->len - 1) : NULL;

    if (!fake_store_matches(cancel->filter, task) || task_state_is_end(task->state) ||
        (cancel->only_uid != UID_ANYBODY && cancel->only_uid != task->spec->context->uid))
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
    g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(IdRange)),
                      held = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    int r = fake_store_take_failure(store);

    if (r >= 0)
        g_tree_foreach(store->tasks, cancel_task, &(Cancel){ op->filter, op->user, ranges, held });
    op->cancelled(r, ranges, held, op->userdata);
}

static void store_cancel(StorePort *port, TaskFilter *filter, uint32_t only_uid, uint64_t now_usec,
                         StoreCancelled done, void *userdata)
{
    fake_store_ask(
        port,
        &(Op){
            .run = run_cancel, .filter = filter, .user = only_uid, .cancelled = done, .userdata = userdata });
}

/* ---- answering */

static gboolean count_task(gpointer key, gpointer value, gpointer counts)
{
    const FakeTask *task = value;

    ((StoreCounts *) counts)->by_state[task->state] += task->committed;
    return FALSE;
}

static void tell_ready(FakeStore *store)
{
    g_autoptr(GPtrArray) ready = store->ready;

    store->ready = g_ptr_array_new_with_free_func(spec_free);
    if (ready->len > 0)
        store->events.tasks_ready(ready, false, store->events.userdata);
}

void fake_store_dispatch_one(FakeStore *store)
{
    Op *op = g_queue_pop_head(&store->ops);
    StoreCounts counts = { 0 };

    g_assert_nonnull(op);
    op->run(store, op);
    op_free(op);
    g_tree_foreach(store->tasks, count_task, &counts);
    if (!store->events.counts_changed)
        return;
    tell_ready(store);
    fake_store_tell_due(store);
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
    snapshot->wishes = g_hash_table_ref(store->wishes);
    snapshot->learned = g_ptr_array_ref(store->learned);
    snapshot->next_worker = 1;
    snapshot->enabled = store->enabled;
    g_hash_table_iter_init(&iter, store->workers);
    while (g_hash_table_iter_next(&iter, NULL, &record)) {
        g_ptr_array_add(snapshot->workers, fake_store_record_copy(record));
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
    .hurry = store_hurry,
    .park = fake_store_park,
    .unpark = fake_store_unpark,
    .set_wish = fake_store_set_wish,
    .save_learned = fake_store_save_learned,
    .cancel = store_cancel,
    .add_worker = fake_store_add_worker,
    .update_worker = fake_store_update_worker,
    .get = fake_store_get,
    .forget_worker = fake_store_forget_worker,
    .set_enabled = fake_store_set_enabled,
    .load_inputs = fake_store_load_inputs,
    .list = fake_store_list,
    .examine = fake_store_examine,
    .modify = fake_store_modify,
    .wake = fake_store_wake,
    .explain = fake_store_explain,
    .list_queues = fake_store_list_queues,
    .set_queue = fake_store_set_queue,
    .remove_queue = fake_store_remove_queue,
    .prune = fake_store_prune,
};

void fake_store_init(FakeStore *store)
{
    *store = (FakeStore){ .port = port_table,
                          .next_task = 1,
                          .next_batch = 1,
                          .next_context = 1,
                          .enabled = true,
                          .due_told = UINT64_MAX };
    store->ready = g_ptr_array_new_with_free_func(spec_free);
    store->wishes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    store->learned = learned_rows_new();
    store->queues = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
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
    g_hash_table_unref(store->wishes);
    g_ptr_array_unref(store->learned);
    g_hash_table_unref(store->queues);
    g_ptr_array_unref(store->ready);
}
