/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Items of a map: combinations, and those that are passed over. */

#include "client/map-items.h"

#include <unistd.h>

#include "client/map-sources.h"
#include "client/substitution.h"

static char *pending_of(const MapItems *items)
{
    GString *text = g_string_new(NULL);

    for (GList *link = items->pending.head; link; link = link->next) {
        const MapItem *item = link->data;
        g_autofree char *one = map_item_text(item);
        g_string_append_printf(text, "%s%u=%s", text->len > 0 ? " | " : "", (unsigned) item->number, one);
    }
    return g_string_free(text, FALSE);
}

/* What the sources on a command line make: "echo WORDS…". */
static char *items_of(const char *line)
{
    g_auto(GStrv) argv = g_strsplit(line, " ", -1);
    g_autofree char **words = g_memdup2(argv, (g_strv_length(argv) + 1) * sizeof *argv); /* it is cut */
    g_autoptr(GPtrArray) sources = NULL;
    Client client = { .quiet = true };
    MapItems items;

    g_assert_cmpint(map_sources_take(&client, words, &sources), ==, 0);
    map_items_init(&items);
    if (sources) {
        map_items_add_combinations(&items, sources);
        g_assert_cmpuint(items.taken, ==, map_sources_count(sources));
        g_assert_null(words[1]);
    }
    char *text = pending_of(&items);
    map_items_done(&items);
    return text;
}

static void check_items(const char *line, const char *expected)
{
    g_autofree char *text = items_of(line);

    g_assert_cmpstr(text, ==, expected);
}

static void test_combinations(void)
{
    check_items("echo ::: a b c ::: 1 2", "1=a 1 | 2=a 2 | 3=b 1 | 4=b 2 | 5=c 1 | 6=c 2");
    check_items("echo ::: a :::", "");
    check_items("echo ::: ::: a", "");
    check_items("echo", "");
}

static void test_linked(void)
{
    check_items("echo ::: a b c :::+ 1 2 3", "1=a 1 | 2=b 2 | 3=c 3");
    check_items("echo ::: a b c :::+ 1 2", "1=a 1 | 2=b 2"); /* as far as the shortest reaches */
    check_items("echo ::: a b :::+ 1 2 3 ::: x y",
                "1=a 1 x | 2=a 1 y | 3=b 2 x | 4=b 2 y");
    check_items("echo ::: x y ::: a b :::+ 1 2 :::+ 3 4", "1=x a 1 3 | 2=x b 2 4 | 3=y a 1 3 | 4=y b 2 4");
    check_items("echo ::: a b :::+", "");
}

static void test_files(void)
{
    g_autofree char *dir = g_dir_make_tmp(NULL, NULL), *one = g_build_filename(dir, "one", NULL),
                    *two = g_build_filename(dir, "two", NULL);
    g_assert_true(g_file_set_contents(one, "a\n\nb\n", -1, NULL));
    g_assert_true(g_file_set_contents(two, "1\n2", -1, NULL));
    const struct {
        const char *form, *expected;
    } cases[] = {
        { "echo :::: %s", "1=a | 2=b" },
        { "echo :::: %s %s", "1=a 1 | 2=a 2 | 3=b 1 | 4=b 2" },
        { "echo :::: %s ::::+ %s", "1=a 1 | 2=b 2" },
        { "echo :::: %s :::+ x y z", "1=a x | 2=b y" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(GStrv) parts = g_strsplit(cases[i].form, "%s", -1);
        g_autofree char *line = g_strconcat(parts[0], one, parts[1], parts[1] && parts[2] ? two : NULL,
                                            parts[1] && parts[2] ? parts[2] : NULL, NULL);
        check_items(line, cases[i].expected);
    }
    g_assert_cmpint(unlink(one) | unlink(two) | rmdir(dir), ==, 0);
}

static void test_too_many(void)
{
    char *values[] = { (char *) "a", (char *) "b", NULL };
    MapSource two = { .values = values }, linked = { .values = values, .linked = true };
    g_autoptr(GPtrArray) sources = g_ptr_array_new();

    g_assert_cmpuint(map_sources_count(sources), ==, 0);
    for (int i = 0; i < 63; i++)
        g_ptr_array_add(sources, &two);
    g_assert_cmpuint(map_sources_count(sources), ==, UINT64_C(1) << 63);
    g_ptr_array_add(sources, &linked);
    g_assert_cmpuint(map_sources_count(sources), ==, UINT64_C(1) << 63);
    g_ptr_array_add(sources, &two);
    g_assert_cmpuint(map_sources_count(sources), ==, UINT64_MAX);
}

static void test_passed_over(void)
{
    char *values[] = { (char *) "x", NULL };
    uint64_t two = 2;
    MapItems items;

    map_items_init(&items);
    items.done = g_hash_table_new(g_int64_hash, g_int64_equal);
    g_hash_table_add(items.done, &two);
    for (int i = 0; i < 3; i++)
        map_items_add(&items, values);
    g_autofree char *text = pending_of(&items);
    g_assert_cmpstr(text, ==, "1=x | 3=x");
    g_assert_cmpuint(items.read, ==, 3);
    g_assert_cmpuint(items.taken, ==, 2);
    g_assert_cmpuint(g_array_index(items.numbers, uint64_t, 1), ==, 3);
    map_items_done(&items);
}

static void check_slot(const char *word, uint64_t slot, const char *expected)
{
    char *argv[] = { (char *) "echo", (char *) word, NULL };
    char *values[] = { (char *) "/a/b.c", (char *) "x y", NULL };
    Replacement by = { .values = values, .number = 5, .slot = slot };
    g_auto(GStrv) result = substitute_values(argv, &by);
    g_autofree char *joined = g_strjoinv("|", result);

    g_assert_cmpstr(joined, ==, expected);
}

static void check(const char *word, const char *expected)
{
    check_slot(word, 0, expected);
}

static void test_values(void)
{
    check("{1}-{2}-{#}", "echo|/a/b.c-x y-5");
    check("{1.}{1/}{1//}{1/.}", "echo|/a/bb.c/ab");
    check("{}", "echo|/a/b.c x y");
    check("-n", "echo|-n|/a/b.c|x y");
    check("{3}{0}{x}", "echo|{3}{0}{x}|/a/b.c|x y");
    check("{%}", "echo|{%}|/a/b.c|x y"); /* there are no slots */
    check_slot("{%}{#}", 3, "echo|35|/a/b.c|x y");
    check_slot("{1}{%}", 12, "echo|/a/b.c12");

    char *argv[] = { (char *) "cat", (char *) "{1}", (char *) "{2}", NULL };
    char *values[] = { (char *) "it's", (char *) "b", NULL };
    g_auto(GStrv) shell = substitute_values_shell(argv, &(Replacement){ .values = values, .number = 1 });
    g_assert_cmpstr(shell[2], ==, "cat 'it'\\''s' b");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/map-items/combinations", test_combinations);
    g_test_add_func("/map-items/linked", test_linked);
    g_test_add_func("/map-items/files", test_files);
    g_test_add_func("/map-items/too-many", test_too_many);
    g_test_add_func("/map-items/passed-over", test_passed_over);
    g_test_add_func("/map-items/values", test_values);
    return g_test_run();
}
