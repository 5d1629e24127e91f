/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Adding tasks. A batch that is not committed has its rows in place already, in state queued, and its ids are hidden:
 * committing it is one row and the end of the hiding, however many tasks it has. Discarding one removes its rows in
 * chunks, behind whatever else is queued; an interrupted removal is resumed when the database is opened again. */
#include "store/store-context.h"
#include "store/store-internal.h"
#include "store/store-range.h"

#define DISCARD_CHUNK 5000

typedef struct SubmitOp {
    Op op;
    Submission *submission;
    uint64_t batch_given;
    StoreSubmitted done;
    void *userdata;
} SubmitOp;

/* How many tasks these are; -E2BIG: more than there are ids left. */
static int submission_count(const Submission *submission, uint64_t next, uint64_t *ret)
{
    uint64_t left = (uint64_t) INT64_MAX - next, count = 0;

    for (guint i = 0; i < submission->tasks->len; i++) {
        const TaskSpec *spec = submission->tasks->pdata[i];
        if (spec->array_count == 0)
            return -EINVAL;
        if (spec->array_count > left - count)
            return -E2BIG;
        count += spec->array_count;
    }
    *ret = count;
    return 0;
}

static int task_insert(Database *database, const TaskSpec *spec, uint32_t uid, uint64_t now_usec)
{
    return sql_run(
        &database->sql,
        "INSERT INTO tasks (id, batch, uid, state, priority, since) VALUES (?1, ?2, ?3, 2, ?4, ?5)",
        SQL_VALUES(sql_int((int64_t) spec->id), sql_int((int64_t) spec->batch), sql_int(uid),
                   sql_int(spec->priority), sql_int((int64_t) now_usec)));
}

static int array_insert(Database *database, const TaskSpec *spec, uint32_t uid, uint64_t now_usec)
{
    StoredRange range = {
        .first = spec->id,
        .last = spec->id + spec->array_count - 1,
        .spec = spec->id,
        .batch = spec->batch,
        .uid = uid,
        .state = TASK_QUEUED,
        .priority = spec->priority,
        .since_usec = now_usec,
    };

    return range_insert(database, &range);
}

static int spec_insert(Database *database, const TaskSpec *spec)
{
    return sql_run(
        &database->sql,
        "INSERT INTO specs (id, context, has_fds, array_base, name, tags, argv) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        SQL_VALUES(sql_int((int64_t) spec->id), sql_int((int64_t) spec->context->id), sql_int(spec->has_fds),
                   sql_limit(spec->array_index), sql_text(spec->name), sql_text(spec->tags),
                   sql_bytes(spec->argv)));
}

static int submission_insert_tasks(Database *database, Submission *submission)
{
    const TaskContext *saved = NULL;
    uint64_t id = submission->first;
    int r;

    for (guint i = 0; i < submission->tasks->len; i++) {
        TaskSpec *spec = submission->tasks->pdata[i];
        if (spec->context != saved) {
            r = context_save(database, spec->context);
            if (r < 0)
                return r;
            saved = spec->context;
        }
        spec->id = id;
        spec->batch = submission->batch;
        r = spec_insert(database, spec);
        if (r >= 0)
            r = (spec->array_count > 1 ? array_insert : task_insert)(database, spec, submission->uid,
                                                                     submission->submitted_usec);
        if (r < 0)
            return r;
        id += spec->array_count;
    }
    return 0;
}

/* 0, or why tasks cannot be added to this batch: -ESRCH: no such open batch of this user, -EALREADY: it is committed. */
static int batch_find_open(Database *database, uint64_t batch, uint32_t uid, int *ret_refusal)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r;

    r = sql_query(&database->sql, "SELECT uid, phase FROM batches WHERE id = ?1",
                  SQL_VALUES(sql_int((int64_t) batch)), &statement);
    if (r >= 0)
        r = sql_step(&database->sql, statement);
    if (r < 0)
        return r;
    if (r == 0 || sql_column_int(statement, 0) != uid || sql_column_int(statement, 1) == BATCH_DISCARDED)
        *ret_refusal = -ESRCH;
    else
        *ret_refusal = sql_column_int(statement, 1) == BATCH_COMMITTED ? -EALREADY : 0;
    return 0;
}

