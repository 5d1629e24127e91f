/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The other half of the fake store: steering what waits, time, questions, queues, workers and settings. */
#include <string.h>

#include "core/worker.h"
#include "fake-store-internal.h"

/* ---- hold, release, retry, edit */

typedef struct Modify {
    FakeStore *store;
    const Op *op;
    Modified modified;
} Modify;

static void edit_spec(TaskSpec *spec, const TaskEdit *edit)
{
    if (edit->set_priority)
        spec->priority = edit->priority;
    if (edit->argv) {
        g_bytes_unref(spec->argv);
        spec->argv = g_bytes_ref(edit->argv);
    }
    if (edit->limits.set_memory)
        spec->memory_max_bytes = edit->limits.memory_max_bytes;
}

static bool is_concerned(TaskAction action, const FakeTask *task)
{
    switch (action) {
    case TASK_HOLD:
        return !task_state_is_end(task->state) && task->state != TASK_HELD;
    case TASK_RELEASE:
        return task->state == TASK_HELD;
    case TASK_RETRY:
        return task->state == TASK_FAILED || task->state == TASK_CANCELLED || task->state == TASK_SKIPPED;
    case TASK_EDIT:
    case TASK_LIMIT:
        return !task_state_is_end(task->state);
    case TASK_SELECT:
        return task->start_usec > 0;
    }
    g_assert_not_reached();
}

static void modify_waiting(Modify *modify, FakeTask *task)
{
    IdRange range = { task->spec->id, task->spec->id, task->spec->batch };

    if (task->state == TASK_QUEUED)
        g_array_append_val(modify->modified.unready, range);
    if (modify->op->edit) {
        edit_spec(task->spec, modify->op->edit);
        task->state = task->state == TASK_BLOCKED ? TASK_QUEUED : task->state; /* put aside: it may fit now */
    } else
        task->state = modify->op->action == TASK_HOLD ? TASK_HELD : TASK_QUEUED;
    if (task->state == TASK_QUEUED)
        fake_store_note_ready(modify->store, task);
}

static gboolean modify_task(gpointer key, gpointer value, gpointer userdata)
{
    Modify *modify = userdata;
    FakeTask *task = value;
    uint64_t id = task->spec->id;

    bool of_started = modify->op->action == TASK_LIMIT || modify->op->action == TASK_SELECT;

    if (!fake_store_matches(modify->op->filter, task) || !is_concerned(modify->op->action, task) ||
        (task->start_usec > 0 && !of_started) ||
        (modify->op->user != UID_ANYBODY && modify->op->user != task->spec->context->uid))
        return FALSE;
    modify->modified.count++;
    if (task->start_usec > 0) {
        g_array_append_val(modify->modified.started, id);
        if (modify->op->edit)
            edit_spec(task->spec, modify->op->edit);
    }
    else if (task->worker == 0)
        modify_waiting(modify, task);
    else {
        g_array_append_val(modify->modified.held, id);
        if (modify->op->edit)
            edit_spec(task->spec, modify->op->edit);
    }
    return FALSE;
}

static void run_modify(FakeStore *store, Op *op)
{
    g_autoptr(GArray) unready = g_array_new(FALSE, FALSE, sizeof(IdRange)),
                      held = g_array_new(FALSE, FALSE, sizeof(uint64_t)),
                      started = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    Modify modify = { store, op, { 0, unready, held, started } };
    int r = fake_store_take_failure(store);

    if (r >= 0)
        g_tree_foreach(store->tasks, modify_task, &modify);
    op->modified(r, &modify.modified, op->userdata);
}

void fake_store_modify(StorePort *port, TaskFilter *filter, uint32_t only_uid, TaskAction action,
                       TaskEdit *edit, StoreModified done, void *userdata)
{
    g_assert_true((edit != NULL) == (action == TASK_EDIT || action == TASK_LIMIT));
    fake_store_ask(port, &(Op){ .run = run_modify,
                                .filter = filter,
                                .user = only_uid,
                                .action = action,
                                .edit = edit,
                                .modified = done,
                                .userdata = userdata });
}

/* ---- time */

typedef struct Wake {
    FakeStore *store;
    uint64_t boot_usec, next_usec;
} Wake;

static gboolean wake_task(gpointer key, gpointer value, gpointer userdata)
{
    Wake *wake = userdata;
    FakeTask *task = value;

    if (task->state != TASK_WAITING)
        return FALSE;
    if (task->due_usec > wake->boot_usec) {
        wake->next_usec = MIN(wake->next_usec, task->due_usec);
        return FALSE;
    }
    task->state = TASK_QUEUED;
    fake_store_note_ready(wake->store, task);
    return FALSE;
}

static void run_wake(FakeStore *store, Op *op)
{
    Wake wake = { store, op->boot_usec, UINT64_MAX };

    g_tree_foreach(store->tasks, wake_task, &wake);
}

