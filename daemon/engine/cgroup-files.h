/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* Groups as directories: what engine/cgroup.c does without libcgroup. A directory is an absolute path; the
 * first mount_length bytes of it are the mount point, which is never made, changed or removed. */

int cgroup_files_make(const char *directory, size_t mount_length) _warn_unused_;

/* v2: enables what can be enabled of the controllers (bits) on the way down to the directory. */
void cgroup_files_enable(const char *directory, size_t mount_length, uint32_t controllers);

/* With all that is below. 0 also if it is not there. */
int cgroup_files_remove(const char *directory) _warn_unused_;

/* The processes of a group and of those below it, appended to pids (of int32_t). */
int cgroup_files_list_pids(const char *directory, GArray *pids) _warn_unused_;
