/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* How many workers there should be. A pure function of what is, and of when it last changed its mind. */
typedef struct AutoScaleSettings {
    bool enabled;
    uint32_t min, max; /* 0 max: as many as admission lets in */
    double up_below_percent, down_above_percent; /* of memory in use: 70, 85 */
    double pressure_percent;                     /* over it there is no step up: 10 */
    uint64_t idle_timeout_usec, interval_usec;   /* 5 min, 5 s */
} AutoScaleSettings;

/* 0, or -EINVAL with a sentence: Min over Max, an interval below 100 ms, percentages out of 0…100 or up over down. */
int autoscale_check(const AutoScaleSettings *settings, char **ret_why) _warn_unused_;

typedef struct AutoScaleFacts {
    uint64_t now_usec;             /* monotonic */
    uint32_t target, active, idle; /* workers: wanted; alive; of them, without a task */
    uint64_t waiting;              /* tasks that could run at once if there were a slot */
    uint64_t idle_usec;            /* so long the longest idle worker has been without a task */
    double memory_percent, pressure_percent; /* in use; some avg10, negative: not known */
    uint32_t admissible;           /* as many as admission would let in now, those that are active included */
    uint32_t max_workers;          /* as many as there may be whatever the machine has */
} AutoScaleFacts;

typedef struct AutoScale {
    uint64_t last_usec; /* of the latest step; 0: none */
    bool last_up;
    uint32_t turns; /* steps that each went the other way than the one before, one after another */
} AutoScale;

/* The new target: one more, one fewer, or the same. ret_why: a literal that says why; "" if it stays. After a step up the next
 * step down waits for two intervals and the other way round, and twice as long each time while it goes to and fro, up to 64
 * intervals: it does not flap. What is not known (negative) hinders nothing. */
uint32_t autoscale_decide(const AutoScaleSettings *settings, AutoScale *state, const AutoScaleFacts *facts,
                          const char **ret_why);
/* A sentence with the numbers where Min cannot be reached; NULL: it can. The caller frees it. */
char *autoscale_shortfall(const AutoScaleSettings *settings, const AutoScaleFacts *facts);
