/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* What tasks of one class took before: the peaks of their memory and their run times. The figures are exact over the latest
 * LEARNED_SAMPLES_MAX attempts that succeeded; count and the maxima are over all of them. */
#define LEARNED_SAMPLES_MAX 128U

typedef struct Learned Learned;

typedef struct LearnedFigures {
    uint64_t count;
    uint64_t memory_median_bytes, memory_p95_bytes, memory_max_bytes; /* UINT64_MAX: no attempt told its peak */
    uint64_t time_median_usec, time_p95_usec, time_max_usec;
} LearnedFigures;

Learned *learned_new(void);
Learned *learned_free(Learned *learned); /* takes NULL, returns NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Learned, learned_free)
void learned_add(Learned *learned, uint64_t memory_peak_bytes /* UINT64_MAX: not known */, uint64_t time_usec);
uint64_t learned_count(const Learned *learned);
void learned_figures(const Learned *learned, LearnedFigures *ret); /* sorts: some 10 µs */

/* For the store; of this machine's byte order. -EINVAL: not such a thing. */
GBytes *learned_serialize(const Learned *learned);
int learned_parse(const void *data, size_t size, Learned **ret) _warn_unused_;

/* What to ask for: p95 and a fifth more, in whole MiB, at least 16 MiB; the default while nothing is known. */
uint64_t learned_memory(const LearnedFigures *figures, uint64_t default_bytes);
