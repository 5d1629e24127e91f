/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "engine/worker-group.h"

/* Where the cgroup engine's groups go: a group "parexec" below the daemon's own in each hierarchy.
 * Embedded in the engine. */
typedef struct CgroupBase {
    WorkerGroup groups; /* the paths of the "parexec" groups */
    char *reason;       /* why there is none at all; NULL: there is */
} CgroupBase;

/* Makes what can be made. On v2 the daemon may move itself into a leaf "daemon" for it. */
void cgroup_base_prepare(CgroupBase *base);
void cgroup_base_done(CgroupBase *base);

/* Makes the groups of one worker with their limits, as far as the kernel takes them, and puts the process
 * into them; in a hierarchy where that fails it has none. -ENOENT: in none at all. */
int cgroup_base_add_worker(const CgroupBase *base, const char *id, const WorkerLimits *limits, int32_t pid,
                           WorkerGroup *ret) _warn_unused_;
