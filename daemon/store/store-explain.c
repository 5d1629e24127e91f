/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Why a task does not run: each condition that does not hold, as a sentence with its numbers. What workers and the core have
 * to do with it the core adds. */
#include "store/store-flow.h"
#include "store/store-gate.h"
#include "store/store-internal.h"
#include "util/parse-util.h"

#define AHEAD_MAX 100000

typedef struct ExplainOp {
    Op op;
    uint64_t task;
    TaskRow *row;
    GPtrArray *conditions;
    StoreExplained done;
    void *userdata;
} ExplainOp;

static void explain_clear(ExplainOp *explain)
{
    explain->row = task_row_free(explain->row);
    g_clear_pointer(&explain->conditions, g_ptr_array_unref);
}

static void open_condition_clear(gpointer data)
{
    g_free(((OpenCondition *) data)->state);
}

static int explain_gate(Database *database, const StoredTask *task, GPtrArray *conditions)
{
    g_autoptr(GArray) open = g_array_new(FALSE, FALSE, sizeof(OpenCondition));
    size_t n;
    int r;

    g_array_set_clear_func(open, open_condition_clear);
    r = gate_list_open(database, task->spec, open, &n);
    for (guint i = 0; r >= 0 && i < open->len; i++) {
        const OpenCondition *condition = &g_array_index(open, OpenCondition, i);
        g_autofree char *text = dependency_format(&condition->condition);
        conditions_add(conditions, "dependency",
                       g_strdup_printf("it waits for %s: %s%s", text, condition->state,
                                       condition->impossible
                                           ? ", so this can no longer come; parctl retry there, or "
                                             "parctl cancel here"
                                           : ""));
    }
    if (r >= 0 && n > open->len)
        conditions_add(conditions, "dependency",
                       g_strdup_printf("and for %zu more conditions", n - open->len));
    return r;
}

static int explain_wait(Database *database, const StoredTask *task, GPtrArray *conditions)
{
    Wait wait;
    int r = wait_find(database, task->id, &wait);

    if (r <= 0)
        return r;
    g_autofree char *when = format_timestamp(wait.realtime_usec);
    conditions_add(conditions, "time",
                   task->attempts > 0
                       ? g_strdup_printf("it is tried again (attempt %u) at %s", task->attempts + 1, when)
                       : g_strdup_printf("it may not start before %s", when));
    return 0;
}

static int explain_lane(Database *database, const StoredTask *task, GPtrArray *conditions)
{
    LaneFacts facts = { 0 };
    int r = task->queue > 0 ? queue_facts(database, task->queue, &facts) : 0;

    if (r > 0 && facts.parallel > 0 && facts.active >= facts.parallel)
        conditions_add(conditions, "queue",
                       g_strdup_printf("%" G_GINT64_FORMAT
                                       " tasks of queue %s run or are next, and it takes %" G_GINT64_FORMAT
                                       "; parctl queue set %s --parallel N changes that",
                                       facts.active, facts.key, facts.parallel, facts.key));
    g_clear_pointer(&facts.key, g_free);
    if (r >= 0)
        r = task->lane > 0 ? lane_facts(database, task->lane, &facts) : 0;
    if (r > 0 && facts.active >= facts.parallel) {
        bool name = g_str_has_prefix(facts.key, "name:");
        conditions_add(conditions, name ? "singleton" : "array",
                       g_strdup_printf(name ? "%" G_GINT64_FORMAT
                                              " task of this name runs or is next, and it is a singleton"
                                            : "%" G_GINT64_FORMAT
                                              " tasks of its array run or are next, and it was submitted "
                                              "with %%%" G_GINT64_FORMAT,
                                       facts.active, facts.parallel));
    }
    g_free(facts.key);
    return MIN(r, 0);
}

static int count_ahead(Database *database, const char *literal, const StoredTask *task, int64_t *sum)
{
    int64_t n = 0;
    int r = sql_number(&database->sql, literal,
                       SQL_VALUES(sql_int(task->class), sql_int(task->priority), sql_int((int64_t) task->id),
                                  sql_int(AHEAD_MAX)),
                       &n);

    *sum += n;
    return MIN(r, 0);
}

static int explain_order(Database *database, const StoredTask *task, GPtrArray *conditions)
{
    int64_t ahead = 0;
    int r;

    r = count_ahead(
        database,
        "SELECT count(*) FROM (SELECT 1 FROM tasks INDEXED BY tasks_ready WHERE state = 2 AND class = ?1"
        " AND (priority > ?2 OR (priority = ?2 AND id < ?3)) LIMIT ?4)",
        task, &ahead);
    if (r >= 0)
        r = count_ahead(
            database,
            "SELECT ifnull(sum(min(last, CASE WHEN priority > ?2 THEN last ELSE ?3 - 1 END) - first + 1), 0)"
            " FROM ranges INDEXED BY ranges_ready WHERE state = 2 AND class = ?1"
            " AND (priority > ?2 OR (priority = ?2 AND first < ?3)) AND ?4",
            task, &ahead);
    if (r >= 0 && ahead > 0)
        conditions_add(conditions, "order",
                       g_strdup_printf("%s%" G_GINT64_FORMAT
                                       " tasks go before it, by priority (its own is %d) and id; "
                                       "parctl priority changes that",
                                       ahead >= AHEAD_MAX ? "at least " : "", ahead, task->priority));
    return r;
}

static int explain_task(Database *database, const StoredTask *task, GPtrArray *conditions)
{
    int r = 0;

    if (task->state == STATE_TAKEN || task_state_is_end(state_shown(task->state)))
        return 0;
    if (task->state == (int) TASK_HELD)
        conditions_add(
            conditions, "held",
            g_strdup_printf("it is held; parctl release %" G_GUINT64_FORMAT " ends that", task->id));
    if (task->state == (int) TASK_HELD || task->state == (int) TASK_BLOCKED)
        r = explain_gate(database, task, conditions);
    if (r >= 0)
        r = explain_wait(database, task, conditions);
    if (r >= 0 && task->state == STATE_GATED)
        r = explain_lane(database, task, conditions);
    if (r >= 0 && task->state == (int) TASK_QUEUED)
        r = explain_order(database, task, conditions);
    return r;
}

static int explain_run(Database *database, Op *op)
{
    ExplainOp *explain = (ExplainOp *) op;
    StoredTask task;
    int r;

    explain_clear(explain);
    explain->conditions = conditions_new();
    r = row_find_task(database, explain->task, &task);
    if (r == 0)
        op->r = -ENOENT;
    if (r <= 0)
        return r;
    r = row_load(database, &task, &explain->row);
    return r < 0 ? r : explain_task(database, &task, explain->conditions);
}

static void explain_complete(Op *op, const StoreEvents *events)
{
    ExplainOp *explain = (ExplainOp *) op;

    if (op->r < 0)
        explain->row = task_row_free(explain->row);
    explain->done(op->r, g_steal_pointer(&explain->row), g_steal_pointer(&explain->conditions),
                  explain->userdata);
}

static void explain_free(Op *op)
{
    explain_clear((ExplainOp *) op);
}

static const OpClass explain_class = { .run = explain_run,
                                       .complete = explain_complete,
                                       .free = explain_free };

void store_explain(StorePort *port, uint64_t task, StoreExplained done, void *userdata)
{
    ExplainOp *explain = g_new(ExplainOp, 1);

    *explain = (ExplainOp){ .op = OP_INIT(explain_class), .task = task, .done = done, .userdata = userdata };
    store_enqueue((Store *) port, &explain->op);
}
