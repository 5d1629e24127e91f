/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* The worker's own cgroups, below which each slot gets its leaf: an open directory for each hierarchy that
 * serves.
 *
 *               unified                       memory        cpuacct       freezer
 *   v2          limits, usage, birth, kill    –             –             –
 *   hybrid      usage of CPU, birth, kill     limits, peak  –             if there is no cgroup.kill
 *   legacy v1   –                             limits, peak  usage of CPU  kill
 *
 * A leaf in the v1 hierarchies of cpu, pids and blkio is made when a task needs it; see leaf-limits.h. */
typedef struct LeafTree {
    int unified, memory, cpuacct, freezer; /* -EBADF: not used */
    int cpu, pids, blkio;                  /* v1, for limits; -EBADF: not used */
    bool unified_memory;                   /* the leaves of the unified hierarchy have a memory controller */
    int reached;                           /* v2: a file that counts how often the worker's own limit was */
    int notices[2];                        /* v1: eventfds that ring when its limit or one above is; or only one above */
    uint64_t *rung;                        /* v1: how often they have */
    char *unified_path;                    /* where the unified one is mounted; NULL: not used */
    char *name;                            /* the last part of the path of the one that limits memory; NULL: none does */
} LeafTree;

/* Finds them, and makes ready what must be: on v2 the caller moves into a leaf "runtime" and the
 * controllers are turned on. Must be called while the caller is the only process in its cgroups. Returns
 * 0, or -ENOENT with a sentence on why there is nothing to work with. */
int leaf_tree_open(LeafTree **ret, char **ret_why) _warn_unused_;
LeafTree *leaf_tree_free(LeafTree *tree); /* takes NULL, returns NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LeafTree, leaf_tree_free)

/* Does a leaf limit and measure memory? */
bool leaf_tree_has_memory(const LeafTree *tree);

/* How often the worker's own memory limit was reached so far, and what it is (UINT64_MAX: none, or not known). */
uint64_t leaf_tree_reached(const LeafTree *tree);
uint64_t leaf_tree_memory_max(const LeafTree *tree);

/* v1 has no such counters: does the cgroup's highest usage say that its limit was reached? */
bool leaf_tree_v1_was_full(int directory, uint64_t memory_max_bytes);
/* v1: the eventfd rings when memory of the cgroup runs out, and when it is removed. */
void leaf_tree_v1_ask_notice(int directory, int event_fd);
