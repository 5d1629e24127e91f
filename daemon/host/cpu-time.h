/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* The first line of /proc/stat, in clock ticks of all CPUs. */
typedef struct CpuTime {
    uint64_t busy, total;
} CpuTime;

int cpu_time_parse(const char *text, CpuTime *ret) _warn_unused_; /* 0 or -EINVAL */
int cpu_time_read(CpuTime *ret) _warn_unused_;

/* How busy the CPUs were between the two, 0…100; negative: no time has passed. */
double cpu_time_percent(const CpuTime *before, const CpuTime *after);
