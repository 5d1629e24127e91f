/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* How long the tasks of a batch took that succeeded: for timeouts like "200 % of the median". In memory only, of at most the
 * latest RUN_TIMES_KEPT of each batch. */
typedef struct RunTimes RunTimes;

#define RUN_TIMES_KEPT 1001U
#define RUN_TIMES_NEEDED 3U /* before, there is no median to speak of */

RunTimes *run_times_new(void);
void run_times_free(RunTimes *times);
void run_times_add(RunTimes *times, uint64_t batch, uint64_t usec);
uint64_t run_times_median(const RunTimes *times, uint64_t batch); /* UINT64_MAX: not known */
void run_times_forget(RunTimes *times, uint64_t batch);
