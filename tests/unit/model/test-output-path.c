/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* output-path.c: where output lies. */
#include "model/output-path.h"

static void test_paths(void)
{
    static const struct { uint64_t task; uint32_t attempt; StdStream stream; const char *path; } cases[] = {
        { 1, 1, STREAM_STDOUT, "/d/0/1.1.out" },
        { 1, 1, STREAM_STDERR, "/d/0/1.1.err" },
        { 9999, 2, STREAM_STDOUT, "/d/0/9999.2.out" },
        { 10000, 1, STREAM_STDOUT, "/d/1/10000.1.out" },
        { 123456789, 10, STREAM_STDERR, "/d/12345/123456789.10.err" },
        { UINT64_MAX, UINT32_MAX, STREAM_STDOUT, "/d/1844674407370955/18446744073709551615.4294967295.out" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = output_path("/d", cases[i].task, cases[i].attempt, cases[i].stream);
        g_assert_cmpstr(path, ==, cases[i].path);
    }
}

static void test_packs(void)
{
    g_autofree char *first = output_pack_path("/d", 9999, 1), *last = output_pack_path("/d", UINT64_MAX, UINT32_MAX);

    g_assert_cmpstr(first, ==, "/d/0/w1.pack");
    g_assert_cmpstr(last, ==, "/d/1844674407370955/w4294967295.pack");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/output-path/paths", test_paths);
    g_test_add_func("/output-path/packs", test_packs);
    return g_test_run();
}
