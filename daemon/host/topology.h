/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

typedef struct Topology {
    uint32_t cpus;  /* logical, that this process may run on */
    uint32_t cores; /* physical ones among them */
} Topology;

/* Takes milliseconds: once. At least one of each; where hwloc finds nothing the scheduler is asked. */
void topology_read(Topology *ret);
