/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* Where a process stands: its directory in each hierarchy that matters here. NULL: it has none, or none
 * that is mounted where it can be seen. */
typedef struct CgroupTable {
    char *unified; /* cgroup v2, with controllers or (hybrid) without */
    char *memory, *cpuacct, *freezer, *cpu, *pids, *blkio; /* cgroup v1 */
} CgroupTable;

/* Reads the texts of /proc/PID/cgroup and /proc/PID/mountinfo. Lines that make no sense are passed over. */
void cgroup_table_parse(const char *cgroups, const char *mounts, CgroupTable *ret);
void cgroup_table_done(CgroupTable *table);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CgroupTable, cgroup_table_done)
