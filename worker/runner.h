/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-event.h>

#include "worker/held-row.h"
#include "worker/result-queue.h"
#include "worker/slot-control.h"

/* The tasks of a worker: those that run in its slots and those ahead. */
typedef struct Runner Runner;

typedef struct RunnerEvents {
    void (*started)(const HeldRow *rows, size_t n, void *userdata); /* these have been running for a while */
    void (*flush)(void *userdata);                                  /* it is time to send the results */
    void (*idle)(void *userdata); /* nothing runs and nothing is ahead any more */
    void *userdata;
} RunnerEvents;

/* site: without reports and held_up, which the runner makes; it must stay. SIGCHLD must be blocked. */
int runner_new(sd_event *event, SlotSite *site, const RunnerEvents *events, Runner **ret) _warn_unused_;
Runner *runner_free(Runner *runner); /* takes NULL, returns NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Runner, runner_free)

/* A context that tasks to be added will name. Contexts are remembered while tasks need them, and some
 * longer. */
void runner_add_context(Runner *runner, TaskContext *context);
void runner_add(Runner *runner, RunnerTask *task); /* taken */
void runner_dispatch(Runner *runner);              /* after adding: starts what can start */

/* Gives a task back that has not started: true. */
bool runner_recall(Runner *runner, uint64_t task);
/* Ends a task, as its policy says; its result with that outcome follows. Unknown ones are ignored. */
void runner_stop_task(Runner *runner, uint64_t task, Outcome outcome);
/* Changes the limits of a task, at once. Returns why it keeps those that it has, to be freed; NULL: done, or there is none. */
char *runner_limit(Runner *runner, const LimitOrder *order);
/* Freezes a running task, or lets it go on; reclaim: its memory is taken back meanwhile. Returns why not, as part of a
 * sentence; NULL: done, or unknown. */
const char *runner_freeze(Runner *runner, uint64_t task, bool frozen, bool reclaim);
/* Forgets what is ahead. */
void runner_drop_ahead(Runner *runner);
/* Ends for good: kills what runs, forgets what is ahead, makes no results. events.idle tells when all is
 * gone. */
void runner_stop(Runner *runner);

/* The daemon may not have heard which tasks have started: they are told of again. */
void runner_tell_again(Runner *runner);

uint32_t runner_n_running(const Runner *runner);
uint32_t runner_n_ahead(const Runner *runner);
GArray *runner_held(const Runner *runner); /* of HeldRow */
ResultQueue *runner_results(Runner *runner);
