/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/limits.h"
#include "model/task-policy.h"
#include "model/worker-spec.h"
#include "policy/autoscale.h"
#include "policy/pressure-ladder.h"
#include "policy/profile.h"

/* What the core is told by the configuration; see parexecd.conf(5) for the meaning of each. */
typedef struct Settings {
    uint32_t max_workers;
    uint64_t memory_reserve_bytes;
    uint64_t worker_start_timeout_usec;
    uint64_t heartbeat_usec;
    uint64_t stalled_after_usec;
    uint64_t keep_failed_usec;
    uint64_t orphan_timeout_usec;
    WorkerLimits limits; /* of a worker, where AddWorker says nothing */
    uint32_t slots;
    EngineKind engine;
    TaskPolicy policy; /* of a task, where Submit says nothing */
    uint64_t keep_output_usec, keep_history_usec; /* after a task has ended; UINT64_MAX: for ever */
    uint64_t output_quota_bytes;                  /* of all that is kept; UINT64_MAX: any amount */
    bool use_smt;             /* hardware threads count as cores */
    uint32_t max_user_workers; /* private ones, of each user; UINT32_MAX: any number */
    uint64_t max_user_memory_bytes; /* of their limits together; LIMIT_INFINITY: any amount */
    uint64_t memory_default_bytes; /* of a task whose limit is learned, while nothing is known */
    AutoScaleSettings autoscale;
    PressureSettings pressure;
    GPtrArray *profiles; /* Profile; NULL: those that are built in */
    char *profile;       /* the one that is active; NULL: none */
    GArray *resources;   /* Resource: what there is; NULL: nothing */
} Settings;

static inline void settings_done(Settings *settings)
{
    worker_limits_done(&settings->limits);
    task_policy_done(&settings->policy);
    g_clear_pointer(&settings->profiles, g_ptr_array_unref);
    g_clear_pointer(&settings->profile, g_free);
    g_clear_pointer(&settings->resources, g_array_unref);
}
