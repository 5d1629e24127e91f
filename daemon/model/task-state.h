/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"
#include "util/string-table.h"

/* The numbers are the store's: they stay as they are; new states go to the end. */
typedef enum TaskState {
    TASK_HELD = 0,    /* kept back by its owner */
    TASK_BLOCKED = 1, /* waits for other tasks */
    TASK_QUEUED = 2,  /* waits for a worker; one may hold it already, not started */
    TASK_RUNNING = 3,
    TASK_WAITING = 4, /* backoff before the next attempt */
    TASK_SUCCEEDED = 5,
    TASK_FAILED = 6,
    TASK_CANCELLED = 7,
    TASK_SKIPPED = 8, /* a dependency can no longer be satisfied */
    _TASK_STATE_MAX,
} TaskState;
DECLARE_STRING_TABLE(task_state, TaskState);

bool task_state_may_follow(TaskState from, TaskState to);
bool task_state_is_end(TaskState state);

/* How an attempt ended. The numbers are the store's as well. */
typedef enum Outcome {
    OUTCOME_NONE = 0, /* has not ended */
    OUTCOME_EXITED = 1,
    OUTCOME_SIGNALLED = 2,
    OUTCOME_TIMEOUT = 3,
    OUTCOME_OOM = 4,
    OUTCOME_ABORTED = 5,
    OUTCOME_LOST = 6,
    OUTCOME_SPAWN_FAILED = 7,
    _OUTCOME_MAX,
} Outcome;
DECLARE_STRING_TABLE(outcome, Outcome); /* OUTCOME_NONE is "" */
