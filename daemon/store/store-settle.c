/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The way of a task through a worker's hands: assign, started, settle. This is the path that every task takes: a few
 * small statements each, and nothing that grows with the queue. Invariant: a task is in state STATE_TAKEN if and only if
 * it has a row in assignments. */
#include "store/store-flow.h"
#include "store/store-internal.h"
#include "store/store-range.h"

typedef struct AssignOp {
    Op op;
    Assignment *assignments;
    size_t n;
} AssignOp;

static void assign_free(Op *op)
{
    g_free(((AssignOp *) op)->assignments);
}

static int assignment_insert(Database *database, const Assignment *assignment, uint64_t batch)
{
    return sql_run(&database->sql,
                   "INSERT OR REPLACE INTO assignments (task, worker, fence, batch) VALUES (?1, ?2, ?3, ?4)",
                   SQL_VALUES(sql_int((int64_t) assignment->task), sql_int(assignment->worker),
                              sql_int((int64_t) assignment->fence), sql_int((int64_t) batch)));
}

/* ------------------------------------------------------------------ assign */

/* 1: done; 0: it has no row. What ended meanwhile is left alone, and its result will be. */
static int assign_task(Database *database, const Assignment *assignment)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int64_t state, batch;
    int r;

    r = sql_query(&database->sql, "SELECT state, batch FROM tasks WHERE id = ?1",
                  SQL_VALUES(sql_int((int64_t) assignment->task)), &statement);
    if (r >= 0)
        r = sql_step(&database->sql, statement);
    if (r <= 0)
        return r;
    state = sql_column_int(statement, 0);
    batch = sql_column_int(statement, 1);
    if (state != TASK_QUEUED) { /* and the number is not given out again */
        r = sql_run(&database->sql, "UPDATE tasks SET fence = ?2 WHERE id = ?1 AND fence < ?2",
                    SQL_VALUES(sql_int((int64_t) assignment->task), sql_int((int64_t) assignment->fence)));
        return r < 0 ? r : 1;
    }
    r = sql_run(&database->sql, "UPDATE tasks SET state = 3, fence = ?2 WHERE id = ?1",
                SQL_VALUES(sql_int((int64_t) assignment->task), sql_int((int64_t) assignment->fence)));
    if (r >= 0)
        r = assignment_insert(database, assignment, (uint64_t) batch);
    return r < 0 ? r : 1;
}

/* Elements that follow one another leave their range together. Returns how many were dealt with. */
static int assign_elements(Database *database, const Assignment *assignments, size_t n)
{
    StoredRange range;
    size_t taken = 0;
    int r;

    r = row_find_range(database, assignments[0].task, &range);
    if (r < 0)
        return r;
    if (r == 0)
        return 1;
    if (range.state != TASK_QUEUED) { /* dropped; a row keeps its number */
        r = range_make_task(database, &range, assignments[0].task, range.state, assignments[0].fence);
        if (r >= 0)
            r = range_remove(database, &range, assignments[0].task, assignments[0].task);
        return r < 0 ? r : 1;
    }
    do {
        r = range_make_task(database, &range, assignments[taken].task, STATE_TAKEN, assignments[taken].fence);
        if (r >= 0)
            r = assignment_insert(database, &assignments[taken], range.batch);
        if (r < 0)
            return r;
        taken++;
    } while (taken < n && taken < INT_MAX && assignments[taken].task == assignments[taken - 1].task + 1 &&
             assignments[taken].task <= range.last);
    r = range_remove(database, &range, assignments[0].task, assignments[taken - 1].task);
    return r < 0 ? r : (int) taken;
}

static int assign_run(Database *database, Op *op)
{
    const AssignOp *assign = (AssignOp *) op;
    int r;

    for (size_t i = 0; i < assign->n; i += (size_t) r) {
        r = assign_task(database, &assign->assignments[i]);
        if (r == 0)
            r = assign_elements(database, &assign->assignments[i], assign->n - i);
        if (r < 0)
            return r;
    }
    return 0;
}

static const OpClass assign_class = { .run = assign_run, .free = assign_free, .writes = true, .kept = true };

static void assign_enqueue(StorePort *port, const OpClass *class, const Assignment *assignments, size_t n)
{
    AssignOp *assign;

    if (n == 0)
        return;
    assign = g_new(AssignOp, 1);
    *assign = (AssignOp){ .op = OP_INIT(*class),
                          .assignments = g_memdup2(assignments, n * sizeof(Assignment)),
                          .n = n };
    store_enqueue((Store *) port, &assign->op);
}

void store_assign(StorePort *port, const Assignment *assignments, size_t n)
{
    assign_enqueue(port, &assign_class, assignments, n);
}

/* ------------------------------------------------------------------ started */

