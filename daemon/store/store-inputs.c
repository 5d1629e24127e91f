/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a task is given of those it waited for: their results, under their names. */
#include <string.h>

#include "store/store-gate.h"
#include "store/store-internal.h"

typedef struct InputsOp {
    Op op;
    uint64_t task;
    GPtrArray *inputs;
    GHashTable *names; /* in use */
    GHashTable *tasks; /* uint64_t*: that are there already */
    uint64_t bytes;
    StoreInputs done;
    void *userdata;
} InputsOp;

/* A name that is a number is left to the task with that id. */
static bool is_file_name(const char *name)
{
    return !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
           name[strspn(name, "0123456789")] != '\0';
}

/* Its name, if that is one that a file can have and nobody has yet; else its id. */
static char *input_name(InputsOp *op, uint64_t task, const char *name)
{
    if (name && is_file_name(name) && !g_hash_table_contains(op->names, name))
        return g_strdup(name);
    return g_strdup_printf("%" G_GUINT64_FORMAT, task);
}

static int read_inputs(Database *database, InputsOp *op, uint64_t first, uint64_t last)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r;

    r = sql_query(
        &database->sql,
        "SELECT r.task, r.data, s.name FROM results r CROSS JOIN tasks t ON t.id = r.task"
        " CROSS JOIN specs s ON s.id = ifnull(t.spec, t.id) WHERE r.task BETWEEN ?1 AND ?2 ORDER BY r.task",
        SQL_VALUES(sql_int((int64_t) first), sql_int((int64_t) last)), &statement);
    if (r < 0)
        return r;
    while ((r = sql_step(&database->sql, statement)) > 0) {
        uint64_t task = (uint64_t) sql_column_int(statement, 0);
        TaskInput *input;
        if (!g_hash_table_add(op->tasks, g_memdup2(&task, sizeof task)))
            continue; /* it stands in several conditions */
        input = g_new(TaskInput, 1);
        input->name = input_name(op, task, (const char *) sqlite3_column_text(statement, 2));
        input->data = sql_column_bytes(statement, 1);
        op->bytes += g_bytes_get_size(input->data);
        g_hash_table_add(op->names, input->name);
        g_ptr_array_add(op->inputs, input);
        if (op->bytes > INPUTS_BYTES_MAX)
            return 0;
    }
    return r;
}

static int read_batch(Database *database, InputsOp *op, uint64_t batch)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r;

    r = sql_query(&database->sql,
                  "SELECT min(first), max(last) FROM segments WHERE batch = ?1 GROUP BY batch",
                  SQL_VALUES(sql_int((int64_t) batch)), &statement);
    if (r >= 0)
        r = sql_step(&database->sql, statement);
    return r <= 0 ? r
                  : read_inputs(database, op, (uint64_t) sql_column_int(statement, 0),
                                (uint64_t) sql_column_int(statement, 1));
}

static void inputs_clear(InputsOp *op)
{
    g_clear_pointer(&op->names, g_hash_table_unref);
    g_clear_pointer(&op->tasks, g_hash_table_unref);
    g_clear_pointer(&op->inputs, g_ptr_array_unref);
    op->bytes = 0;
}

static int inputs_run(Database *database, Op *base)
{
    InputsOp *op = (InputsOp *) base;
    g_autoptr(GArray) conditions = NULL;
    StoredTask task;
    int r;

    inputs_clear(op);
    op->inputs = task_inputs_new();
    op->names = g_hash_table_new(g_str_hash, g_str_equal);
    op->tasks = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    r = row_find_task(database, op->task, &task);
    if (r > 0)
        r = gate_load_conditions(database, task.spec, &conditions);
    for (guint i = 0; r >= 0 && conditions && i < conditions->len; i++) {
        const Dependency *condition = &g_array_index(conditions, Dependency, i);
        uint64_t id = condition->id;
        if (condition->kind == DEPENDENCY_AFTER_CORR)
            id += task.id - task.spec;
        r = condition->target == TARGET_BATCH ? read_batch(database, op, id)
                                              : read_inputs(database, op, id, id);
        if (r >= 0 && op->bytes > INPUTS_BYTES_MAX)
            base->r = -E2BIG;
        if (base->r < 0)
            break;
    }
    return MIN(r, 0);
}

static void inputs_complete(Op *base, const StoreEvents *events)
{
    InputsOp *op = (InputsOp *) base;

    op->done(base->r, base->r < 0 ? NULL : g_steal_pointer(&op->inputs), op->userdata);
}

static void inputs_free(Op *op)
{
    inputs_clear((InputsOp *) op);
}

static const OpClass inputs_class = { .run = inputs_run, .complete = inputs_complete, .free = inputs_free };

void store_load_inputs(StorePort *port, uint64_t task, StoreInputs done, void *userdata)
{
    InputsOp *op = g_new0(InputsOp, 1);

    op->op = OP_INIT(inputs_class);
    op->task = task;
    op->done = done;
    op->userdata = userdata;
    store_enqueue((Store *) port, &op->op);
}
