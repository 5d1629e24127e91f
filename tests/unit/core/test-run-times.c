/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run-times.c: the median of the latest, against one that sorts. */
#include "core/run-times.h"

#include <stdlib.h>

static void test_few(void)
{
    RunTimes *times = run_times_new();

    g_assert_cmpuint(run_times_median(times, 1), ==, UINT64_MAX);
    run_times_add(times, 1, 30);
    run_times_add(times, 1, 10);
    g_assert_cmpuint(run_times_median(times, 1), ==, UINT64_MAX);
    run_times_add(times, 1, 20);
    g_assert_cmpuint(run_times_median(times, 1), ==, 20);
    run_times_free(times);
}

static void test_batches(void)
{
    RunTimes *times = run_times_new();

    for (uint64_t i = 0; i < 5; i++) {
        run_times_add(times, 1, 100 + i);
        run_times_add(times, 2, 200 + i);
    }
    g_assert_cmpuint(run_times_median(times, 1), ==, 102);
    g_assert_cmpuint(run_times_median(times, 2), ==, 202);
    run_times_forget(times, 1);
    run_times_forget(times, 9);
    g_assert_cmpuint(run_times_median(times, 1), ==, UINT64_MAX);
    g_assert_cmpuint(run_times_median(times, 2), ==, 202);
    run_times_add(times, 1, 7); /* from the beginning */
    g_assert_cmpuint(run_times_median(times, 1), ==, UINT64_MAX);
    run_times_free(times);
}

static void test_extremes(void)
{
    RunTimes *times = run_times_new();

    for (int i = 0; i < 3; i++)
        run_times_add(times, 1, 0);
    g_assert_cmpuint(run_times_median(times, 1), ==, 0);
    for (int i = 0; i < 5; i++)
        run_times_add(times, 1, UINT64_MAX - 1);
    g_assert_cmpuint(run_times_median(times, 1), ==, UINT64_MAX - 1);
    run_times_free(times);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

    return x < y ? -1 : x > y;
}

static void test_model(void)
{
    static uint64_t all[5000], sorted[RUN_TIMES_KEPT];
    RunTimes *times = run_times_new();

    for (size_t n = 1; n <= G_N_ELEMENTS(all); n++) {
        size_t kept = MIN(n, RUN_TIMES_KEPT);
        all[n - 1] = (uint64_t) g_test_rand_int_range(0, n % 3 == 0 ? 10 : 100000);
        run_times_add(times, 5, all[n - 1]);
        if (n < RUN_TIMES_NEEDED || (n > 50 && n % 97 != 0))
            continue;
        for (size_t i = 0; i < kept; i++)
            sorted[i] = all[n - kept + i];
        qsort(sorted, kept, sizeof sorted[0], compare);
        g_assert_cmpuint(run_times_median(times, 5), ==, sorted[kept / 2]);
    }
    run_times_free(times);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/run-times/few", test_few);
    g_test_add_func("/run-times/batches", test_batches);
    g_test_add_func("/run-times/extremes", test_extremes);
    g_test_add_func("/run-times/model", test_model);
    return g_test_run();
}
