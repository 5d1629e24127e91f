/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* json-scan.c: what is JSON and what is not. Each text is given without a NUL behind it, so that reading beyond its end is
 * seen. */
#include "worker/json-scan.h"

#include <string.h>

static int skip(const char *text, size_t size)
{
    g_autofree char *exact = g_memdup2(text, MAX(size, 1));
    JsonScan scan = { exact, exact + size };
    const char *begin;
    int r = json_scan_skip(&scan, &begin);

    return r < 0 ? r : json_scan_at_end(&scan) ? 0 : -EINVAL;
}

static void test_values(void)
{
    static const char *const good[] = {
        "null", "true", " false\r\n\t", "0", "-0", "12345678901234567890123", "1.5", "-1.5e+10", "1E5", "0.0", "\"\"",
        "\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\"", "\"\xc3\xa4\"", "[]", "[ ]", "{}", "[1,2]", "[[],[{}]]",
        "{\"a\":1,\"b\":{\"c\":[null]}}", "{ \"a\" : 1 , \"a\" : 2 }", "[{\"a\":[]},1]",
    };
    static const char *const bad[] = {
        "", " ", "nul", "nulll", "True", "01", "-", "+1", "1.", ".5", "1e", "1e+", "0x10", "NaN", "Infinity", "\"", "\"a",
        "\"\\x\"", "\"\\u12g4\"", "\"\\u12\"", "\"\\", "\"\n\"", "'a'", "[", "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "{",
        "}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{1:1}", "[}", "{]", "[1}", "{\"a\":1]", "1 2", "[] []",
        "/* c */ 1", "[1]x", "\"\\ud800",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(good); i++)
        if (skip(good[i], strlen(good[i])) != 0)
            g_error("%s is refused", good[i]);
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
        if (skip(bad[i], strlen(bad[i])) != -EINVAL)
            g_error("%s is taken", bad[i]);
    g_assert_cmpint(skip("1\0", 2), ==, -EINVAL);
    g_assert_cmpint(skip("\0", 1), ==, -EINVAL);
    g_assert_cmpint(skip("\"\\\0\"", 4), ==, -EINVAL);
}

static void test_depth(void)
{
    for (size_t depth = JSON_DEPTH_MAX - 1; depth <= 1000000; depth = depth <= JSON_DEPTH_MAX ? depth + 1 : 1000000) {
        g_autofree char *open = g_strnfill(depth, '['), *close = g_strnfill(depth, ']'),
                        *text = g_strconcat(open, close, NULL);
        int r = skip(text, strlen(text));

        if (depth <= JSON_DEPTH_MAX)
            g_assert_cmpint(r, ==, 0);
        else
            g_assert_cmpint(r, ==, -E2BIG);
        if (depth == 1000000)
            break;
    }
}

static void check_string(const char *json, const char *expected, size_t size)
{
    JsonScan scan = { json, json + strlen(json) };
    GString *text = NULL;

    if (json_scan_string(&scan, &text) != 0)
        g_error("%s is refused", json);
    g_assert_cmpmem(text->str, text->len, expected, size);
    g_string_free(text, TRUE);
}

static void test_strings(void)
{
    check_string("\"\"", "", 0);
    check_string(" \"a\\n\\u0041\\u00e4\"", "a\nA\xc3\xa4", 5);
    check_string("\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80", 4);
    check_string("\"\\ud83dx\"", "\xef\xbf\xbdx", 4);
    check_string("\"\\ude00\"", "\xef\xbf\xbd", 3);
    check_string("\"\\ud83d\\u0041\"", "\xef\xbf\xbd" "A", 4);
    check_string("\"a\\u0000b\"", "a\0b", 3);
}

static void test_numbers(void)
{
    static const struct { const char *text; int r; uint64_t value; } cases[] = {
        { "0", 0, 0 }, { "18446744073709551615", 0, UINT64_MAX }, { "18446744073709551616", -ERANGE, 0 }, { "-1", -EINVAL, 0 },
        { "1.0", -EINVAL, 0 }, { "1e3", -EINVAL, 0 }, { "\"1\"", -EINVAL, 0 }, { "null", -EINVAL, 0 }, { "[1]", -EINVAL, 0 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        JsonScan scan = { cases[i].text, cases[i].text + strlen(cases[i].text) };
        uint64_t value = 0;

        g_assert_cmpint(json_scan_uint64(&scan, &value), ==, cases[i].r);
        g_assert_cmpuint(value, ==, cases[i].value);
    }
}

/* What is written can be read. */
static void test_round_trip(void)
{
    g_autoptr(GString) json = g_string_new(NULL);
    char all[128];

    for (int i = 0; i < 128; i++)
        all[i] = (char) i;
    json_append_string(json, all, sizeof all);
    check_string(json->str, all, sizeof all);
}

static void test_rubbish(void)
{
    static const char letters[] = "{}[],:\"\\u0123eE+-.truefalsn \n\xc3";

    for (int i = 0; i < 200000; i++) {
        char text[24];
        size_t size = (size_t) g_test_rand_int_range(0, sizeof text);

        for (size_t n = 0; n < size; n++)
            text[n] = letters[g_test_rand_int_range(0, sizeof letters)];
        (void) skip(text, size);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/json-scan/values", test_values);
    g_test_add_func("/json-scan/depth", test_depth);
    g_test_add_func("/json-scan/strings", test_strings);
    g_test_add_func("/json-scan/numbers", test_numbers);
    g_test_add_func("/json-scan/round-trip", test_round_trip);
    g_test_add_func("/json-scan/rubbish", test_rubbish);
    return g_test_run();
}
