/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "util/macro.h"

/* When a batch is given up: so many of its tasks have failed, or succeeded. */
typedef struct BatchLimits {
    uint64_t max_fails;       /* UINT64_MAX: any number */
    double max_fails_percent; /* negative: any number */
    uint64_t max_successes;   /* UINT64_MAX: any number */
    bool now;                 /* what runs is stopped, too */
} BatchLimits;

void batch_limits_init(BatchLimits *limits);
bool batch_limits_given(const BatchLimits *limits);

/* "3", "20%" */
int batch_limits_parse_fails(BatchLimits *limits, const char *text) _warn_unused_;
/* As GNU parallel: "never", "now", "soon", and with a cause "now,fail=1", "soon,fail=20%", "now,success=1" */
int batch_limits_parse_halt(BatchLimits *limits, const char *text) _warn_unused_;

/* Has it come? total 0: the number of tasks is not known yet. */
bool batch_limits_reached(const BatchLimits *limits, uint64_t failed, uint64_t succeeded, uint64_t total);

/* Appends what is given as entries of an open a{sv}: options of Submit. */
int batch_limits_append(const BatchLimits *limits, sd_bus_message *m);
