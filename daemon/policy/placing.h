/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/machine.h"
#include "model/worker-spec.h"

/* Which cores, node, GPUs and resources a new worker gets. */

/* What of the machine other workers have. */
typedef struct PlacingFacts {
    const Machine *machine;
    bool use_smt;            /* a pinned worker counts hardware threads, not cores */
    GPtrArray *others;       /* const WorkerSpec: of the live workers, placed */
    const GArray *resources; /* Resource: what the configuration says there is; NULL: nothing */
} PlacingFacts;

typedef enum PlacingVerdict {
    PLACED,
    REFUSED_NO_SUCH_NODE, /* or one without memory or cores */
    REFUSED_NODE_MEMORY,  /* promised to other workers that keep to the node; overridden by spec.forced */
    REFUSED_PINNED_CORES, /* not so many are free, or of those that were asked for there are none */
    REFUSED_GPUS,
    REFUSED_RESOURCE,
} PlacingVerdict;

/* How many cores (hardware threads, with use_smt) a worker has as its own, or is to have: its CPU quota, rounded up, or its
 * slots; 0: it is not pinned. */
uint32_t placing_units(const WorkerSpec *spec);

/* The CPUs that a worker may use beside pinned ones: without theirs. NULL: there is nothing to be taken from it, since none is
 * pinned, or all CPUs are, or it is pinned itself or was told which to use. */
char *placing_left_over(const Machine *machine, const GPtrArray *workers /* const WorkerSpec */, const WorkerSpec *spec);

/* Fills limits.allowed_cpus, limits.allowed_memory_nodes, placement.own_cores, placement.gpu_list and placement.gpus (of optional ones: those it got).
 * A pinned worker gets as many cores as its CPU quota, rounded up, or its slots; those of one node if there is one with enough, near its
 * GPUs. allowed_cpus that were asked for are kept within. Untouched when refused; ret_why is then a sentence with numbers. */
PlacingVerdict placing_decide(const PlacingFacts *facts, WorkerSpec *spec, char **ret_why);
