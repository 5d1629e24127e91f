/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/task-printer.h"

/* What the tasks of a map printed, onto our own stdout and stderr: whole tasks at a time, in the order of
 * the items or of their ends. The daemon is asked for many outputs at once, so a round trip costs little. */
typedef struct MapOutput MapOutput;

MapOutput *map_output_new(Client *client, bool ordered, const TaskPrinterHandler *handler, void *userdata);
MapOutput *map_output_free(MapOutput *output);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MapOutput, map_output_free)

void map_output_set_watch(MapOutput *output, const Watch *watch);    /* not owned */
void map_output_set_progress(MapOutput *output, Progress *progress); /* not owned; NULL: none */

/* The task of this item (counted from 0) has ended. tag: in front of each of its lines; NULL: nothing. */
void map_output_add(MapOutput *output, uint64_t item, uint64_t task, const char *tag);
/* The daemon is back: asks again for what it did not answer. */
void map_output_retry(MapOutput *output);
/* Prints nothing any more. */
void map_output_stop(MapOutput *output);

bool map_output_is_idle(const MapOutput *output);
uint64_t map_output_unread(const MapOutput *output); /* outputs that could not be had, and were reported */
