/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/client.h"

/* What tasks of a class took before, as Statistics tells it. */
typedef struct ClassStatistics {
    char *class;
    uint32_t owner;
    uint64_t count;
    uint64_t memory_median_bytes, memory_p95_bytes, memory_max_bytes,
        next_memory_bytes; /* UINT64_MAX: not known */
    uint64_t time_median_usec, time_p95_usec, time_max_usec;
} ClassStatistics;

GPtrArray *class_statistics_new(void); /* of ClassStatistics, which it frees */
/* Calls Statistics; reports. name: NULL: all classes */
int class_statistics_call(Client *client, const char *name, bool all, sd_bus_message **ret);
int class_statistics_read(sd_bus_message *m, GPtrArray *rows) _warn_unused_;
