/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/task-state.h"

/* How tasks are treated: how long an attempt may take and how it is told to stop, what is kept of what it prints, and what
 * happens after an attempt that did not succeed. Part of a TaskContext, plain data but for the rules. */

/* What is done about a failed attempt. */
typedef enum RetryAction {
    RETRY_AGAIN, /* another attempt, as long as there are retries left */
    RETRY_FAIL,
    RETRY_HOLD, /* the task waits, held, for its owner to look at it */
    _RETRY_ACTION_MAX,
} RetryAction;
DECLARE_STRING_TABLE(retry_action, RetryAction); /* "retry", "fail", "hold" */

/* One line of the cause → action table. Causes as text: "exit" (any status but 0), "exit=75", "exit=64-78", "signal"
 * (any), "signal=SEGV", "timeout", "oom", "lost", "spawn-failed". */
typedef struct RetryRule {
    Outcome outcome;
    int first, last; /* of exited: statuses; of signalled: signals; else 0, 0 */
    RetryAction action;
} RetryRule;

#define RETRIES_MAX 1000000U
#define RETRY_RULES_MAX 64U
#define BACKOFF_FACTOR_MAX 100.0
#define BACKOFF_LONGEST_USEC (UINT64_C(7) * 24 * 3600 * USEC_PER_SEC)
#define TIMEOUT_PERCENT_MAX 100000U
#define GRACE_LONGEST_USEC (UINT64_C(24) * 3600 * USEC_PER_SEC)
#define OUTPUT_MAX_LEAST_BYTES (UINT64_C(64) << 10)

typedef struct TaskPolicy {
    uint32_t retries; /* attempts after the first; those lost through no fault of the task do not count */
    uint64_t backoff_first_usec; /* before the first retry */
    uint64_t backoff_longest_usec;
    double backoff_factor; /* each delay is so many times the one before; at least 1 */
    GArray *rules;         /* RetryRule, the first that fits counts; NULL: none */

    uint64_t timeout_usec;    /* of an attempt; UINT64_MAX: none */
    uint32_t timeout_percent; /* of the batch's median run time; 0: none */
    int stop_signal;          /* what an attempt is told to stop with (timeout, cancel) */
    uint64_t grace_usec;      /* so long it has before its processes are killed; 0: at once */
    int warn_signal;          /* 0: none */
    uint64_t warn_usec;       /* so long before the timeout */

    uint64_t output_max_bytes; /* kept of stdout and of stderr each; UINT64_MAX: all */
    bool merge;                /* stderr goes where stdout goes */
} TaskPolicy;

void task_policy_init(
    TaskPolicy *policy); /* no retries, no timeout, everything else as documented in parctl(1) */
void task_policy_done(TaskPolicy *policy);
void task_policy_copy(TaskPolicy *to, const TaskPolicy *from); /* into an initialised one */
bool task_policy_equal(const TaskPolicy *a, const TaskPolicy *b);

/* 0, or -EINVAL with a sentence on what is out of its range. */
int task_policy_check(const TaskPolicy *policy, char **ret_why) _warn_unused_;

/* One line of words "key=value" in which the store keeps it and the worker is told it; only what differs from
 * task_policy_init(), "" for the default. Unknown keys are passed over when it is read: they are those of a later version. */
char *task_policy_to_text(const TaskPolicy *policy);
int task_policy_from_text(const char *text, TaskPolicy *policy /* initialised */) _warn_unused_;

/* Adds a rule to the policy. -EINVAL: no such cause or action, -E2BIG: too many rules. */
int task_policy_add_rule(TaskPolicy *policy, const char *cause, const char *action) _warn_unused_;

/* "TERM", "SIGTERM", "15", "RTMIN+3" → the number; -EINVAL. */
int signal_parse(const char *word);
/* "TERM"; never NULL. */
char *signal_format(int number);
