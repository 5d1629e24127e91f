/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The connection and what is kept in memory beside it: counters, hidden ids, sums per batch. Owned by the Store, used by
 * its thread once that runs. Invariant: outside a transaction, memory says what the tables say; a rollback restores both. */
#include "store/store-database.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "store/schema.h"
#include "store/store-context.h"
#include "store/store-flow.h"
#include "store/store-internal.h"
#include "store/store-row.h"
#include "util/log.h"

enum { COUNTER_NEXT_TASK = 100, COUNTER_NEXT_BATCH, COUNTER_NEXT_WORKER, COUNTER_ENABLED };

static uint64_t *counter_by_id(Counters *counters, int64_t id)
{
    switch (id) {
    case COUNTER_NEXT_TASK:
        return &counters->next_task;
    case COUNTER_NEXT_BATCH:
        return &counters->next_batch;
    case COUNTER_NEXT_WORKER:
        return &counters->next_worker;
    case COUNTER_ENABLED:
        return &counters->enabled;
    }
    return id >= 0 && id < _TASK_STATE_MAX ? &counters->counts.by_state[id] : NULL;
}

static int counters_load(Database *database)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r;

    r = sql_query(&database->sql, "SELECT id, value FROM counters", SQL_NO_VALUES, &statement);
    if (r < 0)
        return r;
    while ((r = sql_step(&database->sql, statement)) > 0) {
        uint64_t *counter = counter_by_id(&database->counters, sql_column_int(statement, 0));
        if (counter)
            *counter = (uint64_t) sql_column_int(statement, 1);
    }
    database->committed = database->counters;
    return r;
}

static int counters_write(Database *database)
{
    for (int64_t id = 0; id <= COUNTER_ENABLED; id++) {
        const uint64_t *now = counter_by_id(&database->counters, id),
                       *before = counter_by_id(&database->committed, id);
        int r;

        if (!now || *now == *before)
            continue;
        r = sql_run(&database->sql, "UPDATE counters SET value = ?2 WHERE id = ?1",
                    SQL_VALUES(sql_int(id), sql_int((int64_t) *now)));
        if (r < 0)
            return r;
    }
    return 0;
}

static int hidden_load(Database *database)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r;

    r = sql_query(
        &database->sql,
        "SELECT s.first, s.last, s.batch FROM batches b INDEXED BY batches_hidden CROSS JOIN segments s ON s.batch = b.id"
        " WHERE b.phase <> 1"
        " ORDER BY s.first",
        SQL_NO_VALUES, &statement);
    if (r < 0)
        return r;
    while ((r = sql_step(&database->sql, statement)) > 0) {
        HiddenIds hidden = { .first = (uint64_t) sql_column_int(statement, 0),
                             .last = (uint64_t) sql_column_int(statement, 1),
                             .batch = (uint64_t) sql_column_int(statement, 2) };
        g_array_append_val(database->hidden, hidden);
    }
    return r;
}

/* The file is private: argv and environments of everybody are in it. */
static int database_make_file(const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0 || fchmod(fd, 0600) < 0)
        return log_error_errno(errno, "Failed to open %s: %m", path);
    return 0;
}

/* One connection has the file to itself: a second daemon is refused, and no shared memory is needed. */
static int database_set_up(Database *database, const char *path)
{
    int64_t mode = 0;
    int r;

    r = sql_open(&database->sql, path);
    if (r >= 0)
        r = sql_script(
            &database->sql,
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA trusted_schema = OFF; PRAGMA cache_size = -8192;"
            "PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = OFF");
    /* A database that is refused below is left as it is, its log included. */
    if (r >= 0 &&
        sqlite3_db_config(database->sql.handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL) != SQLITE_OK)
        r = -EIO;
    if (r >= 0)
        r = sql_number(&database->sql, "PRAGMA user_version", SQL_NO_VALUES, &mode);
    if (r == -EBUSY)
        return log_error_errno(r, "%s is in use by another process", path);
    if (r < 0)
        return log_error_errno(r, "Failed to open %s: %s", path, database->sql.message);
    return 0;
}

