/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* dependency.c: the grammar of --after, what it is written out to, and what is said about what is wrong. */
#include "model/dependency.h"

#include <errno.h>
#include <string.h>

/* "a" … "z" are 1 … 26; a number is itself; "local" is a position; everything else does not exist. */
static int lookup(const char *word, Dependency *dependency, void *userdata)
{
    unsigned *n = userdata;

    (*n)++;
    if (strcmp(word, "local") == 0) {
        dependency->target = TARGET_LOCAL;
        dependency->id = 7;
    } else if (word[0] >= 'a' && word[0] <= 'z' && !word[1])
        dependency->id = (uint64_t) (word[0] - 'a') + 1;
    else if (g_ascii_isdigit(word[0]))
        dependency->id = g_ascii_strtoull(word, NULL, 10);
    else
        return -ENOENT;
    return 0;
}

/* "0:afterok:1 1:oom:2 1:afterok:3 singleton": the number of the clause before each condition. */
static char *parse(const char *text)
{
    g_auto(DependencyList) list = { 0 };
    g_autofree char *why = NULL;
    GString *shown = g_string_new(NULL);
    unsigned n = 0;
    int r = dependency_parse(text, lookup, &n, &list, &why);

    if (r < 0)
        g_error("%s: %s", text, why);
    g_assert_null(why);
    for (guint i = 0; i < list.conditions->len; i++) {
        const Dependency *condition = &g_array_index(list.conditions, Dependency, i);
        g_autofree char *word = dependency_format(condition);
        g_string_append_printf(shown, "%s%u:%s", i > 0 ? " " : "", condition->clause, word);
    }
    if (list.singleton)
        g_string_append(shown, shown->len > 0 ? " singleton" : "singleton");
    return g_string_free(shown, FALSE);
}

static const struct {
    const char *text, *clauses;
} good[] = {
    { "afterok:17", "0:afterok:17" },
    { "afterok:a", "0:afterok:1" },
    { "afternotok:b", "0:afternotok:2" },
    { "afterany:c", "0:afterany:3" },
    { "after:d", "0:after:4" },
    { "aftercorr:e", "0:aftercorr:5" },
    { "exit=3:f", "0:exit=3:6" },
    { "exit=0:f", "0:exit=0:6" },
    { "exit=255:f", "0:exit=255:6" },
    { "oom:g", "0:oom:7" },
    { "timeout:h", "0:timeout:8" },
    { "singleton", "singleton" },
    { "afterok:batch:4", "0:afterok:batch:4" },
    { "afterok:batch", NULL }, /* only with a number; else it is a name, which does not exist here */
    /* several targets: every one */
    { "afterok:a:b:c", "0:afterok:1 1:afterok:2 2:afterok:3" },
    { "exit=3:a:batch:9:b", "0:exit=3:1 1:exit=3:batch:9 2:exit=3:2" },
    /* "," is AND, "?" is OR and binds closer */
    { "afterok:a,afterany:b", "0:afterok:1 1:afterany:2" },
    { "afterok:a?afterany:b", "0:afterok:1 0:afterany:2" },
    { "afterok:a,oom:b?timeout:c", "0:afterok:1 1:oom:2 1:timeout:3" },
    { "afterok:a?oom:b,timeout:c", "0:afterok:1 0:oom:2 1:timeout:3" },
    { "afterok:a?oom:b?timeout:c", "0:afterok:1 0:oom:2 0:timeout:3" },
    { "afterok:a:b?oom:c", "0:afterok:1 0:oom:3 1:afterok:2 1:oom:3" },
    /* parentheses, written out to clauses */
    { "(afterok:a)", "0:afterok:1" },
    { "((afterok:a,oom:b))", "0:afterok:1 1:oom:2" },
    { "(afterok:a?oom:b),timeout:c", "0:afterok:1 0:oom:2 1:timeout:3" },
    { "(afterok:a,oom:b)?timeout:c", "0:afterok:1 0:timeout:3 1:oom:2 1:timeout:3" },
    { "timeout:c?(afterok:a,oom:b)", "0:timeout:3 0:afterok:1 1:timeout:3 1:oom:2" },
    { "(afterok:a,oom:b)?(timeout:c,after:d)",
      "0:afterok:1 0:timeout:3 1:afterok:1 1:after:4 2:oom:2 2:timeout:3 3:oom:2 3:after:4" },
    { "singleton,afterok:a", "0:afterok:1 singleton" },
    { "afterok:a,singleton,oom:b", "0:afterok:1 1:oom:2 singleton" },
    { "afterok:a:b,afterany:c?exit=3:d,(afterok:e?oom:f),singleton",
      "0:afterok:1 1:afterok:2 2:afterany:3 2:exit=3:4 3:afterok:5 3:oom:6 singleton" },
    { "afterok:local", "0:afterok:7" },
};

