/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/worker.h"
#include "model/machine.h"

/* What of the machine is a worker's own, read off the workers (an array of Worker). The id of the worker; "": it is free. */
const char *worker_share_of_core(const GPtrArray *workers, const MachineCore *core);
const char *worker_share_of_gpu(const GPtrArray *workers, uint32_t index);
uint32_t worker_share_taken(const GPtrArray *workers, const char *resource);

/* The one NUMA node that it is kept on; NUMA_NONE: it may be on any. */
int worker_share_node(const WorkerSpec *spec);
/* The sum of the limits of the tasks that it runs; those without a limit count nothing. */
uint64_t worker_share_memory(const Worker *worker);
/* How many tasks run and stand still. */
uint64_t worker_share_frozen(const GPtrArray *workers);
