/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* What /proc says about single processes. */

/* The fields of /proc/PID/stat that matter here. */
typedef struct ProcStat {
    char state; /* 'R', 'S', 'Z', … */
    int32_t parent;
    uint64_t start_time; /* field 22: clock ticks since boot; with the pid it names a process for good */
} ProcStat;

/* 0; -ESRCH: no such process. */
int proc_stat(int32_t pid, ProcStat *ret) _warn_unused_;
int proc_stat_parse(const char *text, ProcStat *ret) _warn_unused_; /* 0 or -EINVAL */

/* A pidfd of the process with that start time. -ESRCH: it is gone, or the number is another's now. */
int proc_open(int32_t pid, uint64_t start_time, int *ret_pidfd) _warn_unused_;

bool proc_has_ended(int pidfd); /* a zombie has ended as well */
int proc_signal(int pidfd, int signal);

/* ---- the tree of a process, for workers without a cgroup ---- */

/* Is pid the process root or one of its descendants? */
bool proc_descends_from(int32_t pid, int32_t root);

/* Stops root and all its descendants, so that none can start another any more, then kills them. Adds a
 * pidfd of each to pidfds (of int), so that their end can be verified. Roots that are gone are ignored. */
void proc_tree_kill(const int32_t *roots, size_t n, GArray *pidfds);

/* The children of this process, appended to pids (of int32_t). */
void proc_children(GArray *pids);
