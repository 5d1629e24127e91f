/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/task-demand.h"

/* The memory of the attempt after one that ran out of it: the next step of the list, or so many times as much; never more than
 * most_bytes, the largest that a worker has or could have. 0: there is no more to be had. */
uint64_t memory_growth_next(const TaskDemand *demand, uint64_t had_bytes, uint64_t most_bytes);
