/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Timeouts relative to the median run time of a batch. Absolute ones the worker keeps; these change with every task that
 * ends, so they are kept here: who runs for too long is told to stop, with the outcome "timeout". */
#include "core/manager-internal.h"

static uint64_t deadline_of(Manager *manager, const ActiveTask *task)
{
    uint32_t percent = task->spec->context->policy.timeout_percent;
    uint64_t median;

    if (percent == 0 || task->state != TASK_RUNNING || task->settling || task->timed_out || task->cancelled ||
        task->frozen)
        return UINT64_MAX;
    median = run_times_median(manager->run_times, task->spec->batch);
    if (median == UINT64_MAX || median > UINT64_MAX / percent)
        return UINT64_MAX;
    return usec_add(task->started_monotonic_usec, MAX(median * percent / 100, USEC_PER_MSEC));
}

uint64_t manager_timeout_deadline(Manager *manager)
{
    uint64_t next = UINT64_MAX;
    GHashTableIter iter;
    gpointer task;

    if (manager->n_relative == 0)
        return next;
    g_hash_table_iter_init(&iter, manager->active);
    while (g_hash_table_iter_next(&iter, NULL, &task))
        next = MIN(next, deadline_of(manager, task));
    return next;
}

void manager_tick_timeouts(Manager *manager, uint64_t now)
{
    g_autoptr(GArray) late = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    GHashTableIter iter;
    gpointer value;

    if (manager->n_relative == 0)
        return;
    g_hash_table_iter_init(&iter, manager->active);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        ActiveTask *task = value;
        if (deadline_of(manager, task) > now)
            continue;
        task->timed_out = true;
        g_array_append_val(late, task->spec->id);
    }
    manager_stop_tasks(manager, late, OUTCOME_TIMEOUT);
}
