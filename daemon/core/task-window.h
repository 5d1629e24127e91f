/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/ports.h"
#include "policy/fit.h"

/* The head of the queue in memory: the next tasks, of one user or of all and of one class, in the order in which they are to run. Memory
 * is bounded by TASK_WINDOW_MAX however long the queue is.
 *
 * A narrow window leaves out the tasks that are more than a certain room has in all: its owner does (see windows.c). It may
 * lack, for a while, some that have come into the part that it knows.
 *
 * Invariant: it holds every task (that it does not leave out) that is queued, not held by a worker, and comes before or at
 * the place that is its end; all of them if "complete". What is taken out for a worker or cancelled is removed from every window
 * by its owner. */
typedef struct TaskWindow TaskWindow;

#define TASK_WINDOW_MAX 2048U
#define TASK_WINDOW_LOW (TASK_WINDOW_MAX / 4) /* below, it wants to be loaded again */

/* room: of a narrow window; copied. */
TaskWindow *task_window_new(uint32_t user, const char *class /* NULL: of commands */, const Room *room /* NULL: any */);
void task_window_free(TaskWindow *window);

uint32_t task_window_user(const TaskWindow *window);
const char *task_window_class(const TaskWindow *window);
const Room *task_window_room(const TaskWindow *window); /* NULL: it leaves nothing out */
size_t task_window_size(const TaskWindow *window);
bool task_window_is_complete(const TaskWindow *window);
bool task_window_is_loading(const TaskWindow *window);

/* Offers one newly queued task: taken in (a copy) if it belongs before the end or nothing is missing. */
void task_window_offer(TaskWindow *window, const TaskSpec *spec);

/* Loading. The place behind which the store is to look, and for how many tasks: from the head of the queue instead of what is
 * there, or from the end on. */
bool task_window_wants_load(const TaskWindow *window);
QueuePlace task_window_begin_load(TaskWindow *window, size_t *ret_limit);
/* What was found behind that place, up to "end"; nothing comes of it if the window's own end has moved meanwhile. */
void task_window_fill(TaskWindow *window, QueuePlace after, GPtrArray *tasks /* TaskSpec; taken */, QueuePlace end,
                      bool complete);
void task_window_fail_load(TaskWindow *window);

/* Something was queued that was not offered: what comes next is not known any more. */
void task_window_invalidate(TaskWindow *window);

const TaskSpec *task_window_find(const TaskWindow *window, uint64_t task); /* NULL: it is not in it */
const TaskSpec *task_window_first(const TaskWindow *window);
const TaskSpec *task_window_next(const TaskWindow *window, const TaskSpec *spec /* of the window */); /* NULL: the last */
TaskSpec *task_window_take(TaskWindow *window, const TaskSpec *spec /* of the window */); /* the caller's */
void task_window_remove(TaskWindow *window, uint64_t task);
void task_window_remove_range(TaskWindow *window, uint64_t first, uint64_t last);
