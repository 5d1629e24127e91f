/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cancelling, and finding out beforehand whom it would concern. What was found is put together to runs of ids that follow one
 * another, and each run is changed by one statement; elements of arrays stay without rows.
 *
 * Very many tasks are cancelled in chunks, each a transaction of its own, with other operations in between: those do not wait
 * for seconds, and the answer comes after theirs. Once the first chunk is committed the rest is not refused any more. */
#include "store/store-flow.h"
#include "store/store-internal.h"
#include "store/store-match.h"
#include "store/store-range.h"

#define CHUNK_TASKS 10000U
#define FOREIGN_MAX 10000U /* counted; of more it is only told that there are so many */

/* Tasks of one batch in one state whose ids follow one another. */
typedef struct Run {
    uint64_t first, last, batch;
    int state;
    bool virtual;
} Run;

/* How far it has come. */
typedef struct Progress {
    bool found;  /* runs is complete, and what has no rows is dealt with */
    guint run;   /* the first that is not done */
    uint64_t id; /* where in that run to go on; 0: at its beginning */
    guint n_cancelled, n_held;
} Progress;

typedef struct CancelOp {
    Op op;
    TaskFilter *filter;
    uint32_t only_uid;
    uint64_t now_usec;
    GArray *runs;      /* Run */
    GArray *cancelled; /* IdRange */
    GArray *held;      /* uint64_t */
    Progress committed, now;
    unsigned commits; /* that "committed" knows of */
    StoreCancelled done;
    void *userdata;
} CancelOp;

static int cancel_found(const StoredTask *task, void *userdata)
{
    CancelOp *cancel = userdata;
    Run run = { .first = task->id,
                .last = task->last,
                .batch = task->batch,
                .state = task->state,
                .virtual = task->virtual };
    Run *before = cancel->runs->len > 0 ? &g_array_index(cancel->runs, Run, cancel->runs->len - 1) : NULL;

    if (task->state == STATE_TAKEN)
        g_array_append_val(cancel->held, task->id);
    else if (before && before->last + 1 == run.first && before->batch == run.batch &&
             before->state == run.state && before->virtual == run.virtual)
        before->last = run.last;
    else
        g_array_append_val(cancel->runs, run);
    return 0;
}

/* Those that were ready leave their queues. */
static int run_leave_lanes(Database *database, const Run *run, IdRange ids)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r;

    if (database->n_lanes == 0 || run->state != (int) TASK_QUEUED)
        return 0;
    r = sql_query(&database->sql,
                  "SELECT DISTINCT queue, lane FROM tasks WHERE id BETWEEN ?1 AND ?2 UNION"
                  " SELECT queue, lane FROM ranges WHERE last >= ?1 AND first <= ?2 AND state = 7",
                  SQL_VALUES(sql_int((int64_t) ids.first), sql_int((int64_t) ids.last)), &statement);
    if (r < 0)
        return r;
    while ((r = sql_step(&database->sql, statement)) > 0)
        flow_note_left(database, sql_column_int(statement, 0), sql_column_int(statement, 1));
    return r;
}

/* Who never started counts as started for those that wait for the starts of the batch. */
static int run_count_started(Database *database, const Run *run, IdRange ids)
{
    int64_t n = (int64_t) (ids.last - ids.first + 1);
    int r = 0;

    if (!g_hash_table_contains(database->watched, &run->batch))
        return 0;
    if (!run->virtual)
        r = sql_number(&database->sql,
                       "SELECT count(*) FROM tasks WHERE id BETWEEN ?1 AND ?2 AND state = 7 AND attempts = 0",
                       SQL_VALUES(sql_int((int64_t) ids.first), sql_int((int64_t) ids.last)), &n);
    database_count_started(database, run->batch, n);
    return MIN(r, 0);
}

static int run_note(Database *database, CancelOp *cancel, const Run *run, IdRange ids)
{
    database_count(database, run->batch, run->state, TASK_CANCELLED, ids.last - ids.first + 1);
    flow_note_ended(database, ids.first, ids.last);
    g_array_append_val(cancel->cancelled, ids);
    int r = run_count_started(database, run, ids);
    return r < 0 ? r : run_leave_lanes(database, run, ids);
}

/* Every task between the ends that is in that state matched: those that did not would have ended the run. */
static int run_cancel_between(Database *database, CancelOp *cancel, const Run *run, IdRange ids)
{
    int r;

    if (ids.first > ids.last)
        return 0;
    r = sql_run(&database->sql,
                "UPDATE tasks SET state = 7, since = ?4 WHERE id BETWEEN ?1 AND ?2 AND state = ?3",
                SQL_VALUES(sql_int((int64_t) ids.first), sql_int((int64_t) ids.last), sql_int(run->state),
                           sql_int((int64_t) cancel->now_usec)));
    if (r < 0)
        return r;
    return run_note(database, cancel, run, ids);
}

static int held_mark(Database *database, uint64_t task)
{
    return sql_run(&database->sql, "UPDATE assignments SET cancelled = 1 WHERE task = ?1",
                   SQL_VALUES(sql_int((int64_t) task)));
}

