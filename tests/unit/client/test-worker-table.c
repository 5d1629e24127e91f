/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is said of a worker's state. */

#include "client/worker-table.h"

static void test_state(void)
{
    static const struct {
        WorkerState state;
        bool frozen, stalled;
        const char *text;
    } cases[] = {
        { WORKER_RUNNING, false, false, "running" },
        { WORKER_RUNNING, true, false, "frozen" },
        { WORKER_RUNNING, false, true, "stalled" },
        { WORKER_RUNNING, true, true, "frozen, stalled" },
        { WORKER_DRAINING, false, false, "draining" },
        { WORKER_DRAINING, true, false, "draining, frozen" },
        { WORKER_DRAINING, false, true, "draining, stalled" },
        { WORKER_DRAINING, true, true, "draining, frozen, stalled" },
        { WORKER_FAILED, false, false, "failed" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const WorkerInfo worker = { .state_word = (char *) worker_state_to_string(cases[i].state),
                                    .state = cases[i].state,
                                    .frozen = cases[i].frozen,
                                    .stalled = cases[i].stalled };
        g_autofree char *text = worker_table_state(&worker);
        g_assert_cmpstr(text, ==, cases[i].text);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/worker-table/state", test_state);
    return g_test_run();
}
