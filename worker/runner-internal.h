/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/runner.h"

/* What runner.c and runner-orders.c share. */

struct Runner {
    RunnerEvents events;
    SlotSite *site;
    uint32_t n_slots, n_running; /* running: not free */
    Slot *slots;
    GQueue ahead;           /* of RunnerTask */
    GHashTable *tasks;      /* id → RunnerTask, running or ahead */
    GHashTable *contexts;   /* id → Surroundings */
    ResultQueue *results;
    sd_event_source *child, *tick, *sweep, *time, *more, *tidy, *reclaim;
    bool tick_armed, sweep_armed;
    uint64_t time_usec;     /* CLOCK_MONOTONIC: when the timer will ring; UINT64_MAX: it will not */
    uint64_t sweep_usec;    /* until the next look */
    bool stopping;
};

/* Sends what is to be sent, at once or soon. */
void runner_report(Runner *runner);
/* The slot's next time may have become another. */
void runner_watch_time(Runner *runner, const Slot *slot);
/* Kills the slot's processes until none is left. */
void runner_kill_on(Runner *runner, Slot *slot);
