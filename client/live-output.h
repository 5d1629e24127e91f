/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/log-stream.h"
#include "client/task-printer.h"

/* What tasks print while they run, in whole lines, onto our own stdout and stderr: of all of them as it
 * comes, or in an order, then of the first one that has not ended. The attempts of a task follow one another. */
typedef struct LiveOutput LiveOutput;

LiveOutput *live_output_new(Client *client, bool ordered, const TaskPrinterHandler *handler, void *userdata);
LiveOutput *live_output_free(LiveOutput *live);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LiveOutput, live_output_free)

void live_output_set_watch(LiveOutput *live, const Watch *watch);
void live_output_set_progress(LiveOutput *live, Progress *progress);

/* A task has begun, is tried again, or has ended; place: in the order, from 0. */
void live_output_changed(LiveOutput *live, uint64_t place, const TaskInfo *info, const char *tag);
void live_output_retry(LiveOutput *live);
void live_output_stop(LiveOutput *live);

bool live_output_is_idle(const LiveOutput *live);
uint64_t live_output_unread(const LiveOutput *live);
