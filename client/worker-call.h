/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/client.h"

/* Calls of a worker's own object, org.parexec.Worker1. They report. */

/* A call of a method of the worker with this id, to be filled. */
int worker_call_new(Client *client, const char *id, const char *method, sd_bus_message **ret);
int worker_call(Client *client, const char *id, sd_bus_message *call);

/* What the arguments of a verb name: workers ("w1") and tasks, which are what is not a worker. */
typedef struct WorkersAndTasks {
    GPtrArray *workers, *tasks; /* char *, not owned; both closed by NULL */
} WorkersAndTasks;

void workers_and_tasks_init(WorkersAndTasks *targets, char *const *arguments);
void workers_and_tasks_done(WorkersAndTasks *targets);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(WorkersAndTasks, workers_and_tasks_done)
static inline bool workers_and_tasks_has_tasks(const WorkersAndTasks *targets)
{
    return targets->tasks->len > 1;
}
