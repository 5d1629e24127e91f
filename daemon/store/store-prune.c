/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Forgetting what ended long ago: whole batches, the oldest first, a few thousand rows in each transaction and other
 * operations in between. A batch that others still wait for stays. Invariant: a batch has its row until everything else of
 * it is gone, so what was interrupted is found again. */
#include "store/store-internal.h"

#define PRUNE_CHUNK 2000
#define PRUNE_BATCHES 100U /* in one operation, if they are small */

typedef struct PruneOp {
    Op op;
    uint64_t before_usec;
    bool more;
    StorePruned done;
    void *userdata;
} PruneOp;

typedef struct Old {
    uint64_t batch, first, last;
    bool has_segment;
} Old;

static int old_find(Database *database, uint64_t before_usec, Old *ret)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r;

    r = sql_query(
        &database->sql,
        "SELECT b.id, s.first, s.last FROM batches b INDEXED BY batches_ended"
        " LEFT JOIN segments s ON s.batch = b.id WHERE b.ended IS NOT NULL AND b.ended < ?1"
        " AND NOT EXISTS (SELECT 1 FROM segments a CROSS JOIN edges e CROSS JOIN gates g ON g.spec = e.spec"
        "   WHERE a.batch = b.id AND e.target IN (0, 3) AND e.parent BETWEEN a.first AND a.last"
        "   AND (g.by_element OR (g.pending > 0 AND g.reason IS NULL)))"
        " AND NOT EXISTS (SELECT 1 FROM edges e CROSS JOIN gates g ON g.spec = e.spec AND g.pending > 0"
        "   WHERE e.target = 1 AND e.parent = b.id AND g.reason IS NULL)"
        " ORDER BY b.ended LIMIT 1",
        SQL_VALUES(sql_int((int64_t) MIN(before_usec, INT64_MAX))), &statement);
    if (r >= 0)
        r = sql_step(&database->sql, statement);
    if (r > 0)
        *ret = (Old){ .batch = (uint64_t) sql_column_int(statement, 0),
                      .first = (uint64_t) sql_column_int(statement, 1),
                      .last = (uint64_t) sql_column_int(statement, 2),
                      .has_segment = sqlite3_column_type(statement, 1) != SQLITE_NULL };
    return r;
}

/* Each of what is left between two ids, a chunk at a time; *ret_left is what may still be taken from this transaction. */
static int rows_delete(Database *database, const Old *old, int64_t *left)
{
    static const char *const literals[] = {
        "DELETE FROM attempts WHERE (task, attempt) IN (SELECT task, attempt FROM attempts WHERE task BETWEEN ?1 AND ?2 LIMIT ?3)",
        "DELETE FROM results WHERE task IN (SELECT task FROM results WHERE task BETWEEN ?1 AND ?2 LIMIT ?3)",
        "DELETE FROM edges WHERE target IN (0, 3) AND (target, parent, spec, clause, kind, status) IN"
        " (SELECT target, parent, spec, clause, kind, status FROM edges WHERE target IN (0, 3)"
        "   AND parent BETWEEN ?1 AND ?2 LIMIT ?3)",
        "DELETE FROM gates WHERE spec IN (SELECT spec FROM gates WHERE spec BETWEEN ?1 AND ?2 LIMIT ?3)",
        "DELETE FROM waits WHERE first IN (SELECT first FROM waits WHERE first BETWEEN ?1 AND ?2 LIMIT ?3)",
        "DELETE FROM ranges WHERE last IN (SELECT last FROM ranges WHERE last BETWEEN ?1 AND ?2 LIMIT ?3)",
        "DELETE FROM tasks WHERE id IN (SELECT id FROM tasks WHERE id BETWEEN ?1 AND ?2 LIMIT ?3)",
        /* nobody else has that of an array; those of names stay */
        "DELETE FROM lanes WHERE key IN"
        " (SELECT 'array:' || id FROM specs WHERE id BETWEEN ?1 AND ?2 AND array_count IS NOT NULL LIMIT ?3)",
        "DELETE FROM specs WHERE id IN (SELECT id FROM specs WHERE id BETWEEN ?1 AND ?2 LIMIT ?3)",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(literals); i++) {
        int r;
        if (*left <= 0)
            return 1;
        r = sql_run(&database->sql, literals[i],
                    SQL_VALUES(sql_int((int64_t) old->first), sql_int((int64_t) old->last), sql_int(*left)));
        if (r < 0)
            return r;
        *left -= sqlite3_changes(database->sql.handle);
    }
    return *left <= 0;
}

/* Its tasks are not counted any more. */
static int batch_delete(Database *database, uint64_t batch)
{
    uint64_t *n = database->counters.counts.by_state;
    BatchSums sums;
    int r = database_batch_sums(database, batch, &sums);

    if (r <= 0)
        return r < 0 ? r : -EIO;
    n[TASK_SUCCEEDED] -= sums.succeeded;
    n[TASK_FAILED] -= sums.failed;
    n[TASK_CANCELLED] -= sums.cancelled;
    n[TASK_SKIPPED] -= sums.skipped;
    r = sql_run(&database->sql, "DELETE FROM keys WHERE batch = ?1", SQL_VALUES(sql_int((int64_t) batch)));
    if (r >= 0)
        r = sql_run(&database->sql, "DELETE FROM edges WHERE target = 1 AND parent = ?1",
                    SQL_VALUES(sql_int((int64_t) batch)));
    return r < 0 ? r
                 : sql_run(&database->sql, "DELETE FROM batches WHERE id = ?1",
                           SQL_VALUES(sql_int((int64_t) batch)));
}

/* 1: there is more of it. */
static int old_delete_some(Database *database, const Old *old, int64_t *left)
{
    int r;

    if (!old->has_segment)
        return batch_delete(database, old->batch);
    r = rows_delete(database, old, left);
    if (r != 0)
        return r;
    r = sql_run(&database->sql, "DELETE FROM segments WHERE batch = ?1 AND first = ?2",
                SQL_VALUES(sql_int((int64_t) old->batch), sql_int((int64_t) old->first)));
    return r < 0 ? r : 1;
}

static int prune_run(Database *database, Op *op)
{
    PruneOp *prune = (PruneOp *) op;
    int64_t left = PRUNE_CHUNK;
    Old old;
    int r = 0;

    prune->more = false;
    for (unsigned i = 0; i < PRUNE_BATCHES && left > 0; i++) {
        r = old_find(database, prune->before_usec, &old);
        if (r <= 0)
            return r;
        r = old_delete_some(database, &old, &left);
        if (r < 0)
            return r;
    }
    prune->more = true;
    return 0;
}

static void prune_complete(Op *op, const StoreEvents *events)
{
    const PruneOp *prune = (PruneOp *) op;

    if (prune->done)
        prune->done(op->r, prune->more, prune->userdata);
}

static const OpClass prune_class = { .run = prune_run, .complete = prune_complete, .writes = true };

void store_prune(StorePort *port, uint64_t before_usec, StorePruned done, void *userdata)
{
    PruneOp *prune = g_new(PruneOp, 1);

    *prune = (PruneOp){
        .op = OP_INIT(prune_class), .before_usec = before_usec, .done = done, .userdata = userdata
    };
    store_enqueue((Store *) port, &prune->op);
}
