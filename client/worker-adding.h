/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/verb.h"

/* Adding workers: the options of AddWorker, and workers that last for one call of parctl only. */

typedef struct WorkerOptions {
    const char *name;
    Given memory, memory_high, cpus, cpu_weight, io_weight, tasks_max, slots;
    bool pin;
    const char *numa;     /* "auto", or a number */
    const char *gpus;     /* "2", "2?" */
    GPtrArray *resources; /* "licence=1" */
    const char *allowed_cpus, *engine, *user;
    GPtrArray *env;   /* "NAME=VALUE" */
    const char *exec; /* a command line, quoted as for a shell; NULL: it runs commands */
    const char *class;
    Given recycle, recycle_memory;
} WorkerOptions;

/* One call of AddWorker: the path of the worker's object, or the error for those who look at it. -EINVAL
 * without error: bad usage, reported. */
int worker_add(Client *client, const WorkerOptions *options, bool force, sd_bus_error *ret_error,
               char **ret_path);

/* Workers of this call. */
typedef struct WorkerLease {
    Client *client;
    GPtrArray *ids;
} WorkerLease;

void worker_lease_init(WorkerLease *lease, Client *client);
/* Drains them. */
void worker_lease_done(WorkerLease *lease);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(WorkerLease, worker_lease_done)
/* Adds n; reports. Those that were added before one was refused stay leased. */
int worker_lease_add(WorkerLease *lease, const WorkerOptions *options, uint64_t n);
