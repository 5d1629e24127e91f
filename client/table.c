/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tables for people: cells are collected, then laid out once for the width there is. Text in cells is made
 * printable on its way in. Invariant: cells->len is a multiple of the number of columns whenever the table
 * is printed. */

#include "client/table.h"

#include <stdarg.h>

#include "client/text.h"

#define GAP 2U

typedef struct Cell {
    char *text;
    unsigned width;
    Color color;
} Cell;

struct Table {
    const TableColumn *columns;
    size_t n;
    GArray *cells;
};

/* How a column is laid out. */
typedef struct Column {
    unsigned width;
    bool hidden;
} Column;

static void cell_done(void *cell)
{
    g_free(((Cell *) cell)->text);
}

Table *table_new(const TableColumn *columns, size_t n)
{
    Table *table = g_new(Table, 1);

    *table = (Table){ .columns = columns, .n = n, .cells = g_array_new(FALSE, FALSE, sizeof(Cell)) };
    g_array_set_clear_func(table->cells, cell_done);
    return table;
}

Table *table_free(Table *table)
{
    if (!table)
        return NULL;
    g_array_unref(table->cells);
    g_free(table);
    return NULL;
}

void table_add(Table *table, Color color, char *text)
{
    Cell cell = { .text = text_printable(text ?: ""), .color = color };

    cell.width = text_width(cell.text);
    g_array_append_val(table->cells, cell);
    g_free(text);
}

void table_add_format(Table *table, Color color, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    table_add(table, color, g_strdup_vprintf(format, arguments));
    va_end(arguments);
}

size_t table_rows(const Table *table)
{
    return table->cells->len / table->n;
}

static const Cell *cell_at(const Table *table, size_t row, size_t column)
{
    return &g_array_index(table->cells, Cell, row * table->n + column);
}

static unsigned total_width(const Table *table, const Column *layout)
{
    unsigned sum = 0;

    for (size_t c = 0; c < table->n; c++)
        if (!layout[c].hidden)
            sum += layout[c].width + (sum > 0 ? GAP : 0);
    return sum;
}

static void cut_columns(const Table *table, Column *layout, unsigned width)
{
    for (size_t c = table->n; c-- > 0;) {
        unsigned total = total_width(table, layout);
        if (total <= width)
            return;
        if (table->columns[c].cut && !layout[c].hidden && layout[c].width > TABLE_CUT_MIN)
            layout[c].width = MAX(TABLE_CUT_MIN, layout[c].width - MIN(total - width, layout[c].width));
    }
}

/* Leaves one column out; false: there is none that may be. */
static bool hide_column(const Table *table, Column *layout)
{
    size_t found = table->n;

    for (size_t c = 0; c < table->n; c++)
        if (!layout[c].hidden && table->columns[c].expendable > 0 &&
            (found == table->n || table->columns[c].expendable > table->columns[found].expendable))
            found = c;
    if (found == table->n)
        return false;
    layout[found].hidden = true;
    return true;
}

static Column *lay_out(const Table *table, unsigned width)
{
    Column *layout = g_new0(Column, table->n), *natural;

    for (size_t c = 0; c < table->n; c++) {
        layout[c].width = text_width(_(table->columns[c].title));
        for (size_t r = 0; r < table_rows(table); r++)
            layout[c].width = MAX(layout[c].width, cell_at(table, r, c)->width);
    }
    natural = g_memdup2(layout, table->n * sizeof *layout);
    for (;;) {
        if (width > 0)
            cut_columns(table, layout, width);
        if (width == 0 || total_width(table, layout) <= width || !hide_column(table, layout))
            break;
        for (size_t c = 0; c < table->n; c++) /* with one column less, others may be wider again */
            layout[c].width = natural[c].width;
    }
    g_free(natural);
    return layout;
}

static void append_cell(GString *out, const char *text, unsigned width, bool right, bool last, Color color)
{
    g_autofree char *shown = text_cut(text, width);
    unsigned pad = width - text_width(shown);

    if (right)
        g_string_append_printf(out, "%*s", (int) pad, "");
    g_string_append_printf(out, "%s%s%s", color_begin(color), shown, color_end(color));
    if (!right && !last)
        g_string_append_printf(out, "%*s", (int) pad, "");
}

/* row < 0: the titles. */
static void append_row(const Table *table, const Column *layout, long row, GString *out)
{
    size_t last = table->n;
    bool first = true;

    while (last > 0 && layout[last - 1].hidden)
        last--;
    for (size_t c = 0; c < last; c++) {
        if (layout[c].hidden)
            continue;
        if (!first)
            g_string_append_printf(out, "%*s", (int) GAP, "");
        first = false;
        const Cell *cell = row < 0 ? NULL : cell_at(table, (size_t) row, c);
        append_cell(out, cell ? cell->text : _(table->columns[c].title), layout[c].width,
                    table->columns[c].right, c + 1 == last, cell ? cell->color : COLOR_BOLD);
    }
    while (out->len > 0 && out->str[out->len - 1] == ' ') /* an empty cell at the end of the row */
        g_string_truncate(out, out->len - 1);
    g_string_append_c(out, '\n');
}

char *table_format(const Table *table, unsigned width)
{
    g_autofree Column *layout = lay_out(table, width);
    GString *out = g_string_new(NULL);

    g_assert(table->cells->len % table->n == 0);
    for (long row = -1; row < (long) table_rows(table); row++)
        append_row(table, layout, row, out);
    return g_string_free(out, FALSE);
}

void table_print(const Table *table)
{
    g_autofree char *text = table_format(table, output_columns(STDOUT_FILENO));

    fputs(text, stdout);
}
