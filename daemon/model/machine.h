/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* What a machine is made of, as far as work is placed on it. Numbers are the kernel's: of a CPU as in /proc/cpuinfo, of a node
 * as in /sys/devices/system/node. Plain data; made by host/topology from hwloc, and by tests. */

typedef struct MachineCore {
    uint32_t package;
    int32_t node;    /* NUMA_NONE (-1): the machine tells none */
    uint32_t *cpus;  /* the hardware threads of this core that may be used, ascending */
    uint32_t n_cpus; /* at least 1 */
} MachineCore;

typedef struct MachineNode {
    int32_t number;
    uint64_t memory_bytes; /* 0: it has none */
} MachineNode;

typedef struct MachineGpu {
    uint32_t index;  /* as in CUDA_VISIBLE_DEVICES: its number among those of the same vendor, by bus address */
    char *vendor;    /* "nvidia", "amd", "intel", "other" */
    char *name;      /* never NULL, may be empty */
    char *bus;       /* "0000:01:00.0" */
    char *device;    /* "/dev/nvidia0", "/dev/dri/renderD128"; NULL: not known */
    int32_t node;    /* -1: not known */
} MachineGpu;

typedef struct Machine {
    uint32_t n_packages;
    MachineCore *cores; /* by package, then core */
    size_t n_cores;
    MachineNode *nodes; /* by number; none: one memory for all */
    size_t n_nodes;
    MachineGpu *gpus;   /* by index */
    size_t n_gpus;
} Machine;

void machine_done(Machine *machine);
uint32_t machine_n_cpus(const Machine *machine); /* hardware threads */

GArray *machine_cpus(const Machine *machine);  /* uint32_t: their numbers, ascending; a new array */
char *machine_list_cpus(const Machine *machine); /* the same as text: "0-3,8" */
GArray *machine_nodes(const Machine *machine); /* the same of the nodes; of a machine that tells none, 0 */

/* Of a list such as "0-3,8" what is there; "" for nothing. ret_all: that is all of it. */
char *machine_narrow(const char *list, const GArray *there_are, bool *ret_all);

/* {0, 1, 2, 5} → "0-2,5"; "" for none. */
char *machine_format_list(const uint32_t *numbers /* ascending */, size_t n);