/* Only those that others wait for are counted. */
static int count_first_start(Database *database, uint64_t task)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r;

    if (g_hash_table_size(database->watched) == 0)
        return 0;
    r = sql_query(&database->sql, "SELECT batch FROM tasks WHERE id = ?1 AND attempts = 0",
                  SQL_VALUES(sql_int((int64_t) task)), &statement);
    if (r >= 0)
        r = sql_step(&database->sql, statement);
    if (r > 0)
        database_count_started(database, (uint64_t) sql_column_int(statement, 0), 1);
    return MIN(r, 0);
}

static int started_run(Database *database, Op *op)
{
    const AssignOp *started = (AssignOp *) op;
    int r;

    for (size_t i = 0; i < started->n; i++) {
        const Assignment *assignment = &started->assignments[i];
        r = sql_run(
            &database->sql,
            "UPDATE assignments SET start = ?3 WHERE task = ?1 AND fence = ?2 AND start = 0 AND ?3 > 0",
            SQL_VALUES(sql_int((int64_t) assignment->task), sql_int((int64_t) assignment->fence),
                       sql_int((int64_t) assignment->start_usec)));
        if (r < 0)
            return r;
        if (sqlite3_changes(database->sql.handle) == 0)
            continue;
        database_count(database, 0, TASK_QUEUED, TASK_RUNNING, 1);
        flow_note_started(database, assignment->task);
        r = count_first_start(database, assignment->task);
        if (r < 0)
            return r;
    }
    return 0;
}

static const OpClass started_class = {
    .run = started_run, .free = assign_free, .writes = true, .kept = true
};

void store_started(StorePort *port, const Assignment *assignments, size_t n)
{
    assign_enqueue(port, &started_class, assignments, n);
}

/* ------------------------------------------------------------------ settle */

typedef struct SettleOp {
    Op op;
    Settlement *settlements;
    size_t n;
    StoreDone done;
    void *userdata;
} SettleOp;

static SqlValue place_offset(const OutputPlace *place)
{
    return sql_limit(place->packed ? place->offset : UINT64_MAX);
}

static int attempt_insert(Database *database, const Settlement *settlement)
{
    const TaskResult *result = &settlement->result;

    return sql_run(
        &database->sql,
        "INSERT OR REPLACE INTO attempts (task, " ATTEMPT_COLUMNS ")"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)",
        SQL_VALUES(sql_int((int64_t) result->task), sql_int(settlement->attempts),
                   sql_int(settlement->worker), sql_int((int64_t) result->outcome),
                   sql_int(result->exit_status), sql_int(result->signal), sql_int(result->error),
                   sql_int((int64_t) result->start_usec), sql_int((int64_t) result->end_usec),
                   sql_int((int64_t) result->cpu_nsec), sql_limit(result->memory_peak_bytes),
                   sql_bytes(result->stderr_tail), sql_text(result->note),
                   sql_int((int64_t) result->dropped_bytes[STREAM_STDOUT]),
                   sql_int((int64_t) result->dropped_bytes[STREAM_STDERR]),
                   place_offset(&result->places[STREAM_STDOUT]),
                   sql_int((int64_t) result->places[STREAM_STDOUT].size),
                   place_offset(&result->places[STREAM_STDERR]),
                   sql_int((int64_t) result->places[STREAM_STDERR].size),
                   sql_limit(result->memory_max_bytes > 0 ? result->memory_max_bytes : LIMIT_INFINITY)));
}

/* What the task wrote to $PAREXEC_RESULT, in its latest attempt. */
static int result_insert(Database *database, const TaskResult *result)
{
    if (!result->data)
        return 0;
    database->n_results++;
    return sql_run(&database->sql, "INSERT OR REPLACE INTO results (task, data) VALUES (?1, ?2)",
                   SQL_VALUES(sql_int((int64_t) result->task), sql_bytes(result->data)));
}

static int task_settle(Database *database, const Settlement *settlement)
{
    const TaskResult *result = &settlement->result;
    uint64_t since =
        settlement->attempted && result->end_usec > 0 ? result->end_usec : (uint64_t) g_get_real_time();

    return sql_run(
        &database->sql,
        "UPDATE tasks SET state = ?2, attempts = ?3, lost = ?4, since = ?5, reason = ?6, spent = ?7,"
        " memory = ifnull(nullif(?8, 0), memory) WHERE id = ?1",
        SQL_VALUES(sql_int((int64_t) result->task), sql_int((int64_t) settlement->next),
                   sql_int(settlement->attempts), sql_int(settlement->lost), sql_int((int64_t) since),
                   sql_text(settlement->reason), sql_int(settlement->spent),
                   sql_int((int64_t) settlement->memory_max_bytes)));
}

static int settle_wait(Database *database, const Settlement *settlement)
{
    if (settlement->next != TASK_WAITING)
        return 0;
    return wait_insert_task(database, settlement->result.task, settlement->due_usec);
}

