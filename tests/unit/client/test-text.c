/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Width, cutting, quoting: quoted words come back unharmed through a real shell. */

#include "client/text.h"

#include <locale.h>
#include <string.h>

static void test_width(void)
{
    g_assert_cmpuint(text_width("abc"), ==, 3);
    g_assert_cmpuint(text_width("äöü"), ==, 3);
    g_assert_cmpuint(text_width("日本"), ==, 4);
    g_assert_cmpuint(text_width("e\xcc\x81"), ==, 1); /* combining acute */
    g_assert_cmpuint(text_width(""), ==, 0);
}

static void check_cut(const char *s, unsigned width, const char *expected)
{
    g_autofree char *cut = text_cut(s, width);

    g_assert_cmpstr(cut, ==, expected);
    g_assert_cmpuint(text_width(cut), <=, width);
}

static void test_cut(void)
{
    check_cut("abcdef", 6, "abcdef");
    check_cut("abcdef", 5, "abcd…");
    check_cut("日本語", 5, "日本…");
    check_cut("日本語", 4, "日…");
    check_cut("abc", 1, "…");
    check_cut("abc", 0, "");
}

static void check_printable(const char *s, const char *expected)
{
    g_autofree char *shown = text_printable(s);

    g_assert_cmpstr(shown, ==, expected);
}

static void test_printable(void)
{
    check_printable("plain ä", "plain ä");
    check_printable("\033[31mred", "\\x1b[31mred");
    check_printable("a\nb\x07", "a\\x0ab\\x07");
    check_printable("\xff"
                    "x",
                    "\\xffx");
    check_printable("a\xe2\x80\xae"
                    "b",
                    "a\\xe2\\x80\\xaeb"); /* right-to-left override */
    check_printable("\xc3", "\\xc3");
}

static void test_wrap(void)
{
    g_autofree char *wrapped = text_wrap("one two three four", 12, 4), *whole = text_wrap("word", 2, 0);

    g_assert_cmpstr(wrapped, ==, "one two\n    three\n    four");
    g_assert_cmpstr(whole, ==, "word");
}

static void check_quote(const char *s, const char *expected)
{
    g_autofree char *quoted = text_shell_quote(s);

    g_assert_cmpstr(quoted, ==, expected);
    g_assert_true(g_utf8_validate(quoted, -1, NULL));
}

static void test_quote(void)
{
    check_quote("ls", "ls");
    check_quote("", "''");
    check_quote("a b", "'a b'");
    check_quote("it's", "'it'\\''s'");
    check_quote("$HOME", "'$HOME'");
    check_quote("a\nb", "$'a\\nb'");
    check_quote("\xff"
                "1",
                "$'\\3771'");
    check_quote("'\\\x01", "$'\\'\\\\\\001'");
    check_quote("größe", "'größe'");
    check_quote("~", "'~'");
    check_quote("#x", "'#x'");
}

/* What is shown must be what runs, if it is pasted. */
static void test_shell_takes_it(void)
{
    static const char *const words[] = {
        "plain", "", " ", "a'b\"c`d$e\\f", "*?[]{}~!#&;|<>()", "\x01\x02\xff\xfe\n\t8", "-n", "x=y", "日本"
    };

    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        g_autofree char *quoted = text_shell_quote(words[i]),
                        *script = g_strdup_printf("printf '%%s.' %s", quoted), *out = NULL;
        g_autofree char *expected = g_strconcat(words[i], ".", NULL);
        char *argv[] = { (char *) "bash", (char *) "-c", script, NULL };
        g_autoptr(GError) error = NULL;
        if (!g_spawn_sync(NULL, argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, NULL, NULL, &error)) {
            g_test_skip("there is no bash");
            return;
        }
        g_assert_cmpmem(out, strlen(out), expected, strlen(expected));
    }
}

static void test_command_line(void)
{
    char *argv[] = { (char *) "sh", (char *) "-c", (char *) "echo 1", NULL };
    g_autofree char *line = text_command_line(argv), *nothing = text_command_line(NULL);

    g_assert_cmpstr(line, ==, "sh -c 'echo 1'");
    g_assert_cmpstr(nothing, ==, "");
}

int main(int argc, char **argv)
{
    (void) setlocale(LC_ALL, "C.UTF-8");
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/text/width", test_width);
    g_test_add_func("/text/cut", test_cut);
    g_test_add_func("/text/printable", test_printable);
    g_test_add_func("/text/wrap", test_wrap);
    g_test_add_func("/text/quote", test_quote);
    g_test_add_func("/text/shell-takes-it", test_shell_takes_it);
    g_test_add_func("/text/command-line", test_command_line);
    return g_test_run();
}
