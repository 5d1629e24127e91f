/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Moving tasks between the states in which nobody holds them; the header draws the way. Whoever changes a state elsewhere
 * (settle, cancel) takes note of it here. Invariant: when an operation has been run, nothing is left to follow from it. */
#include "store/store-flow.h"

#include "store/store-gate.h"
#include "store/store-internal.h"
#include "store/store-range.h"
#include "util/log.h"

void flow_init(Database *database)
{
    Consequences *c = &database->consequences;

    c->ended = g_array_new(FALSE, FALSE, sizeof(IdRange));
    c->started = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    c->reopened = g_array_new(FALSE, FALSE, sizeof(IdRange));
    c->batches = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    c->lanes = g_array_new(FALSE, FALSE, sizeof(LaneKey));
    c->recounted = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    database->watched = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
}

void flow_done(Database *database)
{
    Consequences *c = &database->consequences;

    g_array_unref(c->ended);
    g_array_unref(c->started);
    g_array_unref(c->reopened);
    g_array_unref(c->batches);
    g_array_unref(c->lanes);
    g_hash_table_unref(c->recounted);
    g_hash_table_unref(database->watched);
}

void flow_forget(Database *database)
{
    Consequences *c = &database->consequences;

    g_array_set_size(c->ended, 0);
    g_array_set_size(c->started, 0);
    g_array_set_size(c->reopened, 0);
    g_array_set_size(c->batches, 0);
    g_array_set_size(c->lanes, 0);
    if (g_hash_table_size(database->watched) == 0)
        return;
    g_hash_table_remove_all(database->watched);
    if (gates_load_watched(database) < 0)
        log_warning("Cannot read which batches are waited for: %s", database->sql.message);
}

int flow_load(Database *database)
{
    static const struct {
        const char *literal;
        size_t offset;
    } counts[] = {
        { "SELECT count(*) FROM (SELECT 1 FROM gates LIMIT 1)", offsetof(Database, n_gates) },
        { "SELECT count(*) FROM (SELECT 1 FROM gates WHERE by_element LIMIT 1)",
          offsetof(Database, n_by_element) },
        { "SELECT count(*) FROM (SELECT 1 FROM waits LIMIT 1)", offsetof(Database, n_waits) },
        { "SELECT count(*) FROM (SELECT 1 FROM queues UNION ALL SELECT 1 FROM lanes LIMIT 1)",
          offsetof(Database, n_lanes) },
        { "SELECT count(*) FROM (SELECT 1 FROM results LIMIT 1)", offsetof(Database, n_results) },
    };
    int r;

    for (size_t i = 0; i < G_N_ELEMENTS(counts); i++) {
        r = sql_number(&database->sql, counts[i].literal, SQL_NO_VALUES,
                       (int64_t *) (void *) ((char *) database + counts[i].offset));
        if (r < 0)
            return r;
    }
    r = gates_load_watched(database);
    return r < 0 ? r : wait_load(database);
}

/* ------------------------------------------------------------------ notes */

static void note_range(GArray *ranges, uint64_t first, uint64_t last, uint64_t epoch)
{
    IdRange *latest = ranges->len > 0 ? &g_array_index(ranges, IdRange, ranges->len - 1) : NULL;
    IdRange range = { .first = first, .last = last, .batch = epoch };

    if (latest && latest->last + 1 == first && latest->batch == epoch)
        latest->last = last;
    else
        g_array_append_val(ranges, range);
}

void flow_note_ended(Database *database, uint64_t first, uint64_t last)
{
    if (database->n_gates > 0)
        note_range(database->consequences.ended, first, last, database->consequences.epoch);
}

void flow_note_started(Database *database, uint64_t task)
{
    if (database->n_gates > 0)
        g_array_append_val(database->consequences.started, task);
}

void flow_note_reopened(Database *database, uint64_t first, uint64_t last)
{
    if (database->n_gates > 0)
        note_range(database->consequences.reopened, first, last, 0);
}

void flow_note_recounted(Database *database, uint64_t spec)
{
    Consequences *c = &database->consequences;

    c->epoch++;
    g_hash_table_replace(c->recounted, g_memdup2(&spec, sizeof spec), GSIZE_TO_POINTER(c->epoch));
}

bool flow_was_recounted(Database *database, uint64_t spec, uint64_t epoch)
{
    return GPOINTER_TO_SIZE(g_hash_table_lookup(database->consequences.recounted, &spec)) > epoch;
}

void flow_note_left(Database *database, int64_t queue, int64_t lane)
{
    LaneKey key = { queue, lane };
    GArray *lanes = database->consequences.lanes;

    if (queue == 0 && lane == 0)
        return;
    for (guint i = 0; i < lanes->len && i < 16; i++) {
        const LaneKey *known = &g_array_index(lanes, LaneKey, lanes->len - 1 - i);
        if (known->queue == queue && known->lane == lane)
            return;
    }
    g_array_append_val(lanes, key);
}

