/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/ports.h"
#include "engine/cgroup.h"

/* The cgroup of one worker: on v1 one group in each hierarchy, which may lie at different places. Found by
 * its marker, the end of its path ("/parexec-w1.scope", "/parexec/w1"), in whatever the kernel says of a
 * process. Embedded in its owner. */
typedef struct WorkerGroup {
    char *paths[CGROUP_HIERARCHY_MAX]; /* parallel to the hierarchies; NULL: not in this one */
} WorkerGroup;

/* The group in a path, by the marker: "/a/parexec-w1.scope/task-1" → "/a/parexec-w1.scope". NULL: it is
 * not in one. */
char *worker_group_cut(const char *path, const char *marker);

void worker_group_done(WorkerGroup *group);

/* Where a process is, up to the marker. -ENOENT: in no group of that marker; -ESRCH: no such process. */
int worker_group_find(WorkerGroup *group, int32_t pid, const char *marker) _warn_unused_;

/* From what was remembered; only where such a group exists. -ENOENT: nowhere. */
int worker_group_recall(WorkerGroup *group, const char *control_group, const char *marker) _warn_unused_;

/* A path that stands for the group: that of the hierarchy that knows all of its processes. NULL: there is
 * no group. */
const char *worker_group_path(const WorkerGroup *group);

bool worker_group_contains(const WorkerGroup *group, int32_t pid);
int worker_group_kill(const WorkerGroup *group); /* has to be repeated until it is empty */
bool worker_group_is_empty(const WorkerGroup *group);
void worker_group_remove(const WorkerGroup *group);

void worker_group_usage(const WorkerGroup *group, EngineUsage *ret);

/* Writes the limits, also what they lift. Where the kernel refuses one, everything is as before, with a sentence; what it does
 * not have at all is left to worker_group_not_enforced(). A memory limit below what is in use is taken by v2, which then kills, and
 * refused by v1. */
int worker_group_set_limits(const WorkerGroup *group, const WorkerLimits *limits, char **ret_why) _warn_unused_;
/* Did systemd's writing come through? -EBUSY with a sentence: more memory than that is in use (v1). */
int worker_group_check_memory(const WorkerGroup *group, const WorkerLimits *limits, char **ret_why) _warn_unused_;

/* pid: a process of the worker; a hierarchy where it is not in the group enforces nothing. */
char **worker_group_not_enforced(const WorkerGroup *group, int32_t pid, const WorkerLimits *limits);