void fake_store_wake(StorePort *port, uint64_t boot_usec, uint64_t realtime_usec)
{
    ((FakeStore *) port)->n_wakes++;
    fake_store_ask(port, &(Op){ .run = run_wake, .boot_usec = boot_usec });
}

/* The next time that something waits for, told when it is another. */
void fake_store_tell_due(FakeStore *store)
{
    Wake wake = { store, 0, UINT64_MAX };

    g_tree_foreach(store->tasks, wake_task, &wake);
    if (wake.next_usec == store->due_told)
        return;
    store->due_told = wake.next_usec;
    store->events.due_changed(wake.next_usec, UINT64_MAX, store->events.userdata);
}

static void run_prune(FakeStore *store, Op *op)
{
    store->n_prunes++;
    store->pruned_before_usec = op->boot_usec;
    op->pruned(0, store->prune_more, op->userdata);
}

void fake_store_prune(StorePort *port, uint64_t before_usec, StorePruned done, void *userdata)
{
    fake_store_ask(port,
                   &(Op){ .run = run_prune, .boot_usec = before_usec, .pruned = done, .userdata = userdata });
}

/* ---- questions */

static void run_inputs(FakeStore *store, Op *op)
{
    int r = fake_store_take_failure(store);
    GPtrArray *inputs = r < 0 ? NULL : task_inputs_new();

    if (inputs) {
        TaskInput *input = g_new(TaskInput, 1);
        *input = (TaskInput){ g_strdup("parent"), g_bytes_new_static("42", 2) };
        g_ptr_array_add(inputs, input);
    }
    op->inputs(r, inputs, op->userdata);
}

void fake_store_load_inputs(StorePort *port, uint64_t task, StoreInputs done, void *userdata)
{
    fake_store_ask(port, &(Op){ .run = run_inputs, .batch = task, .inputs = done, .userdata = userdata });
}

static void run_list(FakeStore *store, Op *op)
{
    op->rows(0, g_ptr_array_new(), 0, op->userdata);
}

void fake_store_list(StorePort *port, TaskFilter *filter, StoreRows done, void *userdata)
{
    fake_store_ask(port, &(Op){ .run = run_list, .filter = filter, .rows = done, .userdata = userdata });
}

static void run_examine(FakeStore *store, Op *op)
{
    op->facts(0, &(FilterFacts){ 0 }, op->userdata);
}

void fake_store_examine(StorePort *port, TaskFilter *filter, uint32_t uid, StoreFacts done, void *userdata)
{
    fake_store_ask(port, &(Op){ .run = run_examine, .filter = filter, .facts = done, .userdata = userdata });
}

/* ---- queues */

static void run_list_queues(FakeStore *store, Op *op)
{
    GPtrArray *rows = queue_rows_new();
    GHashTableIter iter;
    gpointer name, parallel;

    g_hash_table_iter_init(&iter, store->queues);
    while (g_hash_table_iter_next(&iter, &name, &parallel)) {
        QueueRow *row = g_new0(QueueRow, 1);
        *row = (QueueRow){ .name = g_strdup(name), .parallel = GPOINTER_TO_UINT(parallel) };
        g_ptr_array_add(rows, row);
    }
    op->queues(0, rows, op->userdata);
}

void fake_store_list_queues(StorePort *port, StoreQueues done, void *userdata)
{
    fake_store_ask(port, &(Op){ .run = run_list_queues, .queues = done, .userdata = userdata });
}

static void run_set_queue(FakeStore *store, Op *op)
{
    g_hash_table_insert(store->queues, g_strdup(op->name), GUINT_TO_POINTER(op->user));
    op->done(0, op->userdata);
}

void fake_store_set_queue(StorePort *port, const char *name, uint32_t parallel, StoreDone done,
                          void *userdata)
{
    fake_store_ask(port, &(Op){ .run = run_set_queue,
                                .name = g_strdup(name),
                                .user = parallel,
                                .done = done,
                                .userdata = userdata });
}

static void run_remove_queue(FakeStore *store, Op *op)
{
    op->done(g_hash_table_remove(store->queues, op->name) ? 0 : -ENOKEY, op->userdata);
}

void fake_store_remove_queue(StorePort *port, const char *name, StoreDone done, void *userdata)
{
    fake_store_ask(
        port, &(Op){ .run = run_remove_queue, .name = g_strdup(name), .done = done, .userdata = userdata });
}

/* ---- workers and settings */

WorkerRecord *fake_store_record_copy(const WorkerRecord *record)
{
    WorkerRecord *copy = g_memdup2(record, sizeof *record);

    copy->spec = worker_spec_copy(record->spec);
    copy->process.unit = g_strdup(record->process.unit);
    copy->process.control_group = g_strdup(record->process.control_group);
    return copy;
}

