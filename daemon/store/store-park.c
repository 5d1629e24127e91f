/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tasks that fit no worker there is are put aside, so that they do not fill the windows of those that do. Which they are the
 * core decides; here they are only moved. Very many come back in portions, with other operations in between. */
#include "store/store-flow.h"
#include "store/store-internal.h"

#define CHUNK_TASKS 2000

typedef struct ParkOp {
    Op op;
    uint64_t *tasks;
    size_t n;
} ParkOp;

static void park_free(Op *op)
{
    g_free(((ParkOp *) op)->tasks);
}

/* The elements of a range have one command and one set of limits: none of them fits. */
static int park_run(Database *database, Op *op)
{
    const ParkOp *park = (ParkOp *) op;
    int r = 0;

    for (size_t i = 0; r >= 0 && i < park->n; i++) {
        StoredTask task;
        r = row_find_task(database, park->tasks[i], &task);
        if (r > 0 && task.state == (int) TASK_QUEUED)
            r = flow_move(database, &task, STATE_PARKED);
    }
    return MIN(r, 0);
}

static const OpClass park_class = { .run = park_run, .free = park_free, .writes = true, .kept = true };

void store_park(StorePort *port, const uint64_t *tasks, size_t n)
{
    ParkOp *park = g_new(ParkOp, 1);

    *park = (ParkOp){ .op = OP_INIT(park_class), .tasks = g_memdup2(tasks, n * sizeof *tasks), .n = n };
    store_enqueue((Store *) port, &park->op);
}

static int read_parked_tasks(Database *database, GArray *tasks)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r = sql_query(&database->sql,
                      "SELECT " TASK_COLUMNS " FROM tasks INDEXED BY tasks_by_state"
                      " WHERE state = 11 AND state NOT IN (3, 5) ORDER BY id LIMIT ?1",
                      SQL_VALUES(sql_int(CHUNK_TASKS)), &statement);

    while (r >= 0 && (r = sql_step(&database->sql, statement)) > 0) {
        StoredTask task;
        row_read_task(statement, &task);
        g_array_append_val(tasks, task);
    }
    return r;
}

static int read_parked_ranges(Database *database, GArray *tasks)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r = sql_query(&database->sql,
                      "SELECT " RANGE_COLUMNS " FROM ranges INDEXED BY ranges_parked WHERE state = 11"
                      " ORDER BY last LIMIT ?1",
                      SQL_VALUES(sql_int(CHUNK_TASKS)), &statement);

    while (r >= 0 && (r = sql_step(&database->sql, statement)) > 0) {
        StoredRange range;
        StoredTask task;
        row_read_range(statement, &range);
        row_of_range(&range, range.first, &task);
        g_array_append_val(tasks, task);
    }
    return r;
}

static int unpark_run(Database *database, Op *op)
{
    g_autoptr(GArray) tasks = g_array_new(FALSE, FALSE, sizeof(StoredTask));
    int r = read_parked_tasks(database, tasks);

    if (r >= 0)
        r = read_parked_ranges(database, tasks);
    for (guint i = 0; r >= 0 && i < tasks->len; i++)
        r = flow_enter(database, &g_array_index(tasks, StoredTask, i), TASK_WAITING);
    op->again = r >= 0 && tasks->len >= CHUNK_TASKS;
    return r;
}

static const OpClass unpark_class = { .run = unpark_run, .writes = true, .kept = true };

void store_unpark(StorePort *port)
{
    Op *op = g_new(Op, 1);

    *op = OP_INIT(unpark_class);
    store_enqueue((Store *) port, op);
}
