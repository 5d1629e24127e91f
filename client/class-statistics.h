/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/client.h"
#include "client/json-output.h"

/* What tasks of a class took before, as Statistics tells it. */
typedef struct ClassStatistics {
    char *class;
    uint32_t owner;
    uint64_t count;
    uint64_t memory_median_bytes, memory_p95_bytes, memory_max_bytes,
        next_memory_bytes; /* UINT64_MAX: not known */
    uint64_t time_median_usec, time_p95_usec, time_max_usec;
    uint64_t order; /* the larger, the later it changed; 0: not known */
} ClassStatistics;

GPtrArray *class_statistics_new(void); /* of ClassStatistics, which it frees */
/* Asks for all of them, page by page, the latest first; reports. name: NULL: all classes. json: NULL, or an array that is open,
 * for the rows as the daemon says them. */
int class_statistics_get(Client *client, const char *name, bool all, GPtrArray *rows, JsonOutput *json);