/* Between two chunks a task may have been given to a worker, or have ended. */
static int run_find_changed(Database *database, const Run *run, IdRange ids, GArray *changed)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r;

    r = sql_query(&database->sql, "SELECT id, state FROM tasks WHERE id BETWEEN ?1 AND ?2 AND state <> ?3",
                  SQL_VALUES(sql_int((int64_t) ids.first), sql_int((int64_t) ids.last), sql_int(run->state)),
                  &statement);
    if (r < 0)
        return r;
    while ((r = sql_step(&database->sql, statement)) > 0) {
        StoredTask task = { .id = (uint64_t) sql_column_int(statement, 0),
                            .state = (int) sql_column_int(statement, 1) };
        g_array_append_val(changed, task);
    }
    return r;
}

static int run_cancel_tasks(Database *database, CancelOp *cancel, const Run *run, IdRange ids)
{
    g_autoptr(GArray) changed = g_array_new(FALSE, FALSE, sizeof(StoredTask));
    int r = 0;

    if (cancel->op.commits > 0)
        r = run_find_changed(database, run, ids, changed);
    for (guint i = 0; r >= 0 && i < changed->len; i++) {
        const StoredTask *task = &g_array_index(changed, StoredTask, i);
        r = run_cancel_between(database, cancel, run, (IdRange){ ids.first, task->id - 1, run->batch });
        if (r >= 0 && task->state == STATE_TAKEN) {
            g_array_append_val(cancel->held, task->id);
            r = held_mark(database, task->id);
        }
        ids.first = task->id + 1;
    }
    return r < 0 ? r : run_cancel_between(database, cancel, run, ids);
}

/* Neighbours may have come from several ranges. */
static int run_cancel_elements(Database *database, CancelOp *cancel, const Run *run)
{
    IdRange ids = { run->first, run->last, run->batch };
    uint64_t id = run->first;
    StoredRange range;
    int r;

    while (id <= run->last) {
        uint64_t last;
        r = row_find_range(database, id, &range);
        if (r <= 0)
            return r < 0 ? r : -EIO;
        last = MIN(run->last, range.last);
        r = range_set_state(database, &range, id, last, TASK_CANCELLED, cancel->now_usec);
        if (r < 0)
            return r;
        id = last + 1;
    }
    return run_note(database, cancel, run, ids);
}

static int range_compare(gconstpointer a, gconstpointer b)
{
    const IdRange *x = a, *y = b;

    return x->first < y->first ? -1 : x->first > y->first;
}

/* In ascending order, neighbours joined. */
static void ranges_tidy(GArray *ranges)
{
    guint kept = 0;

    g_array_sort(ranges, range_compare);
    for (guint i = 0; i < ranges->len; i++) {
        IdRange range = g_array_index(ranges, IdRange, i);
        IdRange *before = kept > 0 ? &g_array_index(ranges, IdRange, kept - 1) : NULL;
        if (before && before->last + 1 == range.first && before->batch == range.batch)
            before->last = range.last;
        else
            g_array_index(ranges, IdRange, kept++) = range;
    }
    g_array_set_size(ranges, kept);
}

/* Finds everything, and deals with what takes little: what workers hold, and elements without rows. */
static int cancel_begin(Database *database, CancelOp *cancel)
{
    int r;

    g_array_set_size(cancel->runs, 0);
    r = match_live(database, cancel->filter, (MatchUser){ .only = cancel->only_uid, .except = UID_ANYBODY },
                   cancel_found, cancel);
    for (guint i = 0; r >= 0 && i < cancel->held->len; i++)
        r = held_mark(database, g_array_index(cancel->held, uint64_t, i));
    for (guint i = 0; r >= 0 && i < cancel->runs->len; i++)
        if (g_array_index(cancel->runs, Run, i).virtual)
            r = run_cancel_elements(database, cancel, &g_array_index(cancel->runs, Run, i));
    cancel->now.found = true;
    return r;
}

/* Returns 1 if there is more. */
static int cancel_some(Database *database, CancelOp *cancel)
{
    Progress *now = &cancel->now;
    uint64_t left = CHUNK_TASKS;

    for (; now->run < cancel->runs->len && left > 0; now->run += now->id == 0) {
        const Run *run = &g_array_index(cancel->runs, Run, now->run);
        IdRange ids = { MAX(run->first, now->id), run->last, run->batch };
        int r;
        now->id = 0;
        if (run->virtual)
            continue;
        if (ids.last - ids.first >= left) {
            ids.last = ids.first + left - 1;
            now->id = ids.last + 1;
        }
        r = run_cancel_tasks(database, cancel, run, ids);
        if (r < 0)
            return r;
        left -= ids.last - ids.first + 1;
    }
    return now->run < cancel->runs->len;
}

static const OpClass cancel_rest_class;

