/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/task-demand.h"

#define NUMA_NONE (-1)
#define NUMA_AUTO (-2)

/* Where on the machine a worker is, and what of it is its own. */
typedef struct Placement {
    bool pin;           /* it has physical cores of its own; they are in limits.allowed_cpus once it is placed */
    uint32_t own_cores; /* how many they are, once it is placed: whatever its CPU quota becomes */
    int numa;           /* a node by the kernel's number, NUMA_NONE, NUMA_AUTO: the one with the most room */
    uint32_t gpus;      /* wanted */
    bool gpus_optional; /* fewer will do */
    char *gpu_list;     /* those that are its own, once it is placed: "0,2"; NULL: none */
    GArray *resources;  /* Resource: those that are its own; NULL: none */
} Placement;

void placement_init(Placement *placement);
void placement_done(Placement *placement);
void placement_copy(Placement *to, const Placement *from); /* into an initialised one */

/* Words "key=value", for the store; "" for the default. Unknown keys are passed over. */
char *placement_to_text(const Placement *placement);
int placement_from_text(const char *text, Placement *placement /* initialised */) _warn_unused_;