/* It is not under way any more: others in its queue may be. */
static int leave_lane(Database *database, uint64_t task)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r;

    if (database->n_lanes == 0)
        return 0;
    r = sql_query(&database->sql, "SELECT queue, lane FROM tasks WHERE id = ?1",
                  SQL_VALUES(sql_int((int64_t) task)), &statement);
    if (r >= 0)
        r = sql_step(&database->sql, statement);
    if (r > 0)
        flow_note_left(database, sql_column_int(statement, 0), sql_column_int(statement, 1));
    return MIN(r, 0);
}

/* What follows for others, and for itself. */
static int settle_follow(Database *database, const Settlement *settlement)
{
    int r = settle_wait(database, settlement);

    if (r >= 0 && settlement->next != TASK_QUEUED)
        r = leave_lane(database, settlement->result.task);
    if (task_state_is_end(settlement->next))
        flow_note_ended(database, settlement->result.task, settlement->result.task);
    else if (settlement->attempted) /* so short that nobody told that it started, perhaps */
        flow_note_started(database, settlement->result.task);
    return r;
}

/* A task that no worker holds can end without an attempt: it cannot be started any more. */
static int settle_waiting(Database *database, const Settlement *settlement)
{
    StoredTask task;
    StoredRange range;
    int r;

    if (settlement->attempted || !task_state_is_end(settlement->next))
        return 0;
    r = row_find_task(database, settlement->result.task, &task);
    if (r <= 0 || task.fence != settlement->result.fence || task.state == STATE_TAKEN ||
        task_state_is_end(state_shown(task.state)))
        return r;
    if (task.virtual) {
        r = row_find_range(database, task.id, &range);
        if (r > 0)
            r = range_make_task(database, &range, task.id, range.state, 0);
        if (r >= 0)
            r = range_remove(database, &range, task.id, task.id);
        if (r < 0)
            return r;
    }
    database_count(database, task.batch, task.state, (int) settlement->next, 1);
    database_count_started(database, task.batch, task.attempts == 0);
    r = task_settle(database, settlement);
    return r < 0 ? r : settle_follow(database, settlement);
}

static int settle_one(Database *database, const Settlement *settlement)
{
    StoredAssignment assignment;
    int r;

    r = row_find_assignment(database, settlement->result.task, &assignment);
    if (r == 0)
        return settle_waiting(database, settlement);
    if (r < 0 || assignment.fence != settlement->result.fence)
        return r;
    r = sql_run(&database->sql, "DELETE FROM assignments WHERE task = ?1",
                SQL_VALUES(sql_int((int64_t) assignment.task)));
    if (r >= 0)
        r = task_settle(database, settlement);
    if (r >= 0 && settlement->attempted)
        r = attempt_insert(database, settlement);
    if (r >= 0 && settlement->attempted)
        r = result_insert(database, &settlement->result);
    if (r < 0)
        return r;
    bool first = settlement->attempted ? settlement->attempts == 1
                                       : settlement->attempts == 0 && task_state_is_end(settlement->next);
    if (first && assignment.start_usec == 0)
        database_count_started(database, assignment.batch, 1);
    database_count(database, assignment.batch, assignment.start_usec > 0 ? TASK_RUNNING : TASK_QUEUED,
                   (int) settlement->next, 1);
    return settle_follow(database, settlement);
}

static int settle_run(Database *database, Op *op)
{
    const SettleOp *settle = (SettleOp *) op;
    int r;

    for (size_t i = 0; i < settle->n; i++) {
        r = settle_one(database, &settle->settlements[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

static void settle_complete(Op *op, const StoreEvents *events)
{
    const SettleOp *settle = (SettleOp *) op;

    if (settle->done)
        settle->done(op->r, settle->userdata);
}

static void settle_free(Op *op)
{
    SettleOp *settle = (SettleOp *) op;

    for (size_t i = 0; i < settle->n; i++)
        settlement_done(&settle->settlements[i]);
    g_free(settle->settlements);
}

static const OpClass settle_class = {
    .run = settle_run,
    .complete = settle_complete,
    .free = settle_free,
    .writes = true,
    .durable = true,
    .kept = true,
};

void store_settle(StorePort *port, Settlement *settlements, size_t n, StoreDone done, void *userdata)
{
    SettleOp *settle = g_new(SettleOp, 1);

    *settle = (SettleOp){
        .op = OP_INIT(settle_class),
        .settlements = g_memdup2(settlements, n * sizeof(Settlement)),
        .n = n,
        .done = done,
        .userdata = userdata,
    };
    for (size_t i = 0; i < n; i++) {
        settlements[i].reason = NULL;
        settlements[i].result.stderr_tail = NULL;
        settlements[i].result.data = NULL;
        settlements[i].result.note = NULL;
    }
    store_enqueue((Store *) port, &settle->op);
}