/* The core is told of what may be handed out now; it finds by itself what is committed only later. */
int flow_note_ready(Database *database, const StoredTask *task)
{
    Effects *effects = op_effects(database->op);
    g_autoptr(TaskSpec) spec = NULL;
    StoredTask moved = *task;
    int r;

    if (effects->ready->len >= READY_TOLD_MAX ||
        task->last - task->id >= READY_TOLD_MAX - effects->ready->len) {
        effects->more_ready = true;
        return 0;
    }
    moved.state = TASK_QUEUED;
    r = row_load_spec(database, &moved, &spec);
    for (uint64_t id = task->id; r >= 0 && id <= task->last; id++)
        g_ptr_array_add(effects->ready, row_spec_for_element(spec, id));
    return r;
}

static void note_skipped(Database *database, const StoredTask *task)
{
    IdRange range = { task->id, task->last, task->batch };

    g_array_append_val(op_effects(database->op)->skipped, range);
}

/* In one operation something may be skipped, and live again by what follows. */
static void forget_skipped(Database *database, const StoredTask *task)
{
    GArray *skipped = op_effects(database->op)->skipped;

    for (guint i = skipped->len; i > 0; i--) {
        IdRange *range = &g_array_index(skipped, IdRange, i - 1);
        IdRange rest = { task->last + 1, range->last, range->batch };
        if (range->first > task->last || range->last < task->id)
            continue;
        if (rest.first <= rest.last)
            g_array_append_val(skipped, rest);
        range = &g_array_index(skipped, IdRange, i - 1);
        range->last = task->id - 1;
        if (range->first > range->last)
            g_array_remove_index(skipped, i - 1);
    }
}

/* ------------------------------------------------------------------ moving */

static int collect_rows(Database *database, const FlowSet *set, GArray *tasks)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r;

    r = sql_query(
        &database->sql,
        "SELECT " TASK_COLUMNS " FROM tasks WHERE id BETWEEN ?1 AND ?2 AND state = ?3 ORDER BY id",
        SQL_VALUES(sql_int((int64_t) set->first), sql_int((int64_t) set->last), sql_int(set->state)),
        &statement);
    if (r < 0)
        return r;
    while ((r = sql_step(&database->sql, statement)) > 0) {
        StoredTask task;
        row_read_task(statement, &task);
        g_array_append_val(tasks, task);
    }
    return r;
}

static int collect_ranges(Database *database, const FlowSet *set, GArray *tasks)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r;

    r = sql_query(&database->sql, "SELECT " RANGE_COLUMNS " FROM ranges WHERE last >= ?1 ORDER BY last",
                  SQL_VALUES(sql_int((int64_t) set->first)), &statement);
    if (r < 0)
        return r;
    while ((r = sql_step(&database->sql, statement)) > 0) {
        StoredRange range;
        StoredTask task;
        row_read_range(statement, &range);
        if (range.first > set->last)
            return 0;
        if (range.state != set->state)
            continue;
        row_of_range(&range, MAX(range.first, set->first), &task);
        task.last = MIN(range.last, set->last);
        g_array_append_val(tasks, task);
    }
    return r;
}

int flow_collect(Database *database, const FlowSet *set, GArray *ret)
{
    int r = collect_rows(database, set, ret);

    return r < 0 ? r : collect_ranges(database, set, ret);
}

static int write_state(Database *database, const StoredTask *task, int state)
{
    uint64_t now = (uint64_t) g_get_real_time();
    StoredRange range;
    int r;

    if (!task->virtual)
        return sql_run(&database->sql, "UPDATE tasks SET state = ?2, since = ?3 WHERE id = ?1",
                       SQL_VALUES(sql_int((int64_t) task->id), sql_int(state), sql_int((int64_t) now)));
    r = row_find_range(database, task->id, &range);
    if (r <= 0)
        return r < 0 ? r : -EIO;
    return range_set_state(database, &range, task->id, task->last, state, now);
}

static bool is_under_way(int state)
{
    return state == TASK_QUEUED || state == STATE_TAKEN;
}

int flow_move(Database *database, const StoredTask *task, int state)
{
    bool hidden = database_find_hidden(database, task->id);
    TaskState old = state_shown(task->state), new = state_shown(state);
    int r = write_state(database, task, state);

    if (r < 0)
        return r;
    if (!hidden)
        database_count(database, task->batch, task->state, state, task->last - task->id + 1);
    if (is_under_way(task->state) && !is_under_way(state))
        flow_note_left(database, task->queue, task->lane);
    if (task_state_is_end(old)) /* also from one end to another: who counted it counts anew */
        flow_note_reopened(database, task->id, task->last);
    else if (task_state_is_end(new))
        flow_note_ended(database, task->id, task->last);
    if (!hidden && task->attempts == 0) /* who never started counts as started once it has ended */
        database_count_started(database, task->batch,
                               (task_state_is_end(new) - task_state_is_end(old)) * (int64_t) (task->last - task->id + 1));
    if (old == TASK_SKIPPED)
        forget_skipped(database, task);
    if (state == TASK_SKIPPED && !hidden)
        note_skipped(database, task);
    return state == TASK_QUEUED && !hidden ? flow_note_ready(database, task) : 0;
}

