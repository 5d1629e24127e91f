/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/leaf-tree.h"

/* What a task's own cgroup is limited to, beside what its worker is. */
typedef struct LeafLimits {
    uint64_t memory_max_bytes, cpu_quota_usec_per_sec, tasks_max; /* UINT64_MAX: no limit */
    uint64_t io_weight;                                           /* 1…10000; 0: the kernel's default */
} LeafLimits;

#define LEAF_LIMITS_NONE ((LeafLimits) { UINT64_MAX, UINT64_MAX, UINT64_MAX, 0 })

bool leaf_limits_any(const LeafLimits *limits);

typedef enum LeafControl { CONTROL_CPU, CONTROL_TASKS, CONTROL_IO, _CONTROL_MAX } LeafControl;

/* What a leaf has of them but for memory. On v2 the files are the leaf's; on v1 a leaf in the controller's own hierarchy is
 * made for the first task that is limited there, and only such tasks are born into it. */
typedef struct LeafControls {
    int directories[_CONTROL_MAX], joins[_CONTROL_MAX]; /* v1: the leaf and its "tasks"; -EBADF: not made */
    uint64_t set[_CONTROL_MAX];                         /* as the kernel has it; UINT64_MAX: no limit */
} LeafControls;

void leaf_controls_init(LeafControls *controls);
void leaf_controls_close(LeafControls *controls);
/* Removes the v1 leaves of that name; false: something is still in one. */
bool leaf_controls_remove(const LeafTree *tree, const char *name);

/* Makes the limits those, writing only what is not so already. unified: the leaf there, -EBADF: none. For each that could
 * not be set a sentence goes into why. Returns which of the v1 leaves are new to the task: processes that live must be
 * moved there; a mask of 1 << LeafControl. */
unsigned leaf_controls_set(LeafControls *controls, const LeafTree *tree, int unified, const char *name,
                           const LeafLimits *limits, GString *why);

/* Adds the "tasks" files that a process must write "0" to; returns how many. */
size_t leaf_controls_joins(const LeafControls *controls, int joins[static _CONTROL_MAX]);

/* Sets a leaf's memory limit, which was old. Swap is limited with it, or reaching it would only mean swapping. On failure
 * it is as it was. */
int leaf_memory_set(const LeafTree *tree, int directory, uint64_t old, uint64_t memory_max_bytes) _warn_unused_;
/* "memory limit: not enforced (no memory controller in the worker's cgroup)" */
void leaf_memory_tell(GString *why, int error);
