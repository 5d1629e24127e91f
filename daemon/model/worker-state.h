/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"
#include "util/string-table.h"

typedef enum WorkerState {
    WORKER_STARTING, /* its scope is being made, or it has not shown its token yet */
    WORKER_RUNNING,  /* takes tasks */
    WORKER_DRAINING, /* finishes what runs, takes nothing new */
    WORKER_DEAD,     /* ended as it was told to */
    WORKER_FAILED,   /* ended by itself, or could not start */
    _WORKER_STATE_MAX,
} WorkerState;
DECLARE_STRING_TABLE(worker_state, WorkerState);

bool worker_state_may_follow(WorkerState from, WorkerState to);
bool worker_state_is_live(WorkerState state); /* starting, running, draining */
