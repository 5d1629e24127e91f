/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/progress.h"
#include "client/tracker.h"

/* Waiting for tasks with a progress bar, and the exit code that comes of it: what wait and submit --wait
 * do. */
typedef struct Waiting Waiting;

/* Subscribes: to be made before the tasks are submitted or listed. Reports. */
int waiting_new(Client *client, ProgressMode progress, Waiting **ret);
Waiting *waiting_free(Waiting *waiting);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Waiting, waiting_free)

/* Logs each task that has ended into this file. Before tasks are added. Reports. */
int waiting_set_joblog(Waiting *waiting, const char *path);

/* How the tasks' output is printed. */
typedef struct WaitingOutput {
    bool ordered; /* in the order of the rows, else as they end */
    bool lines;   /* while they run */
    bool tag;     /* "[17] " in front of each line */
} WaitingOutput;

/* Prints what the tasks print. Before tasks are added. */
void waiting_set_output(Waiting *waiting, const WaitingOutput *how);

void waiting_add_rows(Waiting *waiting, const GPtrArray *rows);
/* The tasks of a batch that was just submitted. Reports. */
int waiting_add_submitted(Waiting *waiting, uint64_t batch, uint64_t first, uint64_t last, uint64_t count);

uint64_t waiting_unfinished(const Waiting *waiting);

/* Until all have ended: 0 if all succeeded, else the code of the failed one with the lowest id. */
int waiting_run(Waiting *waiting);
