/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How long tasks may still take. */

#include "client/time-left.h"

#include "client/class-statistics.h"
#include "client/task-list.h"

#define NOW (UINT64_C(1000) * USEC_PER_SEC)

static void add_class(GPtrArray *statistics, const char *class, uint32_t owner, uint64_t seconds)
{
    ClassStatistics *row = g_new0(ClassStatistics, 1);

    row->class = g_strdup(class);
    row->owner = owner;
    row->time_median_usec = seconds * USEC_PER_SEC;
    g_ptr_array_add(statistics, row);
}

static TaskInfo *add_task(GPtrArray *rows, TaskState state, const char *name, const char *program)
{
    TaskInfo *task = task_info_new();

    task->state = state;
    task->owner = 7;
    task->name = g_strdup(name);
    task->argv = g_new0(char *, 2);
    task->argv[0] = g_strdup(program);
    g_ptr_array_add(rows, task);
    return task;
}

static uint64_t left(const GPtrArray *rows, const GPtrArray *statistics, uint64_t slots)
{
    uint64_t usec = time_left_usec(rows, statistics, slots, NOW);

    return usec == UINT64_MAX ? usec : usec / USEC_PER_SEC;
}

static GPtrArray *usual_statistics(void)
{
    GPtrArray *statistics = class_statistics_new();

    add_class(statistics, "sim", 8, 1000); /* another user's */
    add_class(statistics, "sim", 7, 60);
    add_class(statistics, "sum", 7, 20);
    return statistics;
}

static void test_shared(void)
{
    g_autoptr(GPtrArray) rows = task_rows_new(), statistics = usual_statistics();

    for (int i = 0; i < 10; i++)
        (void) add_task(rows, TASK_QUEUED, NULL, "/opt/bin/sim");
    g_assert_cmpuint(left(rows, statistics, 1), ==, 600);
    g_assert_cmpuint(left(rows, statistics, 4), ==, 150);
    g_assert_cmpuint(left(rows, statistics, 100), ==, 60); /* no sooner than one of them takes */
    g_assert_cmpuint(left(rows, statistics, 0), ==, UINT64_MAX);
}

static void test_states(void)
{
    g_autoptr(GPtrArray) rows = task_rows_new(), statistics = usual_statistics();

    (void) add_task(rows, TASK_SUCCEEDED, "sim", "x");
    (void) add_task(rows, TASK_HELD, "sim", "x");
    g_assert_cmpuint(left(rows, statistics, 1), ==, UINT64_MAX);
    add_task(rows, TASK_RUNNING, "sim", "x")->started_usec = NOW - 50 * USEC_PER_SEC;
    g_assert_cmpuint(left(rows, statistics, 1), ==, 10);
    add_task(rows, TASK_RUNNING, "sim", "x")->started_usec = NOW - 500 * USEC_PER_SEC; /* overdue */
    g_assert_cmpuint(left(rows, statistics, 1), ==, 10);
    (void) add_task(rows, TASK_BLOCKED, "sum", "sim"); /* the name counts */
    g_assert_cmpuint(left(rows, statistics, 1), ==, 30);
}

static void test_unknown(void)
{
    g_autoptr(GPtrArray) rows = task_rows_new(), statistics = usual_statistics();

    (void) add_task(rows, TASK_QUEUED, NULL, "new");
    g_assert_cmpuint(left(rows, statistics, 1), ==, UINT64_MAX);
    (void) add_task(rows, TASK_QUEUED, "sum", "x");
    g_assert_cmpuint(left(rows, statistics, 1), ==, 40); /* as long as the other */
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/time-left/shared", test_shared);
    g_test_add_func("/time-left/states", test_states);
    g_test_add_func("/time-left/unknown", test_unknown);
    return g_test_run();
}