static void run_record(FakeStore *store, Op *op)
{
    int r = op->done ? fake_store_take_failure(store) : 0;

    if (r >= 0 && (op->done || g_hash_table_contains(store->workers, GUINT_TO_POINTER(op->record->number))))
        g_hash_table_replace(store->workers, GUINT_TO_POINTER(op->record->number),
                             fake_store_record_copy(op->record));
    if (op->done)
        op->done(r, op->userdata);
}

void fake_store_add_worker(StorePort *port, const WorkerRecord *record, StoreDone done, void *userdata)
{
    g_assert_nonnull(done);
    fake_store_ask(port, &(Op){ .run = run_record,
                                .record = fake_store_record_copy(record),
                                .done = done,
                                .userdata = userdata });
}

void fake_store_update_worker(StorePort *port, const WorkerRecord *record)
{
    fake_store_ask(port, &(Op){ .run = run_record, .record = fake_store_record_copy(record) });
}

static void run_get(FakeStore *store, Op *op)
{
    const FakeTask *task = fake_store_find(store, op->batch);

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

void fake_store_get(StorePort *port, uint64_t task, StoreRow done, void *userdata)
{
    fake_store_ask(port, &(Op){ .run = run_get, .batch = task, .row = done, .userdata = userdata });
}

static void run_explain(FakeStore *store, Op *op)
{
    const FakeTask *task = fake_store_find(store, op->batch);

    if (!task || !task->committed) {
        op->explained(-ENOENT, NULL, NULL, op->userdata);
        return;
    }
    TaskRow *row = g_new0(TaskRow, 1);
    row->spec = task_spec_copy(task->spec);
    row->state = task->state;
    op->explained(0, row, conditions_new(), op->userdata);
}

void fake_store_explain(StorePort *port, uint64_t task, StoreExplained done, void *userdata)
{
    fake_store_ask(port, &(Op){ .run = run_explain, .batch = task, .explained = done, .userdata = userdata });
}

static void run_forget(FakeStore *store, Op *op)
{
    g_hash_table_remove(store->workers, GUINT_TO_POINTER(op->user));
}

void fake_store_forget_worker(StorePort *port, uint32_t number)
{
    fake_store_ask(port, &(Op){ .run = run_forget, .user = number });
}

static void run_set_enabled(FakeStore *store, Op *op)
{
    int r = fake_store_take_failure(store);

    if (r >= 0)
        store->enabled = op->enabled;
    op->done(r, op->userdata);
}

void fake_store_set_enabled(StorePort *port, bool enabled, StoreDone done, void *userdata)
{
    fake_store_ask(port,
                   &(Op){ .run = run_set_enabled, .enabled = enabled, .done = done, .userdata = userdata });
}

/* ---- what fits no worker, what is wished for, what was learned */

typedef struct Parking {
    uint64_t *tasks;
    size_t n;
} Parking;

static void run_park(FakeStore *store, Op *op)
{
    Parking *parking = op->userdata;

    for (size_t i = 0; i < parking->n; i++) {
        FakeTask *task = fake_store_task(store, parking->tasks[i]);
        if (task->state == TASK_QUEUED && task->worker == 0)
            task->state = TASK_BLOCKED;
    }
    g_free(parking->tasks);
    g_free(parking);
}

void fake_store_park(StorePort *port, const uint64_t *tasks, size_t n)
{
    Parking *parking = g_new(Parking, 1);

    *parking = (Parking){ g_memdup2(tasks, n * sizeof *tasks), n };
    fake_store_ask(port, &(Op){ .run = run_park, .userdata = parking });
}

static gboolean unpark_task(gpointer key, gpointer value, gpointer store)
{
    FakeTask *task = value;

    if (task->state != TASK_BLOCKED)
        return FALSE;
    task->state = TASK_QUEUED;
    fake_store_note_ready(store, task);
    return FALSE;
}

static void run_unpark(FakeStore *store, Op *op)
{
    g_tree_foreach(store->tasks, unpark_task, store);
}

void fake_store_unpark(StorePort *port)
{
    ((FakeStore *) port)->n_unparks++;
    fake_store_ask(port, &(Op){ .run = run_unpark });
}

static void run_nothing(FakeStore *store, Op *op)
{
    if (op->done)
        op->done(0, op->userdata);
}

void fake_store_set_wish(StorePort *port, const char *key, const char *value, StoreDone done, void *userdata)
{
    GHashTable *wishes = ((FakeStore *) port)->wishes;

    if (value)
        g_hash_table_insert(wishes, g_strdup(key), g_strdup(value));
    else
        g_hash_table_remove(wishes, key);
    fake_store_ask(port, &(Op){ .run = run_nothing, .done = done, .userdata = userdata });
}

void fake_store_save_learned(StorePort *port, const LearnedRow *row)
{
    LearnedRow *copy = g_new(LearnedRow, 1);

    *copy = (LearnedRow){ row->uid, g_strdup(row->class), row->data ? g_bytes_ref(row->data) : NULL };
    g_ptr_array_add(((FakeStore *) port)->learned, copy);
}