static int database_prepare(Database *database)
{
    int r;

    r = schema_migrate(&database->sql);
    if (r < 0)
        return r;
    (void) sqlite3_db_config(database->sql.handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    r = sql_script(
        &database->sql,
        "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 2000; PRAGMA journal_size_limit = 67108864; BEGIN EXCLUSIVE; COMMIT");
    database->synchronous_full = true;
    if (r >= 0)
        r = counters_load(database);
    if (r >= 0)
        r = hidden_load(database);
    if (r >= 0)
        r = flow_load(database);
    if (r < 0)
        return log_error_errno(r, "Failed to read the database: %s", database->sql.message);
    return 0;
}

int database_open(const char *path, Database **ret)
{
    g_autoptr(Database) database = g_new0(Database, 1);
    int r;

    /* Counting the bytes that SQLite has takes a lock for each allocation, and nobody asks for the sum. */
    (void) sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    database->hidden = g_array_new(FALSE, FALSE, sizeof(HiddenIds));
    database->deltas = g_array_new(FALSE, FALSE, sizeof(BatchDelta));
    database->delta_of = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    database->contexts = context_cache_new();
    flow_init(database);
    r = database_make_file(path);
    if (r >= 0)
        r = database_set_up(database, path);
    if (r >= 0)
        r = database_prepare(database);
    if (r < 0)
        return r;
    *ret = g_steal_pointer(&database);
    return 0;
}

Database *database_free(Database *database)
{
    if (!database)
        return NULL;
    sql_done(&database->sql);
    g_array_unref(database->hidden);
    g_clear_pointer(&database->hidden_before, g_array_unref);
    g_hash_table_unref(database->delta_of);
    g_array_unref(database->deltas);
    flow_done(database);
    context_cache_free(database->contexts);
    g_free(database);
    return NULL;
}

/* ------------------------------------------------------------------ transactions */

int database_begin(Database *database, bool writes, bool durable)
{
    int r;

    if (!writes)
        return sql_run(&database->sql, "BEGIN", SQL_NO_VALUES);
    if (durable != database->synchronous_full) {
        r = sql_script(&database->sql, durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
        if (r < 0)
            return r;
        database->synchronous_full = durable;
    }
    return sql_run(&database->sql, "BEGIN IMMEDIATE", SQL_NO_VALUES);
}

static void deltas_clear(Database *database)
{
    if (database->deltas->len == 0)
        return;
    g_hash_table_remove_all(database->delta_of);
    g_array_set_size(database->deltas, 0);
}

void database_rollback(Database *database)
{
    if (!sqlite3_get_autocommit(database->sql.handle))
        (void) sqlite3_exec(database->sql.handle, "ROLLBACK", NULL, NULL, NULL);
    database->counters = database->committed;
    deltas_clear(database);
    flow_forget(database);
    context_cache_clear(database->contexts);
    if (database->hidden_before) {
        g_array_unref(database->hidden);
        database->hidden = g_steal_pointer(&database->hidden_before);
    }
}

/* How the only task of a batch ended: its latest attempt, if there was one. */
static int batch_load_single(Database *database, BatchEnd *end)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int64_t task;
    int r;

    r = sql_number(&database->sql, "SELECT first FROM segments WHERE batch = ?1",
                   SQL_VALUES(sql_int((int64_t) end->batch)), &task);
    if (r <= 0)
        return r < 0 ? r : -EIO;
    end->single = (uint64_t) task;
    r = sql_query(&database->sql, ATTEMPT_SELECT_LATEST, SQL_VALUES(sql_int(task)), &statement);
    if (r < 0)
        return r;
    r = sql_step(&database->sql, statement);
    if (r > 0) {
        AttemptRow attempt;
        row_read_attempt(statement, end->single, &attempt);
        end->worker = attempt.worker;
        end->result = attempt.result;
    }
    return r < 0 ? r : 1;
}

typedef struct BatchRow {
    BatchEnd end;
    BatchHalt halt;
    bool halted, had_ended;
} BatchRow;

static int batch_read(Database *database, uint64_t batch, BatchRow *ret)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r;

    r = sql_query(&database->sql,
                  "SELECT count, succeeded, failed, cancelled, skipped, max_fails, ifnull(max_fails_percent, -1),"
                  " max_successes, halt_now, halted, ended IS NOT NULL FROM batches WHERE id = ?1 AND phase = 1",
                  SQL_VALUES(sql_int((int64_t) batch)), &statement);
    if (r >= 0)
        r = sql_step(&database->sql, statement);
    if (r <= 0)
        return r;
    *ret = (BatchRow){
        .end = { .batch = batch,
                 .count = (uint64_t) sql_column_int(statement, 0),
                 .succeeded = (uint64_t) sql_column_int(statement, 1),
                 .failed = (uint64_t) sql_column_int(statement, 2),
                 .cancelled = (uint64_t) sql_column_int(statement, 3),
                 .skipped = (uint64_t) sql_column_int(statement, 4) },
        .halt = { .max_fails = sql_column_limit(statement, 5),
                  .max_fails_percent = sqlite3_column_double(statement, 6),
                  .max_successes = sql_column_limit(statement, 7),
                  .now = sql_column_int(statement, 8) != 0 },
        .halted = sql_column_int(statement, 9) != 0,
        .had_ended = sql_column_int(statement, 10) != 0,
    };
    return 1;
}

