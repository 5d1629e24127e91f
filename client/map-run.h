/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/task-template.h"

/* What map was asked for. */
typedef struct MapSettings {
    TaskOptions task;
    Given jobs, workers, cpus;
    bool unordered, keep_order, lines, progress, no_progress, tag, resume, resume_failed, dry_run;
    BatchOptions batch;
    const char *joblog, *delay;
} MapSettings;

/* Runs the command for each item and prints what they print. sources: MapSource; NULL: the lines of stdin.
 * done: numbers (uint64_t) of items that are passed over; NULL: none. Ends with an exit code, or a negative
 * errno after it was reported. */
int map_run(Client *client, const MapSettings *settings, char **argv, const GPtrArray *sources,
            GHashTable *done);
