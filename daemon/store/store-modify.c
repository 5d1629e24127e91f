/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hold, release, retry and edit: what is found is changed one by one, ranges as wholes, in one transaction. What a worker has
 * is only named: the core asks for it back. */
#include "store/store-flow.h"
#include "store/store-gate.h"
#include "store/store-internal.h"
#include "store/store-match.h"
#include "store/store-spec.h"

typedef struct ModifyOp {
    Op op;
    TaskFilter *filter;
    uint32_t only_uid;
    TaskAction action;
    TaskEdit *edit;
    int64_t queue; /* of the edit */
    Modified modified;
    StoreModified done;
    void *userdata;
} ModifyOp;

static int collect(const StoredTask *task, void *userdata)
{
    g_array_append_val((GArray *) userdata, *task);
    return 0;
}

/* The core must not hand these out any more as it knows them. */
static void note_unready(ModifyOp *modify, const StoredTask *task)
{
    IdRange range = { task->id, task->last, task->batch };

    if (task->state == (int) TASK_QUEUED)
        g_array_append_val(modify->modified.unready, range);
}

static void count(ModifyOp *modify, const StoredTask *task)
{
    modify->modified.count += task->last - task->id + 1;
}

/* ------------------------------------------------------------------ actions on one task, or elements of a range */

static int hold(Database *database, ModifyOp *modify, StoredTask *task)
{
    if (task->state == (int) TASK_HELD)
        return 0;
    count(modify, task);
    note_unready(modify, task);
    return flow_move(database, task, TASK_HELD);
}

static int release(Database *database, ModifyOp *modify, StoredTask *task)
{
    if (task->state != (int) TASK_HELD)
        return 0;
    count(modify, task);
    return flow_enter(database, task, TASK_BLOCKED);
}

/* 1: it can be tried again. */
static int is_retryable(Database *database, const StoredTask *task)
{
    TaskState state = TASK_QUEUED;
    int64_t has_fds = 0;
    int r = sql_number(&database->sql, "SELECT has_fds FROM specs WHERE id = ?1",
                       SQL_VALUES(sql_int((int64_t) task->spec)), &has_fds);

    if (r >= 0 && task->state == (int) TASK_SKIPPED)
        r = gate_judge(database, task->spec, &state);
    /* an element that was skipped lives again with the one that it goes by */
    return r < 0 ? r : has_fds == 0 && state == TASK_QUEUED && r != GATE_BY_ELEMENT;
}

static int retry(Database *database, ModifyOp *modify, StoredTask *task)
{
    int r = is_retryable(database, task);

    if (r <= 0)
        return r;
    r = sql_run(&database->sql, "UPDATE tasks SET spent = 0, lost = 0, reason = NULL WHERE id = ?1",
                SQL_VALUES(sql_int((int64_t) task->id)));
    if (r >= 0)
        r = sql_run(&database->sql, "UPDATE batches SET halted = 0 WHERE id = ?1 AND halted",
                    SQL_VALUES(sql_int((int64_t) task->batch)));
    if (r < 0)
        return r;
    count(modify, task);
    return flow_enter(database, task, TASK_BLOCKED);
}

static int edit_queue(Database *database, const ModifyOp *modify, StoredTask *task)
{
    if (!modify->edit->queue || task->queue == modify->queue)
        return 0;
    if (task->state == (int) TASK_QUEUED || task->state == STATE_TAKEN)
        flow_note_left(database, task->queue, task->lane);
    task->queue = modify->queue;
    return spec_set_queue(database, task);
}

static int edit(Database *database, ModifyOp *modify, StoredTask *task)
{
    const TaskEdit *changes = modify->edit;
    bool other = changes->argv || task_limits_say_something(&changes->limits);
    int r = other ? spec_may_change(database, task) : 1;

    if (r <= 0)
        return r;
    count(modify, task);
    note_unready(modify, task);
    if (other)
        r = spec_change(database, task, changes->argv, &changes->limits);
    if (r >= 0 && changes->set_priority) {
        task->priority = changes->priority;
        r = spec_set_priority(database, task);
    }
    if (r >= 0)
        r = edit_queue(database, modify, task);
    if (r >= 0 && task->state == STATE_PARKED) /* it may fit now */
        return flow_enter(database, task, TASK_WAITING);
    if (r < 0 || (task->state != (int) TASK_QUEUED && task->state != STATE_GATED))
        return r;
    if (task->queue > 0 || task->lane > 0) {
        r = task->state == STATE_GATED ? 0 : flow_move(database, task, STATE_GATED);
        flow_note_left(database, task->queue, task->lane);
        return r;
    }
    return flow_move(database, task, TASK_QUEUED);
}

static int leave(Database *database, ModifyOp *modify, StoredTask *task)
{
    return 0;
}

