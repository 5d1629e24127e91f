/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The states of a worker and which may follow which:
 *
 *   starting ──► running ──► draining ──► dead
 *      │  └──────────────────────┘  │       ▲
 *      │          (drained before it ran)   │ (aborted: from any live state)
 *      └────────────┴──────────────┴──► failed
 */
#include "model/worker-state.h"

static const char *const worker_state_table[_WORKER_STATE_MAX] = {
    [WORKER_STARTING] = "starting", [WORKER_RUNNING] = "running", [WORKER_DRAINING] = "draining",
    [WORKER_DEAD] = "dead",         [WORKER_FAILED] = "failed",
};
DEFINE_STRING_TABLE(worker_state, WorkerState)

#define BIT(state) (1U << (state))

static const unsigned followers[_WORKER_STATE_MAX] = {
    [WORKER_STARTING] = BIT(WORKER_RUNNING) | BIT(WORKER_DRAINING) | BIT(WORKER_DEAD) | BIT(WORKER_FAILED),
    [WORKER_RUNNING] = BIT(WORKER_DRAINING) | BIT(WORKER_DEAD) | BIT(WORKER_FAILED),
    [WORKER_DRAINING] = BIT(WORKER_DEAD) | BIT(WORKER_FAILED),
    [WORKER_DEAD] = 0,
    [WORKER_FAILED] = 0,
};

bool worker_state_may_follow(WorkerState from, WorkerState to)
{
    return followers[from] & BIT(to);
}

bool worker_state_is_live(WorkerState state)
{
    return followers[state] != 0;
}
