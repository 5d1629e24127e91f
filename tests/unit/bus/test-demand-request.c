/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a task says it takes of its worker, and new limits of tasks: read, shared, refused. */
#include <string.h>

#include "bus/demand-request.h"
#include "request-fixture.h"

static void test_all(void)
{
    g_autoptr(Submission) submission =
        submission_of("'cpu-quota': <uint64 500000>, 'tasks-max': <uint64 50>,"
                      "'io-weight': <uint64 200>, 'memory-auto': <true>, 'retry-memory': <'2x'>,"
                      "'gpus': <uint32 2>, 'gpus-optional': <true>, 'resources': <'tape=2,licence'>");
    const TaskDemand *demand = &submission_task(submission, 0)->context->demand;

    g_assert_cmpuint(demand->cpu_quota_usec_per_sec, ==, 500000);
    g_assert_cmpuint(demand->tasks_max, ==, 50);
    g_assert_cmpuint(demand->io_weight, ==, 200);
    g_assert_true(demand->memory_auto);
    g_assert_cmpfloat(demand->memory_factor, ==, 2);
    g_assert_cmpuint(demand->gpus, ==, 2);
    g_assert_true(demand->gpus_optional);
    g_assert_cmpuint(resources_count(demand->resources, "tape"), ==, 2);
    g_assert_cmpuint(resources_count(demand->resources, "licence"), ==, 1);
}

static void test_nothing(void)
{
    g_autoptr(Submission) submission = submission_of("'resources': <''>");
    g_autofree char *text = task_demand_to_text(&submission_task(submission, 0)->context->demand);

    g_assert_cmpstr(text, ==, "");
}

/* What is shared is sent once; what a task says itself goes before it, and is nobody else's. */
static void test_defaults(void)
{
    g_autoptr(Submission) submission = submission_read(
        NULL,
        "{'argv': <[b'a']>}, {'argv': <[b'b']>, 'resources': <'tape=1'>}, {'argv': <[b'c']>, 'gpus': <uint32 1>}",
        "'defaults': <{'resources': <'licence=1'>, 'memory-max': <uint64 67108864>, 'retry-memory': <'1G,2G'>}>");
    const TaskDemand *first = &submission_task(submission, 0)->context->demand,
                     *second = &submission_task(submission, 1)->context->demand,
                     *third = &submission_task(submission, 2)->context->demand;

    g_assert_cmpuint(resources_count(first->resources, "licence"), ==, 1);
    g_assert_cmpuint(resources_count(second->resources, "licence"), ==, 0);
    g_assert_cmpuint(resources_count(second->resources, "tape"), ==, 1);
    g_assert_cmpuint(second->n_memory_steps, ==, 2);
    g_assert_cmpuint(resources_count(third->resources, "licence"), ==, 1);
    g_assert_cmpuint(first->gpus, ==, 0);
    g_assert_cmpuint(third->gpus, ==, 1);
}

/* One of the two; what a task says goes before what all of them say. */
static void test_memory(void)
{
    g_autoptr(Submission) of_auto = submission_read(
        NULL, "{'argv': <[b'a']>}, {'argv': <[b'b']>, 'memory-max': <uint64 67108864>}",
        "'defaults': <{'memory-auto': <true>}>");
    g_autoptr(Submission) of_max = submission_read(
        NULL, "{'argv': <[b'a']>, 'memory-auto': <false>}, {'argv': <[b'b']>, 'memory-auto': <true>}",
        "'defaults': <{'memory-max': <uint64 67108864>}>");
    static const struct {
        bool automatic;
        uint64_t max_bytes;
    } expected[] = { { true, LIMIT_INFINITY }, { false, 64 << 20 }, { false, 64 << 20 }, { true, LIMIT_INFINITY } };

    for (guint i = 0; i < G_N_ELEMENTS(expected); i++) {
        const TaskContext *context = submission_task(i < 2 ? of_auto : of_max, i % 2)->context;
        g_assert_cmpint(context->demand.memory_auto, ==, expected[i].automatic);
        g_assert_cmpuint(context->memory_max_bytes, ==, expected[i].max_bytes);
    }
    task_refused("'memory-auto': <true>, 'memory-max': <uint64 2147483648>", "InvalidArgument",
                 "memory-max is 2.0G, and memory-auto would find it out: a task takes one of them.");
    submission_refused("{'argv': <[b'x']>}", "'defaults': <{'memory-max': <uint64 67108864>, 'memory-auto': <true>}>",
                       "InvalidArgument", "memory-max is 64.0M, and memory-auto");
}

static void test_refused(void)
{
    task_refused("'cpu-quota': <uint64 9999>", "InvalidArgument",
                 "Task 1: cpu-quota is 0.9999 % of a CPU (9999 µs per second); it is at least 1 % of a CPU");
    task_refused("'cpu-quota': <uint64 20000>, 'cpu-quota': <uint64 30000>", "InvalidArgument",
                 "cpu-quota stands twice.");
    task_refused("'tasks-max': <uint64 0>", "InvalidArgument", "tasks-max is 0");
    task_refused("'io-weight': <uint64 0>", "InvalidArgument", "io-weight is 0");
    task_refused("'io-weight': <uint64 4294967297>", "InvalidArgument", "io-weight is 4294967297");
    task_refused("'retry-memory': <'0.5x'>", "InvalidArgument", "retry-memory");
    task_refused("'retry-memory': <'2G,1G'>", "InvalidArgument", "not more than the step before");
    task_refused("'retry-memory': <'1M,1G'>", "InvalidArgument",
                 "The first step of retry-memory is 1.0M (1048576 bytes); a task has a limit of at least 8.0M "
                 "(8388608 bytes)");
    task_refused("'memory-max': <uint64 4096>", "InvalidArgument",
                 "memory-max is 4.0K (4096 bytes); a task has a limit of at least 8.0M (8388608 bytes)");
    task_refused("'resources': <'a b=1'>", "InvalidArgument", "resources: ");
    task_refused("'resources': <'a=1,a=1'>", "InvalidArgument", "comes twice");
    task_refused("'memory-auto': <'yes'>", "InvalidArgument", "takes the type");
}

