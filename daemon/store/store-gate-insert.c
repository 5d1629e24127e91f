/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Dependencies on their way into the store: targets are resolved and checked, what is decided already is decided, edges are
 * laid. Stateless; a refusal leaves what was written to the rollback of the operation. */
#include "store/store-flow.h"
#include "store/store-gate.h"
#include "store/store-internal.h"
#include "store/store-match.h"

typedef struct Inserting {
    Database *database;
    const TaskSpec *spec;
    GateSite *site;
    GString *text;
    int refusal;
    int64_t pending;
    bool by_element, inputs;
    char *impossible; /* why it can never open; NULL: it can */
} Inserting;

static int refuse(Inserting *inserting, int r, char *sentence)
{
    Submission *submission = inserting->site->submission;

    g_free(submission->refusal);
    submission->refusal = sentence;
    inserting->refusal = r;
    return 0;
}

/* ------------------------------------------------------------------ targets */

static int resolve_local(Inserting *inserting, Dependency *condition)
{
    const GArray *segments = inserting->site->segments;
    uint64_t position = condition->id;

    for (guint i = 0; i < segments->len; i++) {
        const IdRange *segment = &g_array_index(segments, IdRange, i);
        uint64_t size = segment->last - segment->first + 1;
        if (position < size) {
            condition->target = TARGET_TASK;
            condition->id = segment->first + position;
            return 0;
        }
        position -= size;
    }
    return refuse(inserting, -EDOM,
                  g_strdup_printf("Task %" G_GUINT64_FORMAT " depends on position %" G_GUINT64_FORMAT
                                  " of its batch, which has not come that far.",
                                  inserting->spec->id, condition->id));
}

static int check_task(Inserting *inserting, const Dependency *condition)
{
    const Submission *submission = inserting->site->submission;
    StoredTask task;
    int r;

    if (condition->id >= inserting->spec->id)
        return refuse(inserting, -EDOM,
                      g_strdup_printf(condition->id < inserting->spec->id + inserting->spec->array_count
                                          ? "Task %" G_GUINT64_FORMAT " depends on itself."
                                          : "Task %" G_GUINT64_FORMAT
                                            " depends on a later task, %" G_GUINT64_FORMAT ".",
                                      inserting->spec->id, condition->id));
    if (condition->id >= submission->first)
        return 0;
    if (database_find_hidden(inserting->database, condition->id) &&
        database_find_hidden(inserting->database, condition->id)->batch == submission->batch)
        return 0;
    r = row_find_task(inserting->database, condition->id, &task);
    if (r == 0)
        return refuse(inserting, -ENOENT,
                      g_strdup_printf("There is no task %" G_GUINT64_FORMAT " to depend on.", condition->id));
    if (r > 0 && task.uid != submission->uid)
        return refuse(inserting, -EDOM,
                      g_strdup_printf("Task %" G_GUINT64_FORMAT
                                      " belongs to another user (%u); dependencies are "
                                      "between tasks of one user.",
                                      condition->id, task.uid));
    return MIN(r, 0);
}

static int first_of_batch(Inserting *inserting, uint64_t batch, uint64_t *ret)
{
    int64_t first;
    int r = sql_number(&inserting->database->sql, "SELECT min(first) FROM segments WHERE batch = ?1",
                       SQL_VALUES(sql_int((int64_t) batch)), &first);

    if (r > 0)
        *ret = (uint64_t) first;
    return MIN(r, 0);
}

static int check_batch(Inserting *inserting, Dependency *condition)
{
    const Submission *submission = inserting->site->submission;
    BatchSums sums;
    int r;

    if (condition->id == submission->batch)
        return refuse(inserting, -EDOM,
                      g_strdup_printf("A task of batch %" G_GUINT64_FORMAT " depends on its own batch.",
                                      condition->id));
    r = database_batch_sums(inserting->database, condition->id, &sums);
    if (r == 0)
        return refuse(
            inserting, -ENOENT,
            g_strdup_printf("There is no batch %" G_GUINT64_FORMAT " to depend on.", condition->id));
    if (r > 0 && sums.uid != submission->uid)
        return refuse(inserting, -EDOM,
                      g_strdup_printf("Batch %" G_GUINT64_FORMAT " belongs to another user.", condition->id));
    if (r < 0 || condition->kind < DEPENDENCY_EXIT)
        return MIN(r, 0);
    if (sums.count != 1)
        return refuse(inserting, -EDOM,
                      g_strdup_printf("%s looks at one task; batch %" G_GUINT64_FORMAT
                                      " has %" G_GUINT64_FORMAT ".",
                                      dependency_kind_to_string(condition->kind), condition->id, sums.count));
    condition->target = TARGET_TASK;
    return first_of_batch(inserting, condition->id, &condition->id);
}

