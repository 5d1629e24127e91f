/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-event.h>

#include "util/macro.h"

/* What is kept of what tasks print: of each file the beginning and the end, together no more than its
 * limit. Tasks write straight into their files; these are looked at now and then, and what is too much is
 * taken out of their middle, as a hole. Between two looks a file grows as fast as its writer can: with
 * looks every 100 ms, a writer of 1 GB/s goes 100 MB over its limit, and 1 GB if it begins after a quiet
 * time, when looks are a second apart. */
typedef struct OutputCap OutputCap;

/* What is missing of a file: the bytes from begin to end (a hole, or not taken out yet), and those that
 * are lost altogether because the file system makes no holes. */
typedef struct OutputCut {
    uint64_t begin, end; /* equal: nothing is missing */
    uint64_t lost;
} OutputCut;

OutputCap *output_cap_new(void);
OutputCap *output_cap_free(OutputCap *cap); /* takes NULL, returns NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OutputCap, output_cap_free)

/* From now on it looks by itself. */
int output_cap_attach(OutputCap *cap, sd_event *event) _warn_unused_;

/* fd is looked at until it is removed, and must stay open; max_bytes: UINT64_MAX for all. */
void output_cap_add(OutputCap *cap, int fd, uint64_t max_bytes);

/* The last look: nobody writes any more. What it says is missing is above the limit, to the byte. */
void output_cap_remove(OutputCap *cap, int fd, OutputCut *ret);

/* Looks at all files. Returns by how many bytes the fastest has grown since the look before. */
uint64_t output_cap_look(OutputCap *cap);

/* Makes a hole where the cut is. */
int output_cut_punch(int fd, const OutputCut *cut) _warn_unused_;
