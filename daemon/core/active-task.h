/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/ports.h"

/* What pressure on the machine has done to it. */
typedef enum Pressed {
    PRESSED_NOT_YET,
    PRESSED_BACK, /* it was stopped and is queued again; that costs it nothing */
    PRESSED_OUT,  /* it was killed for good */
} Pressed;

/* A task that a worker holds, from its assignment until what came of it is on disk. Owned by the manager's table. */
typedef struct ActiveTask {
    TaskSpec *spec; /* fence is that of this assignment */
    Worker *worker; /* NULL once it has been settled, or the worker is forgotten */
    uint32_t worker_number;
    TaskState
        state; /* queued (held by the worker, not started), running, or what it becomes when it is on disk */
    uint64_t start_usec; /* CLOCK_REALTIME; 0: not known to run */
    bool cancelled;      /* Cancel was asked for */
    bool recalled;       /* the worker was asked to give it back */
    bool settling;       /* its end is on its way to the disk */
    bool hold;           /* it is held when it comes back without having started */
    bool stale;          /* it was edited: when it comes back, the store has it better than we */
    bool awaits_inputs;  /* the worker has not been told of it yet */
    bool timed_out;      /* it was told to stop: it took too long for its batch */
    bool frozen;             /* its processes stand still */
    uint64_t frozen_usec;    /* monotonic: since then */
    bool frozen_by_pressure; /* and it is to go on when the pressure ends */
    TaskLimits limits;       /* what was changed while it ran; its memory is in the spec */
    Pressed pressed;
    uint64_t started_monotonic_usec; /* later by the time that it stood still */
} ActiveTask;

ActiveTask *active_task_new(TaskSpec *spec /* taken */, Worker *worker);
void active_task_free(gpointer task); /* takes it off its worker */

/* Ids of tasks by the worker that has them: number → GArray of uint64_t. */
GHashTable *active_tasks_by_worker_new(void);
void active_tasks_by_worker_add(GHashTable *by_worker, const ActiveTask *task);

/* The only way the state changes: asserts that it may. */
void active_task_set_state(ActiveTask *task, TaskState state);

/* Takes it from its worker: the slot is free. */
void active_task_leave_worker(ActiveTask *task);

/* When it is, and a number from 0 to 1 for what is left to chance. */
typedef struct SettlementFacts {
    uint64_t boot_usec;
    double random;
    uint64_t memory_had_bytes, memory_most_bytes; /* of this attempt; that another could get */
} SettlementFacts;

/* What becomes of the task after this attempt. lost: the worker went away under it. Fills next, attempts, lost, spent, due,
 * reason. */
void active_task_settlement(const ActiveTask *task, const TaskResult *result, bool attempted,
                            const SettlementFacts *facts, Settlement *ret);
