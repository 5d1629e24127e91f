/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* Stopping what is in a cgroup, and taking its memory back. The directories are those of a leaf, -EBADF: it has none
 * there. -EOPNOTSUPP: this kernel has nothing for it. */

/* On v2 what is frozen can be killed, on v1 it has to be let go first. */
int leaf_freezer_set(int unified, int freezer, bool frozen) _warn_unused_;

typedef struct LeafReclaim {
    int directory;       /* of the memory controller; -EBADF: nothing to do */
    uint64_t left_bytes; /* so much is still to be asked for; UINT64_MAX: v1, where there is one portion */
} LeafReclaim;

/* limited: swap is forbidden to the leaf on v2, and is allowed while this goes on. */
int leaf_reclaim_begin(int directory, bool v2, bool limited, LeafReclaim *ret) _warn_unused_;
/* Takes one portion back, which takes its time; true: there may be more. */
bool leaf_reclaim_some(LeafReclaim *reclaim, bool limited);
