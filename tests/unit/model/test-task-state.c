/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* task-state.c: the whole matrix of transitions, the words, and the numbers, which are the store's. */
#include "model/task-state.h"

static const char *const state_words[_TASK_STATE_MAX] = {
    "held", "blocked", "queued", "running", "waiting", "succeeded", "failed", "cancelled", "skipped",
};
static const char *const outcome_words[_OUTCOME_MAX] = {
    "", "exited", "signalled", "timeout", "oom", "aborted", "lost", "spawn-failed",
};

/* By number: a database of an older version holds these. */
static void test_words(void)
{
    for (int state = 0; state < _TASK_STATE_MAX; state++) {
        g_assert_cmpstr(task_state_to_string((TaskState) state), ==, state_words[state]);
        g_assert_cmpint(task_state_from_string(state_words[state]), ==, state);
    }
    for (int outcome = 0; outcome < _OUTCOME_MAX; outcome++) {
        g_assert_cmpstr(outcome_to_string((Outcome) outcome), ==, outcome_words[outcome]);
        g_assert_cmpint(outcome_from_string(outcome_words[outcome]), ==, outcome);
    }
    g_assert_null(task_state_to_string(_TASK_STATE_MAX));
    g_assert_null(outcome_to_string(_OUTCOME_MAX));
    g_assert_cmpint(task_state_from_string(""), ==, -EINVAL);
    g_assert_cmpint(outcome_from_string("spawn_failed"), ==, -EINVAL);
}

static void test_matrix(void)
{
    static const char matrix[_TASK_STATE_MAX][_TASK_STATE_MAX + 1] = {
        /*               hbqrwsfck: held, blocked, queued, running, waiting, succeeded, failed, cancelled, skipped */
        [TASK_HELD] = ".xx....xx",
        [TASK_BLOCKED] = "x.x....xx",
        [TASK_QUEUED] = "xx.xxxxxx",
        [TASK_RUNNING] = "x.x.xxxx.",
        [TASK_WAITING] = "x.x....x.",
        [TASK_SUCCEEDED] = ".........",
        [TASK_FAILED] = ".xx......",
        [TASK_CANCELLED] = ".xx......",
        [TASK_SKIPPED] = ".xx......",
    };

    for (int from = 0; from < _TASK_STATE_MAX; from++)
        for (int to = 0; to < _TASK_STATE_MAX; to++)
            if (task_state_may_follow((TaskState) from, (TaskState) to) != (matrix[from][to] == 'x'))
                g_error("%s after %s", state_words[to], state_words[from]);
}

static void test_ends(void)
{
    for (int state = 0; state < _TASK_STATE_MAX; state++)
        g_assert_cmpint(task_state_is_end((TaskState) state), ==, state >= TASK_SUCCEEDED);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/task-state/words", test_words);
    g_test_add_func("/task-state/matrix", test_matrix);
    g_test_add_func("/task-state/ends", test_ends);
    return g_test_run();
}
