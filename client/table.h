/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/output.h"

/* Tables that fit the terminal. When there is not enough room the last wide columns are cut with "…", then
 * columns are left out, those with the highest .expendable first. */
typedef struct TableColumn {
    const char *title;   /* marked with N_() */
    bool right;          /* numbers: aligned to the right */
    bool cut;            /* may be cut, down to TABLE_CUT_MIN columns */
    unsigned expendable; /* 0: never left out */
} TableColumn;

#define TABLE_CUT_MIN 12U

typedef struct Table Table;

Table *table_new(const TableColumn *columns, size_t n);
Table *table_free(Table *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Table, table_free)

/* Adds the next cell, row by row. Takes the text, which is made printable; NULL: empty. */
void table_add(Table *table, Color color, char *text);
void table_add_format(Table *table, Color color, const char *format, ...) _printf_(3, 4);
size_t table_rows(const Table *table);

/* width 0: unlimited. With the closing newline. */
char *table_format(const Table *table, unsigned width);
void table_print(const Table *table); /* to stdout */