static int batch_insert(Database *database, const Submission *submission)
{
    return sql_run(&database->sql, "INSERT INTO batches (id, uid, phase, submitted) VALUES (?1, ?2, 0, ?3)",
                   SQL_VALUES(sql_int((int64_t) submission->batch), sql_int(submission->uid),
                              sql_int((int64_t) submission->submitted_usec)));
}

/* Adds what this call brought to the batch; *ret_total: how many tasks it has now. */
static int batch_extend(Database *database, const Submission *submission, uint64_t *ret_total)
{
    int64_t total = 0;
    int r = 0;

    if (submission->count > 0)
        r = sql_run(&database->sql, "INSERT INTO segments (batch, first, last) VALUES (?1, ?2, ?3)",
                    SQL_VALUES(sql_int((int64_t) submission->batch), sql_int((int64_t) submission->first),
                               sql_int((int64_t) (submission->first + submission->count - 1))));
    if (r >= 0)
        r = sql_run(&database->sql,
                    "UPDATE batches SET count = count + ?2, phase = ?3, submitted = ?4 WHERE id = ?1",
                    SQL_VALUES(sql_int((int64_t) submission->batch), sql_int((int64_t) submission->count),
                               sql_int(submission->commit ? BATCH_COMMITTED : BATCH_OPEN),
                               sql_int((int64_t) submission->submitted_usec)));
    if (r >= 0)
        r = sql_number(&database->sql, "SELECT count FROM batches WHERE id = ?1",
                       SQL_VALUES(sql_int((int64_t) submission->batch)), &total);
    if (r <= 0)
        return r < 0 ? r : -EIO;
    *ret_total = (uint64_t) total;
    return 0;
}

static int submission_store(Database *database, Submission *submission)
{
    uint64_t total = 0;
    int r;

    submission->first = submission->count > 0 ? database->counters.next_task : 0;
    database->counters.next_task += submission->count;
    if (submission->batch == 0) {
        submission->batch = database->counters.next_batch++;
        r = batch_insert(database, submission);
        if (r < 0)
            return r;
    }
    r = submission_insert_tasks(database, submission);
    if (r >= 0)
        r = batch_extend(database, submission, &total);
    if (r < 0)
        return r;
    if (!submission->commit) {
        if (submission->count > 0)
            database_hide(database, submission->batch, submission->first,
                          submission->first + submission->count - 1);
        return 0;
    }
    database_unhide(database, submission->batch);
    database_count(database, submission->batch, _TASK_STATE_MAX, TASK_QUEUED, total);
    if (total == 0)
        database_touch_batch(database, submission->batch);
    return 0;
}

static int submit_run(Database *database, Op *op)
{
    SubmitOp *submit = (SubmitOp *) op;
    Submission *submission = submit->submission;
    int r = 0;

    submission->batch = submit->batch_given;
    op->r = submission_count(submission, database->counters.next_task, &submission->count);
    if (op->r == 0 && submission->batch != 0)
        r = batch_find_open(database, submission->batch, submission->uid, &op->r);
    if (r < 0 || op->r < 0)
        return r;
    return submission_store(database, submission);
}

static void submit_complete(Op *op, const StoreEvents *events)
{
    SubmitOp *submit = (SubmitOp *) op;

    if (submit->done)
        submit->done(op->r, submit->submission, submit->userdata);
}

static void submit_free(Op *op)
{
    submission_free(((SubmitOp *) op)->submission);
}

static const OpClass submit_class = {
    .run = submit_run,
    .complete = submit_complete,
    .free = submit_free,
    .writes = true,
    .durable = true,
};

void store_submit(StorePort *port, Submission *submission, StoreSubmitted done, void *userdata)
{
    SubmitOp *submit = g_new(SubmitOp, 1);

    *submit = (SubmitOp){
        .op = OP_INIT(submit_class),
        .submission = submission,
        .batch_given = submission->batch,
        .done = done,
        .userdata = userdata,
    };
    store_enqueue((Store *) port, &submit->op);
}

/* ------------------------------------------------------------------ discarding */

typedef struct DiscardOp {
    Op op;
    uint64_t batch;
} DiscardOp;

