/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Adding tasks. A batch that is not committed has its rows in place already, in state queued, and its ids are hidden:
 * committing it is one row and the end of the hiding, however many tasks it has. Discarding one removes its rows in
 * chunks, behind whatever else is queued; an interrupted removal is resumed when the database is opened again. */
#include "store/store-context.h"
#include "store/store-flow.h"
#include "store/store-gate.h"
#include "store/store-internal.h"
#include "store/store-match.h"
#include "util/parse-util.h"
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

/* Where a task begins. */
typedef struct Beginning {
    int state;
    int64_t class, queue, lane;
} Beginning;

static int task_insert(Database *database, const TaskSpec *spec, const Submission *submission,
                       const Beginning *at)
{
    return sql_run(&database->sql,
                   "INSERT INTO tasks (id, batch, uid, state, priority, since, class, queue, lane)"
                   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                   SQL_VALUES(sql_int((int64_t) spec->id), sql_int((int64_t) spec->batch),
                              sql_int(submission->uid), sql_int(at->state), sql_int(spec->priority),
                              sql_int((int64_t) submission->submitted_usec), sql_int(at->class),
                              sql_int(at->queue), sql_int(at->lane)));
}

static int array_insert(Database *database, const TaskSpec *spec, const Submission *submission,
                        const Beginning *at)
{
    StoredRange range = {
        .first = spec->id,
        .last = spec->id + spec->array_count - 1,
        .spec = spec->id,
        .batch = spec->batch,
        .uid = submission->uid,
        .state = at->state,
        .priority = spec->priority,
        .since_usec = submission->submitted_usec,
        .class = at->class,
        .queue = at->queue,
        .lane = at->lane,
    };

    return range_insert(database, &range);
}

static int spec_insert(Database *database, const TaskSpec *spec)
{
    return sql_run(
        &database->sql,
        "INSERT INTO specs (id, context, has_fds, array_base, name, tags, argv, array_count, gated)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        SQL_VALUES(sql_int((int64_t) spec->id), sql_int((int64_t) spec->context->id), sql_int(spec->has_fds),
                   sql_limit(spec->array_index), sql_text(spec->name), sql_text(spec->tags),
                   sql_bytes(spec->argv),
                   sql_limit(spec->array_index == ARRAY_INDEX_NONE ? UINT64_MAX : spec->array_count),
                   sql_int(spec->has_dependencies)));
}

/* ------------------------------------------------------------------ gates */

static int begin_in_queue(Database *database, const TaskSpec *spec, Submission *submission, Beginning *at,
                          int *ret_refusal)
{
    const TaskGate *gate = spec->gate;
    g_autofree char *key = NULL;
    int r = gate->queue ? queue_find(database, gate->queue, &at->queue) : 1;

    if (r == 0) {
        g_autofree char *shown = format_foreign(gate->queue);
        *ret_refusal = -ENOKEY;
        submission->refusal = g_strdup_printf("There is no queue \"%s\".", shown);
    }
    if (r <= 0)
        return r;
    if (gate->singleton)
        key = g_strdup_printf("name:%u:%s", submission->uid, spec->name);
    else if (gate->parallel > 0)
        key = g_strdup_printf("array:%" G_GUINT64_FORMAT, spec->id);
    return key ? lane_get(database, key, gate->singleton ? 1 : gate->parallel, &at->lane) : 0;
}

static int begin_later(Database *database, const TaskSpec *spec, const Submission *submission, bool *ret)
{
    const TaskGate *gate = spec->gate;
    Wait wait = { .first = spec->id, .last = spec->id + spec->array_count - 1 };

    *ret = gate->delay_usec > 0 || gate->not_before_usec > submission->submitted_usec;
    if (!*ret)
        return 0;
    wait.wall = gate->not_before_usec > submission->submitted_usec;
    wait.due_usec = wait.wall ? gate->not_before_usec : usec_add(submission->boot_usec, gate->delay_usec);
    wait.realtime_usec =
        wait.wall ? gate->not_before_usec : usec_add(submission->submitted_usec, gate->delay_usec);
    return wait_insert(database, &wait);
}

