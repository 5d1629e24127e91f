/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "engine/engine-worker.h"

/* The engine that starts each worker in a transient scope. bus: the system's, or the user's in user mode;
 * it must be attached to the event loop and outlive the engine. To be made before there are threads. */
int engine_systemd_new(sd_bus *bus, sd_event *event, const EngineOptions *options, const EngineEvents *events,
                       EnginePort **ret) _warn_unused_;

/* Workers that run go on. */
EnginePort *engine_systemd_free(EnginePort *engine);
