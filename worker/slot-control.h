/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/slot.h"

/* What is done to a task from outside while it is with a worker. */

/* New limits of a task, beside those that stay. */
typedef struct LimitOrder {
    uint64_t task;
    bool set_memory, set_cpu, set_tasks, set_io;
    LeafLimits limits;
} LimitOrder;

/* The limits that the task comes with. */
void task_limits_begin(RunnerTask *task);
/* Those of the order hold from here, whether the task runs or waits. Returns what could not be set, to be freed: then all is as
 * it was; NULL: all could. */
char *task_limits_change(RunnerTask *task, const LimitOrder *order);

/* Stops the processes of a running task, or lets them go on. Returns why not, as part of a sentence; NULL: done. *ret_reclaim:
 * slot->leaf has memory to be taken back. */
const char *slot_freeze(Slot *slot, bool frozen, bool reclaim, bool *ret_reclaim);
/* Before it is signalled or killed: what is frozen hears nothing. */
void slot_thaw(Slot *slot);
