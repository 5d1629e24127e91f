/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* limits.c: the bounds of every limit, and what is said about those who leave them. */
#include "model/limits.h"

#include <stddef.h>
#include <string.h>

typedef struct Bound {
    const char *option;
    size_t offset;
    uint64_t good[6], bad[6]; /* closed by END */
} Bound;

#define END UINT64_C(0xe0de0de0de)

static const Bound bounds[] = {
    { "memory-max", offsetof(WorkerLimits, memory_max_bytes),
      { 8 << 20, UINT64_C(2) << 30, UINT64_C(1) << 62, UINT64_MAX, END },
      { 0, 1, (8 << 20) - 1, (UINT64_C(1) << 62) + 1, UINT64_MAX - 1, END } },
    { "memory-high", offsetof(WorkerLimits, memory_high_bytes),
      { 8 << 20, UINT64_C(1) << 62, UINT64_MAX, END },
      { 0, 1, (8 << 20) - 1, (UINT64_C(1) << 62) + 1, UINT64_MAX - 1, END } },
    { "cpu-quota", offsetof(WorkerLimits, cpu_quota_usec_per_sec),
      { 10000, 1000000, UINT64_C(8192) * 1000000, UINT64_MAX, END },
      { 0, 1, 9999, UINT64_C(8192) * 1000000 + 1, UINT64_MAX - 1, END } },
    { "cpu-weight", offsetof(WorkerLimits, cpu_weight),
      { 0, 1, 100, 10000, END },
      { 10001, UINT64_MAX - 1, UINT64_MAX, END } },
    { "tasks-max", offsetof(WorkerLimits, tasks_max),
      { 4, 4194304, UINT64_MAX, END },
      { 0, 1, 3, 4194305, UINT64_MAX - 1, END } },
    { "io-weight", offsetof(WorkerLimits, io_weight),
      { 0, 1, 100, 10000, END },
      { 10001, UINT64_MAX, END } },
};

static int check(const Bound *bound, uint64_t value, char **ret_why)
{
    WorkerLimits limits;

    worker_limits_init(&limits);
    *(uint64_t *) ((char *) &limits + bound->offset) = value;
    return worker_limits_check(&limits, ret_why);
}

static void test_bounds(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(bounds); i++) {
        for (const uint64_t *value = bounds[i].good; *value != END; value++) {
            g_autofree char *why = NULL;
            g_assert_cmpint(check(&bounds[i], *value, &why), ==, 0);
            g_assert_null(why);
        }
        for (const uint64_t *value = bounds[i].bad; *value != END; value++) {
            g_autofree char *why = NULL, *number = g_strdup_printf("%" G_GUINT64_FORMAT, *value);
            g_assert_cmpint(check(&bounds[i], *value, &why), ==, -EINVAL);
            g_assert_true(g_str_has_prefix(why, bounds[i].option)); /* which limit, what it was, what it may be */
            g_assert_nonnull(strstr(why, number));
        }
    }
}

