/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sqlite3.h>

#include "util/macro.h"

/* One connection of SQLite and its prepared statements, used by one thread at a time. SQL text is always a literal: its
 * address is the key under which the statement is kept for the connection's life. While a statement is being stepped
 * through, the same literal must not be used again. Errors are negative errnos: -ENOSPC, -EIO, -EROFS, -EBUSY, -ENOMEM if the
 * disk or the system fails; -EINVAL and -E2BIG if SQLite refuses what it was given. */

typedef struct Sql {
    sqlite3 *handle;
    GHashTable *statements; /* literal → sqlite3_stmt */
    char *message;          /* SQLite's words on the latest error; NULL: none yet */
} Sql;

int sql_open(Sql *sql, const char *path) _warn_unused_; /* the file must exist */
void sql_done(Sql *sql);

/* Would another try, later, make sense? False: what was asked for is wrong. */
bool sql_error_is_of_disk(int r);

typedef enum SqlType { SQL_TYPE_NULL, SQL_TYPE_INTEGER, SQL_TYPE_TEXT, SQL_TYPE_BLOB } SqlType;

/* A value to be bound; what it points to must live until the statement has been run. */
typedef struct SqlValue {
    SqlType type;
    int64_t number; /* or the size of a blob */
    const void *data;
} SqlValue;

static inline SqlValue sql_int(int64_t number)
{
    return (SqlValue){ .type = SQL_TYPE_INTEGER, .number = number };
}

/* UINT64_MAX, which is "none", "unlimited" or "not known" throughout, is NULL in the database. */
static inline SqlValue sql_limit(uint64_t number)
{
    return number == UINT64_MAX ? (SqlValue){ .type = SQL_TYPE_NULL } : sql_int((int64_t) number);
}

static inline SqlValue sql_text(const char *text)
{
    return (SqlValue){ .type = text ? SQL_TYPE_TEXT : SQL_TYPE_NULL, .data = text };
}

static inline SqlValue sql_blob(const void *data, size_t size)
{
    return (SqlValue){ .type = SQL_TYPE_BLOB, .number = (int64_t) size, .data = data ? data : "" };
}

SqlValue sql_bytes(GBytes *bytes); /* NULL: NULL */

#define SQL_NO_VALUES NULL, 0
#define SQL_VALUES(...)                                                                                      \
    (const SqlValue[]){ __VA_ARGS__ }, sizeof((const SqlValue[]){ __VA_ARGS__ }) / sizeof(SqlValue)

/* Runs a statement that returns no rows. */
int sql_run(Sql *sql, const char *literal, const SqlValue *values, size_t n) _warn_unused_;

/* Prepares and binds; to be stepped through: 1: a row, 0: no more. */
int sql_query(Sql *sql, const char *literal, const SqlValue *values, size_t n, sqlite3_stmt **ret)
    _warn_unused_;
int sql_step(Sql *sql, sqlite3_stmt *statement) _warn_unused_;

/* The first column of the first row: 1, or 0 if there is no row. */
int sql_number(Sql *sql, const char *literal, const SqlValue *values, size_t n, int64_t *ret) _warn_unused_;

/* Runs statements that need no values and are not worth keeping; any text that is not input. */
int sql_script(Sql *sql, const char *text) _warn_unused_;

void sql_reset(sqlite3_stmt **statement);
#define _cleanup_statement_ __attribute__((cleanup(sql_reset)))

static inline int64_t sql_column_int(sqlite3_stmt *statement, int column)
{
    return sqlite3_column_int64(statement, column);
}

static inline uint64_t sql_column_limit(sqlite3_stmt *statement, int column)
{
    return sqlite3_column_type(statement, column) == SQLITE_NULL
               ? UINT64_MAX
               : (uint64_t) sqlite3_column_int64(statement, column);
}

char *sql_column_text(sqlite3_stmt *statement, int column);    /* a copy; NULL: NULL */
GBytes *sql_column_bytes(sqlite3_stmt *statement, int column); /* a copy; NULL: NULL */
