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
 */
typedef struct LeafTree {
    int unified, memory, cpuacct, freezer; /* -EBADF: not used */
    bool unified_memory;                   /* the leaves of the unified hierarchy have a memory controller */
} LeafTree;

/* Finds them, and makes ready what must be: on v2 the caller moves into a leaf "runtime" and the
 * controllers are turned on. Must be called while the caller is the only process in its cgroups. Returns
 * 0, or -ENOENT with a sentence on why there is nothing to work with. */
int leaf_tree_open(LeafTree **ret, char **ret_why) _warn_unused_;
LeafTree *leaf_tree_free(LeafTree *tree); /* takes NULL, returns NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LeafTree, leaf_tree_free)

/* Does a leaf limit and measure memory? */
bool leaf_tree_has_memory(const LeafTree *tree);