static bool batch_is_over_its_limits(const BatchRow *row)
{
    const BatchHalt *halt = &row->halt;

    return row->end.failed >= halt->max_fails || row->end.succeeded >= halt->max_successes ||
           (halt->max_fails_percent >= 0 && row->end.failed > 0 &&
            (double) row->end.failed * 100 >= halt->max_fails_percent * (double) row->end.count);
}

static int batch_set_halted(Database *database, const BatchRow *row, Op *op)
{
    op_add_halt(op, row->end.batch, row->halt.now);
    return sql_run(&database->sql, "UPDATE batches SET halted = 1 WHERE id = ?1",
                   SQL_VALUES(sql_int((int64_t) row->end.batch)));
}

static int batch_set_ended(Database *database, uint64_t batch, bool ended)
{
    return sql_run(&database->sql, "UPDATE batches SET ended = ?2 WHERE id = ?1",
                   SQL_VALUES(sql_int((int64_t) batch),
                              sql_limit(ended ? (uint64_t) g_get_real_time() : UINT64_MAX)));
}

/* What follows from its new sums. */
static int batch_look_at(Database *database, const BatchDelta *delta)
{
    BatchRow row;
    int r = batch_read(database, delta->batch, &row);

    if (r <= 0)
        return r;
    BatchEnd *end = &row.end;
    bool ended = end->succeeded + end->failed + end->cancelled + end->skipped >= end->count;
    if (!ended && !row.halted && batch_is_over_its_limits(&row))
        r = batch_set_halted(database, &row, delta->op);
    if (r >= 0 && ended != row.had_ended)
        r = batch_set_ended(database, delta->batch, ended);
    if (r >= 0 && ended && end->count == 1)
        r = batch_load_single(database, end);
    if (r >= 0 && ended)
        op_add_batch_end(delta->op, g_memdup2(end, sizeof(*end)));
    return r;
}

static int delta_apply(Database *database, const BatchDelta *delta)
{
    int r;

    /* Without RETURNING, which would cost more than the two statements together. */
    r = sql_run(
        &database->sql,
        "UPDATE batches SET succeeded = succeeded + ?2, failed = failed + ?3, cancelled = cancelled + ?4,"
        " skipped = skipped + ?5, started = started + ?6 WHERE id = ?1",
        SQL_VALUES(sql_int((int64_t) delta->batch), sql_int(delta->succeeded), sql_int(delta->failed),
                   sql_int(delta->cancelled), sql_int(delta->skipped), sql_int(delta->started)));
    return r < 0 ? r : batch_look_at(database, delta);
}

int database_commit(Database *database)
{
    int r;

    for (guint i = 0; i < database->deltas->len; i++) {
        r = delta_apply(database, &g_array_index(database->deltas, BatchDelta, i));
        if (r < 0)
            return r;
    }
    r = counters_write(database);
    if (r < 0)
        return r;
    r = sql_run(&database->sql, "COMMIT", SQL_NO_VALUES);
    if (r < 0)
        return r;
    deltas_clear(database);
    database->committed = database->counters;
    g_clear_pointer(&database->hidden_before, g_array_unref);
    return 0;
}

/* ------------------------------------------------------------------ sums */

static BatchDelta *delta_get(Database *database, uint64_t batch)
{
    gpointer position;
    BatchDelta *last;

    if (database->deltas->len > 0) {
        last = &g_array_index(database->deltas, BatchDelta, database->deltas->len - 1);
        if (last->batch == batch)
            return last;
    }
    position = g_hash_table_lookup(database->delta_of, &batch);
    if (!position) {
        BatchDelta delta = { .batch = batch };
        g_array_append_val(database->deltas, delta);
        position = GUINT_TO_POINTER(database->deltas->len);
        g_hash_table_insert(database->delta_of, g_memdup2(&batch, sizeof(batch)), position);
    }
    return &g_array_index(database->deltas, BatchDelta, GPOINTER_TO_UINT(position) - 1);
}

void database_touch_batch(Database *database, uint64_t batch)
{
    delta_get(database, batch)->op = database->op;
}

static void delta_add(BatchDelta *delta, TaskState state, int64_t n)
{
    if (state == TASK_SUCCEEDED)
        delta->succeeded += n;
    else if (state == TASK_FAILED)
        delta->failed += n;
    else if (state == TASK_CANCELLED)
        delta->cancelled += n;
    else if (state == TASK_SKIPPED)
        delta->skipped += n;
}

