/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rows of tasks, and the exit codes that stand for their ends. */

#include "client/task-info.h"

#include <errno.h>

#include "tests/unit/client/fake-manager.h"

static void test_exit_codes(void)
{
    static const struct {
        TaskInfo info;
        int code;
    } cases[] = {
        { { .state = TASK_SUCCEEDED, .outcome = OUTCOME_EXITED }, 0 },
        { { .state = TASK_FAILED, .outcome = OUTCOME_EXITED, .exit_status = 42 }, 42 },
        { { .state = TASK_FAILED, .outcome = OUTCOME_EXITED, .exit_status = 255 }, 255 },
        { { .state = TASK_FAILED, .outcome = OUTCOME_EXITED, .exit_status = 0 }, 1 },
        { { .state = TASK_FAILED, .outcome = OUTCOME_EXITED, .exit_status = 256 }, 1 },
        { { .state = TASK_FAILED, .outcome = OUTCOME_SIGNALLED, .signal = 15 }, 143 },
        { { .state = TASK_FAILED, .outcome = OUTCOME_SIGNALLED, .signal = 9 }, 137 },
        { { .state = TASK_FAILED, .outcome = OUTCOME_OOM, .signal = 9 }, 137 },
        { { .state = TASK_FAILED, .outcome = OUTCOME_TIMEOUT }, 124 },
        { { .state = TASK_FAILED, .outcome = OUTCOME_SPAWN_FAILED, .error = ENOENT }, 127 },
        { { .state = TASK_FAILED, .outcome = OUTCOME_SPAWN_FAILED, .error = EACCES }, 126 },
        { { .state = TASK_FAILED, .outcome = OUTCOME_LOST }, 1 },
        { { .state = TASK_FAILED, .outcome = OUTCOME_ABORTED }, 1 },
        { { .state = TASK_FAILED, .outcome = OUTCOME_NONE }, 1 },
        { { .state = TASK_CANCELLED, .outcome = OUTCOME_SIGNALLED, .signal = 9 }, 1 },
        { { .state = TASK_SKIPPED }, 1 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        g_assert_cmpint(task_info_exit_code(&cases[i].info), ==, cases[i].code);
}

static sd_bus_message *row(sd_bus *bus, const char *state)
{
    sd_bus_message *m = NULL;

    g_assert_cmpint(sd_bus_message_new_signal(bus, &m, "/x", "x.y", "Z"), >=, 0);
    g_assert_cmpint(sd_bus_message_append(m, "a{sv}", 8, "id", "t", UINT64_C(17), "state", "s", state, "name",
                                          "s", "n", "argv", "aay", 2, 2, 'l', 's', 1, 0xff, "later-invented",
                                          "(ss)", "a", "b", "exit-status", "s", "of another type", "tags",
                                          "as", 2, "a", "b", "outcome", "s", "from-the-future"),
                    >=, 0);
    message_seal(m);
    return m;
}

static void test_read(void)
{
    sd_bus *bus = message_bus_new();
    g_autoptr(sd_bus_message) good = row(bus, "failed"), odd = row(bus, "levitating");
    g_auto(TaskInfo) info, other;

    task_info_init(&info);
    task_info_init(&other);
    g_assert_cmpint(task_info_read(good, &info), ==, 0);
    g_assert_cmpuint(info.id, ==, 17);
    g_assert_cmpint(info.state, ==, TASK_FAILED);
    g_assert_cmpint(info.outcome, ==, OUTCOME_NONE);
    g_assert_cmpstr(info.name, ==, "n");
    g_assert_cmpstr(info.argv[0], ==, "ls");
    g_assert_cmpstr(info.argv[1], ==, "\xff");
    g_assert_null(info.argv[2]);
    g_assert_cmpuint(g_strv_length(info.tags), ==, 2);
    g_assert_cmpint(info.exit_status, ==, 0); /* wrong type: passed over */
    g_assert_cmpuint(info.array_index, ==, UINT64_MAX);
    g_assert_cmpint(task_info_read(odd, &other), ==, -EBADMSG);
    sd_bus_close_unref(bus);
}

static void test_batch_result(void)
{
    sd_bus *bus = message_bus_new();
    g_autoptr(sd_bus_message) m = NULL;
    BatchResult result = {};

    g_assert_cmpint(sd_bus_message_new_signal(bus, &m, "/x", "x.y", "Z"), >=, 0);
    g_assert_cmpint(sd_bus_message_append(m, "a{sv}", 5, "count", "t", UINT64_C(1), "failed", "t",
                                          UINT64_C(1), "task", "t", UINT64_C(9), "outcome", "s", "signalled",
                                          "signal", "i", 11),
                    >=, 0);
    message_seal(m);
    g_assert_cmpint(batch_result_read(m, &result), ==, 0);
    g_assert_cmpuint(result.single.id, ==, 9);
    g_assert_cmpint(task_info_exit_code(&result.single), ==, 139);
    g_autofree char *how = task_info_describe_end(&result.single);
    g_assert_cmpstr(how, ==, "killed by signal 11 (SEGV)");
    batch_result_done(&result);
    sd_bus_close_unref(bus);
}

static void test_state(void)
{
    const TaskInfo running = { .state = TASK_RUNNING, .state_word = (char *) "running" },
                   frozen = { .state = TASK_RUNNING, .state_word = (char *) "running", .frozen = true };
    g_autofree char *one = task_info_state(&running), *two = task_info_state(&frozen);
    sd_bus *bus = message_bus_new();
    g_autoptr(sd_bus_message) m = NULL;
    g_auto(TaskInfo) info;

    g_assert_cmpstr(one, ==, "running");
    g_assert_cmpstr(two, ==, "running, frozen");
    g_assert_cmpint(sd_bus_message_new_signal(bus, &m, "/x", "x.y", "Z"), >=, 0);
    g_assert_cmpint(sd_bus_message_append(m, "a{sv}", 2, "state", "s", "running", "frozen", "b", 1), >=, 0);
    message_seal(m);
    task_info_init(&info);
    g_assert_cmpint(task_info_read(m, &info), ==, 0);
    g_assert_true(info.frozen);
    sd_bus_close_unref(bus);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/task-info/exit-codes", test_exit_codes);
    g_test_add_func("/task-info/read", test_read);
    g_test_add_func("/task-info/batch-result", test_batch_result);
    g_test_add_func("/task-info/state", test_state);
    return g_test_run();
}
