/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Items of a map: combinations, and those that are passed over. */

#include "client/map-items.h"

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

static void test_combinations(void)
{
    char *argv[] = { (char *) "echo", (char *) ":::", (char *) "a", (char *) "b", (char *) "c",
                     (char *) ":::",  (char *) "1",   (char *) "2", NULL };
    g_autoptr(GPtrArray) lists = map_lists_split(argv);
    MapItems items;

    g_assert_cmpuint(lists->len, ==, 2);
    g_assert_null(argv[1]);
    map_items_init(&items);
    map_items_add_combinations(&items, lists);
    g_autofree char *text = pending_of(&items);
    g_assert_cmpstr(text, ==, "1=a 1 | 2=a 2 | 3=b 1 | 4=b 2 | 5=c 1 | 6=c 2");
    g_assert_cmpuint(items.taken, ==, 6);
    map_items_done(&items);
}

static void test_empty_list(void)
{
    char *argv[] = { (char *) "echo", (char *) ":::", (char *) "a", (char *) ":::", NULL };
    char *none[] = { (char *) "echo", NULL };
    g_autoptr(GPtrArray) lists = map_lists_split(argv);
    MapItems items;

    g_assert_null(map_lists_split(none));
    map_items_init(&items);
    map_items_add_combinations(&items, lists);
    g_assert_cmpuint(items.taken, ==, 0);
    map_items_done(&items);
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

static void check(const char *word, const char *expected)
{
    char *argv[] = { (char *) "echo", (char *) word, NULL };
    char *values[] = { (char *) "/a/b.c", (char *) "x y", NULL };
    g_auto(GStrv) result = substitute_values(argv, values, 5);
    g_autofree char *joined = g_strjoinv("|", result);

    g_assert_cmpstr(joined, ==, expected);
}

static void test_values(void)
{
    check("{1}-{2}-{#}", "echo|/a/b.c-x y-5");
    check("{1.}{1/}{1//}{1/.}", "echo|/a/bb.c/ab");
    check("{}", "echo|/a/b.c x y");
    check("-n", "echo|-n|/a/b.c|x y");
    check("{3}{0}{x}", "echo|{3}{0}{x}|/a/b.c|x y");

    char *argv[] = { (char *) "cat", (char *) "{1}", (char *) "{2}", NULL };
    char *values[] = { (char *) "it's", (char *) "b", NULL };
    g_auto(GStrv) shell = substitute_values_shell(argv, values, 1);
    g_assert_cmpstr(shell[2], ==, "cat 'it'\\''s' b");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/map-items/combinations", test_combinations);
    g_test_add_func("/map-items/empty-list", test_empty_list);
    g_test_add_func("/map-items/passed-over", test_passed_over);
    g_test_add_func("/map-items/values", test_values);
    return g_test_run();
}