/* Where the task begins; by element (aftercorr) all are blocked at first, and looked at once they are visible. */
static int begin_at_gate(Database *database, TaskSpec *spec, GateSite *site, Beginning *at, int *ret_refusal)
{
    const TaskGate *gate = spec->gate;
    TaskState state = TASK_QUEUED;
    bool later = false;
    int r = begin_in_queue(database, spec, site->submission, at, ret_refusal);

    if (r >= 0 && *ret_refusal == 0 && gate->dependencies) {
        spec->has_dependencies = true;
        r = gate_insert(database, spec, site, &state, ret_refusal);
    }
    if (r >= 0 && *ret_refusal == 0)
        r = begin_later(database, spec, site->submission, &later);
    at->state = state == TASK_SKIPPED           ? (int) TASK_SKIPPED
                : gate->held                    ? (int) TASK_HELD
                : state == TASK_BLOCKED         ? (int) TASK_BLOCKED
                : later                         ? (int) TASK_WAITING
                : at->queue > 0 || at->lane > 0 ? STATE_GATED
                                                : (int) TASK_QUEUED;
    return r;
}

static bool is_gated(const Submission *submission)
{
    for (guint i = 0; i < submission->tasks->len; i++)
        if (((const TaskSpec *) submission->tasks->pdata[i])->gate)
            return true;
    return false;
}

/* The ids of the batch as they will be with this call. */
static int site_init(Database *database, GateSite *site, Submission *submission, bool new_batch)
{
    IdRange own = { submission->first, submission->first + submission->count - 1, submission->batch };
    int r;

    *site = (GateSite){ .submission = submission };
    if (new_batch) {
        site->segments = g_array_new(FALSE, FALSE, sizeof(IdRange));
        r = 0;
    } else
        r = match_load_segments(database, submission->batch, &site->segments);
    if (r >= 0 && submission->count > 0)
        g_array_append_val(site->segments, own);
    return r;
}

static int submission_insert_task(Database *database, TaskSpec *spec, GateSite *site, int *ret_refusal)
{
    Beginning at = { .state = TASK_QUEUED };
    int r = spec->class ? class_get(database, spec->class, &at.class) : 0;

    if (r >= 0 && spec->gate)
        r = begin_at_gate(database, spec, site, &at, ret_refusal);
    if (r >= 0 && *ret_refusal == 0)
        r = spec_insert(database, spec);
    if (r < 0 || *ret_refusal < 0)
        return r;
    return (spec->array_count > 1 ? array_insert : task_insert)(database, spec, site->submission, &at);
}

static int submission_insert_tasks(Database *database, GateSite *site, int *ret_refusal)
{
    const Submission *submission = site->submission;
    const TaskContext *saved = NULL;
    uint64_t id = submission->first;
    int r = 0;

    for (guint i = 0; r >= 0 && *ret_refusal == 0 && i < submission->tasks->len; i++) {
        TaskSpec *spec = submission->tasks->pdata[i];
        if (spec->context != saved) {
            r = context_save(database, spec->context);
            if (r < 0)
                return r;
            saved = spec->context;
        }
        spec->id = id;
        spec->batch = submission->batch;
        r = submission_insert_task(database, spec, site, ret_refusal);
        id += spec->array_count;
    }
    return r;
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
    int r = sql_run(&database->sql, "INSERT INTO batches (id, uid, phase, submitted) VALUES (?1, ?2, 0, ?3)",
                    SQL_VALUES(sql_int((int64_t) submission->batch), sql_int(submission->uid),
                               sql_int((int64_t) submission->submitted_usec)));

    if (r < 0 || !submission->key)
        return r;
    return sql_run(&database->sql, "INSERT OR REPLACE INTO keys (uid, key, batch) VALUES (?1, ?2, ?3)",
                   SQL_VALUES(sql_int(submission->uid), sql_text(submission->key),
                              sql_int((int64_t) submission->batch)));
}

