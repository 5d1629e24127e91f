/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "engine/cgroup.h"
#include "model/limits.h"

/* Limits in the kernel's terms: what is to be written for them, and whether what the kernel has is as
 * strict as asked. Pure: the files come in through a function. */

/* Where the kernel's values come from. */
typedef struct LimitSource {
    /* 1 or 2: the cgroup version of the controller; 0: not on this machine, or the worker is not in it. */
    int (*version)(CgroupController controller, void *userdata);
    int (*read)(CgroupController controller, const char *file, char **ret_value, void *userdata);
    bool has_swap; /* does the machine swap at all? */
    void *userdata;
} LimitSource;

/* One sentence for each limit that does not hold; a strv. */
char **limit_check(const WorkerLimits *limits, const LimitSource *source);

/* One sentence for each limit there is: not enforced, for this one reason. */
char **limit_check_none(const WorkerLimits *limits, const char *reason);

/* What is to be written for the limits, one file after the other. */
typedef struct LimitSetting {
    CgroupController controller;
    const char *file;
    char *value;   /* "" of a cpuset: as the group above */
    bool may_fail; /* not every kernel has it, or only one order of writing works */
} LimitSetting;

/* An array of LimitSetting, for the controllers (bits) of one hierarchy. lift: also what is not limited, for a group that has
 * limits already. */
GArray *limit_settings(const WorkerLimits *limits, uint32_t controllers, bool unified, bool lift);

/* The controllers (bits) that the limits need. */
uint32_t limit_controllers(const WorkerLimits *limits);

/* The CPUs of "0-3,8" as a bit mask, bit 0 of byte 0 is CPU 0: systemd's AllowedCPUs. NULL: not such a
 * list. */
GByteArray *limit_cpu_mask(const char *list);
