/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What tasks wait for, once they are stored: see store-gate-insert.c for how they come to it. When something ends, its edges
 * lead to the gates that wait for it: a condition that is a clause of its own and holds now makes one clause fewer, one that
 * can never hold closes the gate for good; whatever is less simple makes the gate be counted anew.
 *
 * Invariant: "pending" is the number of clauses that do not hold; at 0 the tasks are let on. Conditions by element
 * (aftercorr) are not in it: they are judged for each element when it is let on. */
#include "store/store-gate.h"

#include "store/store-flow.h"
#include "store/store-internal.h"
#include "util/parse-util.h"

/* What was told of a batch to those that wait for it: they are many, perhaps, and its sums change often. */
enum { TOLD_FAILED = 1 << 0, TOLD_ENDED = 1 << 1, TOLD_STARTED = 1 << 2 };

typedef struct Edge {
    uint64_t spec;
    Dependency condition;
    bool alone;
} Edge;

typedef struct Gate {
    uint64_t spec, last;
    int64_t pending;
    bool keep, by_element;
    bool closed; /* it can never open, as things stand: it has a reason */
} Gate;

/* ------------------------------------------------------------------ rows */

static void gate_read(sqlite3_stmt *statement, uint64_t spec, Gate *ret)
{
    *ret = (Gate){
        .spec = spec,
        .last = (uint64_t) sql_column_int(statement, 0),
        .pending = sql_column_int(statement, 1),
        .keep = sql_column_int(statement, 2) != 0,
        .by_element = sql_column_int(statement, 3) != 0,
        .closed = sql_column_int(statement, 4) != 0,
    };
}

static int gate_find(Database *database, uint64_t spec, Gate *ret)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r;

    r = sql_query(&database->sql, "SELECT last, pending, keep, by_element, reason IS NOT NULL FROM gates WHERE spec = ?1",
                  SQL_VALUES(sql_int((int64_t) spec)), &statement);
    if (r >= 0)
        r = sql_step(&database->sql, statement);
    if (r <= 0)
        return r;
    gate_read(statement, spec, ret);
    return 1;
}

/* One clause more holds; ret: as the gate is then. */
static int gate_count_down(Database *database, uint64_t spec, Gate *ret)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r;

    r = sql_query(
        &database->sql,
        "UPDATE gates SET pending = pending - 1 WHERE spec = ?1 RETURNING last, pending, keep, by_element,"
        " reason IS NOT NULL",
        SQL_VALUES(sql_int((int64_t) spec)), &statement);
    if (r >= 0)
        r = sql_step(&database->sql, statement);
    if (r > 0)
        gate_read(statement, spec, ret);
    return r;
}

static int lookup_number(const char *word, Dependency *dependency, void *userdata)
{
    return parse_uint64(word, &dependency->id) < 0 ? -ENOENT : 0;
}

int gate_load_conditions(Database *database, uint64_t spec, GArray **ret)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    g_autofree char *why = NULL;
    DependencyList list;
    int r;

    *ret = NULL;
    r = sql_query(&database->sql, "SELECT conditions FROM gates WHERE spec = ?1",
                  SQL_VALUES(sql_int((int64_t) spec)), &statement);
    if (r >= 0)
        r = sql_step(&database->sql, statement);
    if (r <= 0)
        return r;
    r = dependency_parse((const char *) sqlite3_column_text(statement, 0), lookup_number, NULL, &list, &why);
    if (r < 0)
        return -EIO;
    *ret = list.conditions;
    return 0;
}

int gate_describe(Database *database, uint64_t spec, char **ret_conditions, char **ret_reason)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r;

    r = sql_query(&database->sql, "SELECT substr(conditions, 1, 65536), reason FROM gates WHERE spec = ?1",
                  SQL_VALUES(sql_int((int64_t) spec)), &statement);
    if (r >= 0)
        r = sql_step(&database->sql, statement);
    if (r > 0) {
        *ret_conditions = sql_column_text(statement, 0);
        *ret_reason = sql_column_text(statement, 1);
    }
    return r;
}

int gate_has_inputs(Database *database, uint64_t spec, bool *ret)
{
    int64_t inputs = 0;
    int r = sql_number(&database->sql, "SELECT inputs FROM gates WHERE spec = ?1",
                       SQL_VALUES(sql_int((int64_t) spec)), &inputs);

    *ret = inputs != 0;
    return MIN(r, 0);
}

/* ------------------------------------------------------------------ counting */

