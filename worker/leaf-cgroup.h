/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/task-spec.h"
#include "worker/leaf-limits.h"

/* The cgroup of one slot: every process of the task that runs there, and no other. */
typedef struct LeafCgroup LeafCgroup;

#define LEAF_JOINS_MAX (3 + _CONTROL_MAX) /* v1 hierarchies: memory, cpuacct, freezer, and those of limits */

/* What one task used; UINT64_MAX: not known. */
typedef struct LeafUsage {
    uint64_t cpu_nsec, memory_peak_bytes;
    uint64_t oom_kills;
} LeafUsage;

int leaf_cgroup_new(const LeafTree *tree, uint32_t slot, LeafCgroup **ret) _warn_unused_;
LeafCgroup *leaf_cgroup_free(LeafCgroup *leaf); /* removes it, if it is empty; takes NULL, returns NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LeafCgroup, leaf_cgroup_free)

/* Before a task: counters at zero, its limits set. The leaf must be empty. Where the kernel cannot set the
 * peak back, or memory of earlier tasks lies about, this is a new cgroup. ret_not_enforced: a sentence on
 * those limits that could not be set; NULL: all are. */
int leaf_cgroup_prepare(LeafCgroup *leaf, const LeafLimits *limits, char **ret_not_enforced) _warn_unused_;
/* Usage counts from here, in a leaf that stays as it is. */
void leaf_cgroup_begin(LeafCgroup *leaf);
/* Changes the limits of what runs in it; returns that sentence. */
char *leaf_cgroup_limit(LeafCgroup *leaf, const LeafLimits *limits);
uint64_t leaf_cgroup_memory_max(const LeafCgroup *leaf); /* as set; UINT64_MAX: none */

/* For the birth of the task's first process: the directory for CLONE_INTO_CGROUP (-EBADF: none), and the
 * files to which the process must write "0" itself. Valid until the next prepare or replace. */
int leaf_cgroup_birth_fd(const LeafCgroup *leaf);
const int *leaf_cgroup_join_fds(LeafCgroup *leaf, size_t *ret_n);

/* Kills all there is; it may take a while, and on old kernels another call, until the leaf is empty. */
void leaf_cgroup_kill(LeafCgroup *leaf);
bool leaf_cgroup_is_empty(const LeafCgroup *leaf);

/* The processes in it (of pid_t), as they were a moment ago. */
GArray *leaf_cgroup_members(const LeafCgroup *leaf);

/* Stops all that is in it, or lets it go on. reclaim, of what is frozen: its memory is to be taken back, which the caller
 * goes on with until leaf_cgroup_reclaim_some() has no more to do (false). -EOPNOTSUPP: nothing here can be frozen;
 * -ENOSYS: memory cannot be taken back, and nothing was frozen. */
int leaf_cgroup_freeze(LeafCgroup *leaf, bool frozen, bool reclaim) _warn_unused_;
bool leaf_cgroup_reclaim_some(LeafCgroup *leaf);

/* Lets a user ask for notice of memory pressure, by the file whose path is returned; NULL: it cannot be. */
char *leaf_cgroup_give_pressure(LeafCgroup *leaf, uid_t uid);

/* Processes killed by the kernel for want of memory since prepare or begin, and for whose want. */
uint64_t leaf_cgroup_oom_kills(const LeafCgroup *leaf);
OomCause leaf_cgroup_oom_cause(const LeafCgroup *leaf);
bool leaf_cgroup_was_killed_by_oomd(LeafCgroup *leaf);
/* Becomes readable when memory runs out, where the kernel then kills one process and lets the others go on; -EBADF:
 * elsewhere. The same for as long as the leaf is. */
int leaf_cgroup_oom_notice(const LeafCgroup *leaf);

/* What was used since the last call or begin. */
void leaf_cgroup_usage(LeafCgroup *leaf, LeafUsage *ret);

/* Starting something in it has failed with that: would another cgroup do better? */
bool leaf_cgroup_is_spoilt(int error);
/* Leaves the cgroup alone with what cannot be killed and takes one of another name. */
int leaf_cgroup_replace(LeafCgroup *leaf) _warn_unused_;
const char *leaf_cgroup_name(const LeafCgroup *leaf);
