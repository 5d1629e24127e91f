/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/task-spec.h"

#define STDERR_TAIL_BYTES 1000U

/* The files for what tasks print: DIRECTORY/<task/10000>/<task>.<attempt>.{out,err}. */
typedef struct OutputStore OutputStore;

OutputStore *output_store_new(const char *directory);
OutputStore *output_store_free(OutputStore *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OutputStore, output_store_free)

/* Which file; stream is STREAM_STDOUT or STREAM_STDERR. */
typedef struct OutputName {
    uint64_t task;
    uint32_t attempt;
    StdStream stream;
} OutputName;

/* Makes the file, empty, appended to, readable and writable by that user only. */
int output_store_open(OutputStore *store, const OutputName *name, uint32_t uid, uint32_t gid, int *ret_fd)
    _warn_unused_;

/* Removes the file if nothing was written to it. Does not close. */
void output_store_settle(OutputStore *store, const OutputName *name, int fd);

/* The last bytes; NULL: there are none. */
GBytes *output_tail(int fd);