static void test_good(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autofree char *clauses = good[i].clauses ? parse(good[i].text) : NULL;
        g_test_message("%s", good[i].text);
        g_assert_cmpstr(clauses, ==, good[i].clauses);
    }
}

/* What is written out is read as the same again: the store keeps it so. */
static void test_again(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
        g_auto(DependencyList) list = { 0 };
        g_autofree char *why = NULL, *again = NULL;
        g_autoptr(GString) text = g_string_new(NULL);
        unsigned n = 0;
        if (!good[i].clauses || strstr(good[i].clauses, "singleton"))
            continue;
        g_assert_cmpint(dependency_parse(good[i].text, lookup, &n, &list, &why), ==, 0);
        for (guint k = 0; k < list.conditions->len; k++) {
            const Dependency *condition = &g_array_index(list.conditions, Dependency, k);
            g_autofree char *word = dependency_format(condition);
            if (k > 0)
                g_string_append_c(text, condition->clause == condition[-1].clause ? '?' : ',');
            g_string_append(text, word);
        }
        again = parse(text->str);
        g_assert_cmpstr(again, ==, good[i].clauses);
    }
}

static void test_target(void)
{
    g_auto(DependencyList) list = { 0 };
    g_autofree char *why = NULL;
    unsigned n = 0;

    g_assert_cmpint(dependency_parse("afterok:local:a:batch:18446744073709551615", lookup, &n, &list, &why), ==, 0);
    g_assert_cmpuint(n, ==, 2); /* batches are not looked up */
    g_assert_cmpint(g_array_index(list.conditions, Dependency, 0).target, ==, TARGET_LOCAL);
    g_assert_cmpint(g_array_index(list.conditions, Dependency, 1).target, ==, TARGET_TASK);
    g_assert_cmpint(g_array_index(list.conditions, Dependency, 2).target, ==, TARGET_BATCH);
    g_assert_cmpuint(g_array_index(list.conditions, Dependency, 2).id, ==, UINT64_MAX);
}

static const struct {
    const char *text;
    int r;
    const char *why; /* a part of it */
} bad[] = {
    { "", -EINVAL, "\"\" is none of afterok" },
    { ",", -EINVAL, "\"\" is none of" },
    { "afterok", -EINVAL, "a condition is KIND:TASK; at \"the end\"" },
    { "afterok:", -EINVAL, "a task or batch is missing at \"the end\"" },
    { "afterok:a:", -EINVAL, "a task or batch is missing at \"the end\"" },
    { "afterok:a,", -EINVAL, "\"\" is none of" },
    { "afterok:a?", -EINVAL, "\"\" is none of" },
    { "?afterok:a", -EINVAL, "\"\" is none of" },
    { "afterok::a", -EINVAL, "a task or batch is missing at \":a\"" },
    { "afterok=1:a", -EINVAL, "only exit takes a status at \"=1:a\"" },
    { "afterOK:a", -EINVAL, "\"afterOK\" is none of" },
    { "before:a", -EINVAL, "\"before\" is none of" },
    { "afterok:NOBODY", -ENOENT, "there is no task \"NOBODY\"" },
    { "afterok:batch", -ENOENT, "there is no task \"batch\"" },
    { "afterok:batch:0", -EINVAL, "a batch has a number" },
    { "afterok:batch:x", -EINVAL, "a batch has a number" },
    { "afterok:batch:", -EINVAL, "a batch has a number" },
    { "afterok:batch:-1", -EINVAL, "a batch has a number" },
    { "afterok:batch:18446744073709551616", -EINVAL, "a batch has a number" },
    { "exit:a", -EINVAL, "exit needs a status" },
    { "exit", -EINVAL, "exit needs a status" },
    { "exit=:a", -EINVAL, "from 0 to 255" },
    { "exit=256:a", -EINVAL, "from 0 to 255" },
    { "exit=-1:a", -EINVAL, "from 0 to 255" },
    { "exit=3", -EINVAL, "a condition is KIND:TASK" },
    { "exit=3x:a", -EINVAL, "from 0 to 255" },
    { "(afterok:a", -EINVAL, "a \")\" is missing at \"the end\"" },
    { "afterok:a)", -EINVAL, "this does not belong there, at \")\"" },
    { "()", -EINVAL, "\"\" is none of" },
    { "(afterok:a)(afterok:b)", -EINVAL, "this does not belong there, at \"(afterok:b)\"" },
    { "afterok:a b", -ENOENT, "there is no task \"a b\"" },
    { "afterok:a\n", -ENOENT, "there is no task" },
    { "singleton:a", -EINVAL, "\"singleton\" is none of" },
    { "singleton?afterok:a", -EINVAL, "singleton stands by itself" },
    { "afterok:a?singleton", -EINVAL, "singleton stands by itself" },
    { "(singleton)", -EINVAL, "singleton stands by itself" },
    { "(afterok:a,singleton)?oom:b", -EINVAL, "singleton stands by itself" },
};

