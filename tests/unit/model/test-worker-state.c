/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* worker-state.c: the whole matrix of transitions, and the words. */
#include "model/worker-state.h"

static const char *const words[_WORKER_STATE_MAX] = { "starting", "running", "draining", "dead", "failed" };

static void test_words(void)
{
    for (int state = 0; state < _WORKER_STATE_MAX; state++) {
        g_assert_cmpstr(worker_state_to_string((WorkerState) state), ==, words[state]);
        g_assert_cmpint(worker_state_from_string(words[state]), ==, state);
    }
    g_assert_null(worker_state_to_string(_WORKER_STATE_MAX));
    g_assert_cmpint(worker_state_from_string("Running"), ==, -EINVAL);
}

static void test_matrix(void)
{
    static const char matrix[_WORKER_STATE_MAX][_WORKER_STATE_MAX + 1] = {
        /*              srddf: starting, running, draining, dead, failed */
        [WORKER_STARTING] = ".xxxx",
        [WORKER_RUNNING] = "..xxx",
        [WORKER_DRAINING] = "...xx",
        [WORKER_DEAD] = ".....",
        [WORKER_FAILED] = ".....",
    };

    for (int from = 0; from < _WORKER_STATE_MAX; from++)
        for (int to = 0; to < _WORKER_STATE_MAX; to++)
            if (worker_state_may_follow((WorkerState) from, (WorkerState) to) != (matrix[from][to] == 'x'))
                g_error("%s after %s", words[to], words[from]);
}

static void test_live(void)
{
    for (int state = 0; state < _WORKER_STATE_MAX; state++)
        g_assert_cmpint(worker_state_is_live((WorkerState) state), ==, state <= WORKER_DRAINING);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/worker-state/words", test_words);
    g_test_add_func("/worker-state/matrix", test_matrix);
    g_test_add_func("/worker-state/live", test_live);
    return g_test_run();
}
