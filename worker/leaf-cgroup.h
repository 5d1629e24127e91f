/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/leaf-tree.h"

/* The cgroup of one slot: every process of the task that runs there, and no other. */
typedef struct LeafCgroup LeafCgroup;

#define LEAF_JOINS_MAX 3 /* v1 hierarchies: memory, cpuacct, freezer */

/* What one task used; UINT64_MAX: not known. */
typedef struct LeafUsage {
    uint64_t cpu_nsec, memory_peak_bytes;
    uint64_t oom_kills;
} LeafUsage;

int leaf_cgroup_new(const LeafTree *tree, uint32_t slot, LeafCgroup **ret) _warn_unused_;
LeafCgroup *leaf_cgroup_free(LeafCgroup *leaf); /* removes it, if it is empty; takes NULL, returns NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LeafCgroup, leaf_cgroup_free)

/* Before a task: counters at zero, its memory limit set (UINT64_MAX: none). The leaf must be empty. Where
 * the kernel cannot set the peak back, or memory of earlier tasks lies about, this is a new cgroup.
 * -EOPNOTSUPP: all is ready, but memory cannot be limited. */
int leaf_cgroup_prepare(LeafCgroup *leaf, uint64_t memory_max_bytes) _warn_unused_;

/* For the birth of the task's first process: the directory for CLONE_INTO_CGROUP (-EBADF: none), and the
 * files to which the process must write "0" itself. Valid until the next prepare or replace. */
int leaf_cgroup_birth_fd(const LeafCgroup *leaf);
const int *leaf_cgroup_join_fds(const LeafCgroup *leaf, size_t *ret_n);

/* Kills all there is; it may take a while, and on old kernels another call, until the leaf is empty. */
void leaf_cgroup_kill(LeafCgroup *leaf);
bool leaf_cgroup_is_empty(const LeafCgroup *leaf);

/* The processes in it (of pid_t), as they were a moment ago. */
GArray *leaf_cgroup_members(const LeafCgroup *leaf);

/* What was used since prepare. */
void leaf_cgroup_usage(LeafCgroup *leaf, LeafUsage *ret);

/* Leaves the cgroup alone with what cannot be killed and takes one of another name. */
int leaf_cgroup_replace(LeafCgroup *leaf) _warn_unused_;
const char *leaf_cgroup_name(const LeafCgroup *leaf);