/* 1: this user has a batch with that key. */
static int batch_find_key(Database *database, Submission *submission)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r;

    r = sql_query(&database->sql,
                  "SELECT b.id, b.count, (SELECT min(first) FROM segments s WHERE s.batch = b.id) FROM keys k"
                  " CROSS JOIN batches b ON b.id = k.batch WHERE k.uid = ?1 AND k.key = ?2 AND b.phase = 1",
                  SQL_VALUES(sql_int(submission->uid), sql_text(submission->key)), &statement);
    if (r >= 0)
        r = sql_step(&database->sql, statement);
    if (r <= 0)
        return r;
    submission->batch = (uint64_t) sql_column_int(statement, 0);
    submission->count = (uint64_t) sql_column_int(statement, 1);
    submission->first = (uint64_t) sql_column_int(statement, 2);
    submission->known = true;
    return 1;
}

static int batch_set_halt(Database *database, const Submission *submission)
{
    const BatchHalt *halt = &submission->halt;

    if (halt->max_fails == UINT64_MAX && halt->max_fails_percent < 0 && halt->max_successes == UINT64_MAX)
        return 0;
    return sql_run(&database->sql,
                   "UPDATE batches SET max_fails = ?2, max_successes = ?3, halt_now = ?4,"
                   " max_fails_percent = ?5 / 1000.0 WHERE id = ?1",
                   SQL_VALUES(sql_int((int64_t) submission->batch), sql_limit(halt->max_fails),
                              sql_limit(halt->max_successes), sql_int(halt->now),
                              halt->max_fails_percent < 0
                                  ? sql_limit(UINT64_MAX)
                                  : sql_int((int64_t) (halt->max_fails_percent * 1000))));
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

/* Of a batch that becomes visible: what is in which state, and what may go on now. */
static int segment_show(Database *database, const IdRange *segment, int state)
{
    g_autoptr(GArray) tasks = g_array_new(FALSE, FALSE, sizeof(StoredTask));
    FlowSet set = { segment->first, segment->last, state };
    int r = flow_collect(database, &set, tasks);

    for (guint i = 0; r >= 0 && i < tasks->len; i++) {
        const StoredTask *task = &g_array_index(tasks, StoredTask, i);
        database_count(database, task->batch, _TASK_STATE_MAX, state, task->last - task->id + 1);
        if (state == (int) TASK_QUEUED)
            r = flow_note_ready(database, task);
        else if (state == (int) TASK_SKIPPED)
            flow_note_ended(database, task->id, task->last);
        else if (state == STATE_GATED)
            flow_note_left(database, task->queue, task->lane);
        else if (state == (int) TASK_BLOCKED && database->n_by_element > 0)
            r = flow_enter(database, task, TASK_BLOCKED);
    }
    return r;
}

static int batch_show(Database *database, const GateSite *site)
{
    /* blocked ones last: looking at them may move them to another of these */
    static const int states[] = { TASK_HELD,    TASK_QUEUED, TASK_WAITING,
                                  TASK_SKIPPED, STATE_GATED, TASK_BLOCKED };
    int r = 0;

    for (guint i = 0; r >= 0 && i < site->segments->len; i++)
        for (size_t k = 0; r >= 0 && k < G_N_ELEMENTS(states); k++)
            r = segment_show(database, &g_array_index(site->segments, IdRange, i), states[k]);
    return r;
}

static int batch_is_gated(Database *database, uint64_t batch, bool now, bool *ret)
{
    int64_t gated = 0;
    int r = now ? sql_run(&database->sql, "UPDATE batches SET gated = 1 WHERE id = ?1",
                          SQL_VALUES(sql_int((int64_t) batch)))
                : sql_number(&database->sql, "SELECT gated FROM batches WHERE id = ?1",
                             SQL_VALUES(sql_int((int64_t) batch)), &gated);

    *ret = now || gated != 0;
    return r;
}

static int batch_commit(Database *database, const GateSite *site, uint64_t total, bool gated)
{
    uint64_t batch = site->submission->batch;
    int r = batch_set_halt(database, site->submission);

    database_unhide(database, batch);
    database_touch_batch(database, batch);
    if (!gated)
        database_count(database, batch, _TASK_STATE_MAX, TASK_QUEUED, total);
    return r >= 0 && gated ? batch_show(database, site) : r;
}

static int submission_store(Database *database, Submission *submission, int *ret_refusal)
{
    g_autoptr(GArray) segments = NULL;
    uint64_t total = 0;
    GateSite site;
    bool new_batch = submission->batch == 0, gated = is_gated(submission);
    int r = 0;

    submission->first = submission->count > 0 ? database->counters.next_task : 0;
    database->counters.next_task += submission->count;
    if (new_batch) {
        submission->batch = database->counters.next_batch++;
        r = batch_insert(database, submission);
    }
    if (r >= 0)
        r = site_init(database, &site, submission, new_batch);
    if (r < 0)
        return r;
    segments = site.segments;
    if (submission->count > 0) /* until it is committed, if that is now */
        database_hide(database, submission->batch, submission->first,
                      submission->first + submission->count - 1);
    r = submission_insert_tasks(database, &site, ret_refusal);
    if (r < 0 || *ret_refusal < 0)
        return r;
    r = batch_extend(database, submission, &total);
    if (r >= 0 && (gated || !new_batch))
        r = batch_is_gated(database, submission->batch, gated, &gated);
    return r >= 0 && submission->commit ? batch_commit(database, &site, total, gated) : r;
}

static int submit_run(Database *database, Op *op)
{
    SubmitOp *submit = (SubmitOp *) op;
    Submission *submission = submit->submission;
    int r = 0;

    submission->batch = submit->batch_given;
    submission->known = false;
    g_clear_pointer(&submission->refusal, g_free);
    op->r = submission_count(submission, database->counters.next_task, &submission->count);
    if (op->r == 0 && submission->batch != 0)
        r = batch_find_open(database, submission->batch, submission->uid, &op->r);
    else if (op->r == 0 && submission->key)
        r = batch_find_key(database, submission);
    if (r != 0 || op->r < 0)
        return MIN(r, 0);
    r = submission_store(database, submission, &op->r);
    if (r < 0 || op->r == 0)
        return r;
    op->refused = true; /* and rolled back: nothing of it may stay */
    return op->r;
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
    static const char *const literals[] = {
        "DELETE FROM tasks WHERE id IN (SELECT id FROM tasks WHERE id BETWEEN ?1 AND ?2 LIMIT ?3)",
        "DELETE FROM ranges WHERE last IN (SELECT last FROM ranges WHERE last BETWEEN ?1 AND ?2 LIMIT ?3)",
        /* before the arrays that they are of */
        "DELETE FROM lanes WHERE key IN (SELECT 'array:' || id FROM specs WHERE id BETWEEN ?1 AND ?2"
        " AND array_count IS NOT NULL LIMIT ?3)",
        "DELETE FROM specs WHERE id IN (SELECT id FROM specs WHERE id BETWEEN ?1 AND ?2 LIMIT ?3)",
        "DELETE FROM gates WHERE spec IN (SELECT spec FROM gates WHERE spec BETWEEN ?1 AND ?2 LIMIT ?3)",
        "DELETE FROM waits WHERE first IN (SELECT first FROM waits WHERE first BETWEEN ?1 AND ?2 LIMIT ?3)",
    };
    bool more = false;
    int r = 0;

    for (size_t i = 0; r >= 0 && i < G_N_ELEMENTS(literals); i++)
        r = rows_delete(database, literals[i], first, last, &more);
    if (r < 0 || more)
        return r;
    if (database->n_gates > 0) /* by the other end, all of them: it is rare */
        r = sql_run(&database->sql, "DELETE FROM edges WHERE spec BETWEEN ?1 AND ?2",
                    SQL_VALUES(sql_int((int64_t) first), sql_int((int64_t) last)));
    if (r < 0)
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
    r = sql_run(&database->sql, "DELETE FROM keys WHERE batch = ?1", SQL_VALUES(sql_int((int64_t) batch)));
    if (r < 0)
        return r;
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
