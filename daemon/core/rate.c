/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A minute of counts in a ring of seconds; what is older falls out as time goes on. */
#include "core/rate.h"

static void advance(Rate *rate, uint64_t second)
{
    if (rate->oldest == 0)
        rate->oldest = rate->newest = second;
    for (uint64_t n = 0; rate->newest < second && n < RATE_SECONDS; n++)
        rate->counts[++rate->newest % RATE_SECONDS] = 0;
    rate->newest = MAX(rate->newest, second);
}

void rate_add(Rate *rate, uint64_t monotonic_usec, uint32_t n)
{
    uint64_t second = monotonic_usec / USEC_PER_SEC + 1;

    advance(rate, second);
    rate->counts[second % RATE_SECONDS] += n;
}

double rate_per_minute(Rate *rate, uint64_t monotonic_usec)
{
    uint64_t second = monotonic_usec / USEC_PER_SEC + 1, sum = 0;

    advance(rate, second);
    for (size_t i = 0; i < RATE_SECONDS; i++)
        sum += rate->counts[i];
    uint64_t counted = MIN(second - rate->oldest + 1, RATE_SECONDS);
    return (double) sum * RATE_SECONDS / (double) counted;
}
