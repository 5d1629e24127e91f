/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* meminfo.c on real and on broken texts. */
#include "host/meminfo.h"

static void test_parse(void)
{
    static const char text[] = "MemTotal:       24737700 kB\nMemFree:         1000 kB\nMemAvailable:   20000000 kB\n"
                               "SwapCached:            7 kB\nSwapTotal:       1024 kB\nHugePages_Total:       0\n";
    Meminfo info;

    g_assert_cmpint(meminfo_parse(text, &info), ==, 0);
    g_assert_cmpuint(info.total_bytes, ==, UINT64_C(24737700) * 1024);
    g_assert_cmpuint(info.available_bytes, ==, UINT64_C(20000000) * 1024);
    g_assert_cmpuint(info.swap_total_bytes, ==, 1024 * 1024);
}

static void test_no_swap(void)
{
    Meminfo info;

    g_assert_cmpint(meminfo_parse("MemAvailable: 2 kB\nMemTotal: 3 kB", &info), ==, 0);
    g_assert_cmpuint(info.total_bytes, ==, 3 * 1024);
    g_assert_cmpuint(info.available_bytes, ==, 2 * 1024);
    g_assert_cmpuint(info.swap_total_bytes, ==, 0);
}

static void test_broken(void)
{
    static const char *const texts[] = {
        "", "\n\n", "MemTotal: 5 kB\n", "MemAvailable: 5 kB\n", "MemTotal: x kB\nMemAvailable: 5 kB\n",
        "MemTotal: -5 kB\nMemAvailable: 5 kB\n", "MemTotal:\nMemAvailable: 5 kB\n",
        "MemTotal: 18446744073709551615 kB\nMemAvailable: 5 kB\n",
        "MemTotal: 99999999999999999999 kB\nMemAvailable: 5 kB\n", "XMemTotal: 5 kB\nMemAvailable: 5 kB\n",
    };
    Meminfo info = { 1, 2, 3 };

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
        g_assert_cmpint(meminfo_parse(texts[i], &info), ==, -EINVAL);
    g_assert_cmpuint(info.total_bytes, ==, 1); /* untouched on failure */
}

static void test_this_machine(void)
{
    Meminfo info;

    g_assert_cmpint(meminfo_read(&info), ==, 0);
    g_assert_cmpuint(info.total_bytes, >, UINT64_C(16) << 20);
    g_assert_cmpuint(info.available_bytes, <=, info.total_bytes);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/meminfo/parse", test_parse);
    g_test_add_func("/meminfo/no-swap", test_no_swap);
    g_test_add_func("/meminfo/broken", test_broken);
    g_test_add_func("/meminfo/this-machine", test_this_machine);
    return g_test_run();
}