/* Conditions of one clause follow one another. *ret_impossible: the first condition of a clause that cannot hold. */
static int count_open(Database *database, const GArray *conditions, int64_t *ret_pending,
                      Dependency *ret_impossible, bool *ret_is_impossible)
{
    guint i = 0;

    *ret_pending = 0;
    *ret_is_impossible = false;
    while (i < conditions->len) {
        const Dependency *first = &g_array_index(conditions, Dependency, i);
        Truth best = TRUTH_NO;
        for (; i < conditions->len && g_array_index(conditions, Dependency, i).clause == first->clause; i++) {
            const Dependency *condition = &g_array_index(conditions, Dependency, i);
            Truth truth = TRUTH_YES; /* by element: not of the gate */
            int r =
                condition->kind == DEPENDENCY_AFTER_CORR ? 0 : condition_truth(database, condition, &truth);
            if (r < 0)
                return r;
            best = MAX(best, truth);
        }
        *ret_pending += best != TRUTH_YES;
        if (best == TRUTH_NO && !*ret_is_impossible) {
            *ret_impossible = *first;
            *ret_is_impossible = true;
        }
    }
    return 0;
}

static int gate_set_pending(Database *database, Gate *gate, int64_t pending)
{
    if (gate->pending == pending)
        return 0;
    gate->pending = pending;
    return sql_run(&database->sql, "UPDATE gates SET pending = ?2 WHERE spec = ?1",
                   SQL_VALUES(sql_int((int64_t) gate->spec), sql_int(pending)));
}

/* ------------------------------------------------------------------ opening and closing */

static int gate_each(Database *database, const Gate *gate, int state,
                     int (*act)(Database *database, const StoredTask *task))
{
    g_autoptr(GArray) tasks = g_array_new(FALSE, FALSE, sizeof(StoredTask));
    FlowSet set = { gate->spec, gate->last, state };
    int r = flow_collect(database, &set, tasks);

    for (guint i = 0; r >= 0 && i < tasks->len; i++)
        r = act(database, &g_array_index(tasks, StoredTask, i));
    return r;
}

static int judge(Database *database, const StoredTask *task)
{
    return flow_enter(database, task, TASK_BLOCKED);
}

static int let_on(Database *database, const StoredTask *task)
{
    return flow_enter(database, task, TASK_WAITING);
}

static int skip(Database *database, const StoredTask *task)
{
    return flow_move(database, task, TASK_SKIPPED);
}

static int block(Database *database, const StoredTask *task)
{
    return flow_move(database, task, TASK_BLOCKED);
}

static char *impossible_reason(Database *database, const Dependency *condition)
{
    g_autofree char *text = dependency_format(condition);
    StoredTask task;

    if (condition->target == TARGET_BATCH)
        return g_strdup_printf("%s can no longer come: not all of batch %" G_GUINT64_FORMAT
                               " ended like that",
                               text, condition->id);
    if (row_find_task(database, condition->id, &task) <= 0)
        return g_strdup_printf("%s can no longer come: task %" G_GUINT64_FORMAT " is not known any more",
                               text, condition->id);
    return g_strdup_printf("%s can no longer come: task %" G_GUINT64_FORMAT " has ended as %s", text,
                           condition->id, task_state_to_string(state_shown(task.state)));
}

static int gate_set_reason(Database *database, const Gate *gate, const char *reason)
{
    /* the first one counts: others may become impossible, too, and change nothing */
    return sql_run(&database->sql,
                   "UPDATE gates SET reason = ?2 WHERE spec = ?1 AND (reason IS NULL OR ?2 IS NULL)",
                   SQL_VALUES(sql_int((int64_t) gate->spec), sql_text(reason)));
}

/* It can never open. */
static int gate_close(Database *database, const Gate *gate, const Dependency *condition)
{
    g_autofree char *reason = impossible_reason(database, condition);
    int r = gate_set_reason(database, gate, reason);

    if (r < 0 || gate->keep)
        return r;
    r = gate_each(database, gate, TASK_BLOCKED, skip);
    return r < 0 ? r : gate_each(database, gate, TASK_HELD, skip);
}

static int gate_apply(Database *database, const Gate *gate)
{
    if (gate->pending > 0)
        return 0;
    return gate_each(database, gate, TASK_BLOCKED, gate->by_element ? judge : let_on);
}