void database_count(Database *database, uint64_t batch, int from, int to, uint64_t n)
{
    TaskState old = state_shown(from), new = state_shown(to);
    BatchDelta *delta;

    if (old < _TASK_STATE_MAX)
        database->counters.counts.by_state[old] -= n;
    database->counters.counts.by_state[new] += n;
    if (!task_state_is_end(new) && (old == _TASK_STATE_MAX || !task_state_is_end(old)))
        return;
    delta = delta_get(database, batch);
    delta->op = database->op;
    delta_add(delta, old, -(int64_t) n);
    delta_add(delta, new, (int64_t) n);
    if (g_hash_table_contains(database->watched, &batch))
        g_array_append_val(database->consequences.batches, batch);
}

void database_count_started(Database *database, uint64_t batch, int64_t n)
{
    if (n == 0 || !g_hash_table_contains(database->watched, &batch))
        return;
    delta_get(database, batch)->started += n;
    delta_get(database, batch)->op = database->op;
    g_array_append_val(database->consequences.batches, batch);
}

int database_batch_sums(Database *database, uint64_t batch, BatchSums *ret)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    gpointer position = g_hash_table_lookup(database->delta_of, &batch);
    BatchDelta none = { 0 };
    const BatchDelta *delta =
        position ? &g_array_index(database->deltas, BatchDelta, GPOINTER_TO_UINT(position) - 1) : &none;
    int r;

    r = sql_query(&database->sql,
                  "SELECT uid, count, succeeded, failed, cancelled, skipped, started FROM batches"
                  " WHERE id = ?1 AND phase = 1",
                  SQL_VALUES(sql_int((int64_t) batch)), &statement);
    if (r >= 0)
        r = sql_step(&database->sql, statement);
    if (r <= 0)
        return r;
    *ret = (BatchSums){
        .uid = (uint64_t) sql_column_int(statement, 0),
        .count = (uint64_t) sql_column_int(statement, 1),
        .succeeded = (uint64_t) (sql_column_int(statement, 2) + delta->succeeded),
        .failed = (uint64_t) (sql_column_int(statement, 3) + delta->failed),
        .cancelled = (uint64_t) (sql_column_int(statement, 4) + delta->cancelled),
        .skipped = (uint64_t) (sql_column_int(statement, 5) + delta->skipped),
        .started = (uint64_t) (sql_column_int(statement, 6) + delta->started),
    };
    return 1;
}

/* ------------------------------------------------------------------ hidden ids */

/* The position of the first that ends at or after id. */
static guint hidden_position(const Database *database, uint64_t id)
{
    guint low = 0, high = database->hidden->len;

    while (low < high) {
        guint middle = low + (high - low) / 2;
        if (g_array_index(database->hidden, HiddenIds, middle).last < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const HiddenIds *database_find_hidden(const Database *database, uint64_t id)
{
    guint position = hidden_position(database, id);
    const HiddenIds *hidden;

    if (position >= database->hidden->len)
        return NULL;
    hidden = &g_array_index(database->hidden, HiddenIds, position);
    return hidden->first <= id ? hidden : NULL;
}

static void hidden_remember(Database *database)
{
    if (!database->hidden_before)
        database->hidden_before = g_array_copy(database->hidden);
}

void database_hide(Database *database, uint64_t batch, uint64_t first, uint64_t last)
{
    HiddenIds hidden = { .first = first, .last = last, .batch = batch };
    guint position = hidden_position(database, first);
    HiddenIds *before;

    hidden_remember(database);
    before = position > 0 ? &g_array_index(database->hidden, HiddenIds, position - 1) : NULL;
    if (before && before->batch == batch && before->last + 1 == first)
        before->last = last;
    else
        g_array_insert_val(database->hidden, position, hidden);
}

void database_unhide(Database *database, uint64_t batch)
{
    guint kept = 0;

    if (!database_hides_batch(database, batch))
        return;
    hidden_remember(database);
    for (guint i = 0; i < database->hidden->len; i++) {
        HiddenIds hidden = g_array_index(database->hidden, HiddenIds, i);
        if (hidden.batch != batch)
            g_array_index(database->hidden, HiddenIds, kept++) = hidden;
    }
    g_array_set_size(database->hidden, kept);
}

bool database_hides_batch(const Database *database, uint64_t batch)
{
    for (guint i = 0; i < database->hidden->len; i++)
        if (g_array_index(database->hidden, HiddenIds, i).batch == batch)
            return true;
    return false;
}
