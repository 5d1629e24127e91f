/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/progress.h"

/* One stream of one task's output, from the daemon's file to ours. */
typedef struct LogStream {
    Client *client;
    uint64_t task;
    const char *name;   /* "stdout" or "stderr" */
    int target;         /* our own descriptor */
    int fd;             /* -EBADF: not open */
    bool within_line;   /* the last byte printed ended no line */
    char *tag;          /* in front of each line; NULL: none */
    bool lines;         /* they are printed whole, as they are with a tag */
    GString *line;      /* the beginning of a line that is not printed yet */
    Progress *progress; /* taken away before something is printed onto a terminal; NULL: none; not owned */
} LogStream;

void log_stream_init(LogStream *stream, Client *client, uint64_t task, bool standard_error, const char *tag,
                     bool lines);
void log_stream_done(LogStream *stream);

/* Opens an attempt's file (0: the latest). 0: there is none, or not yet; 1: open. Other failures are
 * reported. */
int log_stream_open(LogStream *stream, uint32_t attempt);
/* The same in two steps, for those who do not wait: the call of OpenOutput, and what its answer holds. */
int log_stream_new_call(LogStream *stream, uint32_t attempt, sd_bus_message **ret);
int log_stream_take(LogStream *stream, sd_bus_message *reply);
/* Copies what has been written since. */
int log_stream_copy(LogStream *stream);
/* Prints a last line that lacks its end (behind a tag it is given one), and closes. */
int log_stream_end(LogStream *stream);
