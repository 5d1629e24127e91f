/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The states of a task and which may follow which:
 *
 *   held ⇄ blocked ⇄ queued ──► running ──► succeeded, failed, cancelled
 *                      ▲  └────────│──────► cancelled, failed (could not be started)
 *                      │           ▼
 *                      ├─────── waiting (backoff; or for a time before the first attempt), held (its policy says so)
 *                      └── (its worker was lost)
 *   skipped: from held, blocked and queued.
 *   Retrying by hand leaves an end other than succeeded: failed, cancelled, skipped ──► blocked, queued.
 *   A short attempt may end before its start was told: it goes from queued to where it would have gone from running.
 */
#include "model/task-state.h"

static const char *const task_state_table[_TASK_STATE_MAX] = {
    [TASK_HELD] = "held",       [TASK_BLOCKED] = "blocked",     [TASK_QUEUED] = "queued",
    [TASK_RUNNING] = "running", [TASK_WAITING] = "waiting",     [TASK_SUCCEEDED] = "succeeded",
    [TASK_FAILED] = "failed",   [TASK_CANCELLED] = "cancelled", [TASK_SKIPPED] = "skipped",
};
DEFINE_STRING_TABLE(task_state, TaskState)

static const char *const outcome_table[_OUTCOME_MAX] = {
    [OUTCOME_NONE] = "",
    [OUTCOME_EXITED] = "exited",
    [OUTCOME_SIGNALLED] = "signalled",
    [OUTCOME_TIMEOUT] = "timeout",
    [OUTCOME_OOM] = "oom",
    [OUTCOME_ABORTED] = "aborted",
    [OUTCOME_LOST] = "lost",
    [OUTCOME_SPAWN_FAILED] = "spawn-failed",
};
DEFINE_STRING_TABLE(outcome, Outcome)

#define BIT(state) (1U << (state))

static const unsigned followers[_TASK_STATE_MAX] = {
    [TASK_HELD] = BIT(TASK_BLOCKED) | BIT(TASK_QUEUED) | BIT(TASK_CANCELLED) | BIT(TASK_SKIPPED),
    [TASK_BLOCKED] = BIT(TASK_HELD) | BIT(TASK_QUEUED) | BIT(TASK_CANCELLED) | BIT(TASK_SKIPPED),
    [TASK_QUEUED] = BIT(TASK_HELD) | BIT(TASK_BLOCKED) | BIT(TASK_RUNNING) | BIT(TASK_WAITING) | BIT(TASK_SUCCEEDED) |
                    BIT(TASK_FAILED) | BIT(TASK_CANCELLED) | BIT(TASK_SKIPPED),
    [TASK_RUNNING] =
        BIT(TASK_HELD) | BIT(TASK_QUEUED) | BIT(TASK_WAITING) | BIT(TASK_SUCCEEDED) | BIT(TASK_FAILED) | BIT(TASK_CANCELLED),
    [TASK_WAITING] = BIT(TASK_HELD) | BIT(TASK_QUEUED) | BIT(TASK_CANCELLED),
    [TASK_SUCCEEDED] = 0,
    [TASK_FAILED] = BIT(TASK_QUEUED) | BIT(TASK_BLOCKED),
    [TASK_CANCELLED] = BIT(TASK_QUEUED) | BIT(TASK_BLOCKED),
    [TASK_SKIPPED] = BIT(TASK_QUEUED) | BIT(TASK_BLOCKED),
};

bool task_state_may_follow(TaskState from, TaskState to)
{
    return followers[from] & BIT(to);
}

bool task_state_is_end(TaskState state)
{
    return BIT(state) & (BIT(TASK_SUCCEEDED) | BIT(TASK_FAILED) | BIT(TASK_CANCELLED) | BIT(TASK_SKIPPED));
}
