/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "util/macro.h"

/* Which processes belong to a task where no cgroup tells it. Only descendants of the caller are ever
 * considered; the caller is their subreaper, so that no descendant escapes by a double fork. */

/* How a task's processes are known: they descend from its first process, or are in its session, or carry
 * PAREXEC_TASK_ID=TASK in their environment (which catches those that left by setsid() and a double fork).
 * A process that shed all three is missed, unless the task is the only one (alone), when every descendant
 * is its. */
typedef struct ProcessOwner {
    uint64_t task;
    pid_t first;       /* may have ended */
    bool alone;
} ProcessOwner;

/* Has the caller children other than these? One read where the kernel lists children; true if it does not. */
bool process_tree_has_strays(const pid_t *known, size_t n_known);

/* The task's processes (of pid_t) that live, as they were a moment ago. */
GArray *process_tree_members(const ProcessOwner *owner);

/* Kills the task's processes once, through pidfds. Returns how many there were; 0: nothing of the task
 * lives. */
int process_tree_kill(const ProcessOwner *owner);