/* Counts everything anew and acts on it. reopen: those that were skipped wait again if it can open after all. */
static int gate_recount(Database *database, Gate *gate, bool reopen)
{
    g_autoptr(GArray) conditions = NULL;
    Dependency condition;
    int64_t pending;
    bool impossible;
    int r;

    if (!reopen && gate->pending == 0) /* it has opened; what it looked at may be forgotten since */
        return 0;
    r = gate_load_conditions(database, gate->spec, &conditions);
    if (r < 0 || !conditions)
        return r;
    flow_note_recounted(database, gate->spec);
    r = count_open(database, conditions, &pending, &condition, &impossible);
    if (r >= 0)
        r = gate_set_pending(database, gate, pending);
    if (r < 0)
        return r;
    if (impossible)
        return gate_close(database, gate, &condition);
    if (reopen) {
        r = gate_set_reason(database, gate, NULL);
        if (r >= 0)
            r = gate_each(database, gate, TASK_SKIPPED, block);
    }
    return r < 0 ? r : gate_apply(database, gate);
}

int gate_judge(Database *database, uint64_t spec, TaskState *ret)
{
    Gate gate;
    int r = gate_find(database, spec, &gate);

    *ret = TASK_QUEUED;
    if (r > 0 && gate.pending > 0)
        *ret = gate.closed && !gate.keep ? TASK_SKIPPED : TASK_BLOCKED;
    return r > 0 && gate.pending == 0 && gate.by_element ? GATE_BY_ELEMENT : MIN(r, 0);
}

/* Arrays that go element by element have the same indices: see gate_insert(). */
int gate_judge_element(Database *database, const StoredTask *element, const GArray *conditions, TaskState *ret)
{
    Gate gate;
    int r = 0;

    *ret = TASK_QUEUED;
    for (guint i = 0; conditions && i < conditions->len; i++) {
        Dependency condition = g_array_index(conditions, Dependency, i);
        Truth truth;
        if (condition.kind != DEPENDENCY_AFTER_CORR)
            continue;
        condition.id += element->id - element->spec;
        r = condition_truth(database, &condition, &truth);
        if (r < 0)
            return r;
        if (truth == TRUTH_OPEN && *ret == TASK_QUEUED)
            *ret = TASK_BLOCKED;
        if (truth == TRUTH_NO)
            *ret = TASK_SKIPPED;
    }
    if (*ret != TASK_SKIPPED)
        return 0;
    r = gate_find(database, element->spec, &gate);
    if (r > 0 && gate.keep)
        *ret = TASK_BLOCKED;
    return r < 0 ? r : gate_set_reason(database, &gate, "the element with the same index did not succeed");
}

/* ------------------------------------------------------------------ edges */

static int edges_read(Database *database, int target, uint64_t first, uint64_t last, GArray *edges)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r;

    r = sql_query(&database->sql,
                  "SELECT parent, spec, clause, kind, status, alone FROM edges"
                  " WHERE target = ?1 AND parent BETWEEN ?2 AND ?3 ORDER BY parent",
                  SQL_VALUES(sql_int(target), sql_int((int64_t) first), sql_int((int64_t) last)), &statement);
    if (r < 0)
        return r;
    while ((r = sql_step(&database->sql, statement)) > 0) {
        Edge edge = {
            .spec = (uint64_t) sql_column_int(statement, 1),
            .condition = { .clause = (uint32_t) sql_column_int(statement, 2),
                           .kind = (DependencyKind) sql_column_int(statement, 3),
                           .target = target == TARGET_BATCH ? TARGET_BATCH : TARGET_TASK,
                           .id = (uint64_t) sql_column_int(statement, 0),
                           .status = (int) sql_column_int(statement, 4) },
            .alone = sql_column_int(statement, 5) != 0,
        };
        g_array_append_val(edges, edge);
    }
    return r;
}

/* A condition is decided now. once: it is so for the first time. epoch: of the end that decided it. */
static int edge_follow(Database *database, const Edge *edge, Truth truth, bool once, uint64_t epoch)
{
    bool simple = edge->alone && once;
    Gate gate;
    int r;

    if (truth == TRUTH_OPEN || (simple && flow_was_recounted(database, edge->spec, epoch)))
        return 0;
    if (simple && truth == TRUTH_YES)
        r = gate_count_down(database, edge->spec, &gate);
    else
        r = gate_find(database, edge->spec, &gate);
    if (r <= 0)
        return r;
    if (!simple)
        return gate_recount(database, &gate, false);
    return truth == TRUTH_NO ? gate_close(database, &gate, &edge->condition) : gate_apply(database, &gate);
}

