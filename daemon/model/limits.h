/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

#define LIMIT_INFINITY UINT64_MAX

/* What one worker may use, in the terms of systemd.resource-control(5). Owned by its WorkerSpec. */
typedef struct WorkerLimits {
    uint64_t memory_max_bytes;       /* LIMIT_INFINITY: none */
    uint64_t memory_high_bytes;      /* LIMIT_INFINITY: none */
    uint64_t cpu_quota_usec_per_sec; /* LIMIT_INFINITY: none; 500000 is half a CPU */
    uint64_t cpu_weight;             /* 1…10000; 0: the kernel's default (100) */
    uint64_t tasks_max;              /* processes and threads; LIMIT_INFINITY: none */
    char *allowed_cpus;              /* "0-3,8"; NULL: all */
    char *allowed_memory_nodes;      /* "0-1"; NULL: all */
    uint64_t io_weight;              /* 1…10000; 0: the kernel's default (100) */
} WorkerLimits;

/* The smallest limits that a worker can live with. */
#define LIMIT_MEMORY_MIN_BYTES (UINT64_C(8) << 20)
#define LIMIT_CPU_QUOTA_MIN_USEC                                                                             \
    UINT64_C(10000) /* 1 %: below, the kernel's 1 ms minimum per period would be missed */
#define LIMIT_TASKS_MIN UINT64_C(4)

void worker_limits_init(WorkerLimits *limits); /* everything unlimited */
void worker_limits_done(WorkerLimits *limits);
void worker_limits_copy(WorkerLimits *to, const WorkerLimits *from); /* into an initialised one */

/* "8.0M (8388608 bytes)": for people, and as it was given. */
char *limit_format_bytes(uint64_t bytes);
/* 0, or -EINVAL with a sentence that calls it by the option. LIMIT_INFINITY is none; most: LIMIT_INFINITY: any */
int limit_check_cpu_quota(const char *option, uint64_t usec_per_sec, uint64_t most, char **ret_why) _warn_unused_;

/* 0, or -EINVAL with a sentence on which limit is out of its range. */
int worker_limits_check(const WorkerLimits *limits, char **ret_why) _warn_unused_;
