/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What passes as JSON, and where the rest goes wrong. */

#include "client/json-check.h"

#include <string.h>

static void test_good(void)
{
    static const char *const texts[] = {
        "{}",
        "[]",
        " [ ] ",
        "null",
        "0",
        "-0.5e+3",
        "\"\\u00e9\\ud83d\\ude00\\n\"",
        "[1,{\"a\":[true,false,null]},\"x\"]",
        "{\"a\":{\"a\":1},\"b\":{\"a\":1}}",
        "[{\"a\":1},{\"a\":1}]",
        "\"\xc3\xa9\"",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autofree char *why = NULL;
        g_test_message("%s", texts[i]);
        g_assert_cmpint(json_check(texts[i], strlen(texts[i]), "", &why), ==, 0);
        g_assert_null(why);
    }
}

static void test_bad(void)
{
    static const struct {
        const char *text, *where;
    } cases[] = {
        { "", "line 1: " },
        { "[", "tasks[0]: " },
        { "[1,]", "tasks[1]: " },
        { "[1 2]", "tasks[0]: " },
        { "{\"a\" 1}", "a: " },
        { "{a:1}", "line 1: " },
        { "{\"a\":1,}", "a: " },
        { "[01]", "tasks[0]: " },
        { "[1.]", "tasks[0]: " },
        { "[-]", "tasks[0]: " },
        { "[nul]", "tasks[0]: " },
        { "[\"x]", "tasks[0]: " },
        { "[\"\t\"]", "tasks[0]: " },
        { "[\"\\x\"]", "tasks[0]: " },
        { "[\"\\u12\"]", "tasks[0]: " },
        { "[\"\\ud800\"]", "tasks[0]: " },
        { "[\"\\udc00\"]", "tasks[0]: " },
        { "[\"\\u0000\"]", "tasks[0]: " },
        { "[\"\xff\"]", "tasks[0]: " },
        { "{} {}", "line 1: " },
        { "[]\n\nx", "line 3: " },
        { "// remark\n[]", "line 1: " },
        { "{\"a\":{\"b\":1,\"b\":2}}", "a.b: the member is there twice" },
        { "{\"a\":1,\"\\u0061\":2}", "a: the member is there twice" },
        { "[{\"x\":[0,[{\"y\":}]]}]", "tasks[0].x[1][0].y: " },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *why = NULL;
        g_test_message("%s", cases[i].text);
        g_assert_cmpint(json_check(cases[i].text, strlen(cases[i].text), "tasks", &why), ==, -EINVAL);
        g_test_message("%s", why);
        g_assert_true(g_str_has_prefix(why, cases[i].where));
    }
}

static int check_depth(unsigned depth)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autofree char *why = NULL;

    for (unsigned i = 0; i < depth; i++)
        g_string_append_c(text, '[');
    g_string_append_c(text, '1');
    for (unsigned i = 0; i < depth; i++)
        g_string_append_c(text, ']');
    return json_check(text->str, text->len, "", &why);
}

static void test_depth(void)
{
    g_assert_cmpint(check_depth(JSON_DEPTH_MAX), ==, 0);
    g_assert_cmpint(check_depth(JSON_DEPTH_MAX + 1), ==, -EINVAL);
    g_assert_cmpint(check_depth(1000000), ==, -EINVAL);
}

static int check_string(size_t n)
{
    g_autofree char *fill = g_strnfill(n, 'x'), *text = g_strdup_printf("[\"%s\"]", fill), *why = NULL;

    return json_check(text, strlen(text), "", &why);
}

static void test_long_string(void)
{
    g_assert_cmpint(check_string(JSON_STRING_BYTES_MAX), ==, 0);
    g_assert_cmpint(check_string(JSON_STRING_BYTES_MAX + 1), ==, -EINVAL);
}

/* So many that they are hashed, and still in linear time. */
static void test_many_members(void)
{
    g_autoptr(GString) text = g_string_new("{");
    g_autofree char *why = NULL;

    for (unsigned i = 0; i < 200000; i++)
        g_string_append_printf(text, "%s\"m%u\":0", i > 0 ? "," : "", i);
    gsize before = text->len;
    g_string_append(text, "}");
    g_assert_cmpint(json_check(text->str, text->len, "", &why), ==, 0);
    g_string_truncate(text, before);
    g_string_append(text, ",\"m7\":0}");
    g_assert_cmpint(json_check(text->str, text->len, "", &why), ==, -EINVAL);
    g_assert_true(g_str_has_prefix(why, "m7: "));
}

static void test_nul(void)
{
    static const char text[] = "[1,\0 2]";
    g_autofree char *why = NULL;

    g_assert_cmpint(json_check(text, sizeof text - 1, "", &why), ==, -EINVAL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/json-check/good", test_good);
    g_test_add_func("/json-check/bad", test_bad);
    g_test_add_func("/json-check/depth", test_depth);
    g_test_add_func("/json-check/long-string", test_long_string);
    g_test_add_func("/json-check/many-members", test_many_members);
    g_test_add_func("/json-check/nul", test_nul);
    return g_test_run();
}
