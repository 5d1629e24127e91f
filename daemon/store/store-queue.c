/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The named queues themselves: listing, setting, removing. */
#include "store/store-flow.h"
#include "store/store-internal.h"

typedef struct QueueOp {
    Op op;
    char *name;
    uint32_t parallel;
    StoreDone done;
    void *userdata;
} QueueOp;

static void queue_complete(Op *op, const StoreEvents *events)
{
    const QueueOp *queue = (QueueOp *) op;

    if (queue->done)
        queue->done(op->r, queue->userdata);
}

static void queue_free(Op *op)
{
    g_free(((QueueOp *) op)->name);
}

static int set_run(Database *database, Op *op)
{
    const QueueOp *queue = (QueueOp *) op;
    int64_t id;
    int r;

    r = sql_run(&database->sql,
                "INSERT INTO queues (name, parallel) VALUES (?1, ?2)"
                " ON CONFLICT (name) DO UPDATE SET parallel = excluded.parallel",
                SQL_VALUES(sql_text(queue->name), sql_int(queue->parallel)));
    if (r >= 0)
        r = queue_find(database, queue->name, &id);
    if (r < 0)
        return r;
    database->n_lanes++;
    flow_note_left(database, id, 0); /* there may be more room now */
    return 0;
}

static int remove_run(Database *database, Op *op)
{
    const QueueOp *queue = (QueueOp *) op;
    int64_t id, live = 0;
    int r = queue_find(database, queue->name, &id);

    if (r <= 0 || id == 0) {
        op->r = r < 0 ? 0 : -ENOKEY;
        return MIN(r, 0);
    }
    r = sql_number(&database->sql,
                   "SELECT EXISTS (SELECT 1 FROM tasks WHERE queue = ?1 AND state NOT IN (5, 6, 7, 8))"
                   " OR EXISTS (SELECT 1 FROM ranges WHERE queue = ?1 AND state NOT IN (5, 6, 7, 8))",
                   SQL_VALUES(sql_int(id)), &live);
    if (r >= 0 && live) {
        op->r = -EBUSY;
        return 0;
    }
    return r < 0 ? r : sql_run(&database->sql, "DELETE FROM queues WHERE id = ?1", SQL_VALUES(sql_int(id)));
}

static const OpClass set_class = {
    .run = set_run, .complete = queue_complete, .free = queue_free, .writes = true, .durable = true
};
static const OpClass remove_class = {
    .run = remove_run, .complete = queue_complete, .free = queue_free, .writes = true, .durable = true
};

static void queue_enqueue(StorePort *port, const OpClass *class, const char *name, uint32_t parallel,
                          StoreDone done, void *userdata)
{
    QueueOp *queue = g_new(QueueOp, 1);

    *queue = (QueueOp){ .op = OP_INIT(*class),
                        .name = g_strdup(name),
                        .parallel = parallel,
                        .done = done,
                        .userdata = userdata };
    store_enqueue((Store *) port, &queue->op);
}

void store_set_queue(StorePort *port, const char *name, uint32_t parallel, StoreDone done, void *userdata)
{
    queue_enqueue(port, &set_class, name, parallel, done, userdata);
}

void store_remove_queue(StorePort *port, const char *name, StoreDone done, void *userdata)
{
    queue_enqueue(port, &remove_class, name, 0, done, userdata);
}

/* ------------------------------------------------------------------ listing */

typedef struct ListOp {
    Op op;
    GPtrArray *rows;
    StoreQueues done;
    void *userdata;
} ListOp;

#define NOT_HIDDEN " AND NOT EXISTS (SELECT 1 FROM batches b WHERE b.id = batch AND b.phase <> 1)"
#define TASKS_GATED "SELECT count(*) FROM tasks INDEXED BY tasks_gated WHERE state = 10 AND queue = ?1"
#define ELEMENTS_GATED                                                                                       \
    "SELECT ifnull(sum(last - first + 1), 0) FROM ranges INDEXED BY ranges_gated WHERE state = 10 AND queue = ?1"

/* Without those of batches that are not committed; to look for them takes longer, and mostly there are none. */
static int count_gated(Database *database, int64_t queue, uint64_t *ret)
{
    bool hidden = database->hidden->len > 0;
    int64_t rows = 0, elements = 0;
    int r = sql_number(&database->sql, hidden ? TASKS_GATED NOT_HIDDEN : TASKS_GATED,
                       SQL_VALUES(sql_int(queue)), &rows);

    if (r >= 0)
        r = sql_number(&database->sql, hidden ? ELEMENTS_GATED NOT_HIDDEN : ELEMENTS_GATED,
                       SQL_VALUES(sql_int(queue)), &elements);
    *ret = (uint64_t) (rows + elements);
    return MIN(r, 0);
}

static int row_add(Database *database, int64_t id, GPtrArray *rows)
{
    LaneFacts facts = { 0 };
    QueueRow *row;
    int r = queue_facts(database, id, &facts);

    if (r <= 0)
        return r;
    row = g_new0(QueueRow, 1);
    *row = (QueueRow){ .name = facts.key,
                       .parallel = (uint32_t) facts.parallel,
                       .active = (uint64_t) facts.active };
    g_ptr_array_add(rows, row);
    return count_gated(database, id, &row->queued);
}

static int list_run(Database *database, Op *op)
{
    ListOp *list = (ListOp *) op;
    int64_t id;
    int r;

    g_clear_pointer(&list->rows, g_ptr_array_unref);
    list->rows = queue_rows_new();
    for (int64_t after = 0;; after = id) {
        r = sql_number(&database->sql, "SELECT id FROM queues WHERE id > ?1 ORDER BY id LIMIT 1",
                       SQL_VALUES(sql_int(after)), &id);
        if (r > 0)
            r = row_add(database, id, list->rows);
        else
            return r;
        if (r < 0)
            return r;
    }
}

static void list_complete(Op *op, const StoreEvents *events)
{
    ListOp *list = (ListOp *) op;

    list->done(op->r, g_steal_pointer(&list->rows), list->userdata);
}

static void list_free(Op *op)
{
    g_clear_pointer(&((ListOp *) op)->rows, g_ptr_array_unref);
}

static const OpClass list_class = { .run = list_run, .complete = list_complete, .free = list_free };

void store_list_queues(StorePort *port, StoreQueues done, void *userdata)
{
    ListOp *list = g_new(ListOp, 1);

    *list = (ListOp){ .op = OP_INIT(list_class), .done = done, .userdata = userdata };
    store_enqueue((Store *) port, &list->op);
}
