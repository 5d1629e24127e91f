/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Retries: a pure function of the policy, the result and a random number. */
#include "policy/retry.h"

#include <math.h>

#define JITTER 0.25

uint64_t retry_delay(const TaskPolicy *policy, uint32_t n, double random)
{
    double delay = (double) policy->backoff_first_usec * pow(policy->backoff_factor, (double) n - 1);

    if (policy->backoff_first_usec == 0) /* 0 times infinity is no number */
        return 0;
    if (!(delay < (double) policy->backoff_longest_usec)) /* infinity, too */
        delay = (double) policy->backoff_longest_usec;
    return (uint64_t) (delay * (1 - JITTER * random));
}

static bool rule_fits(const RetryRule *rule, const TaskResult *result)
{
    int number = result->outcome == OUTCOME_EXITED ? result->exit_status : result->signal;

    if (rule->outcome != result->outcome)
        return false;
    if (rule->outcome != OUTCOME_EXITED && rule->outcome != OUTCOME_SIGNALLED)
        return true;
    return number >= rule->first && number <= rule->last;
}

static RetryAction action_for(const TaskPolicy *policy, const TaskResult *result)
{
    for (guint i = 0; policy->rules && i < policy->rules->len; i++) {
        const RetryRule *rule = &g_array_index(policy->rules, RetryRule, i);
        if (rule_fits(rule, result))
            return rule->action;
    }
    return RETRY_AGAIN;
}

RetryVerdict retry_judge(const TaskPolicy *policy, const TaskResult *result, uint32_t spent, double random)
{
    RetryVerdict verdict = { .action = action_for(policy, result) };

    if (verdict.action != RETRY_AGAIN)
        return verdict;
    if (spent > policy->retries)
        verdict.action = RETRY_FAIL;
    else
        verdict.delay_usec = retry_delay(policy, spent, random);
    return verdict;
}

bool retry_forbids_lost(const TaskPolicy *policy)
{
    const TaskResult lost = { .outcome = OUTCOME_LOST };

    return action_for(policy, &lost) != RETRY_AGAIN;
}