/* By element: some of them, perhaps, and those that are skipped for good. */
static int enter_element(Database *database, const StoredTask *element, const GArray *conditions)
{
    TaskState state;
    int r = gate_judge_element(database, element, conditions, &state);

    if (r < 0 || state == TASK_BLOCKED)
        return r < 0                                  ? r
               : element->state == (int) TASK_BLOCKED ? 0
                                                      : flow_move(database, element, TASK_BLOCKED);
    return state == TASK_SKIPPED ? flow_move(database, element, TASK_SKIPPED)
                                 : flow_enter(database, element, TASK_WAITING);
}

static int enter_elements(Database *database, const StoredTask *task)
{
    g_autoptr(GArray) conditions = NULL;
    StoredTask element = *task;
    int r = gate_load_conditions(database, task->spec, &conditions);

    for (uint64_t id = task->id; r >= 0 && id <= task->last; id++) {
        element.id = element.last = id;
        r = enter_element(database, &element, conditions);
    }
    return r;
}

int flow_enter(Database *database, const StoredTask *task, int least)
{
    TaskState gate = TASK_QUEUED;
    Wait wait;
    int r = 0, next = task->queue > 0 || task->lane > 0 ? STATE_GATED : TASK_QUEUED;

    if (least < (int) TASK_WAITING && database->n_gates > 0) {
        r = gate_judge(database, task->spec, &gate);
        if (r < 0)
            return r;
        if (r == GATE_BY_ELEMENT)
            return enter_elements(database, task);
    }
    if (gate != TASK_QUEUED)
        next = (int) gate;
    else if (least < STATE_GATED && database->n_waits > 0) {
        r = wait_find(database, task->id, &wait);
        if (r > 0)
            next = TASK_WAITING;
    }
    if (r < 0 || next == task->state)
        return r;
    r = flow_move(database, task, next);
    if (r >= 0 && next == STATE_GATED)
        flow_note_left(database, task->queue, task->lane); /* there may be room */
    return r;
}

/* ------------------------------------------------------------------ consequences */

static GArray *steal(GArray **array, size_t size)
{
    GArray *taken = *array;

    *array = g_array_new(FALSE, FALSE, (guint) size);
    return taken;
}

static int settle_ranges(Database *database, GArray **ranges, int (*look)(Database *, IdRange))
{
    g_autoptr(GArray) taken = NULL;
    int r = 0;

    if ((*ranges)->len == 0)
        return 0;
    taken = steal(ranges, sizeof(IdRange));
    for (guint i = 0; r >= 0 && i < taken->len; i++)
        r = look(database, g_array_index(taken, IdRange, i));
    return r < 0 ? r : 1;
}

static int settle_numbers(Database *database, GArray **numbers, int (*look)(Database *, uint64_t))
{
    g_autoptr(GArray) taken = NULL;
    uint64_t before = 0;
    int r = 0;

    if ((*numbers)->len == 0)
        return 0;
    taken = steal(numbers, sizeof(uint64_t));
    for (guint i = 0; r >= 0 && i < taken->len; i++) {
        uint64_t number = g_array_index(taken, uint64_t, i);
        if (number != before)
            r = look(database, number);
        before = number;
    }
    return r < 0 ? r : 1;
}

static int settle_lanes(Database *database)
{
    g_autoptr(GArray) taken = NULL;
    int r = 0;

    if (database->consequences.lanes->len == 0)
        return 0;
    taken = steal(&database->consequences.lanes, sizeof(LaneKey));
    for (guint i = 0; r >= 0 && i < taken->len; i++)
        r = lanes_refill(database, &g_array_index(taken, LaneKey, i));
    return r < 0 ? r : 1;
}

static int settle_all(Database *database)
{
    Consequences *c = &database->consequences;
    int r, again;

    do {
        again = 0;
        if ((r = settle_ranges(database, &c->reopened, gates_on_reopened)) < 0)
            return r;
        again |= r;
        if ((r = settle_ranges(database, &c->ended, gates_on_ended)) < 0)
            return r;
        again |= r;
        if ((r = settle_numbers(database, &c->started, gates_on_started)) < 0)
            return r;
        again |= r;
        if ((r = settle_numbers(database, &c->batches, gates_on_batch)) < 0)
            return r;
        again |= r;
        if (!again && (r = settle_lanes(database)) < 0)
            return r;
        again |= r;
    } while (again);
    return 0;
}

int flow_settle(Database *database)
{
    int r = settle_all(database);

    if (database->consequences.epoch > 0) {
        g_hash_table_remove_all(database->consequences.recounted);
        database->consequences.epoch = 0;
    }
    return r;
}
