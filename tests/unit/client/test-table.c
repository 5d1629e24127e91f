/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The layout of tables at all widths. */

#include "client/table.h"

#include <locale.h>
#include <string.h>

#include "client/text.h"

static const TableColumn columns[] = {
    { .title = "ID", .right = true },      { .title = "STATE" },
    { .title = "EXTRA", .expendable = 2 }, { .title = "MORE", .expendable = 1 },
    { .title = "COMMAND", .cut = true },
};

static Table *make_table(void)
{
    Table *table = table_new(columns, G_N_ELEMENTS(columns));
    static const char *const cells[] = {
        "1",  "running", "x1", "m1", "sleep 100",
        "17", "ok",      "",   "m2", "a rather long command line that will not fit",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cells); i++)
        table_add(table, COLOR_NONE, g_strdup(cells[i]));
    return table;
}

static void check(unsigned width, const char *expected)
{
    g_autoptr(Table) table = make_table();
    g_autofree char *text = table_format(table, width);

    g_assert_cmpstr(text, ==, expected);
}

static void test_layout(void)
{
    check(0, "ID  STATE    EXTRA  MORE  COMMAND\n"
             " 1  running  x1     m1    sleep 100\n"
             "17  ok              m2    a rather long command line that will not fit\n");
    check(45, "ID  STATE    EXTRA  MORE  COMMAND\n"
              " 1  running  x1     m1    sleep 100\n"
              "17  ok              m2    a rather long comm…\n");
    check(35, "ID  STATE    MORE  COMMAND\n" /* EXTRA is left out */
              " 1  running  m1    sleep 100\n"
              "17  ok       m2    a rather long c…\n");
    check(26, "ID  STATE    COMMAND\n"
              " 1  running  sleep 100\n"
              "17  ok       a rather lon…\n");
    check(10, "ID  STATE    COMMAND\n" /* no more can be done */
              " 1  running  sleep 100\n"
              "17  ok       a rather lo…\n");
}

/* Whatever the width: no row is wider, as long as the least fits. */
static void test_never_wider(void)
{
    g_autoptr(Table) table = make_table();

    for (unsigned width = 25; width < 100; width++) {
        g_autofree char *text = table_format(table, width);
        g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
        for (size_t i = 0; lines[i]; i++)
            g_assert_cmpuint(text_width(lines[i]), <=, width);
    }
}

static void test_content(void)
{
    static const TableColumn two[] = { { .title = "A" }, { .title = "B" } };
    g_autoptr(Table) table = table_new(two, 2);

    table_add(table, COLOR_NONE, g_strdup("日本"));
    table_add(table, COLOR_NONE, NULL);
    table_add(table, COLOR_NONE, g_strdup("\033[2Jx"));
    table_add_format(table, COLOR_NONE, "%d", 5);
    g_assert_cmpuint(table_rows(table), ==, 2);
    g_autofree char *text = table_format(table, 0);
    g_assert_cmpstr(text, ==, "A         B\n日本\n\\x1b[2Jx  5\n");
}

/* A column that may be cut is not made wider than it is. */
static void test_narrow_cut(void)
{
    static const TableColumn two[] = { { .title = "A", .cut = true }, { .title = "B", .cut = true } };
    g_autoptr(Table) table = table_new(two, 2);

    table_add(table, COLOR_NONE, g_strdup("abc"));
    table_add(table, COLOR_NONE, g_strdup("0123456789012345678"));
    g_autofree char *text = table_format(table, 5);
    g_assert_cmpstr(text, ==, "A    B\nabc  01234567890…\n");
}

int main(int argc, char **argv)
{
    (void) setlocale(LC_ALL, "C.UTF-8");
    g_test_init(&argc, &argv, NULL);
    output_init(COLOR_NEVER);
    g_test_add_func("/table/layout", test_layout);
    g_test_add_func("/table/narrow-cut", test_narrow_cut);
    g_test_add_func("/table/never-wider", test_never_wider);
    g_test_add_func("/table/content", test_content);
    return g_test_run();
}