static int rows_delete(Database *database, const char *literal, uint64_t first, uint64_t last, bool *more)
{
    int r = sql_run(&database->sql, literal,
                    SQL_VALUES(sql_int((int64_t) first), sql_int((int64_t) last), sql_int(DISCARD_CHUNK)));

    *more |= r >= 0 && sqlite3_changes(database->sql.handle) == DISCARD_CHUNK;
    return r;
}

static int segment_delete(Database *database, uint64_t batch, uint64_t first, uint64_t last)
{
    bool more = false;
    int r;

    r = rows_delete(
        database, "DELETE FROM tasks WHERE id IN (SELECT id FROM tasks WHERE id BETWEEN ?1 AND ?2 LIMIT ?3)",
        first, last, &more);
    if (r >= 0)
        r = rows_delete(
            database,
            "DELETE FROM ranges WHERE last IN (SELECT last FROM ranges WHERE last BETWEEN ?1 AND ?2 LIMIT ?3)",
            first, last, &more);
    if (r >= 0)
        r = rows_delete(
            database,
            "DELETE FROM specs WHERE id IN (SELECT id FROM specs WHERE id BETWEEN ?1 AND ?2 LIMIT ?3)", first,
            last, &more);
    if (r < 0 || more)
        return r;
    return sql_run(&database->sql, "DELETE FROM segments WHERE batch = ?1 AND first = ?2",
                   SQL_VALUES(sql_int((int64_t) batch), sql_int((int64_t) first)));
}

static int segment_find_first(Database *database, uint64_t batch, IdRange *ret)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r;

    r = sql_query(&database->sql, "SELECT first, last FROM segments WHERE batch = ?1 ORDER BY first LIMIT 1",
                  SQL_VALUES(sql_int((int64_t) batch)), &statement);
    if (r >= 0)
        r = sql_step(&database->sql, statement);
    if (r > 0)
        *ret = (IdRange){ (uint64_t) sql_column_int(statement, 0), (uint64_t) sql_column_int(statement, 1) };
    return r;
}

/* One chunk: 1: there is more, 0: nothing is left of the batch. */
static int batch_delete_some(Database *database, uint64_t batch)
{
    IdRange segment;
    int r;

    r = segment_find_first(database, batch, &segment);
    if (r > 0) {
        r = segment_delete(database, batch, segment.first, segment.last);
        return r < 0 ? r : 1;
    }
    if (r < 0)
        return r;
    database_unhide(database, batch);
    return sql_run(&database->sql, "DELETE FROM batches WHERE id = ?1", SQL_VALUES(sql_int((int64_t) batch)));
}

static int discard_run(Database *database, Op *op)
{
    DiscardOp *discard = (DiscardOp *) op;
    int64_t phase;
    int r;

    r = sql_number(&database->sql, "SELECT phase FROM batches WHERE id = ?1",
                   SQL_VALUES(sql_int((int64_t) discard->batch)), &phase);
    if (r <= 0 || phase == BATCH_COMMITTED)
        return r;
    if (phase == BATCH_OPEN) {
        r = sql_run(&database->sql, "UPDATE batches SET phase = 2 WHERE id = ?1",
                    SQL_VALUES(sql_int((int64_t) discard->batch)));
        if (r < 0)
            return r;
    }
    r = batch_delete_some(database, discard->batch);
    op->again = r > 0;
    return r;
}

static const OpClass discard_class = {
    .run = discard_run,
    .writes = true, /* what the disk refuses now is done when the database is opened again */
};

static void discard_enqueue(Store *store, uint64_t batch)
{
    DiscardOp *discard = g_new(DiscardOp, 1);

    *discard = (DiscardOp){ .op = OP_INIT(discard_class), .batch = batch };
    store_enqueue(store, &discard->op);
}

void store_discard_batch(StorePort *port, uint64_t batch)
{
    discard_enqueue((Store *) port, batch);
}

int submit_resume_discards(Store *store, Database *database)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r;

    r = sql_query(&database->sql, "SELECT id FROM batches INDEXED BY batches_hidden WHERE phase <> 1",
                  SQL_NO_VALUES, &statement);
    if (r < 0)
        return r;
    while ((r = sql_step(&database->sql, statement)) > 0)
        discard_enqueue(store, (uint64_t) sql_column_int(statement, 0));
    return r;
}
