/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ids.c: ids of workers, names. */
#include "model/ids.h"

#include <string.h>

static void test_parse(void)
{
    static const struct { const char *id; int r; uint32_t number; } cases[] = {
        { "w1", 0, 1 }, { "w10", 0, 10 }, { "w4294967295", 0, UINT32_MAX },
        { "w4294967296", -ERANGE }, { "w99999999999999999999999", -ERANGE },
        { NULL, -EINVAL }, { "", -EINVAL }, { "w", -EINVAL }, { "w0", -EINVAL }, { "w01", -EINVAL }, { "W1", -EINVAL }, { "1", -EINVAL },
        { "w-1", -EINVAL }, { "w+1", -EINVAL }, { "w 1", -EINVAL }, { " w1", -EINVAL }, { "w1 ", -EINVAL }, { "w1\n", -EINVAL }, { "ww1", -EINVAL },
        { "w1.scope", -EINVAL }, { "w0x1", -EINVAL }, { "w1/../w2", -EINVAL },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint32_t number = 77;
        g_assert_cmpint(worker_id_parse(cases[i].id, &number), ==, cases[i].r);
        g_assert_cmpuint(number, ==, cases[i].r < 0 ? 77 : cases[i].number);
    }
}

static void test_format(void)
{
    static const uint32_t numbers[] = { 1, 9, 10, 4294967295 };

    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++) {
        char id[WORKER_ID_MAX];
        uint32_t back;
        worker_id_format(id, numbers[i]);
        g_assert_cmpint(worker_id_parse(id, &back), ==, 0);
        g_assert_cmpuint(back, ==, numbers[i]);
    }
}

static void test_names(void)
{
    g_autofree char *longest = g_strnfill(255, 'x'), *too_long = g_strnfill(256, 'x');
    g_autofree char *wide = g_strdup_printf("%s\xc3\xa9", longest + 1); /* 254 + 2 bytes */
    g_autofree char *wide_fits = g_strdup_printf("%s\xc3\xa9", longest + 2);
    const struct { const char *name; bool valid; } cases[] = {
        { "", true }, { "a", true }, { "render 17, \"x\"", true }, { "\xc3\xa9t\xc3\xa9 \xf0\x9f\x90\xa7", true }, { longest, true },
        { wide_fits, true }, { "$(reboot) ../..", true },
        { NULL, false }, { too_long, false }, { wide, false }, { "a\nb", false }, { "\n", false }, { "a\tb", false }, { "a\x7f", false },
        { "a\x1b[31m", false }, { "\r", false }, { "\x01", false }, { "\xc2\x85", false /* a C1 control character: NEL */ },
        { "\xff", false }, { "\xc3", false }, { "a\xc3(", false }, { "\xed\xa0\x80", false /* a surrogate */ },
        { "\xc0\x80", false /* overlong NUL */ },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        if (name_is_valid(cases[i].name) != cases[i].valid)
            g_error("name %zu is not %s", i, cases[i].valid ? "valid" : "refused");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ids/parse", test_parse);
    g_test_add_func("/ids/format", test_format);
    g_test_add_func("/ids/names", test_names);
    return g_test_run();
}
