/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/client.h"
#include "client/task-info.h"

/* Following what the daemon tells: it is subscribed to, and subscribed to again when it comes back.
 * Signals of others than the daemon are not believed. */
typedef struct WatchHandler {
    void (*task_changed)(const TaskInfo *change, void *userdata);
    void (*batch_finished)(uint64_t batch, const BatchResult *result, void *userdata);
    void (*worker_added)(const char *id, void *userdata);
    void (*worker_removed)(const char *id, void *userdata);
    void (*worker_state_changed)(const char *id, const char *old, const char *new, void *userdata);
    void (*task_unplaceable)(uint64_t task, const char *why, void *userdata);
    void (*pressure_changed)(const char *rung, const char *why, void *userdata);
    void (*daemon_lost)(void *userdata);
    void (*daemon_back)(void *userdata); /* what happened meanwhile was missed: list again */
} WatchHandler;

typedef struct Watch Watch;

/* Subscribes and returns when it counts; what is called from here on is told. The handler (its members may
 * be NULL) and userdata must outlive the watch; it calls from the client's event loop only. tasks: with
 * TasksChanged and BatchFinished. Reports. */
int watch_new(Client *client, const WatchHandler *handler, void *userdata, bool tasks, Watch **ret);
Watch *watch_free(Watch *watch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Watch, watch_free)

/* Is the daemon on the bus? */
bool watch_is_connected(const Watch *watch);
/* Counts the daemons seen: a call that failed under an older one may be tried again. */
unsigned watch_generation(const Watch *watch);
