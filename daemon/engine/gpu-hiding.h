/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "engine/device-filter.h"
#include "engine/worker-group.h"
#include "model/machine.h"

/* A worker with GPUs of its own does not get at the others: their device nodes are refused to it. A worker without is left
 * alone. */

/* The devices (DeviceNumber) of the GPUs that are to be hidden. root: where /sys is ("" but for tests). machine: NULL or without
 * GPUs: none. */
GArray *gpu_hiding_devices(const Machine *machine, const Placement *placement, const char *root);

/* Before the worker's program runs; what does not come of it gpu_hiding_check() tells. */
void gpu_hiding_apply(const WorkerGroup *group, const Machine *machine, const Placement *placement);

/* A sentence; NULL: nothing is to be hidden, or it is. */
char *gpu_hiding_check(const WorkerGroup *group, const Machine *machine, const Placement *placement);

/* The same, added to a list of such sentences. */
char **gpu_hiding_add_check(char **sentences /* taken */, const WorkerGroup *group, const Machine *machine,
                            const Placement *placement);
