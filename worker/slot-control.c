/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Limits that change, and the freezer. No state of its own: the limits are the task's, and slot->frozen_usec tells that it
 * stands still. A task that is to end is never frozen, or it could not. */
#include "worker/slot-control.h"

#include "worker/slot-time.h"

void task_limits_begin(RunnerTask *task)
{
    const TaskContext *context = task->surroundings->context;

    task->limits = (LeafLimits) {
        .memory_max_bytes = task->memory_max_bytes > 0 ? task->memory_max_bytes : context->memory_max_bytes,
        .cpu_quota_usec_per_sec = context->demand.cpu_quota_usec_per_sec,
        .tasks_max = context->demand.tasks_max,
        .io_weight = context->demand.io_weight,
    };
}

/* A limit that the task had, and that could not be set then either, is not what fails now. */
static char *apply(RunnerTask *task, const LeafLimits *before)
{
    Slot *slot = task->slot;
    g_autofree char *not_enforced = g_strdup(slot->not_enforced);

    slot_apply_limits(slot);
    if (!slot->not_enforced || g_strcmp0(slot->not_enforced, not_enforced) == 0)
        return NULL;
    char *why = g_strdup(slot->not_enforced);
    task->limits = *before;
    slot_apply_limits(slot);
    return why;
}

char *task_limits_change(RunnerTask *task, const LimitOrder *order)
{
    LeafLimits *limits = &task->limits, before = task->limits;

    if (order->set_memory)
        limits->memory_max_bytes = order->limits.memory_max_bytes;
    if (order->set_cpu)
        limits->cpu_quota_usec_per_sec = order->limits.cpu_quota_usec_per_sec;
    if (order->set_tasks)
        limits->tasks_max = order->limits.tasks_max;
    if (order->set_io)
        limits->io_weight = order->limits.io_weight;
    return task->slot && task->slot->state == SLOT_RUNNING ? apply(task, &before) : NULL;
}

static const char *why_not(int r)
{
    if (r == -EOPNOTSUPP)
        return "there is no cgroup freezer for it";
    return r == -ENOSYS ? "this kernel cannot take memory back from a cgroup" : g_strerror(-r);
}

const char *slot_freeze(Slot *slot, bool frozen, bool reclaim, bool *ret_reclaim)
{
    int r;

    if (!frozen && slot->frozen_usec == 0)
        return NULL;
    if (slot->state != SLOT_RUNNING || slot->killing || slot->ending != OUTCOME_NONE)
        return "it is about to end";
    if (!slot->leaf)
        return "it has no cgroup of its own";
    r = leaf_cgroup_freeze(slot->leaf, frozen, reclaim);
    if (r < 0)
        return why_not(r);
    *ret_reclaim = frozen && reclaim;
    if (frozen)
        slot_time_halt(slot);
    else
        slot_time_continue(slot);
    return NULL;
}

void slot_thaw(Slot *slot)
{
    if (slot->frozen_usec == 0)
        return;
    (void) !leaf_cgroup_freeze(slot->leaf, false, false);
    slot_time_continue(slot);
}
