/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading tasks: finding them in tasks or ranges, and putting together what is shown from all the tables. Stateless;
 * everything is asked of the Database. */
#include "store/store-row.h"

#include "store/store-context.h"
#include "store/store-flow.h"
#include "store/store-gate.h"

void row_read_range(sqlite3_stmt *statement, StoredRange *ret)
{
    *ret = (StoredRange){
        .first = (uint64_t) sql_column_int(statement, 0),
        .last = (uint64_t) sql_column_int(statement, 1),
        .spec = (uint64_t) sql_column_int(statement, 2),
        .batch = (uint64_t) sql_column_int(statement, 3),
        .uid = (uint32_t) sql_column_int(statement, 4),
        .state = (int) sql_column_int(statement, 5),
        .priority = (int32_t) sql_column_int(statement, 6),
        .since_usec = (uint64_t) sql_column_int(statement, 7),
        .class = sql_column_int(statement, 8),
        .queue = sql_column_int(statement, 9),
        .lane = sql_column_int(statement, 10),
    };
}

int row_find_range(Database *database, uint64_t id, StoredRange *ret)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    StoredRange range;
    int r;

    r = sql_query(&database->sql, "SELECT " RANGE_COLUMNS " FROM ranges WHERE last >= ?1 ORDER BY last LIMIT 1",
                  SQL_VALUES(sql_int((int64_t) id)), &statement);
    if (r >= 0)
        r = sql_step(&database->sql, statement);
    if (r <= 0)
        return r;
    row_read_range(statement, &range);
    if (range.first > id)
        return 0;
    *ret = range;
    return 1;
}

void row_of_range(const StoredRange *range, uint64_t first, StoredTask *ret)
{
    *ret = (StoredTask){
        .id = first,
        .spec = range->spec,
        .batch = range->batch,
        .uid = range->uid,
        .state = range->state,
        .priority = range->priority,
        .since_usec = range->since_usec,
        .class = range->class,
        .queue = range->queue,
        .lane = range->lane,
        .virtual = true,
        .last = range->last,
    };
}

void row_read_task(sqlite3_stmt *statement, StoredTask *ret)
{
    *ret = (StoredTask){
        .id = (uint64_t) sql_column_int(statement, 0),
        .spec = (uint64_t) sql_column_int(statement, 1),
        .batch = (uint64_t) sql_column_int(statement, 2),
        .uid = (uint32_t) sql_column_int(statement, 3),
        .state = (int) sql_column_int(statement, 4),
        .priority = (int32_t) sql_column_int(statement, 5),
        .attempts = (uint32_t) sql_column_int(statement, 6),
        .lost = (uint32_t) sql_column_int(statement, 7),
        .fence = (uint64_t) sql_column_int(statement, 8),
        .since_usec = (uint64_t) sql_column_int(statement, 9),
        .class = sql_column_int(statement, 10),
        .queue = sql_column_int(statement, 11),
        .lane = sql_column_int(statement, 12),
        .spent = (uint32_t) sql_column_int(statement, 13),
        .memory_bytes = (uint64_t) sql_column_int(statement, 14),
    };
    ret->last = ret->id;
}

static int task_find(Database *database, uint64_t id, StoredTask *ret)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r;

    r = sql_query(&database->sql, "SELECT " TASK_COLUMNS " FROM tasks WHERE id = ?1",
                  SQL_VALUES(sql_int((int64_t) id)), &statement);
    if (r >= 0)
        r = sql_step(&database->sql, statement);
    if (r > 0)
        row_read_task(statement, ret);
    return r;
}

int row_find_task(Database *database, uint64_t id, StoredTask *ret)
{
    StoredRange range;
    int r;

    if (id == 0 || id > INT64_MAX || database_find_hidden(database, id))
        return 0;
    r = task_find(database, id, ret);
    if (r != 0)
        return r;
    r = row_find_range(database, id, &range);
    if (r > 0)
        row_of_range(&range, id, ret);
    return r;
}

int row_find_assignment(Database *database, uint64_t task, StoredAssignment *ret)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r;

    r = sql_query(&database->sql,
                  "SELECT fence, batch, start, worker, cancelled FROM assignments WHERE task = ?1",
                  SQL_VALUES(sql_int((int64_t) task)), &statement);
    if (r >= 0)
        r = sql_step(&database->sql, statement);
    if (r <= 0)
        return r;
    *ret = (StoredAssignment){
        .task = task,
        .fence = (uint64_t) sql_column_int(statement, 0),
        .batch = (uint64_t) sql_column_int(statement, 1),
        .start_usec = (uint64_t) sql_column_int(statement, 2),
        .worker = (uint32_t) sql_column_int(statement, 3),
        .cancelled = sql_column_int(statement, 4) != 0,
    };
    return 1;
}

