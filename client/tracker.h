/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/watch.h"

/* Waiting for tasks: knows of each whether it has ended, from the daemon's signals, and from listings when
 * the daemon was away or said less than all. */

typedef struct TrackerCounts {
    uint64_t total, running, ended, succeeded, failed, cancelled, skipped;
} TrackerCounts;

/* One task has ended; called once for each. */
typedef void (*TrackerEnded)(const TaskInfo *info, void *userdata);

typedef struct Tracker Tracker;

/* Subscribes; to be made before the tasks are submitted or listed. Reports. */
int tracker_new(Client *client, TrackerEnded ended, void *userdata, Tracker **ret);
Tracker *tracker_free(Tracker *tracker);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Tracker, tracker_free)

/* These were just submitted. */
void tracker_add_new(Tracker *tracker, uint64_t first, uint64_t count, uint64_t batch);
/* This one is in a listing; if it has ended, ended() is called from here. A second time is passed over. */
void tracker_add(Tracker *tracker, const TaskInfo *info);

const TrackerCounts *tracker_counts(const Tracker *tracker);
bool tracker_all_ended(const Tracker *tracker);
const Watch *tracker_watch(const Tracker *tracker);

/* Called with every change that is told of a task before it ends. */
void tracker_on_changed(Tracker *tracker, TrackerEnded changed);
/* Called whenever the daemon is back, after tasks were asked for again; NULL: nobody. */
void tracker_on_daemon_back(Tracker *tracker, void (*back)(void *userdata));
