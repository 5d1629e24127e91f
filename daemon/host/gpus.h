/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <hwloc.h>

#include "model/machine.h"

/* Fills in the GPUs of a machine whose topology was loaded with I/O objects. root: where its /proc and /dev are ("" for this
 * machine's); NULL: they are not to be asked, it is another machine. */
void gpus_read(hwloc_topology_t topology, const char *root, Machine *machine);