TaskState row_state(const StoredTask *task, const StoredAssignment *assignment)
{
    if (task->state != STATE_TAKEN)
        return state_shown(task->state);
    return assignment->start_usec > 0 ? TASK_RUNNING : TASK_QUEUED;
}

/* ------------------------------------------------------------------ specs */

int row_load_spec(Database *database, const StoredTask *task, TaskSpec **ret)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    g_autoptr(TaskSpec) spec = task_spec_new();
    uint64_t base;
    int r;

    r = sql_query(&database->sql,
                  "SELECT context, has_fds, array_base, name, tags, argv, gated FROM specs WHERE id = ?1",
                  SQL_VALUES(sql_int((int64_t) task->spec)), &statement);
    if (r >= 0)
        r = sql_step(&database->sql, statement);
    if (r <= 0)
        return r < 0 ? r : -EIO;
    r = context_load(database, (uint64_t) sql_column_int(statement, 0), &spec->context);
    if (r < 0)
        return r;
    base = sql_column_limit(statement, 2);
    spec->id = task->id;
    spec->batch = task->batch;
    spec->array_index = base == UINT64_MAX ? ARRAY_INDEX_NONE : base + (task->id - task->spec);
    spec->priority = task->priority;
    spec->attempts = task->attempts;
    spec->lost = task->lost;
    spec->fence = task->fence;
    spec->has_fds = sql_column_int(statement, 1) != 0;
    g_free(spec->name);
    spec->name = sql_column_text(statement, 3);
    spec->tags = sql_column_text(statement, 4);
    spec->argv = sql_column_bytes(statement, 5);
    spec->spent = task->spent;
    spec->memory_max_bytes = task->memory_bytes;
    spec->has_dependencies = sql_column_int(statement, 6) != 0;
    if (spec->has_dependencies && database->n_results > 0)
        r = gate_has_inputs(database, task->spec, &spec->has_inputs);
    if (r >= 0 && task->class > 0)
        r = class_load(database, task->class, &spec->class);
    if (r < 0)
        return r;
    *ret = g_steal_pointer(&spec);
    return 0;
}

TaskSpec *row_spec_for_element(const TaskSpec *element, uint64_t id)
{
    TaskSpec *spec = task_spec_copy(element);

    if (spec->array_index != ARRAY_INDEX_NONE)
        spec->array_index += id - spec->id;
    spec->id = id;
    return spec;
}

/* ------------------------------------------------------------------ rows to be shown */

static OutputPlace read_place(sqlite3_stmt *statement, int column)
{
    uint64_t offset = sql_column_limit(statement, column);

    return (OutputPlace){ .packed = offset != UINT64_MAX,
                          .offset = offset != UINT64_MAX ? offset : 0,
                          .size = (uint64_t) sql_column_int(statement, column + 1) };
}

void row_read_attempt(sqlite3_stmt *statement, uint64_t task, AttemptRow *ret)
{
    *ret = (AttemptRow){
        .attempt = (uint32_t) sql_column_int(statement, 0),
        .worker = (uint32_t) sql_column_int(statement, 1),
        .result = {
            .task = task,
            .outcome = (Outcome) sql_column_int(statement, 2),
            .exit_status = (int) sql_column_int(statement, 3),
            .signal = (int) sql_column_int(statement, 4),
            .error = (int) sql_column_int(statement, 5),
            .start_usec = (uint64_t) sql_column_int(statement, 6),
            .end_usec = (uint64_t) sql_column_int(statement, 7),
            .cpu_nsec = (uint64_t) sql_column_int(statement, 8),
            .memory_peak_bytes = sql_column_limit(statement, 9),
            .stderr_tail = sql_column_bytes(statement, 10),
            .note = sql_column_text(statement, 11),
            .dropped_bytes = { 0, (uint64_t) sql_column_int(statement, 12), (uint64_t) sql_column_int(statement, 13) },
            .places = {
                [STREAM_STDOUT] = read_place(statement, 14),
                [STREAM_STDERR] = read_place(statement, 16),
            },
            .memory_max_bytes = sql_column_limit(statement, 18),
        },
    };
}

static int row_add_latest_attempt(Database *database, TaskRow *row)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    AttemptRow attempt;
    int r;

    r = sql_query(&database->sql, ATTEMPT_SELECT_LATEST, SQL_VALUES(sql_int((int64_t) row->spec->id)),
                  &statement);
    if (r >= 0)
        r = sql_step(&database->sql, statement);
    if (r <= 0)
        return r;
    row_read_attempt(statement, row->spec->id, &attempt);
    row->worker = attempt.worker;
    row->start_usec = attempt.result.start_usec;
    row->result = attempt.result;
    return 0;
}

