/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A thin layer over SQLite: statements that are prepared once, values with their types, errors as errnos. Owned by
 * the Database; whoever got a statement from sql_query() resets it (by _cleanup_statement_) before it goes. */
#include "store/sqlite-util.h"

static int sql_errno(Sql *sql, int code)
{
    g_free(sql->message);
    sql->message = g_strdup(sql->handle ? sqlite3_errmsg(sql->handle) : sqlite3_errstr(code));

    switch (code & 0xff) {
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_IOERR: {
        int error = sql->handle ? sqlite3_system_errno(sql->handle) : EIO;
        return error == ENOSPC || error == EDQUOT ? -ENOSPC : -EIO;
    }
    case SQLITE_READONLY:
        return -EROFS;
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return -EACCES;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_CANTOPEN:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ABORT:
    case SQLITE_INTERRUPT:
        return -EIO;
    case SQLITE_TOOBIG:
        return -E2BIG;
    }
    return -EINVAL;
}

bool sql_error_is_of_disk(int r)
{
    return r < 0 && r != -EINVAL && r != -E2BIG;
}

int sql_open(Sql *sql, const char *path)
{
    int code = sqlite3_open_v2(path, &sql->handle,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);

    sql->statements = g_hash_table_new(NULL, NULL);
    return code == SQLITE_OK ? 0 : sql_errno(sql, code);
}

void sql_done(Sql *sql)
{
    GHashTableIter iter;
    gpointer statement;

    if (sql->statements) {
        g_hash_table_iter_init(&iter, sql->statements);
        while (g_hash_table_iter_next(&iter, NULL, &statement))
            sqlite3_finalize(statement);
    }
    g_clear_pointer(&sql->statements, g_hash_table_unref);
    sqlite3_close(sql->handle);
    sql->handle = NULL;
    g_clear_pointer(&sql->message, g_free);
}

static int sql_prepare(Sql *sql, const char *literal, sqlite3_stmt **ret)
{
    sqlite3_stmt *statement = g_hash_table_lookup(sql->statements, literal);
    int code;

    if (!statement) {
        code = sqlite3_prepare_v3(sql->handle, literal, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL);
        if (code != SQLITE_OK)
            return sql_errno(sql, code);
        g_hash_table_insert(sql->statements, (gpointer) literal, statement);
    }
    *ret = statement;
    return 0;
}

static int value_bind(sqlite3_stmt *statement, int position, const SqlValue *value)
{
    switch (value->type) {
    case SQL_TYPE_NULL:
        return sqlite3_bind_null(statement, position);
    case SQL_TYPE_INTEGER:
        return sqlite3_bind_int64(statement, position, value->number);
    case SQL_TYPE_TEXT:
        return sqlite3_bind_text(statement, position, value->data, -1, SQLITE_STATIC);
    case SQL_TYPE_BLOB:
        return sqlite3_bind_blob64(statement, position, value->data, (sqlite3_uint64) value->number,
                                   SQLITE_STATIC);
    }
    return SQLITE_MISUSE;
}

SqlValue sql_bytes(GBytes *bytes)
{
    gsize size;
    const void *data;

    if (!bytes)
        return (SqlValue){ .type = SQL_TYPE_NULL };
    data = g_bytes_get_data(bytes, &size);
    return sql_blob(data, size);
}

int sql_query(Sql *sql, const char *literal, const SqlValue *values, size_t n, sqlite3_stmt **ret)
{
    sqlite3_stmt *statement = NULL;
    int r, code;

    r = sql_prepare(sql, literal, &statement);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++) {
        code = value_bind(statement, (int) i + 1, &values[i]);
        if (code != SQLITE_OK)
            return sql_errno(sql, code);
    }
    *ret = statement;
    return 0;
}

int sql_step(Sql *sql, sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);

    if (code == SQLITE_ROW)
        return 1;
    return code == SQLITE_DONE ? 0 : sql_errno(sql, code);
}

void sql_reset(sqlite3_stmt **statement)
{
    if (*statement)
        (void) sqlite3_reset(*statement);
}

int sql_run(Sql *sql, const char *literal, const SqlValue *values, size_t n)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r;

    r = sql_query(sql, literal, values, n, &statement);
    if (r < 0)
        return r;
    return sql_step(sql, statement);
}

int sql_number(Sql *sql, const char *literal, const SqlValue *values, size_t n, int64_t *ret)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r;

    r = sql_query(sql, literal, values, n, &statement);
    if (r < 0)
        return r;
    r = sql_step(sql, statement);
    if (r > 0)
        *ret = sqlite3_column_int64(statement, 0);
    return r;
}

int sql_script(Sql *sql, const char *text)
{
    int code = sqlite3_exec(sql->handle, text, NULL, NULL, NULL);

    return code == SQLITE_OK ? 0 : sql_errno(sql, code);
}

char *sql_column_text(sqlite3_stmt *statement, int column)
{
    return g_strdup((const char *) sqlite3_column_text(statement, column));
}

GBytes *sql_column_bytes(sqlite3_stmt *statement, int column)
{
    const void *data;

    if (sqlite3_column_type(statement, column) == SQLITE_NULL)
        return NULL;
    data = sqlite3_column_blob(statement, column);
    return g_bytes_new(data, (gsize) sqlite3_column_bytes(statement, column));
}
