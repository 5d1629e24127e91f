/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waiting for many tasks, of which some have ended before. */

#include "client/waiting.h"

#include "client/task-list.h"
#include "tests/unit/client/fake-manager.h"

static void add_row(GPtrArray *rows, uint64_t id, TaskState state, int exit_status)
{
    TaskInfo *info = task_info_new();

    info->id = id;
    info->batch = 1;
    info->state = state;
    info->outcome = task_state_is_end(state) ? OUTCOME_EXITED : OUTCOME_NONE;
    info->exit_status = exit_status;
    g_ptr_array_add(rows, info);
}

static void tell_ends(FakeManager *fake, const char *method)
{
    if (g_strcmp0(method, "Subscribe") != 0)
        return;
    fake_manager_task_changed(fake, 4, 1, TASK_FAILED, 4);
    fake_manager_task_changed(fake, 3, 1, TASK_FAILED, 3);
}

/* The first row has ended: nothing may end the wait before the others have, too. The code is that of the lowest id. */
static void test_ended_before(void)
{
    Client client = { .quiet = true };
    FakeManager *fake = fake_manager_new(&client, tell_ends);
    g_autoptr(GPtrArray) rows = task_rows_new();
    g_autoptr(Waiting) waiting = NULL;

    g_assert_cmpint(waiting_new(&client, PROGRESS_OFF, &waiting), ==, 0);
    add_row(rows, 1, TASK_SUCCEEDED, 0);
    add_row(rows, 3, TASK_RUNNING, 0);
    add_row(rows, 4, TASK_QUEUED, 0);
    add_row(rows, 9, TASK_FAILED, 9);
    waiting_add_rows(waiting, rows);
    g_assert_cmpuint(waiting_unfinished(waiting), ==, 2);
    g_assert_cmpint(waiting_run(waiting), ==, 3);
    waiting = waiting_free(waiting);
    fake_manager_free(fake, &client);
}

static void test_all_ended_before(void)
{
    Client client = { .quiet = true };
    FakeManager *fake = fake_manager_new(&client, NULL);
    g_autoptr(GPtrArray) rows = task_rows_new();
    g_autoptr(Waiting) waiting = NULL;

    g_assert_cmpint(waiting_new(&client, PROGRESS_OFF, &waiting), ==, 0);
    add_row(rows, 1, TASK_SUCCEEDED, 0);
    add_row(rows, 2, TASK_CANCELLED, 0);
    waiting_add_rows(waiting, rows);
    g_assert_cmpint(waiting_run(waiting), ==, 1);
    waiting = waiting_free(waiting);
    fake_manager_free(fake, &client);
}

static void test_nothing(void)
{
    Client client = { .quiet = true };
    FakeManager *fake = fake_manager_new(&client, NULL);
    g_autoptr(Waiting) waiting = NULL;

    g_assert_cmpint(waiting_new(&client, PROGRESS_OFF, &waiting), ==, 0);
    g_assert_cmpint(waiting_run(waiting), ==, 0);
    waiting = waiting_free(waiting);
    fake_manager_free(fake, &client);
}

static void tell_unstarted(FakeManager *fake, const char *method)
{
    if (g_strcmp0(method, "Subscribe") != 0)
        return;
    fake->note = "cannot execute \"/no/such\": No such file or directory";
    fake_manager_task_unstarted(fake, 3, 1);
}

/* The change does not tell what could not be started; it is asked for, once, and said. */
static void test_unstarted(void)
{
    if (g_test_subprocess()) {
        Client client = {};
        FakeManager *fake = fake_manager_new(&client, tell_unstarted);
        g_autoptr(GPtrArray) rows = task_rows_new();
        g_autoptr(Waiting) waiting = NULL;

        g_assert_cmpint(waiting_new(&client, PROGRESS_OFF, &waiting), ==, 0);
        add_row(rows, 3, TASK_RUNNING, 0);
        waiting_add_rows(waiting, rows);
        g_assert_cmpint(waiting_run(waiting), ==, 127);
        g_assert_cmpuint(fake->lists, ==, 1);
        waiting = waiting_free(waiting);
        fake_manager_free(fake, &client);
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_passed();
    g_test_trap_assert_stderr("*task 3: could not be started: cannot execute \"/no/such\": No such file*");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/waiting/ended-before", test_ended_before);
    g_test_add_func("/waiting/all-ended-before", test_all_ended_before);
    g_test_add_func("/waiting/nothing", test_nothing);
    g_test_add_func("/waiting/unstarted", test_unstarted);
    return g_test_run();
}
