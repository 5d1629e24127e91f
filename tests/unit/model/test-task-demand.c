/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* task-demand.c: resources, the text of each field, its bounds, and what is no such text. */
#include "model/task-demand.h"

#include <math.h>
#include <string.h>

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

/* ------------------------------------------------------------------ resources */

static void test_resources(void)
{
    static const struct {
        const char *text, *sorted; /* NULL: none such */
    } cases[] = {
        { "", "" },
        { "licence", "licence=1" },
        { "tape=2,licence=3", "licence=3,tape=2" },
        { "a.b_c-D9=4294967295", "a.b_c-D9=4294967295" },
        { "tape=0", "" },
        { "tape=0,licence=1", "licence=1" },
        { "=1", NULL },
        { "tape=", NULL },
        { "tape=-1", NULL },
        { "tape=4294967296", NULL },
        { "tape=1=2", NULL },
        { "tape=1,tape=1", NULL },
        { "tape=1,", NULL },
        { ",", NULL },
        { "a b=1", NULL },
        { "a\n=1", NULL },
        { "\xc3\xa4=1", NULL },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GArray) resources = NULL;
        g_autofree char *why = NULL;
        g_test_message("case %zu", i);
        g_assert_cmpint(resources_parse(cases[i].text, &resources, &why), ==, cases[i].sorted ? 0 : -EINVAL);
        g_assert_true((why == NULL) == (cases[i].sorted != NULL));
        g_autofree char *text = resources_format(resources);
        g_assert_cmpstr(text, ==, cases[i].sorted ? cases[i].sorted : "");
    }
}

static void test_many_resources(void)
{
    g_autoptr(GString) text = g_string_new("r0");
    g_autoptr(GArray) resources = NULL, none = NULL;
    g_autofree char *why = NULL, *name = g_strnfill(64, 'n'), *longer = g_strnfill(65, 'n');

    for (unsigned i = 1; i < RESOURCES_MAX; i++)
        g_string_append_printf(text, ",r%u=%u", i, i + 1);
    g_assert_cmpint(resources_parse(text->str, &resources, &why), ==, 0);
    g_assert_cmpuint(resources->len, ==, RESOURCES_MAX);
    g_assert_cmpuint(resources_count(resources, "r15"), ==, 16);
    g_assert_cmpuint(resources_count(resources, "r16"), ==, 0);
    g_assert_cmpuint(resources_count(NULL, "r1"), ==, 0);
    g_string_append(text, ",more");
    g_assert_cmpint(resources_parse(text->str, &none, &why), ==, -EINVAL);
    g_assert_cmpstr(why, ==, "there are more than 16 resources");
    g_clear_pointer(&why, g_free);
    g_assert_cmpint(resources_parse(longer, &none, &why), ==, -EINVAL);
    g_assert_null(none);
    g_assert_cmpint(resources_parse(name, &none, &why), ==, 0);
    g_autofree char *empty = resources_format(NULL);
    g_assert_cmpstr(empty, ==, "");
}

/* ------------------------------------------------------------------ text */

static void test_round_trip(void)
{
    static const char *const texts[] = {
        "",
        "cpu-quota=10000",
        "cpu-quota=18446744073709551614",
        "tasks-max=1",
        "io-weight=10000",
        "memory=auto",
        "retry-memory=2x",
        "retry-memory=1.5x",
        "retry-memory=4294967296,8589934592",
        "gpus=1",
        "gpus=4294967295?",
        "resources=licence=1,tape=2",
        "cpu-quota=500000 tasks-max=20 io-weight=50 memory=auto retry-memory=2x gpus=2? resources=licence=1",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        TaskDemand demand, copy;
        g_autofree char *why = NULL;
        task_demand_init(&demand);
        task_demand_init(&copy);
        g_assert_cmpint(task_demand_from_text(texts[i], &demand), ==, 0);
        g_assert_cmpint(task_demand_check(&demand, &why), ==, 0);
        g_autofree char *text = task_demand_to_text(&demand);
        g_assert_cmpstr(text, ==, texts[i]);
        g_assert_cmpint(task_demand_equal(&demand, &copy), ==, i == 0);
        task_demand_copy(&copy, &demand);
        g_assert_true(task_demand_equal(&demand, &copy));
        task_demand_done(&demand);
        g_autofree char *own = task_demand_to_text(&copy); /* the copy owns what it has */
        g_assert_cmpstr(own, ==, texts[i]);
        task_demand_copy(&copy, &copy);
        task_demand_done(&copy);
    }
}