/* aftercorr: the target becomes the first element of its array. */
static int check_elements(Inserting *inserting, Dependency *condition)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    const TaskSpec *spec = inserting->spec;
    Database *database = inserting->database;
    uint64_t id = condition->id;
    StoredTask task = { .spec = id };
    int r = condition->target == TARGET_BATCH ? first_of_batch(inserting, condition->id, &id) : 0;

    if (r >= 0)
        r = sql_query(&database->sql,
                      "SELECT id, array_base, array_count FROM specs WHERE id <= ?1 ORDER BY id DESC LIMIT 1",
                      SQL_VALUES(sql_int((int64_t) id)), &statement);
    if (r >= 0)
        r = sql_step(&database->sql, statement);
    if (r < 0)
        return r;
    task.spec = r > 0 ? (uint64_t) sql_column_int(statement, 0) : 0;
    if (r == 0 || sql_column_limit(statement, 1) != spec->array_index ||
        sql_column_limit(statement, 2) != spec->array_count)
        return refuse(inserting, -EDOM,
                      g_strdup_printf(
                          "aftercorr goes between arrays with the same indices; the target of task "
                          "%" G_GUINT64_FORMAT " is not one of %" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT ".",
                          spec->id, spec->array_index, spec->array_index + spec->array_count - 1));
    condition->target = TARGET_TASK;
    condition->id = task.spec;
    inserting->by_element = true;
    return 0;
}

static int check(Inserting *inserting, Dependency *condition)
{
    int r = condition->target == TARGET_LOCAL ? resolve_local(inserting, condition) : 0;

    if (r >= 0 && inserting->refusal == 0)
        r = condition->target == TARGET_BATCH ? check_batch(inserting, condition)
                                              : check_task(inserting, condition);
    if (r >= 0 && inserting->refusal == 0 && condition->kind == DEPENDENCY_AFTER_CORR)
        r = check_elements(inserting, condition);
    return r;
}

/* ------------------------------------------------------------------ rows */

static int watch_batch(Inserting *inserting, const Dependency *condition)
{
    Database *database = inserting->database;
    uint64_t batch = condition->id;

    BatchSums sums;
    int r;

    if (g_hash_table_contains(database->watched, &batch))
        return 0;
    r = sql_run(
        &database->sql,
        "UPDATE batches SET started = (SELECT count(*) FROM segments s CROSS JOIN tasks t ON t.id BETWEEN s.first AND s.last"
        " LEFT JOIN assignments a ON a.task = t.id WHERE s.batch = ?1"
        " AND (t.attempts > 0 OR t.state IN (5, 6, 7, 8) OR a.start > 0))"
        " + (SELECT ifnull(sum(r.last - r.first + 1), 0) FROM segments s CROSS JOIN ranges r"
        " ON r.last BETWEEN s.first AND s.last WHERE s.batch = ?1 AND r.state IN (7, 8)) WHERE id = ?1",
        SQL_VALUES(sql_int((int64_t) batch)));
    if (r >= 0)
        r = database_batch_sums(database, batch, &sums);
    if (r > 0) /* from now on it is counted */
        g_hash_table_insert(database->watched, g_memdup2(&batch, sizeof batch),
                            GUINT_TO_POINTER(batch_news(&sums)));
    return MIN(r, 0);
}

static int edge_insert(Inserting *inserting, const Dependency *condition, bool alone)
{
    int target = condition->kind == DEPENDENCY_AFTER_CORR ? TARGET_ELEMENTS : (int) condition->target;
    int r = condition->target == TARGET_BATCH ? watch_batch(inserting, condition) : 0;

    return r < 0 ? r
                 : sql_run(&inserting->database->sql,
                           "INSERT OR IGNORE INTO edges (target, parent, spec, clause, kind, status, alone)"
                           " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                           SQL_VALUES(sql_int(target), sql_int((int64_t) condition->id),
                                      sql_int((int64_t) inserting->spec->id), sql_int(condition->clause),
                                      sql_int((int64_t) condition->kind), sql_int(condition->status),
                                      sql_int(alone)));
}

static int note_inputs(Inserting *inserting, const Dependency *condition)
{
    int64_t one;
    int r = 0;

    if (inserting->database->n_results == 0 || inserting->inputs)
        return 0;
    if (condition->target == TARGET_TASK && condition->id < inserting->site->submission->first)
        r = sql_number(&inserting->database->sql, "SELECT 1 FROM results WHERE task = ?1",
                       SQL_VALUES(sql_int((int64_t) condition->id)), &one);
    inserting->inputs = r > 0 || condition->target == TARGET_BATCH;
    return MIN(r, 0);
}

