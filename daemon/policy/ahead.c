/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The number of tasks to hand out ahead: a pure function of the running mean of run times. */
#include "policy/ahead.h"

#include <glib.h>

#define SHORT_USEC 50000.0 /* tasks of at least this length gain nothing by being handed out ahead */
#define FILL_USEC 25000.0  /* work that a slot should have before it: several round trips to a busy daemon */
#define PER_SLOT_MAX 64.0

size_t ahead_target(uint32_t slots, double mean_usec, size_t n_queued, size_t n_workers)
{
    if (mean_usec <= 0 || mean_usec >= SHORT_USEC || n_workers == 0)
        return 0;
    double per_slot = CLAMP(FILL_USEC / mean_usec, 1.0, PER_SLOT_MAX);
    return MIN((size_t) (slots * per_slot), n_queued / n_workers);
}
