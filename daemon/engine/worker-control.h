/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-event.h>

#include "core/ports.h"

/* What is done to a worker while it runs, and answered from the loop: its limits. Owned by the engine's record of the worker,
 * which does not outlive the engine, whose events these are. */
typedef struct WorkerControl WorkerControl;

WorkerControl *worker_control_new(sd_event *event, uint32_t number, const EngineEvents *events);
WorkerControl *worker_control_free(WorkerControl *control); /* what was not answered is not any more */

/* Tells events.limits_set. A later answer takes the place of one that was not told yet. */
void worker_control_answer_limits(WorkerControl *control, int r, char *why /* taken; NULL if r is 0 */);
