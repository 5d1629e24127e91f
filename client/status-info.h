/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/client.h"
#include "model/task-state.h"
#include "model/worker-state.h"

/* The answer of Status, read into a struct. */

typedef struct WorkerInfo {
    char *id, *name, *unit, *control_group, *engine, *reason, *state_word;
    WorkerState state;
    bool stalled, forced, frozen;
    uint32_t pid, slots, user;
    uint64_t memory_bytes, memory_max_bytes, memory_peak_bytes, cpu_quota_usec_per_sec;
    double cpu_percent; /* of one CPU; negative: not known */
    GArray *tasks;      /* uint64_t: running */
    uint64_t done, failed, added_usec, heartbeat_usec;
    char **not_enforced;
    uint64_t memory_reserved_bytes;       /* limits of the tasks that it runs */
    char *gpus, *resources, *pinned_cpus; /* what is its own; NULL or "": nothing */
    int32_t node;                         /* that it is kept on; -1: none */
    char *class; /* NULL or "": it runs commands */
    char **exec; /* the program that does the tasks of that class; only of the object */
} WorkerInfo;

#define SCALE_TARGET_NONE UINT32_MAX

/* How many workers are kept. */
typedef struct ScaleInfo {
    uint32_t target, alive, min, max; /* target: SCALE_TARGET_NONE; max 0: as many as there is room for */
    bool automatic;
    char *reason, *profile; /* NULL or "": none */
} ScaleInfo;

typedef struct StatusInfo {
    char *version, *storage_error;
    uint64_t started_usec;
    bool enabled;
    GPtrArray *workers; /* WorkerInfo */
    uint32_t admissible, active;
    bool can_add;
    char *binding; /* "max-workers", "cores", "memory", "cgroup-memory", "cgroup-cpu", "user-share" */
    double cores, cores_taken;
    uint64_t committed_bytes, next_memory_bytes; /* what workers may still take; what one more would get */
    ScaleInfo scale;
    char *rung; /* what is done because of pressure: "calm", … */
    double cpu_pressure, io_pressure;
    uint64_t memory_total_bytes, memory_available_bytes, memory_reserve_bytes;
    double memory_percent, memory_pressure;
    uint32_t cpus;
    double cpu_percent;
    uint64_t queue[_TASK_STATE_MAX];
    double per_minute;
    uint64_t frozen_tasks;   /* of those that run, how many stand still */
    uint64_t time_left_usec; /* by what such tasks took before; 0: not known */
} StatusInfo;

StatusInfo *status_info_free(StatusInfo *status);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StatusInfo, status_info_free)

/* Calls Status. *ret_reply: the message itself, at its beginning; may be NULL. Reports. */
int status_info_get(Client *client, StatusInfo **ret, sd_bus_message **ret_reply);
int status_info_read(sd_bus_message *m, StatusInfo **ret) _warn_unused_;

const WorkerInfo *status_info_worker(const StatusInfo *status, const char *id); /* NULL: none */
uint64_t status_info_waiting(const StatusInfo *status);                         /* tasks that wait */

/* The properties of a Worker1 object, as GetAll tells them. */
int worker_info_read_properties(sd_bus_message *m, WorkerInfo **ret) _warn_unused_;
void worker_info_free(WorkerInfo *worker);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(WorkerInfo, worker_info_free)

/* Says on stderr why tasks of this user will wait, and the command that helps: there is no worker for
 * them, or the queue is disabled. Nothing with --quiet. */
void status_warn_if_nothing_runs(Client *client);