static int cancel_run(Database *database, Op *op)
{
    CancelOp *cancel = (CancelOp *) op;
    int r = 0;

    if (cancel->commits != op->commits) {
        cancel->commits = op->commits;
        cancel->committed = cancel->now;
        op->class = &cancel_rest_class;
    }
    cancel->now = cancel->committed;
    g_array_set_size(cancel->cancelled, cancel->now.n_cancelled);
    g_array_set_size(cancel->held, cancel->now.n_held);
    if (!cancel->now.found)
        r = cancel_begin(database, cancel);
    if (r >= 0)
        r = cancel_some(database, cancel);
    op->again = r > 0;
    cancel->now.n_cancelled = cancel->cancelled->len;
    cancel->now.n_held = cancel->held->len;
    return r;
}

static void cancel_complete(Op *op, const StoreEvents *events)
{
    CancelOp *cancel = (CancelOp *) op;

    if (op->r < 0) {
        g_array_set_size(cancel->cancelled, 0);
        g_array_set_size(cancel->held, 0);
    }
    ranges_tidy(cancel->cancelled);
    if (cancel->done)
        cancel->done(op->r, cancel->cancelled, cancel->held, cancel->userdata);
}

static void cancel_free(Op *op)
{
    CancelOp *cancel = (CancelOp *) op;

    task_filter_free(cancel->filter);
    g_array_unref(cancel->runs);
    g_array_unref(cancel->cancelled);
    g_array_unref(cancel->held);
}

static const OpClass cancel_class = {
    .run = cancel_run,
    .complete = cancel_complete,
    .free = cancel_free,
    .writes = true,
    .durable = true,
};

static const OpClass cancel_rest_class = {
    .run = cancel_run,
    .complete = cancel_complete,
    .free = cancel_free,
    .writes = true,
    .durable = true,
    .kept = true,
};

void store_cancel(StorePort *port, TaskFilter *filter, uint32_t only_uid, uint64_t now_usec,
                  StoreCancelled done, void *userdata)
{
    CancelOp *cancel = g_new(CancelOp, 1);

    *cancel = (CancelOp){
        .op = OP_INIT(cancel_class),
        .filter = filter,
        .only_uid = only_uid,
        .now_usec = now_usec,
        .runs = g_array_new(FALSE, FALSE, sizeof(Run)),
        .cancelled = g_array_new(FALSE, FALSE, sizeof(IdRange)),
        .held = g_array_new(FALSE, FALSE, sizeof(uint64_t)),
        .done = done,
        .userdata = userdata,
    };
    store_enqueue((Store *) port, &cancel->op);
}

/* ------------------------------------------------------------------ examine */

typedef struct ExamineOp {
    Op op;
    TaskFilter *filter;
    uint32_t uid;
    FilterFacts facts;
    StoreFacts done;
    void *userdata;
} ExamineOp;

static int examine_found(const StoredTask *task, void *userdata)
{
    uint64_t *foreign = userdata;

    *foreign = MIN(*foreign + (task->last - task->id + 1), FOREIGN_MAX);
    return *foreign == FOREIGN_MAX;
}

static int examine_ids(Database *database, ExamineOp *examine)
{
    for (guint i = 0; examine->filter->ids && i < examine->filter->ids->len; i++) {
        uint64_t id = g_array_index(examine->filter->ids, uint64_t, i);
        StoredTask task;
        int r = row_find_task(database, id, &task);
        if (r < 0)
            return r;
        if (r == 0) {
            examine->facts.missing_id = id;
            return 0;
        }
    }
    return 0;
}

static int examine_batch(Database *database, ExamineOp *examine)
{
    int64_t phase;
    int r;

    if (examine->filter->batch == 0)
        return 0;
    r = sql_number(&database->sql, "SELECT phase FROM batches WHERE id = ?1",
                   SQL_VALUES(sql_int((int64_t) examine->filter->batch)), &phase);
    examine->facts.missing_batch = r == 0 || (r > 0 && phase != BATCH_COMMITTED);
    return r;
}

static int examine_run(Database *database, Op *op)
{
    ExamineOp *examine = (ExamineOp *) op;
    const MatchUser others = { .only = UID_ANYBODY, .except = examine->uid };
    int r;

    examine->facts = (FilterFacts){ 0 };
    r = examine_ids(database, examine);
    if (r >= 0)
        r = examine_batch(database, examine);
    if (r >= 0)
        r = match_live(database, examine->filter, others, examine_found, &examine->facts.foreign);
    if (r >= 0)
        r = match_ended(database, examine->filter, others, examine_found, &examine->facts.foreign_ended);
    return r;
}

static void examine_complete(Op *op, const StoreEvents *events)
{
    ExamineOp *examine = (ExamineOp *) op;

    if (examine->done)
        examine->done(op->r, &examine->facts, examine->userdata);
}

static void examine_free(Op *op)
{
    task_filter_free(((ExamineOp *) op)->filter);
}

static const OpClass examine_class = { .run = examine_run,
                                       .complete = examine_complete,
                                       .free = examine_free };

void store_examine(StorePort *port, TaskFilter *filter, uint32_t uid, StoreFacts done, void *userdata)
{
    ExamineOp *examine = g_new(ExamineOp, 1);

    *examine = (ExamineOp){
        .op = OP_INIT(examine_class), .filter = filter, .uid = uid, .done = done, .userdata = userdata
    };
    store_enqueue((Store *) port, &examine->op);
}