static int gate_set_inputs(Database *database, uint64_t spec)
{
    return sql_run(&database->sql, "UPDATE gates SET inputs = 1 WHERE spec = ?1 AND inputs = 0",
                   SQL_VALUES(sql_int((int64_t) spec)));
}

/* The end of a task that others wait for, as its edges see it. */
typedef struct Parent {
    StoredTask task;
    bool known, has_result;
    uint64_t epoch; /* when it ended: see flow_was_recounted() */
} Parent;

static int parent_read(Database *database, uint64_t id, Parent *ret)
{
    int64_t one;
    int r = row_find_task(database, id, &ret->task);

    if (r < 0)
        return r;
    ret->known = r > 0;
    ret->task.id = id;
    r = database->n_results > 0 ? sql_number(&database->sql, "SELECT 1 FROM results WHERE task = ?1",
                                             SQL_VALUES(sql_int((int64_t) id)), &one)
                                : 0;
    ret->has_result = r > 0;
    return MIN(r, 0);
}

static int follow_task(Database *database, const Edge *edge, const Parent *parent)
{
    Truth truth;
    int r;

    if (!parent->known)
        return 0;
    r = task_truth(database, &parent->task, &edge->condition, &truth);
    if (r >= 0 && parent->has_result)
        r = gate_set_inputs(database, edge->spec);
    /* "after" was, perhaps, told of the start already */
    return r < 0 ? r : edge_follow(database, edge, truth, edge->condition.kind != DEPENDENCY_AFTER, parent->epoch);
}

/* The element of each array that goes by the elements of the ended one's. */
static int follow_element(Database *database, uint64_t id)
{
    g_autoptr(GArray) edges = g_array_new(FALSE, FALSE, sizeof(Edge));
    StoredTask element;
    Parent parent;
    int r = parent_read(database, id, &parent);

    if (r >= 0 && parent.known)
        r = edges_read(database, TARGET_ELEMENTS, parent.task.spec, parent.task.spec, edges);
    for (guint i = 0; r >= 0 && i < edges->len; i++) {
        uint64_t spec = g_array_index(edges, Edge, i).spec;
        r = parent.has_result ? gate_set_inputs(database, spec) : 0;
        if (r >= 0)
            r = row_find_task(database, spec + (id - parent.task.spec), &element);
        if (r <= 0)
            continue;
        element.last = element.id;
        if (element.state == (int) TASK_BLOCKED || element.state == (int) TASK_SKIPPED)
            r = flow_enter(database, &element, TASK_BLOCKED);
    }
    return r;
}

int gates_on_ended(Database *database, IdRange ids)
{
    g_autoptr(GArray) edges = g_array_new(FALSE, FALSE, sizeof(Edge));
    Parent parent = { .epoch = ids.batch };
    int r = edges_read(database, TARGET_TASK, ids.first, ids.last, edges);

    for (guint i = 0; r >= 0 && i < edges->len; i++) { /* those of one parent follow one another */
        const Edge *edge = &g_array_index(edges, Edge, i);
        if (parent.task.id != edge->condition.id)
            r = parent_read(database, edge->condition.id, &parent);
        if (r >= 0)
            r = follow_task(database, edge, &parent);
    }
    for (uint64_t id = ids.first; r >= 0 && database->n_by_element > 0 && id <= ids.last; id++)
        r = follow_element(database, id);
    return r;
}

int gates_on_started(Database *database, uint64_t task)
{
    g_autoptr(GArray) edges = g_array_new(FALSE, FALSE, sizeof(Edge));
    int r = edges_read(database, TARGET_TASK, task, task, edges);

    for (guint i = 0; r >= 0 && i < edges->len; i++)
        if (g_array_index(edges, Edge, i).condition.kind == DEPENDENCY_AFTER)
            r = edge_follow(database, &g_array_index(edges, Edge, i), TRUTH_YES, false, 0);
    return r;
}

/* Those that were skipped because of it, or wait for it, look at it again. */
int gates_on_reopened(Database *database, IdRange ids)
{
    g_autoptr(GArray) edges = g_array_new(FALSE, FALSE, sizeof(Edge));
    int r = edges_read(database, TARGET_TASK, ids.first, ids.last, edges);

    for (guint i = 0; r >= 0 && i < edges->len; i++) {
        Gate gate;
        r = gate_find(database, g_array_index(edges, Edge, i).spec, &gate);
        if (r > 0)
            r = gate_recount(database, &gate, true);
    }
    for (uint64_t id = ids.first; r >= 0 && database->n_by_element > 0 && id <= ids.last; id++)
        r = follow_element(database, id);
    return r;
}