/* Each difference counts. */
static void test_equal(void)
{
    static const char *const texts[] = {
        "",
        "cpu-quota=10000",
        "tasks-max=9",
        "io-weight=9",
        "memory=auto",
        "retry-memory=2x",
        "retry-memory=4294967296",
        "gpus=1",
        "gpus=1?",
        "resources=a=1",
        "resources=a=2",
        "resources=b=1",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
        for (size_t j = 0; j < G_N_ELEMENTS(texts); j++) {
            TaskDemand a, b;
            task_demand_init(&a);
            task_demand_init(&b);
            g_assert_cmpint(task_demand_from_text(texts[i], &a), ==, 0);
            g_assert_cmpint(task_demand_from_text(texts[j], &b), ==, 0);
            g_assert_cmpint(task_demand_equal(&a, &b), ==, i == j);
            task_demand_done(&a);
            task_demand_done(&b);
        }
}

/* The line holds the words of the policy, too, and those of newer versions. */
static void test_foreign_words(void)
{
    TaskDemand demand;

    task_demand_init(&demand);
    g_assert_cmpint(task_demand_from_text("retries=3 on=oom:fail  colour=red gpus=2 nothing", &demand), ==,
                    0);
    g_assert_cmpuint(demand.gpus, ==, 2);
    g_assert_cmpint(task_demand_from_text("resources=a=1 resources=b=2 gpus=1?", &demand), ==, 0);
    g_assert_cmpuint(resources_count(demand.resources, "a"), ==, 0);
    g_assert_cmpuint(demand.gpus, ==, 1);
    g_assert_true(demand.gpus_optional);
    task_demand_done(&demand);
    task_demand_done(&demand);
}

static void test_bad_text(void)
{
    static const char *const texts[] = {
        "cpu-quota=",
        "cpu-quota=-1",
        "cpu-quota=18446744073709551616",
        "cpu-quota=0.5",
        "tasks-max=many",
        "io-weight=10001",
        "io-weight=-5",
        "memory=2G",
        "memory=",
        "retry-memory=",
        "retry-memory=x",
        "retry-memory=1x",
        "gpus=",
        "gpus=?",
        "gpus=4294967296",
        "gpus=2!",
        "resources=a=1,a=1",
        "resources=?",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        TaskDemand demand;
        task_demand_init(&demand);
        g_test_message("%s", texts[i]);
        g_assert_cmpint(task_demand_from_text(texts[i], &demand), <, 0);
        task_demand_done(&demand);
    }
}

/* ------------------------------------------------------------------ bounds */

static void test_check(void)
{
    static const struct {
        TaskDemand demand;
        const char *why; /* NULL: good */
    } cases[] = {
        { { LIMIT_INFINITY, LIMIT_INFINITY }, NULL },
        { { LIMIT_CPU_QUOTA_MIN_USEC, 1, 1, .memory_factor = 1.001 }, NULL },
        { { LIMIT_CPU_QUOTA_MIN_USEC, 1, 10000, .memory_factor = 64 }, NULL },
        { { 9999, 1 },
          "cpu-quota is 0.9999 % of a CPU (9999 µs per second); it is at least 1 % of a CPU (10000 µs per second)" },
        { { 0, 1 },
          "cpu-quota is 0 % of a CPU (0 µs per second); it is at least 1 % of a CPU (10000 µs per second)" },
        { { LIMIT_INFINITY - 1, 1 }, NULL },
        { { LIMIT_INFINITY, 0 }, "tasks-max is 0; the task itself is one" },
        { { LIMIT_INFINITY, 1, 10001 }, "io-weight is 10001; it must lie between 1 and 10000" },
        { { LIMIT_INFINITY, 1, .memory_factor = 1 }, "retry-memory is 1x; more than 1x and at most 64x" },
        { { LIMIT_INFINITY, 1, .memory_factor = 65 }, "retry-memory is 65x; more than 1x and at most 64x" },
        { { LIMIT_INFINITY, 1, .memory_factor = -2 }, "retry-memory is -2x; more than 1x and at most 64x" },
        { { LIMIT_INFINITY, 1, .memory_factor = (double) NAN },
          "retry-memory is nanx; more than 1x and at most 64x" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *why = NULL;
        g_assert_cmpint(task_demand_check(&cases[i].demand, &why), ==, cases[i].why ? -EINVAL : 0);
        g_assert_cmpstr(why, ==, cases[i].why);
    }
}

/* More memory than before is refused where there is nothing that it could be more than. */
static void test_growth(void)
{
    static const struct {
        const char *growth;
        bool automatic;
        uint64_t limit;
        const char *why; /* NULL: good */
    } cases[] = {
        { NULL, false, LIMIT_INFINITY, NULL },
        { NULL, false, 64 * MIB, NULL },
        { "2x", false, 64 * MIB, NULL },
        { "2x", true, LIMIT_INFINITY, NULL },
        { "32M", true, LIMIT_INFINITY, NULL },
        { "32M,65M", false, 64 * MIB, NULL },
        { "2x", false, LIMIT_INFINITY, "retry-memory says how a limit of memory grows, and the task has none" },
        { "1G", false, LIMIT_INFINITY, "retry-memory says how a limit of memory grows, and the task has none" },
        { "32M,64M", false, 64 * MIB,
          "retry-memory goes up to 64.0M, no more than the task's limit of memory, which is 64.0M: it would change "
          "nothing" },
        { "32M", false, 64 * MIB,
          "retry-memory goes up to 32.0M, no more than the task's limit of memory, which is 64.0M: it would change "
          "nothing" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *why = NULL;
        TaskDemand demand;
        task_demand_init(&demand);
        demand.memory_auto = cases[i].automatic;
        if (cases[i].growth)
            g_assert_cmpint(task_demand_parse_retry_memory(cases[i].growth, &demand, &why), ==, 0);
        int r = task_demand_check_growth(&demand, cases[i].limit, &why);
        g_assert_cmpstr(why, ==, cases[i].why);
        g_assert_cmpint(r, ==, cases[i].why ? -EINVAL : 0);
        task_demand_done(&demand);
    }
}

static void test_retry_memory(void)
{
    TaskDemand demand;
    g_autofree char *why = NULL;

    task_demand_init(&demand);
    g_assert_cmpint(task_demand_parse_retry_memory("4G,8G,16G", &demand, &why), ==, 0);
    g_assert_cmpuint(demand.n_memory_steps, ==, 3);
    g_assert_cmpuint(demand.memory_steps[2], ==, 16 * GIB);
    g_assert_cmpfloat(demand.memory_factor, ==, 0);
    g_assert_cmpint(task_demand_parse_retry_memory("2.5x", &demand, &why), ==, 0);
    g_assert_cmpfloat(demand.memory_factor, ==, 2.5);
    g_assert_cmpuint(demand.n_memory_steps, ==, 0); /* one or the other */
    g_assert_cmpint(task_demand_parse_retry_memory("1G,2G,3G,4G,5G,6G,7G,8G,9G,10G,11G,12G,13G,14G,15G,16G",
                                                   &demand, &why),
                    ==, 0);
    g_assert_cmpuint(demand.n_memory_steps, ==, MEMORY_STEPS_MAX);
    g_assert_cmpfloat(demand.memory_factor, ==, 0);
    g_assert_null(why);
    task_demand_done(&demand);
}

static void test_bad_retry_memory(void)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        { "", "retry-memory is empty; a factor such as 2x or sizes such as 4G,8G" },
        { "x", "\"x\" is not a factor of more than 1x and at most 64x" },
        { "1x", "\"1x\" is not a factor of more than 1x and at most 64x" },
        { "0.5x", "\"0.5x\" is not a factor of more than 1x and at most 64x" },
        { "65x", "\"65x\" is not a factor of more than 1x and at most 64x" },
        { "nanx", "\"nanx\" is not a factor of more than 1x and at most 64x" },
        { "2xx", "\"2xx\" is not a factor of more than 1x and at most 64x" },
        { "infinity", "\"infinity\" is neither a factor such as 2x nor a size such as 4G" },
        { "4G,2x", "\"4G,2x\" is not a factor of more than 1x and at most 64x" },
        { "4G,,8G", "\"\" is neither a factor such as 2x nor a size such as 4G" },
        { "4G,4G", "\"4G\" is not more than the step before it" },
        { "8G,4G", "\"4G\" is not more than the step before it" },
        { "4G,\x1b[2J", "\"?[2J\" is neither a factor such as 2x nor a size such as 4G" },
        { "1G,2G,3G,4G,5G,6G,7G,8G,9G,10G,11G,12G,13G,14G,15G,16G,17G",
          "retry-memory has more than 16 steps" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        TaskDemand demand;
        g_autofree char *why = NULL;
        task_demand_init(&demand);
        demand.memory_factor = 3;
        g_assert_cmpint(task_demand_parse_retry_memory(cases[i].text, &demand, &why), ==, -EINVAL);
        g_assert_cmpstr(why, ==, cases[i].why);
        g_assert_cmpfloat(demand.memory_factor, ==, 3); /* untouched */
        g_assert_cmpuint(demand.n_memory_steps, ==, 0);
        task_demand_done(&demand);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/task-demand/resources", test_resources);
    g_test_add_func("/task-demand/many-resources", test_many_resources);
    g_test_add_func("/task-demand/round-trip", test_round_trip);
    g_test_add_func("/task-demand/equal", test_equal);
    g_test_add_func("/task-demand/foreign-words", test_foreign_words);
    g_test_add_func("/task-demand/bad-text", test_bad_text);
    g_test_add_func("/task-demand/check", test_check);
    g_test_add_func("/task-demand/growth", test_growth);
    g_test_add_func("/task-demand/retry-memory", test_retry_memory);
    g_test_add_func("/task-demand/bad-retry-memory", test_bad_retry_memory);
    return g_test_run();
}
