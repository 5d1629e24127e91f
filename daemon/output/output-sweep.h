/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* One round over the directory of outputs; runs in the keeper's thread. */

typedef struct OutputSweep {
    const char *directory;
    uint64_t now_usec;             /* CLOCK_REALTIME */
    uint64_t keep_usec;            /* what was last written to longer ago goes; UINT64_MAX: stays */
    uint64_t quota_bytes;          /* on disk, of all together; UINT64_MAX: any amount */
    const GArray *active;          /* uint64_t, sorted: nothing of these tasks goes; NULL: none */
    bool (*pause)(void *userdata); /* after each step; false: stop */
    void *userdata;
} OutputSweep;

typedef struct OutputSwept {
    uint64_t kept_bytes; /* on disk, what stays */
    uint64_t removed_bytes, removed_files;
} OutputSwept;

/* 0, -ECANCELED: stopped; or why the directory could not be read (-ENOENT is no error: there is no output
 * yet). */
int output_sweep_run(const OutputSweep *sweep, OutputSwept *ret) _warn_unused_;

void output_sweep_sort(GArray *active);
