/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Workers and settings, and the snapshot that the daemon starts from. Rows are made and read through one list of columns
 * each; enums are stored by their words. */
#include <string.h>

#include "store/store-internal.h"
#include "store/store-row.h"
#include "store/store-wish.h"
#include "util/log.h"

/* ------------------------------------------------------------------ writing */

typedef struct WorkerOp {
    Op op;
    WorkerRecord *record; /* spec is NULL of one to be forgotten */
    StoreDone done;
    void *userdata;
} WorkerOp;

static void worker_op_free(Op *op)
{
    worker_record_free(((WorkerOp *) op)->record);
}

static void worker_op_complete(Op *op, const StoreEvents *events)
{
    const WorkerOp *worker = (WorkerOp *) op;

    if (worker->done)
        worker->done(op->r, worker->userdata);
}

static WorkerRecord *record_copy(const WorkerRecord *record)
{
    WorkerRecord *copy = g_memdup2(record, sizeof(*record));

    copy->spec = worker_spec_copy(record->spec);
    copy->process.unit = g_strdup(record->process.unit);
    copy->process.control_group = g_strdup(record->process.control_group);
    return copy;
}

static void worker_enqueue(StorePort *port, const OpClass *class, WorkerRecord *record, StoreDone done,
                           void *userdata)
{
    WorkerOp *worker = g_new(WorkerOp, 1);

    *worker = (WorkerOp){ .op = OP_INIT(*class), .record = record, .done = done, .userdata = userdata };
    store_enqueue((Store *) port, &worker->op);
}

static int add_worker_run(Database *database, Op *op)
{
    const WorkerRecord *record = ((WorkerOp *) op)->record;
    const WorkerSpec *spec = record->spec;
    const WorkerLimits *limits = &spec->limits;
    g_autofree char *terms = worker_spec_terms(spec);

    database->counters.next_worker = MAX(database->counters.next_worker, (uint64_t) record->number + 1);
    return sql_run(
        &database->sql,
        "INSERT INTO workers (number, name, memory_max, memory_high, cpu_quota, cpu_weight, tasks_max, allowed_cpus, slots,"
        " engine, user, forced, environment, state, pid, start_time, unit, control_group, token, added, done, failed,"
        " exec, class, recycle, recycle_memory, terms)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,"
        " ?23, ?24, ?25, ?26, ?27)",
        SQL_VALUES(sql_int(record->number), sql_text(spec->name), sql_limit(limits->memory_max_bytes),
                   sql_limit(limits->memory_high_bytes), sql_limit(limits->cpu_quota_usec_per_sec),
                   sql_int((int64_t) limits->cpu_weight), sql_limit(limits->tasks_max),
                   sql_text(limits->allowed_cpus), sql_int(spec->slots),
                   sql_text(engine_kind_to_string(spec->engine)), sql_int(spec->user), sql_int(spec->forced),
                   sql_bytes(spec->environment), sql_text(worker_state_to_string(record->state)),
                   sql_int(record->process.pid), sql_int((int64_t) record->process.start_time),
                   sql_text(record->process.unit), sql_text(record->process.control_group),
                   sql_blob(record->token, sizeof(record->token)), sql_int((int64_t) record->added_usec),
                   sql_int((int64_t) record->tasks_done), sql_int((int64_t) record->tasks_failed),
                   sql_bytes(spec->exec), sql_text(spec->class), sql_int(spec->recycle),
                   sql_limit(spec->recycle_memory_bytes), sql_text(terms)));
}

static const OpClass add_worker_class = {
    .run = add_worker_run,
    .complete = worker_op_complete,
    .free = worker_op_free,
    .writes = true,
    .durable = true,
};

void store_add_worker(StorePort *port, const WorkerRecord *record, StoreDone done, void *userdata)
{
    worker_enqueue(port, &add_worker_class, record_copy(record), done, userdata);
}

