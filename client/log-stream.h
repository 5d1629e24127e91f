/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/client.h"

/* One stream of one task's output, from the daemon's file to ours. */
typedef struct LogStream {
    Client *client;
    uint64_t task;
    const char *name; /* "stdout" or "stderr" */
    int target;       /* our own descriptor */
    int fd;           /* -EBADF: not open */
    bool within_line; /* the last byte printed ended no line */
    bool tagged;      /* "[17] " in front of each line; lines are then printed whole */
    GString *line;    /* the beginning of a line that is not printed yet */
} LogStream;

void log_stream_init(LogStream *stream, Client *client, uint64_t task, bool standard_error, bool tagged);
void log_stream_done(LogStream *stream);

/* Opens an attempt's file (0: the latest). 0: there is none, or not yet; 1: open. Other failures are
 * reported. */
int log_stream_open(LogStream *stream, uint32_t attempt);
/* Copies what has been written since. */
int log_stream_copy(LogStream *stream);
/* Prints a last line that lacks its end, and closes. */
int log_stream_end(LogStream *stream);
