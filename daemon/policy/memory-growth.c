/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How much memory the next attempt gets: a pure function of what was asked for. */
#include "policy/memory-growth.h"

static uint64_t wanted_next(const TaskDemand *demand, uint64_t had_bytes)
{
    for (uint32_t i = 0; i < demand->n_memory_steps; i++)
        if (demand->memory_steps[i] > had_bytes)
            return demand->memory_steps[i];
    if (demand->memory_factor == 0)
        return 0;
    double next = (double) had_bytes * demand->memory_factor;
    return next < (double) UINT64_MAX ? (uint64_t) next : UINT64_MAX;
}

uint64_t memory_growth_next(const TaskDemand *demand, uint64_t had_bytes, uint64_t most_bytes)
{
    uint64_t next = MIN(wanted_next(demand, had_bytes), most_bytes);

    return next > had_bytes && next != LIMIT_INFINITY ? next : 0;
}