/* In the units that people write, and with the number as it came. */
static void test_sentences(void)
{
    static const struct {
        size_t offset;
        uint64_t value;
        const char *why;
    } cases[] = {
        { offsetof(WorkerLimits, memory_max_bytes), 1 << 20,
          "memory-max is 1.0M (1048576 bytes); a worker takes at least 8.0M (8388608 bytes), or 2^64-1 for no limit" },
        { offsetof(WorkerLimits, memory_high_bytes), 1,
          "memory-high is 1B; a worker takes at least 8.0M (8388608 bytes), or 2^64-1 for no limit" },
        { offsetof(WorkerLimits, memory_max_bytes), UINT64_C(1) << 63,
          "memory-max is 8.0E (9223372036854775808 bytes), more than any machine has; a worker without a limit has "
          "2^64-1" },
        { offsetof(WorkerLimits, cpu_quota_usec_per_sec), 5000,
          "cpu-quota is 0.5 % of a CPU (5000 µs per second); it is at least 1 % of a CPU (10000 µs per second)" },
        { offsetof(WorkerLimits, cpu_quota_usec_per_sec), UINT64_C(9000000000),
          "cpu-quota is 9000 CPUs (9000000000 µs per second); it is at most 8192 CPUs (8192000000 µs per second)" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Bound bound = { .offset = cases[i].offset };
        g_autofree char *why = NULL;
        g_assert_cmpint(check(&bound, cases[i].value, &why), ==, -EINVAL);
        g_assert_cmpstr(why, ==, cases[i].why);
    }
}

static void test_allowed_cpus(void)
{
    static const struct { const char *cpus; const char *why; } cases[] = {
        { NULL, NULL }, { "0-3,8", NULL },
        { "", "allowed-cpus is \"\"; expected a list such as \"0-3,8\"" },
        { "0-", "allowed-cpus is \"0-\"; expected a list such as \"0-3,8\"" },
        { "\xff", "allowed-cpus is \"\xef\xbf\xbd\"; expected a list such as \"0-3,8\"" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        WorkerLimits limits;
        g_autofree char *why = NULL;
        worker_limits_init(&limits);
        limits.allowed_cpus = g_strdup(cases[i].cpus);
        g_assert_cmpint(worker_limits_check(&limits, &why), ==, cases[i].why ? -EINVAL : 0);
        g_assert_cmpstr(why, ==, cases[i].why);
        worker_limits_done(&limits);
    }
}

static void test_memory_nodes(void)
{
    WorkerLimits limits;
    g_autofree char *why = NULL;

    worker_limits_init(&limits);
    limits.allowed_memory_nodes = g_strdup("0-1");
    g_assert_cmpint(worker_limits_check(&limits, &why), ==, 0);
    g_free(limits.allowed_memory_nodes);
    limits.allowed_memory_nodes = g_strdup("all");
    g_assert_cmpint(worker_limits_check(&limits, &why), ==, -EINVAL);
    g_assert_cmpstr(why, ==, "the memory nodes are \"all\"; expected a list such as \"0-1\"");
    worker_limits_done(&limits);
}

/* What a stranger sent is shown, but not all of it. */
static void test_long_cpus(void)
{
    WorkerLimits limits;
    g_autofree char *why = NULL;

    worker_limits_init(&limits);
    limits.allowed_cpus = g_strnfill(1 << 20, 'x');
    g_assert_cmpint(worker_limits_check(&limits, &why), ==, -EINVAL);
    g_assert_cmpuint(strlen(why), <, 200);
    worker_limits_done(&limits);
}

static void test_copy(void)
{
    WorkerLimits from = { 1, 2, 3, 4, 5, g_strdup("0-3") }, to;

    worker_limits_init(&to);
    worker_limits_copy(&to, &from);
    worker_limits_done(&from);
    worker_limits_copy(&to, &to); /* into itself */
    g_assert_cmpstr(to.allowed_cpus, ==, "0-3");
    g_assert_cmpuint(to.memory_max_bytes, ==, 1);
    g_assert_cmpuint(to.memory_high_bytes, ==, 2);
    g_assert_cmpuint(to.cpu_quota_usec_per_sec, ==, 3);
    g_assert_cmpuint(to.cpu_weight, ==, 4);
    g_assert_cmpuint(to.tasks_max, ==, 5);
    worker_limits_done(&to);
    g_assert_null(to.allowed_cpus);
    worker_limits_done(&to); /* twice does no harm */
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/limits/bounds", test_bounds);
    g_test_add_func("/limits/sentences", test_sentences);
    g_test_add_func("/limits/allowed-cpus", test_allowed_cpus);
    g_test_add_func("/limits/memory-nodes", test_memory_nodes);
    g_test_add_func("/limits/long-cpus", test_long_cpus);
    g_test_add_func("/limits/copy", test_copy);
    return g_test_run();
}
