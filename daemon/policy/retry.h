/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/task-spec.h"

/* What is done after an attempt that did not succeed and for which the task is to be blamed. */
typedef struct RetryVerdict {
    RetryAction action;
    uint64_t delay_usec; /* of RETRY_AGAIN */
} RetryVerdict;

/* spent: attempts that count, this one included. random: from 0 to 1. The first rule that fits the result decides; without
 * one it is tried again. Either way only as long as there are retries; a rule that says hold needs none. */
RetryVerdict retry_judge(const TaskPolicy *policy, const TaskResult *result, uint32_t spent, double random);

/* Does a rule say something else than trying again about attempts that were lost through no fault of the task? */
bool retry_forbids_lost(const TaskPolicy *policy);

/* Before retry number n (from 1): first × factor^(n-1), at most the longest, less up to a quarter by chance, so that what
 * failed together does not come back together. */
uint64_t retry_delay(const TaskPolicy *policy, uint32_t n, double random);
