/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/ports.h"

/* What the cgroups above the workers leave them: a container's, a slice's, an administrator's. */
/* all: this process's own cgroup and all above it. engine: the group, where it exists beside one of these. slice: the cgroup of that
 * name in the group; NULL: there is to be none. root: where /proc and the mounts are found ("" but for tests). Missing files mean
 * no limit. */
void group_limits_read(const char *root, const char *group, const char *slice, HostGroups *ret);
