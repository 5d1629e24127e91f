/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the store brings about, or somebody asks for, about tasks that are not on their way through a worker: ready, skipped,
 * held, released, edited; and giving a batch up. The windows follow what the store has answered. */
#include "core/manager-internal.h"

#define ANNOUNCED_MAX 1000U

void manager_forget_range(Manager *manager, const IdRange *range)
{
    windows_remove_range(manager, range->first, range->last);
}

/* ---- from the store */

void manager_tasks_ready(GPtrArray *tasks, bool more, void *userdata)
{
    Manager *manager = userdata;

    for (guint i = 0; i < tasks->len; i++) {
        const TaskSpec *spec = tasks->pdata[i];
        if (!g_hash_table_contains(manager->active, &spec->id))
            windows_offer(manager, spec);
    }
    if (more)
        windows_invalidate(manager);
    dispatch(manager);
}

void manager_tasks_skipped(const GArray *skipped, void *userdata)
{
    Manager *manager = userdata;
    unsigned announced = 0;

    for (guint i = 0; i < skipped->len; i++) {
        const IdRange *range = &g_array_index(skipped, IdRange, i);
        for (uint64_t id = range->first; id <= range->last && announced < ANNOUNCED_MAX; id++, announced++) {
            TaskChange change = { .task = id, .batch = range->batch, .state = TASK_SKIPPED };
            g_hash_table_remove(manager->fds, &id);
            NOTIFY(manager, task_changed, &change);
        }
    }
}

static void on_halted(int r, uint64_t count, void *userdata)
{
}

void manager_halt_batch(uint64_t batch, bool now, void *userdata)
{
    TaskFilter *filter = task_filter_new();

    filter->batch = batch;
    if (!now)
        filter->states = 1U << TASK_HELD | 1U << TASK_BLOCKED | 1U << TASK_QUEUED | 1U << TASK_WAITING;
    manager_cancel(userdata, filter, UID_ANYBODY, on_halted, NULL);
}

/* ---- hold, release, retry, edit */

typedef struct Modifying {
    Manager *manager;
    TaskAction action;
    ManagerModified done;
    void *userdata;
} Modifying;

/* With a worker, not started as far as we know: it is asked to give it back. */
static void recall_one(Manager *manager, ActiveTask *task, TaskAction action)
{
    if (action == TASK_HOLD)
        task->hold = true;
    else
        task->stale = true;
    if (task->start_usec > 0 || task->recalled || task->cancelled)
        return;
    task->recalled = true;
    if (!task->awaits_inputs)
        manager->ports.link->recall(manager->ports.link, task->worker_number, &task->spec->id, 1);
}

/* Handed out between the question and the answer: stored as held, but with a worker. An edited one is only asked for back:
 * if it has started, that was before. */
static void stop_overtaken(Manager *manager, const IdRange *range, TaskAction action)
{
    g_autoptr(GArray) overtaken = manager_active_in_range(manager, range);

    for (guint i = 0; i < overtaken->len; i++) {
        ActiveTask *task = manager_find_active(manager, g_array_index(overtaken, uint64_t, i));
        if (action == TASK_EDIT)
            recall_one(manager, task, action);
        else
            task->hold = true;
    }
    if (action != TASK_EDIT)
        manager_stop_tasks(manager, overtaken, OUTCOME_ABORTED);
}

void manager_apply_modified(Manager *manager, const Modified *modified, TaskAction action)
{
    if (action == TASK_EDIT && modified->unready->len > 0) /* it may have been put aside, as it was before, meanwhile */
        parking_look_again(manager);
    for (guint i = 0; i < modified->unready->len; i++) {
        const IdRange *range = &g_array_index(modified->unready, IdRange, i);
        manager_forget_range(manager, range);
        stop_overtaken(manager, range, action);
    }
    for (guint i = 0; i < modified->held->len; i++) {
        ActiveTask *task = g_hash_table_lookup(manager->active, &g_array_index(modified->held, uint64_t, i));
        if (task && task->worker)
            recall_one(manager, task, action);
    }
}

static void on_modified(int r, const Modified *modified, void *userdata)
{
    g_autofree Modifying *modifying = userdata;

    if (r >= 0)
        manager_apply_modified(modifying->manager, modified, modifying->action);
    modifying->done(r, r < 0 ? 0 : modified->count, modifying->userdata);
}

void manager_modify(Manager *manager, TaskFilter *filter, uint32_t only_uid, TaskAction action,
                    TaskEdit *edit, ManagerModified done, void *userdata)
{
    Modifying *modifying = g_new(Modifying, 1);

    *modifying = (Modifying){ manager, action, done, userdata };
    manager->ports.store->modify(manager->ports.store, filter, only_uid, action, edit, on_modified,
                                 modifying);
}
