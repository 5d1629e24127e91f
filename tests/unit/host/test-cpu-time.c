/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cpu-time.c: lines of old and new kernels, and differences. */
#include "host/cpu-time.h"

static void test_parse(void)
{
    CpuTime time;

    /* guest and guest_nice (the last two) are counted in user already */
    g_assert_cmpint(cpu_time_parse("cpu  10 1 5 100 7 2 3 4 1000 1000\ncpu0 1 1 1 1\n", &time), ==, 0);
    g_assert_cmpuint(time.busy, ==, 10 + 1 + 5 + 2 + 3 + 4);
    g_assert_cmpuint(time.total, ==, 25 + 107);
    g_assert_cmpint(cpu_time_parse("cpu 1 2 3 4", &time), ==, 0);
    g_assert_cmpuint(time.busy, ==, 6);
    g_assert_cmpuint(time.total, ==, 10);
}

static void test_broken(void)
{
    static const char *const texts[] = { "", "cpu", "cpu  1 2 3\n4", "cpu0 1 2 3 4", "cpu 1 2 3 x", "cpu 1 2 -3 4",
                                         "intr 1 2 3 4" };
    CpuTime time = { 7, 8 };

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
        g_assert_cmpint(cpu_time_parse(texts[i], &time), ==, -EINVAL);
    g_assert_cmpuint(time.busy, ==, 7);
}

static void test_percent(void)
{
    const CpuTime before = { 100, 1000 };

    g_assert_cmpfloat_with_epsilon(cpu_time_percent(&before, &(CpuTime) { 150, 1200 }), 25.0, 1e-9);
    g_assert_cmpfloat_with_epsilon(cpu_time_percent(&before, &(CpuTime) { 100, 1200 }), 0.0, 1e-9);
    g_assert_cmpfloat_with_epsilon(cpu_time_percent(&before, &(CpuTime) { 500, 1200 }), 100.0, 1e-9);
    g_assert_cmpfloat(cpu_time_percent(&before, &before), <, 0);
    g_assert_cmpfloat(cpu_time_percent(&before, &(CpuTime) { 90, 1200 }), <, 0);
    g_assert_cmpfloat(cpu_time_percent(&before, &(CpuTime) { 100, 900 }), <, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpu-time/parse", test_parse);
    g_test_add_func("/cpu-time/broken", test_broken);
    g_test_add_func("/cpu-time/percent", test_percent);
    return g_test_run();
}
