/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/active-task.h"
#include "core/manager.h"
#include "policy/fit.h"

/* Which task goes to which worker by what it takes: memory, CPU time, processes, GPUs, named resources. */

/* Does it say what it takes? One that does not fits everywhere. */
bool fitting_is_demanding(const TaskSpec *spec);

/* May this worker run it at all: by user and class. */
bool fitting_may_run(const Worker *worker, const TaskSpec *spec);

/* Do they ask for the same, so that what is found of one holds for the other? (Of one window.) */
bool fitting_is_alike(const TaskSpec *a, const TaskSpec *b);

/* ret_why: as fit_judge(). */
FitVerdict fitting_judge(Manager *manager, const Worker *worker, const TaskSpec *spec, char **ret_why);

/* Is it more than such a room, or the worker, has in all? Costs little. */
bool fitting_exceeds(Manager *manager, const Room *whole, const TaskSpec *spec);
bool fitting_is_too_large(Manager *manager, const Worker *worker, const TaskSpec *spec);

/* Is there a worker that may run it, and does it fit none of them even when they are empty? */
bool fitting_is_hopeless(Manager *manager, const TaskSpec *spec, char **ret_why);
/* Has another worker that does the same tasks all that this one has, and had it before? Then nothing fits this one alone. */
bool fitting_is_covered(Manager *manager, const Worker *worker);
/* Does it fit another worker that has a free slot now? */
bool fitting_fits_elsewhere(Manager *manager, const Worker *except, const TaskSpec *spec);

/* It is handed to that worker: fills in its memory and its GPUs. */
void fitting_hand_out(Manager *manager, const Worker *worker, TaskSpec *spec);

/* The most memory that an attempt of it could get. */
uint64_t fitting_most_memory(Manager *manager, const TaskSpec *spec);
