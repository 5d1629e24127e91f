/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Items into commands. */

#include "client/substitution.h"

static void test_words(void)
{
    static const struct {
        const char *word, *item, *expected;
    } cases[] = {
        { "{}", "/a/b.c", "/a/b.c" },
        { "{.}", "/a/b.c", "/a/b" },
        { "{/}", "/a/b.c", "b.c" },
        { "{//}", "/a/b.c", "/a" },
        { "{/.}", "/a/b.c", "b" },
        { "{#}", "x", "7" },
        { "{//}", "b.c", "." },
        { "{//}", "/b.c", "/" },
        { "{.}", ".profile", ".profile" },
        { "{.}", "/x.d/name", "/x.d/name" },
        { "{.}", "a.tar.gz", "a.tar" },
        { "{/}", "dir/", "" },
        { "echo $(( {} * 2 ))", "21", "echo $(( 21 * 2 ))" },
        { "{}{}{}", "ab", "ababab" },
        { "{", "x", "{" },
        { "{}}", "x", "x}" },
        { "{{}}", "x", "{x}" },
        { "{x}", "y", "{x}" },
        { "{}", "{#}{}", "{#}{}" }, /* an item is not looked at again */
        { "a{}b", "\xff\xfe",
          "a\xff\xfe"
          "b" },
        { "", "x", "" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *word = substitute_word(cases[i].word, cases[i].item, 7, false);
        g_assert_cmpstr(word, ==, cases[i].expected);
    }
}

static void check(char **argv, const char *const *expected)
{
    g_assert_true(g_strv_equal((const char *const *) argv, expected));
    g_strfreev(argv);
}

static void test_argv(void)
{
    char *plain[] = { (char *) "gzip", (char *) "-9", NULL },
         *number[] = { (char *) "echo", (char *) "{#}", NULL };
    char *marked[] = { (char *) "cp", (char *) "{}", (char *) "/tmp/{/}", NULL };

    check(substitute_argv(plain, "a b", 1), (const char *const[]){ "gzip", "-9", "a b", NULL });
    check(substitute_argv(marked, "/x/y", 1), (const char *const[]){ "cp", "/x/y", "/tmp/y", NULL });
    check(substitute_argv(number, "z", 3),
          (const char *const[]){ "echo", "3", "z", NULL }); /* the item is still wanted */
    g_assert_true(substitution_wanted(marked));
    g_assert_false(substitution_wanted(plain));
    g_assert_false(substitution_wanted(number));
}

static void test_shell(void)
{
    char *words[] = { (char *) "echo", (char *) "$HOME", (char *) "{}", (char *) "|", (char *) "wc", NULL };
    char *plain[] = { (char *) "rm", NULL };

    check(shell_argv(words), (const char *const[]){ "/bin/sh", "-c", "echo $HOME {} | wc", NULL });
    check(substitute_shell(words, "it's", 1),
          (const char *const[]){ "/bin/sh", "-c", "echo $HOME 'it'\\''s' | wc", NULL });
    check(substitute_shell(plain, "a; b", 1), (const char *const[]){ "/bin/sh", "-c", "rm 'a; b'", NULL });
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/substitution/words", test_words);
    g_test_add_func("/substitution/argv", test_argv);
    g_test_add_func("/substitution/shell", test_shell);
    return g_test_run();
}