/* What is worth how much already. Of a task of this very batch nothing is told before all are visible. */
static int judge(Inserting *inserting, const Dependency *condition, Truth *ret)
{
    const GateSite *site = inserting->site;

    *ret = TRUTH_OPEN;
    if (condition->kind == DEPENDENCY_AFTER_CORR)
        *ret = TRUTH_YES; /* by element */
    else if (condition->target != TARGET_TASK || condition->id < site->submission->first)
        return condition_truth(inserting->database, condition, ret);
    return 0;
}

static void append_text(GString *text, const Dependency *condition, bool first_of_clause)
{
    g_autofree char *word = dependency_format(condition);

    if (text->len > 0)
        g_string_append_c(text, first_of_clause ? ',' : '?');
    g_string_append(text, word);
}

static bool same_clause(const GArray *conditions, guint i, guint k)
{
    return k < conditions->len &&
           g_array_index(conditions, Dependency, i).clause == g_array_index(conditions, Dependency, k).clause;
}

static int insert_clause(Inserting *inserting, GArray *conditions, guint first, guint *ret_next)
{
    bool alone = !same_clause(conditions, first, first + 1);
    Truth best = TRUTH_NO;
    guint i = first;
    size_t start = inserting->text->len > 0 ? inserting->text->len + 1 : 0;
    int r = 0;

    for (; r >= 0 && inserting->refusal == 0 && same_clause(conditions, first, i); i++) {
        Dependency condition = g_array_index(conditions, Dependency, i);
        Truth truth = TRUTH_OPEN;
        if (condition.kind == DEPENDENCY_AFTER_CORR && !alone)
            return refuse(inserting, -EDOM, g_strdup("aftercorr stands by itself, not beside \"?\"."));
        r = check(inserting, &condition);
        if (r < 0 || inserting->refusal < 0)
            break;
        append_text(inserting->text, &condition, i == first);
        /* of batches the sums are looked at, not the single news: they are counted anew each time */
        r = edge_insert(inserting, &condition, alone && condition.target == TARGET_TASK);
        if (r >= 0)
            r = note_inputs(inserting, &condition);
        if (r >= 0)
            r = judge(inserting, &condition, &truth);
        best = MAX(best, truth);
    }
    inserting->pending += best != TRUTH_YES;
    if (best == TRUTH_NO && !inserting->impossible)
        inserting->impossible = g_strdup_printf("%s can no longer come: that had ended otherwise before",
                                                inserting->text->str + start);
    *ret_next = i;
    return r;
}

static int clause_compare(gconstpointer a, gconstpointer b)
{
    const Dependency *x = a, *y = b;

    return (x->clause > y->clause) - (x->clause < y->clause);
}

static int gate_row_insert(Inserting *inserting)
{
    const TaskSpec *spec = inserting->spec;
    const TaskGate *gate = spec->gate;
    Database *database = inserting->database;

    database->n_gates++;
    database->n_by_element += inserting->by_element;
    return sql_run(&database->sql,
                   "INSERT INTO gates (spec, last, pending, keep, by_element, inputs, conditions, reason)"
                   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                   SQL_VALUES(sql_int((int64_t) spec->id),
                              sql_int((int64_t) (spec->id + spec->array_count - 1)),
                              sql_int(inserting->pending), sql_int(gate->keep_unsatisfied),
                              sql_int(inserting->by_element), sql_int(inserting->inputs),
                              sql_text(inserting->text->str), sql_text(inserting->impossible)));
}

int gate_insert(Database *database, const TaskSpec *spec, GateSite *site, TaskState *ret, int *ret_refusal)
{
    g_autoptr(GString) text = g_string_new(NULL);
    Inserting inserting = { .database = database, .spec = spec, .site = site, .text = text };
    GArray *conditions = spec->gate->dependencies;
    guint i = 0;
    int r = 0;

    g_array_sort(conditions, clause_compare); /* stable enough: the order within a clause means nothing */
    while (r >= 0 && inserting.refusal == 0 && i < conditions->len)
        r = insert_clause(&inserting, conditions, i, &i);
    *ret_refusal = inserting.refusal;
    if (r >= 0 && inserting.refusal == 0)
        r = gate_row_insert(&inserting);
    bool impossible = inserting.impossible != NULL;
    g_free(inserting.impossible);
    if (r < 0 || inserting.refusal < 0)
        return r;
    *ret = impossible && !spec->gate->keep_unsatisfied     ? TASK_SKIPPED
           : inserting.pending > 0 || inserting.by_element ? TASK_BLOCKED
                                                           : TASK_QUEUED;
    return 0;
}