static void test_bad(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        DependencyList list = { 0 };
        g_autofree char *why = NULL;
        unsigned n = 0;
        int r = dependency_parse(bad[i].text, lookup, &n, &list, &why);
        g_test_message("\"%s\": %s", bad[i].text, why);
        g_assert_cmpint(r, ==, bad[i].r);
        g_assert_nonnull(why);
        g_assert_nonnull(strstr(why, bad[i].why));
        g_assert_null(strchr(why, '\n'));
        g_assert_null(list.conditions); /* untouched */
    }
}

static char *repeat(const char *word, unsigned n, const char *between)
{
    GString *text = g_string_new(NULL);

    for (unsigned i = 0; i < n; i++)
        g_string_append_printf(text, "%s%s", i > 0 ? between : "", word);
    return g_string_free(text, FALSE);
}

static int parse_size(const char *text, guint *ret_n)
{
    g_auto(DependencyList) list = { 0 };
    g_autofree char *why = NULL;
    unsigned n = 0;
    int r = dependency_parse(text, lookup, &n, &list, &why);

    g_assert_cmpint(r < 0, ==, why != NULL);
    *ret_n = r < 0 ? 0 : list.conditions->len;
    return r;
}

static void test_many(void)
{
    g_autofree char *most = repeat("1", DEPENDENCIES_MAX, ":"), *all = g_strconcat("afterok:", most, NULL);
    g_autofree char *over = g_strconcat(all, ":1,oom:1", NULL);
    g_autofree char *ands = repeat("afterok:1", DEPENDENCIES_MAX + 1, ",");
    guint n;

    g_assert_cmpint(parse_size(all, &n), ==, 0);
    g_assert_cmpuint(n, ==, DEPENDENCIES_MAX);
    g_assert_cmpint(parse_size(over, &n), ==, -E2BIG);
    g_assert_cmpint(parse_size(ands, &n), ==, -E2BIG);
}

/* The product of a few parentheses is huge; what is refused is refused before it is built. */
static void test_product(void)
{
    g_autofree char *pair = repeat("(afterok:a,oom:b)", 12, "?"), *huge = repeat("(afterok:a,oom:b)", 40, "?");
    g_autofree char *wide = repeat("(afterok:1:2:3:4:5:6:7:8:9:10:11:12:13:14:15:16:17:18:19:20)", 40, "?");
    guint n;

    g_assert_cmpint(parse_size(pair, &n), ==, 0);
    g_assert_cmpuint(n, ==, 12 * 4096);
    g_assert_cmpint(parse_size(huge, &n), ==, -E2BIG);
    g_assert_cmpint(parse_size(wide, &n), ==, -E2BIG);
}

static void test_deep(void)
{
    g_autofree char *open = g_strnfill(32, '('), *close = g_strnfill(32, ')'), *deep = g_strnfill(1000000, '(');
    g_autofree char *most = g_strconcat(open, "afterok:a", close, NULL), *over = g_strconcat("(", most, ")", NULL);
    guint n;

    g_assert_cmpint(parse_size(most, &n), ==, 0);
    g_assert_cmpuint(n, ==, 1);
    g_assert_cmpint(parse_size(over, &n), ==, -E2BIG);
    g_assert_cmpint(parse_size(deep, &n), ==, -E2BIG);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/dependency/good", test_good);
    g_test_add_func("/dependency/again", test_again);
    g_test_add_func("/dependency/target", test_target);
    g_test_add_func("/dependency/bad", test_bad);
    g_test_add_func("/dependency/many", test_many);
    g_test_add_func("/dependency/product", test_product);
    g_test_add_func("/dependency/deep", test_deep);
    return g_test_run();
}