static int (*const actions[])(Database *, ModifyOp *, StoredTask *) = {
    [TASK_HOLD] = hold,
    [TASK_RELEASE] = release,
    [TASK_RETRY] = retry,
    [TASK_EDIT] = edit,
    [TASK_LIMIT] = edit,
    [TASK_SELECT] = leave,
};

/* ------------------------------------------------------------------ the operation */

/* The worker is told by the core; an attempt after this one gets as much memory. */
static int limit_started(Database *database, ModifyOp *modify, const StoredTask *task)
{
    const TaskLimits *limits = &modify->edit->limits;

    count(modify, task);
    g_array_append_val(modify->modified.started, task->id);
    return limits->set_memory ? spec_set_memory(database, task, limits->memory_max_bytes) : 0;
}

/* A worker has it: if it has not started, it is changed when it is back. */
static int modify_taken(Database *database, ModifyOp *modify, StoredTask *task)
{
    StoredAssignment assignment;
    int r = row_find_assignment(database, task->id, &assignment);

    if (r > 0 && assignment.start_usec > 0 && modify->action == TASK_SELECT) {
        g_array_append_val(modify->modified.started, task->id);
        count(modify, task);
        return 0;
    }
    if (r > 0 && assignment.start_usec > 0 && modify->action == TASK_LIMIT)
        return limit_started(database, modify, task);
    if (r <= 0 || assignment.start_usec > 0 || assignment.cancelled || modify->action == TASK_RELEASE ||
        modify->action == TASK_SELECT)
        return MIN(r, 0);
    g_array_append_val(modify->modified.held, task->id);
    if (modify->action == TASK_EDIT || modify->action == TASK_LIMIT)
        return edit(database, modify, task);
    count(modify, task);
    return 0;
}

static int modify_each(Database *database, ModifyOp *modify, const GArray *found)
{
    int r = 0;

    for (guint i = 0; r >= 0 && i < found->len; i++) {
        StoredTask task;
        uint64_t last = g_array_index(found, StoredTask, i).last;
        /* what the one before brought about may have changed it */
        r = row_find_task(database, g_array_index(found, StoredTask, i).id, &task);
        if (r <= 0)
            continue;
        task.last = MIN(task.last, last);
        r = task.state == STATE_TAKEN ? modify_taken(database, modify, &task)
                                      : actions[modify->action](database, modify, &task);
    }
    return r;
}

static void modified_reset(ModifyOp *modify)
{
    modify->modified.count = 0;
    g_array_set_size(modify->modified.unready, 0);
    g_array_set_size(modify->modified.held, 0);
    g_array_set_size(modify->modified.started, 0);
}

static int modify_run(Database *database, Op *op)
{
    g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(StoredTask));
    ModifyOp *modify = (ModifyOp *) op;
    MatchUser user = { .only = modify->only_uid, .except = UID_ANYBODY };
    int r = 1;

    modified_reset(modify);
    if (modify->edit && modify->edit->queue)
        r = queue_find(database, modify->edit->queue, &modify->queue);
    if (r == 0)
        op->r = -ENOKEY;
    if (r <= 0)
        return r;
    r = (modify->action == TASK_RETRY ? match_ended : match_live)(database, modify->filter, user, collect,
                                                                  found);
    return r < 0 ? r : modify_each(database, modify, found);
}

static void modify_complete(Op *op, const StoreEvents *events)
{
    ModifyOp *modify = (ModifyOp *) op;

    if (op->r < 0)
        modified_reset(modify);
    if (modify->done)
        modify->done(op->r, &modify->modified, modify->userdata);
}

static void modify_free(Op *op)
{
    ModifyOp *modify = (ModifyOp *) op;

    task_filter_free(modify->filter);
    task_edit_free(modify->edit);
    g_array_unref(modify->modified.unready);
    g_array_unref(modify->modified.held);
    g_array_unref(modify->modified.started);
}

static const OpClass modify_class = {
    .run = modify_run, .complete = modify_complete, .free = modify_free, .writes = true, .durable = true
};

void store_modify(StorePort *port, TaskFilter *filter, uint32_t only_uid, TaskAction action, TaskEdit *edit,
                  StoreModified done, void *userdata)
{
    ModifyOp *modify = g_new(ModifyOp, 1);

    *modify = (ModifyOp){
        .op = OP_INIT(modify_class),
        .filter = filter,
        .only_uid = only_uid,
        .action = action,
        .edit = edit,
        .modified = { .unready = g_array_new(FALSE, FALSE, sizeof(IdRange)),
                      .held = g_array_new(FALSE, FALSE, sizeof(uint64_t)),
                      .started = g_array_new(FALSE, FALSE, sizeof(uint64_t)) },
        .done = done,
        .userdata = userdata,
    };
    store_enqueue((Store *) port, &modify->op);
}