/* What others are said of how their limit grows, is not for a task that says it has none, or has more. */
static void test_growth(void)
{
    static const char tasks[] = "{'argv': <[b'a']>}, {'argv': <[b'b']>, 'memory-max': <uint64 18446744073709551615>},"
                                "{'argv': <[b'c']>, 'memory-max': <uint64 4294967296>}";
    g_autoptr(Submission) submission = submission_read(
        NULL, tasks, "'defaults': <{'memory-max': <uint64 67108864>, 'retry-memory': <'1G,2G'>}>");
    const uint32_t steps[] = { 2, 0, 0 };

    for (guint i = 0; i < G_N_ELEMENTS(steps); i++)
        g_assert_cmpuint(submission_task(submission, i)->context->demand.n_memory_steps, ==, steps[i]);
    task_refused("'retry-memory': <'2x'>", "InvalidArgument",
                 "Task 1: retry-memory says how a limit of memory grows, and the task has none.");
    task_refused("'memory-max': <uint64 67108864>, 'retry-memory': <'32M'>", "InvalidArgument",
                 "Task 1: retry-memory goes up to 32.0M, no more than the task's limit");
    submission_refused("{'argv': <[b'x']>}", "'defaults': <{'retry-memory': <'2x'>}>", "InvalidArgument",
                       "and the task has none");
    submission_refused("{'argv': <[b'x']>, 'retry-memory': <'2G'>}", "'defaults': <{'memory-max': <uint64 4294967296>}>",
                       "InvalidArgument", "goes up to 2.0G");
}

/* ---- limits of tasks that there are */

static int read_limits(const char *limits, TaskLimits *ret, sd_bus_error *error)
{
    g_autofree char *arguments = g_strdup_printf("(@a{sv} {%s},)", limits);
    g_autoptr(sd_bus_message) m = message_new(arguments);

    return demand_request_read_limits(m, ret, error);
}

static void test_limits(void)
{
    g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
    TaskLimits limits;

    g_assert_cmpint(
        read_limits("'memory-max': <uint64 18446744073709551615>, 'io-weight': <uint64 7>", &limits, &error),
        >=, 0);
    g_assert_true(limits.set_memory && limits.set_io && !limits.set_cpu && !limits.set_tasks);
    g_assert_cmpuint(limits.memory_max_bytes, ==, LIMIT_INFINITY);
    g_assert_cmpuint(limits.io_weight, ==, 7);
}

static void test_limits_refused(void)
{
    static const struct {
        const char *limits, *name, *snippet;
    } cases[] = {
        { "", "InvalidArgument",
          "Nothing is to be changed; known are: memory-max, cpu-quota, tasks-max, io-weight." },
        { "'memory-max': <uint64 1>", "InvalidArgument",
          "memory-max is 1B; a task has a limit of at least 8.0M (8388608 bytes), or of 2^64-1 for none." },
        { "'memory-max': <uint64 9223372036854775808>", "InvalidArgument",
          "memory-max is 8.0E (9223372036854775808 bytes), more than any machine has" },
        { "'cpu-quota': <uint64 1>", "InvalidArgument", "cpu-quota is 0.0001 % of a CPU (1 µs per second)" },
        { "'memory-max': <uint64 67108864>, 'io-weight': <uint64 7>, 'memory-max': <uint64 67108864>",
          "InvalidArgument", "memory-max stands twice." },
        { "'tasks-max': <uint64 0>", "InvalidArgument", "tasks-max" },
        { "'io-weight': <uint64 10001>", "InvalidArgument", "io-weight is 10001" },
        { "'gpus': <uint32 1>", "UnknownOption", "io-weight" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *name = g_strconcat("org.parexec.Error.", cases[i].name, NULL);
        g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
        TaskLimits limits = { .task = 7 };
        g_assert_cmpint(read_limits(cases[i].limits, &limits, &error), <, 0);
        g_assert_cmpstr(error.name, ==, name);
        g_assert_nonnull(strstr(error.message, cases[i].snippet));
        g_assert_cmpuint(limits.task, ==, 7);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/demand-request/all", test_all);
    g_test_add_func("/demand-request/nothing", test_nothing);
    g_test_add_func("/demand-request/defaults", test_defaults);
    g_test_add_func("/demand-request/memory", test_memory);
    g_test_add_func("/demand-request/refused", test_refused);
    g_test_add_func("/demand-request/growth", test_growth);
    g_test_add_func("/demand-request/limits", test_limits);
    g_test_add_func("/demand-request/limits-refused", test_limits_refused);
    return g_test_run();
}
