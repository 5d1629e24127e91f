/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* What the cgroups above the workers leave them: a container's, a slice's, an administrator's. */
typedef struct GroupLimits {
    uint64_t free_bytes; /* what is left below the memory limit that binds first; UINT64_MAX: no limit */
    double cpus;         /* the least CPU quota; infinity: none */
} GroupLimits;

/* Of this process's own cgroup, of the slice (where it exists) and of all above them. root: where /proc and the mounts are found
 * ("" but for tests). Missing files mean no limit. */
void group_limits_read(const char *root, const char *slice, GroupLimits *ret);