static int update_worker_run(Database *database, Op *op)
{
    const WorkerRecord *record = ((WorkerOp *) op)->record;
    const WorkerLimits *limits = &record->spec->limits;
    g_autofree char *terms = worker_spec_terms(record->spec);

    return sql_run(
        &database->sql,
        "UPDATE workers SET state = ?2, pid = ?3, start_time = ?4, unit = ?5, control_group = ?6, done = ?7, failed = ?8,"
        " memory_max = ?9, memory_high = ?10, cpu_quota = ?11, cpu_weight = ?12, tasks_max = ?13, terms = ?14"
        " WHERE number = ?1",
        SQL_VALUES(sql_int(record->number), sql_text(worker_state_to_string(record->state)),
                   sql_int(record->process.pid), sql_int((int64_t) record->process.start_time),
                   sql_text(record->process.unit), sql_text(record->process.control_group),
                   sql_int((int64_t) record->tasks_done), sql_int((int64_t) record->tasks_failed),
                   sql_limit(limits->memory_max_bytes), sql_limit(limits->memory_high_bytes),
                   sql_limit(limits->cpu_quota_usec_per_sec), sql_int((int64_t) limits->cpu_weight),
                   sql_limit(limits->tasks_max), sql_text(terms)));
}

static const OpClass update_worker_class = {
    .run = update_worker_run, .free = worker_op_free, .writes = true, .kept = true
};

void store_update_worker(StorePort *port, const WorkerRecord *record)
{
    worker_enqueue(port, &update_worker_class, record_copy(record), NULL, NULL);
}

static int forget_worker_run(Database *database, Op *op)
{
    return sql_run(&database->sql, "DELETE FROM workers WHERE number = ?1",
                   SQL_VALUES(sql_int(((WorkerOp *) op)->record->number)));
}

static const OpClass forget_worker_class = {
    .run = forget_worker_run, .free = worker_op_free, .writes = true, .kept = true
};

void store_forget_worker(StorePort *port, uint32_t number)
{
    WorkerRecord *record = g_new0(WorkerRecord, 1);

    record->number = number;
    worker_enqueue(port, &forget_worker_class, record, NULL, NULL);
}

typedef struct EnabledOp {
    Op op;
    bool enabled;
    StoreDone done;
    void *userdata;
} EnabledOp;

static int set_enabled_run(Database *database, Op *op)
{
    database->counters.enabled = ((EnabledOp *) op)->enabled;
    return 0;
}

static void set_enabled_complete(Op *op, const StoreEvents *events)
{
    const EnabledOp *enabled = (EnabledOp *) op;

    if (enabled->done)
        enabled->done(op->r, enabled->userdata);
}

static const OpClass set_enabled_class = {
    .run = set_enabled_run, .complete = set_enabled_complete, .writes = true, .durable = true
};

void store_set_enabled(StorePort *port, bool enabled, StoreDone done, void *userdata)
{
    EnabledOp *op = g_new(EnabledOp, 1);

    *op = (EnabledOp){
        .op = OP_INIT(set_enabled_class), .enabled = enabled, .done = done, .userdata = userdata
    };
    store_enqueue((Store *) port, &op->op);
}

/* ------------------------------------------------------------------ the snapshot */

static WorkerSpec *worker_spec_read(sqlite3_stmt *statement, int engine)
{
    WorkerSpec *spec = worker_spec_new();

    g_free(spec->name);
    spec->name = sql_column_text(statement, 1);
    spec->limits.memory_max_bytes = sql_column_limit(statement, 2);
    spec->limits.memory_high_bytes = sql_column_limit(statement, 3);
    spec->limits.cpu_quota_usec_per_sec = sql_column_limit(statement, 4);
    spec->limits.cpu_weight = (uint64_t) sql_column_int(statement, 5);
    spec->limits.tasks_max = sql_column_limit(statement, 6);
    spec->limits.allowed_cpus = sql_column_text(statement, 7);
    spec->slots = (uint32_t) sql_column_int(statement, 8);
    spec->engine = (EngineKind) engine;
    spec->user = (uint32_t) sql_column_int(statement, 10);
    spec->forced = sql_column_int(statement, 11) != 0;
    spec->environment = sql_column_bytes(statement, 12);
    return spec;
}

