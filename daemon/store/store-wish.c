/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What somebody wants of the service as a whole (a target of scaling, a profile), and what was learned of classes of tasks.
 * Small tables, read once, at the start. */
#include "store/store-wish.h"

#include "store/store-internal.h"

/* ------------------------------------------------------------------ wishes */

typedef struct WishOp {
    Op op;
    char *key, *value; /* value NULL: forgotten */
    StoreDone done;
    void *userdata;
} WishOp;

static int wish_run(Database *database, Op *op)
{
    const WishOp *wish = (WishOp *) op;

    if (!wish->value)
        return sql_run(&database->sql, "DELETE FROM wishes WHERE key = ?1", SQL_VALUES(sql_text(wish->key)));
    return sql_run(&database->sql, "INSERT OR REPLACE INTO wishes (key, value) VALUES (?1, ?2)",
                   SQL_VALUES(sql_text(wish->key), sql_text(wish->value)));
}

static void wish_complete(Op *op, const StoreEvents *events)
{
    const WishOp *wish = (WishOp *) op;

    if (wish->done)
        wish->done(op->r, wish->userdata);
}

static void wish_free(Op *op)
{
    g_free(((WishOp *) op)->key);
    g_free(((WishOp *) op)->value);
}

static const OpClass wish_class = {
    .run = wish_run, .complete = wish_complete, .free = wish_free, .writes = true, .durable = true
};

void store_set_wish(StorePort *port, const char *key, const char *value, StoreDone done, void *userdata)
{
    WishOp *wish = g_new(WishOp, 1);

    *wish = (WishOp){ .op = OP_INIT(wish_class),
                      .key = g_strdup(key),
                      .value = g_strdup(value),
                      .done = done,
                      .userdata = userdata };
    store_enqueue((Store *) port, &wish->op);
}

int wishes_load(Database *database, GHashTable **ret)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    g_autoptr(GHashTable) wishes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    int r = sql_query(&database->sql, "SELECT key, value FROM wishes", SQL_NO_VALUES, &statement);

    while (r >= 0 && (r = sql_step(&database->sql, statement)) > 0)
        g_hash_table_insert(wishes, sql_column_text(statement, 0), sql_column_text(statement, 1));
    if (r < 0)
        return r;
    *ret = g_steal_pointer(&wishes);
    return 0;
}

/* ------------------------------------------------------------------ what was learned */

typedef struct LearnedOp {
    Op op;
    LearnedRow row;
} LearnedOp;

static int learned_run(Database *database, Op *op)
{
    const LearnedRow *row = &((LearnedOp *) op)->row;

    if (!row->data)
        return sql_run(&database->sql, "DELETE FROM learned WHERE uid = ?1 AND class = ?2",
                       SQL_VALUES(sql_int(row->uid), sql_text(row->class)));
    return sql_run(&database->sql, "INSERT OR REPLACE INTO learned (uid, class, used, data) VALUES (?1, ?2, ?3, ?4)",
                   SQL_VALUES(sql_int(row->uid), sql_text(row->class), sql_int(g_get_real_time()),
                              sql_bytes(row->data)));
}

static void learned_free_op(Op *op)
{
    LearnedRow *row = &((LearnedOp *) op)->row;

    g_free(row->class);
    g_clear_pointer(&row->data, g_bytes_unref);
}

static const OpClass learned_class = { .run = learned_run, .free = learned_free_op, .writes = true };

void store_save_learned(StorePort *port, const LearnedRow *row)
{
    LearnedOp *learned = g_new(LearnedOp, 1);

    *learned = (LearnedOp){ .op = OP_INIT(learned_class),
                            .row = { row->uid, g_strdup(row->class), row->data ? g_bytes_ref(row->data) : NULL } };
    store_enqueue((Store *) port, &learned->op);
}

int learned_load(Database *database, GPtrArray **ret)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    g_autoptr(GPtrArray) rows = learned_rows_new();
    int r = sql_query(&database->sql, "SELECT uid, class, data FROM learned ORDER BY used", SQL_NO_VALUES,
                      &statement);

    while (r >= 0 && (r = sql_step(&database->sql, statement)) > 0) {
        LearnedRow *row = g_new(LearnedRow, 1);
        *row = (LearnedRow){ (uint32_t) sql_column_int(statement, 0), sql_column_text(statement, 1),
                             sql_column_bytes(statement, 2) };
        g_ptr_array_add(rows, row);
    }
    if (r < 0)
        return r;
    *ret = g_steal_pointer(&rows);
    return 0;
}
