/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* How many tasks a worker is given beyond its slots, so that no slot waits for a round trip: as many as fill some
 * milliseconds, only while tasks are short, and never more than the worker's share of what is queued. */
size_t ahead_target(uint32_t slots, double mean_usec, size_t n_queued, size_t n_workers);
