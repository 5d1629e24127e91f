/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/task-spec.h"
#include "model/worker-spec.h"

/* Does a task fit into what a worker has, or has left? */

/* What a worker has, or what of it is taken; infinite and absent things are UINT64_MAX and NULL. */
typedef struct Room {
    uint64_t memory_bytes, cpu_quota_usec_per_sec, tasks;
    uint32_t gpus;
    const GArray *resources; /* Resource */
} Room;

typedef enum FitVerdict {
    FITS,
    FITS_LATER, /* when others have ended */
    FITS_NEVER, /* more than the worker has in all */
} FitVerdict;

/* Keeps the resources it points to. */
Room *room_copy(const Room *room);
void room_free(Room *room);
bool room_equal(const Room *a, const Room *b);
/* Is there nothing that "inner" has more of? */
bool room_covers(const Room *outer, const Room *inner);

Room room_of_worker(const WorkerSpec *spec);
/* What a task that says how much memory it takes takes; one that does not shares what is left, and takes nothing. */
Room room_of_task(const TaskSpec *spec);

/* taken: the sum over the worker's tasks. ret_why: a sentence with the numbers for FITS_LATER and FITS_NEVER; may be NULL. */
FitVerdict fit_judge(const Room *whole, const Room *taken, const Room *wanted, char **ret_why);
