/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/machine.h"

/* The machine, as far as this process may use it: through hwloc, which HWLOC_SYNTHETIC and HWLOC_XMLFILE make see another one.
 * Takes milliseconds: once. Always has a core: where hwloc finds nothing, each CPU of the scheduler's is one. */
void topology_read(Machine *ret);
