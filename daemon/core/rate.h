/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

#define RATE_SECONDS 60U

/* How many events there were in the last minute, counted by the second. Zeroed memory is a valid start. */
typedef struct Rate {
    uint32_t counts[RATE_SECONDS];
    uint64_t newest; /* the second that was counted last */
    uint64_t oldest; /* the second counting began */
} Rate;

void rate_add(Rate *rate, uint64_t monotonic_usec, uint32_t n);

/* Events per minute; extrapolated while less than a minute has been counted. */
double rate_per_minute(Rate *rate, uint64_t monotonic_usec);
