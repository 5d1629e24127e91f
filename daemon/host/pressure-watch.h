/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-event.h>

#include "core/ports.h"

/* Tells when tasks of the machine wait for memory, CPU or I/O more than a given share of the time: by triggers of the kernel's
 * pressure stall information, so that nothing runs while nothing is crossed. */
typedef struct PressureWatch PressureWatch;

#define PRESSURE_LINE_NONE (-1.0) /* that kind is not watched */

/* lines: percent of a two-second window in which some task waits, for each kind. A kernel without PSI, or one that refuses, is no
 * failure: it is logged once and watches() says so. The events come from the loop. */
int pressure_watch_new(sd_event *event, const double lines[_PRESSURE_MAX], const HostEvents *events, PressureWatch **ret)
    _warn_unused_;
PressureWatch *pressure_watch_free(PressureWatch *watch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PressureWatch, pressure_watch_free)

/* Other lines, after the configuration was read again; where the kernel refuses, that kind is watched no more. */
void pressure_watch_set_lines(PressureWatch *watch, const double lines[_PRESSURE_MAX]);

bool pressure_watch_watches(const PressureWatch *watch, PressureKind kind);
