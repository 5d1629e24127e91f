/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-event.h>

#include "model/task-spec.h"

#define STDERR_TAIL_BYTES 1000U
#define OUTPUT_PACKED_BYTES 16384U /* up to this size outputs are packed */

/* The files for what tasks print: DIRECTORY/<task/10000>/<task>.<attempt>.{out,err}, each of at most its
 * output-max (see output-cap.h). Small ones are packed when they are finished, see model/output-path.h. */
typedef struct OutputStore OutputStore;

OutputStore *output_store_new(const char *directory);
OutputStore *output_store_free(OutputStore *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OutputStore, output_store_free)

/* From now on files are kept small while they are written, and packed into WORKER.pack. */
int output_store_attach(OutputStore *store, sd_event *event, const char *worker) _warn_unused_;

/* Which file; stream is STREAM_STDOUT or STREAM_STDERR. */
typedef struct OutputName {
    uint64_t task;
    uint32_t attempt;
    StdStream stream;
} OutputName;

/* Makes the file, empty, appended to, readable and writable by that user only. */
int output_store_open(OutputStore *store, const OutputName *name, uint32_t uid, uint32_t gid, int *ret_fd)
    _warn_unused_;

/* Keeps at most so much of it (UINT64_MAX: all) until it is settled. */
void output_store_limit(OutputStore *store, int fd, uint64_t max_bytes);

/* The file is finished: it is removed if nothing was written to it, cut down to its limit, and packed if
 * it is small. Does not close. *dropped_bytes: how much of it is gone; both are untouched if there is
 * nothing to say. */
void output_store_settle(OutputStore *store, const OutputName *name, int fd, OutputPlace *place,
                         uint64_t *dropped_bytes);

/* The last bytes; NULL: there are none. */
GBytes *output_tail(int fd);
