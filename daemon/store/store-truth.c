/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a condition is worth now. Stateless: everything is read off the task or batch that it looks at. */
#include "store/store-gate.h"

static int outcome_truth(Database *database, const StoredTask *task, const Dependency *condition, Truth *ret)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    AttemptRow attempt;
    bool holds;
    int r;

    r = sql_query(&database->sql, ATTEMPT_SELECT_LATEST, SQL_VALUES(sql_int((int64_t) task->id)), &statement);
    if (r >= 0)
        r = sql_step(&database->sql, statement);
    if (r < 0)
        return r;
    *ret = TRUTH_NO;
    if (r == 0)
        return 0;
    row_read_attempt(statement, task->id, &attempt);
    holds = condition->kind == DEPENDENCY_OOM ? attempt.result.outcome == OUTCOME_OOM
            : condition->kind == DEPENDENCY_TIMEOUT
                ? attempt.result.outcome == OUTCOME_TIMEOUT
                : attempt.result.outcome == OUTCOME_EXITED && attempt.result.exit_status == condition->status;
    task_result_done(&attempt.result);
    if (holds)
        *ret = TRUTH_YES;
    return 0;
}

static int live_truth(Database *database, const StoredTask *task, const Dependency *condition, Truth *ret)
{
    StoredAssignment assignment;
    int r;

    *ret = TRUTH_OPEN;
    if (condition->kind != DEPENDENCY_AFTER)
        return 0;
    if (task->attempts > 0)
        *ret = TRUTH_YES;
    if (task->state != STATE_TAKEN)
        return 0;
    r = row_find_assignment(database, task->id, &assignment);
    if (r > 0 && assignment.start_usec > 0)
        *ret = TRUTH_YES;
    return r;
}

int task_truth(Database *database, const StoredTask *task, const Dependency *condition, Truth *ret)
{
    bool succeeded = task->state == (int) TASK_SUCCEEDED;

    if (task->state == STATE_TAKEN || !task_state_is_end(state_shown(task->state)))
        return live_truth(database, task, condition, ret);
    switch (condition->kind) {
    case DEPENDENCY_AFTER_OK:
    case DEPENDENCY_AFTER_CORR:
        *ret = succeeded ? TRUTH_YES : TRUTH_NO;
        return 0;
    case DEPENDENCY_AFTER_NOT_OK:
        *ret = succeeded ? TRUTH_NO : TRUTH_YES;
        return 0;
    case DEPENDENCY_AFTER_ANY:
    case DEPENDENCY_AFTER:
        *ret = TRUTH_YES;
        return 0;
    case DEPENDENCY_EXIT:
    case DEPENDENCY_OOM:
    case DEPENDENCY_TIMEOUT:
        if (succeeded) { /* an attempt of status 0, without looking for it */
            *ret = condition->kind == DEPENDENCY_EXIT && condition->status == 0 ? TRUTH_YES : TRUTH_NO;
            return 0;
        }
        return outcome_truth(database, task, condition, ret);
    case _DEPENDENCY_KIND_MAX:
        break;
    }
    g_assert_not_reached();
}

Truth batch_truth(const BatchSums *sums, DependencyKind kind)
{
    uint64_t bad = sums->failed + sums->cancelled + sums->skipped;
    bool ended = sums->succeeded + bad >= sums->count;

    if (kind == DEPENDENCY_AFTER)
        return ended || sums->started >= sums->count ? TRUTH_YES : TRUTH_OPEN;
    if (kind == DEPENDENCY_AFTER_OK && bad > 0)
        return TRUTH_NO;
    if (!ended)
        return TRUTH_OPEN;
    return kind == DEPENDENCY_AFTER_NOT_OK && bad == 0 ? TRUTH_NO : TRUTH_YES;
}

int condition_truth(Database *database, const Dependency *condition, Truth *ret)
{
    BatchSums sums;
    StoredTask task;
    int r;

    *ret = TRUTH_NO; /* what has been forgotten cannot come any more */
    if (condition->target == TARGET_BATCH) {
        r = database_batch_sums(database, condition->id, &sums);
        if (r > 0)
            *ret = batch_truth(&sums, condition->kind);
        return MIN(r, 0);
    }
    r = row_find_task(database, condition->id, &task);
    if (r == 0 && database_find_hidden(database, condition->id)) { /* of the batch that is being submitted */
        *ret = TRUTH_OPEN;
        return 0;
    }
    return r > 0 ? task_truth(database, &task, condition, ret) : r;
}