/* ------------------------------------------------------------------ batches */

int gates_load_watched(Database *database)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r;

    r = sql_query(&database->sql, "SELECT DISTINCT parent FROM edges WHERE target = 1", SQL_NO_VALUES,
                  &statement);
    if (r < 0)
        return r;
    while ((r = sql_step(&database->sql, statement)) > 0) {
        uint64_t batch = (uint64_t) sql_column_int(statement, 0);
        BatchSums sums = { .count = 1 };
        int s = database_batch_sums(database, batch, &sums);
        if (s < 0)
            return s;
        g_hash_table_insert(database->watched, g_memdup2(&batch, sizeof batch),
                            GUINT_TO_POINTER(batch_news(&sums)));
    }
    return r;
}

unsigned batch_news(const BatchSums *sums)
{
    uint64_t bad = sums->failed + sums->cancelled + sums->skipped;

    return (bad > 0 ? (unsigned) TOLD_FAILED : 0) |
           (sums->succeeded + bad >= sums->count ? (unsigned) TOLD_ENDED : 0) |
           (sums->started >= sums->count ? (unsigned) TOLD_STARTED : 0);
}

int gates_on_batch(Database *database, uint64_t batch)
{
    g_autoptr(GArray) edges = NULL;
    unsigned told = GPOINTER_TO_UINT(g_hash_table_lookup(database->watched, &batch)), news;
    BatchSums sums;
    int r = database_batch_sums(database, batch, &sums);

    if (r <= 0)
        return r;
    news = batch_news(&sums);
    if (news == told)
        return 0;
    g_hash_table_insert(database->watched, g_memdup2(&batch, sizeof batch), GUINT_TO_POINTER(news));
    edges = g_array_new(FALSE, FALSE, sizeof(Edge));
    r = edges_read(database, TARGET_BATCH, batch, batch, edges);
    for (guint i = 0; r >= 0 && i < edges->len; i++) {
        Gate gate;
        r = gate_find(database, g_array_index(edges, Edge, i).spec, &gate);
        if (r <= 0)
            continue;
        r = database->n_results > 0 ? gate_set_inputs(database, gate.spec) : 0;
        if (r >= 0)
            r = gate_recount(database, &gate, (told & ~news) != 0);
    }
    return r;
}

/* ------------------------------------------------------------------ what is open */

static char *describe_target(Database *database, const Dependency *condition)
{
    StoredAssignment assignment = { 0 };
    StoredTask task;
    BatchSums sums;

    if (condition->target == TARGET_BATCH) {
        if (database_batch_sums(database, condition->id, &sums) <= 0)
            return g_strdup_printf("batch %" G_GUINT64_FORMAT " is not known any more", condition->id);
        return g_strdup_printf(
            "of the %" G_GUINT64_FORMAT " tasks of batch %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT
            " have succeeded and %" G_GUINT64_FORMAT " ended otherwise",
            sums.count, condition->id, sums.succeeded, sums.failed + sums.cancelled + sums.skipped);
    }
    if (row_find_task(database, condition->id, &task) <= 0)
        return g_strdup_printf("task %" G_GUINT64_FORMAT " is not known any more", condition->id);
    if (task.state == STATE_TAKEN)
        (void) !row_find_assignment(database, task.id, &assignment);
    return g_strdup_printf("task %" G_GUINT64_FORMAT " is %s", condition->id,
                           task_state_to_string(row_state(&task, &assignment)));
}

int gate_list_open(Database *database, uint64_t spec, GArray *ret, size_t *ret_n)
{
    g_autoptr(GArray) conditions = NULL;
    int r = gate_load_conditions(database, spec, &conditions);

    *ret_n = 0;
    for (guint i = 0; r >= 0 && conditions && i < conditions->len; i++) {
        OpenCondition open = { .condition = g_array_index(conditions, Dependency, i) };
        Truth truth = TRUTH_OPEN;
        if (open.condition.kind != DEPENDENCY_AFTER_CORR)
            r = condition_truth(database, &open.condition, &truth);
        if (r < 0 || truth == TRUTH_YES)
            continue;
        if (++*ret_n > 10)
            continue;
        open.impossible = truth == TRUTH_NO;
        open.state = describe_target(database, &open.condition);
        g_array_append_val(ret, open);
    }
    return r;
}