static int worker_record_read(sqlite3_stmt *statement, WorkerRecord **ret)
{
    int engine = engine_kind_from_string((const char *) sqlite3_column_text(statement, 9));
    int state = worker_state_from_string((const char *) sqlite3_column_text(statement, 13));
    WorkerRecord *record;

    if (engine < 0 || state < 0 || sqlite3_column_bytes(statement, 18) != LAUNCH_TOKEN_BYTES)
        return -EIO;
    record = g_new0(WorkerRecord, 1);
    record->number = (uint32_t) sql_column_int(statement, 0);
    record->spec = worker_spec_read(statement, engine);
    record->state = (WorkerState) state;
    record->process.pid = (int32_t) sql_column_int(statement, 14);
    record->process.start_time = (uint64_t) sql_column_int(statement, 15);
    record->process.unit = sql_column_text(statement, 16);
    record->process.control_group = sql_column_text(statement, 17);
    memcpy(record->token, sqlite3_column_blob(statement, 18), LAUNCH_TOKEN_BYTES);
    record->added_usec = (uint64_t) sql_column_int(statement, 19);
    record->tasks_done = (uint64_t) sql_column_int(statement, 20);
    record->tasks_failed = (uint64_t) sql_column_int(statement, 21);
    record->spec->exec = sql_column_bytes(statement, 22);
    record->spec->class = sql_column_text(statement, 23);
    record->spec->recycle = (uint32_t) sql_column_int(statement, 24);
    record->spec->recycle_memory_bytes = sql_column_limit(statement, 25);
    if (worker_spec_read_terms(record->spec, (const char *) sqlite3_column_text(statement, 26)) < 0)
        log_warning("What the database says of worker w%u makes no sense, ignoring a part of it.", record->number);
    *ret = record;
    return 0;
}

static int workers_load(Database *database, GPtrArray *workers)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    WorkerRecord *record;
    int r;

    r = sql_query(
        &database->sql,
        "SELECT number, name, memory_max, memory_high, cpu_quota, cpu_weight, tasks_max, allowed_cpus, slots, engine, user,"
        " forced, environment, state, pid, start_time, unit, control_group, token, added, done, failed,"
        " exec, class, recycle, recycle_memory, terms FROM workers"
        " ORDER BY number",
        SQL_NO_VALUES, &statement);
    if (r < 0)
        return r;
    while ((r = sql_step(&database->sql, statement)) > 0) {
        r = worker_record_read(statement, &record);
        if (r < 0)
            return r;
        g_ptr_array_add(workers, record);
    }
    return r;
}

static int held_load_one(Database *database, uint64_t id, GPtrArray *held)
{
    StoredAssignment assignment;
    StoredTask task;
    TaskSpec *spec;
    HeldTask *one;
    int r;

    r = row_find_assignment(database, id, &assignment);
    if (r > 0)
        r = row_find_task(database, id, &task);
    if (r > 0)
        r = row_load_spec(database, &task, &spec);
    else
        r = r < 0 ? r : -EIO;
    if (r < 0)
        return r;
    one = g_new(HeldTask, 1);
    *one = (HeldTask){ .spec = spec,
                       .worker = assignment.worker,
                       .start_usec = assignment.start_usec,
                       .cancelled = assignment.cancelled };
    g_ptr_array_add(held, one);
    return 0;
}

static int held_load(Database *database, GPtrArray *held)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r;

    r = sql_query(&database->sql, "SELECT task FROM assignments ORDER BY task", SQL_NO_VALUES, &statement);
    if (r < 0)
        return r;
    while ((r = sql_step(&database->sql, statement)) > 0) {
        r = held_load_one(database, (uint64_t) sql_column_int(statement, 0), held);
        if (r < 0)
            return r;
    }
    return r;
}

static void snapshot_worker_free(gpointer record)
{
    worker_record_free(record);
}

static void snapshot_held_free(gpointer held)
{
    held_task_free(held);
}

int snapshot_load(Database *database, StoreSnapshot **ret)
{
    g_autoptr(StoreSnapshot) snapshot = g_new0(StoreSnapshot, 1);
    int r;

    snapshot->workers = g_ptr_array_new_with_free_func(snapshot_worker_free);
    snapshot->held = g_ptr_array_new_with_free_func(snapshot_held_free);
    snapshot->counts = database->counters.counts;
    snapshot->next_worker = (uint32_t) database->counters.next_worker;
    snapshot->enabled = database->counters.enabled != 0;
    r = workers_load(database, snapshot->workers);
    if (r >= 0)
        r = wishes_load(database, &snapshot->wishes);
    if (r >= 0)
        r = learned_load(database, &snapshot->learned);
    if (r >= 0)
        r = held_load(database, snapshot->held);
    if (r < 0)
        return r;
    *ret = g_steal_pointer(&snapshot);
    return 0;
}
