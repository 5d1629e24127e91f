/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "engine/engine-worker.h"

/* The engine without systemd: a plain cgroup for each worker, or nothing but a process where no cgroup can
 * be made, which not_enforced then says. To be made before there are threads; groups are only made when
 * the first worker is. */
int engine_cgroup_new(sd_event *event, const EngineOptions *options, const EngineEvents *events,
                      EnginePort **ret) _warn_unused_;

/* Workers that run go on. */
EnginePort *engine_cgroup_free(EnginePort *engine);