/* A running attempt hides the one before it. */
static void row_add_assignment(TaskRow *row, const StoredAssignment *assignment)
{
    row->worker = assignment->worker;
    if (assignment->start_usec == 0)
        return;
    row->attempt++;
    row->start_usec = assignment->start_usec;
    task_result_done(&row->result);
    row->result = (TaskResult){ .task = row->spec->id,
                                .fence = assignment->fence,
                                .memory_peak_bytes = MEMORY_UNKNOWN };
}

static int row_add_times(Database *database, const StoredTask *task, TaskRow *row)
{
    int64_t submitted = 0;
    int r;

    r = sql_number(&database->sql, "SELECT submitted FROM batches WHERE id = ?1",
                   SQL_VALUES(sql_int((int64_t) task->batch)), &submitted);
    row->submitted_usec = (uint64_t) submitted;
    if (task_state_is_end(row->state) && row->result.outcome == OUTCOME_NONE)
        row->result.end_usec = task->since_usec;
    return r;
}

static int row_add_reason(Database *database, uint64_t id, TaskRow *row)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r;

    r = sql_query(&database->sql, "SELECT reason FROM tasks WHERE id = ?1", SQL_VALUES(sql_int((int64_t) id)),
                  &statement);
    if (r >= 0)
        r = sql_step(&database->sql, statement);
    if (r > 0)
        row->reason = sql_column_text(statement, 0);
    return r;
}

static int row_add_wait(Database *database, TaskRow *row)
{
    Wait wait;
    int r = wait_find(database, row->spec->id, &wait);

    if (r > 0)
        row->not_before_usec = wait.realtime_usec;
    return MIN(r, 0);
}

static int row_add_skip_reason(Database *database, const StoredTask *task, TaskRow *row)
{
    g_autofree char *conditions = NULL;
    char *reason = NULL;
    int r = gate_describe(database, task->spec, &conditions, &reason);

    if (r > 0 && !row->reason)
        row->reason = g_steal_pointer(&reason);
    g_free(reason);
    return MIN(r, 0);
}

int row_load(Database *database, const StoredTask *task, TaskRow **ret)
{
    g_autoptr(TaskRow) row = g_new0(TaskRow, 1);
    StoredAssignment assignment = { 0 };
    int r;

    row->result.memory_peak_bytes = MEMORY_UNKNOWN;
    row->result.task = task->id;
    r = row_load_spec(database, task, &row->spec);
    if (r >= 0 && !task->virtual && task->attempts > 0)
        r = row_add_latest_attempt(database, row);
    if (r >= 0 && !task->virtual)
        r = row_add_reason(database, task->id, row);
    if (r >= 0 && task->state == STATE_TAKEN)
        r = row_find_assignment(database, task->id, &assignment);
    if (r < 0)
        return r;
    if (database->n_lanes > 0)
        row->queue = queue_name(database, task->queue);
    if (database->n_waits > 0 && task->state != STATE_TAKEN && !task_state_is_end(state_shown(task->state)))
        r = row_add_wait(database, row);
    if (r >= 0 && task->state == (int) TASK_SKIPPED)
        r = row_add_skip_reason(database, task, row);
    if (r < 0)
        return r;
    row->attempt = task->attempts;
    row->state = row_state(task, &assignment);
    if (task_state_is_end(row->state) && row->spec->context->demand.memory_auto && row->result.memory_max_bytes > 0)
        row->spec->memory_max_bytes = row->result.memory_max_bytes; /* it was worked out when it began */
    if (task->state == STATE_TAKEN)
        row_add_assignment(row, &assignment);
    r = row_add_times(database, task, row);
    if (r < 0)
        return r;
    *ret = g_steal_pointer(&row);
    return 0;
}

int row_add_data(Database *database, TaskRow *row)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r;

    r = sql_query(&database->sql, "SELECT data FROM results WHERE task = ?1",
                  SQL_VALUES(sql_int((int64_t) row->spec->id)), &statement);
    if (r >= 0)
        r = sql_step(&database->sql, statement);
    if (r > 0)
        row->result.data = sql_column_bytes(statement, 0);
    return r;
}

int row_load_attempts(Database *database, uint64_t task, GPtrArray **ret)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    g_autoptr(GPtrArray) attempts = attempt_rows_new();
    int r;

    r = sql_query(&database->sql, "SELECT " ATTEMPT_COLUMNS " FROM attempts WHERE task = ?1 ORDER BY attempt",
                  SQL_VALUES(sql_int((int64_t) task)), &statement);
    if (r < 0)
        return r;
    while ((r = sql_step(&database->sql, statement)) > 0) {
        AttemptRow *attempt = g_new(AttemptRow, 1);
        row_read_attempt(statement, task, attempt);
        g_ptr_array_add(attempts, attempt);
    }
    if (r < 0)
        return r;
    *ret = g_steal_pointer(&attempts);
    return 0;
}
