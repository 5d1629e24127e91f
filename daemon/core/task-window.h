/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/ports.h"

/* The head of the queue in memory: the next tasks, of one user or of all and of one class, in the order in which they are to run. Memory
 * is bounded by TASK_WINDOW_MAX however long the queue is.
 *
 * Invariant: it holds every task that is queued, not held by a worker, and comes before the window's last one; all of
 * them if "complete". What is taken out for a worker or cancelled is removed from every window by its owner. */
typedef struct TaskWindow TaskWindow;

#define TASK_WINDOW_MAX 2048U
#define TASK_WINDOW_LOW (TASK_WINDOW_MAX / 4) /* below, it wants to be loaded again */

TaskWindow *task_window_new(uint32_t user, const char *class /* NULL: of commands */);
void task_window_free(TaskWindow *window);

uint32_t task_window_user(const TaskWindow *window);
const char *task_window_class(const TaskWindow *window);
size_t task_window_size(const TaskWindow *window);

/* Offers one newly queued task: taken in (a copy) if it belongs before the last one or nothing is missing. */
void task_window_offer(TaskWindow *window, const TaskSpec *spec);

/* Replaces the contents by what the store found. */
void task_window_replace(TaskWindow *window, GPtrArray *tasks /* TaskSpec; taken */, bool complete);

/* Something was queued that was not offered: what comes next is not known any more. */
void task_window_invalidate(TaskWindow *window);
bool task_window_wants_load(const TaskWindow *window);
void task_window_set_loading(TaskWindow *window, bool loading);

const TaskSpec *task_window_find(const TaskWindow *window, uint64_t task); /* NULL: it is not in it */
const TaskSpec *task_window_first(const TaskWindow *window);
const TaskSpec *task_window_next(const TaskWindow *window, const TaskSpec *spec /* of the window */); /* NULL: the last */
TaskSpec *task_window_take(TaskWindow *window, const TaskSpec *spec /* of the window */); /* the caller's */
void task_window_remove(TaskWindow *window, uint64_t task);
void task_window_remove_range(TaskWindow *window, uint64_t first, uint64_t last);
