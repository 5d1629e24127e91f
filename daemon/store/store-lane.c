/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How many may be under way at once: in a named queue, and in a lane: a throttled array, or the tasks of one name. A task
 * that there is no room for is in state STATE_GATED, outside of what the core sees; whenever something leaves, as many are
 * let in as there is room, by priority and id. Who is under way is counted off partial indices that hold nothing else, so no
 * sum can go wrong. */
#include "store/store-flow.h"
#include "store/store-internal.h"
#include "store/store-range.h"

/* ------------------------------------------------------------------ facts */

static int count_active(Database *database, const char *tasks, const char *ranges, int64_t id, int64_t *ret)
{
    int64_t rows = 0, elements = 0;
    int r = sql_number(&database->sql, tasks, SQL_VALUES(sql_int(id)), &rows);

    if (r >= 0)
        r = sql_number(&database->sql, ranges, SQL_VALUES(sql_int(id)), &elements);
    *ret = rows + elements;
    return MIN(r, 0);
}

static int facts_read(Database *database, const char *literal, int64_t id, LaneFacts *ret)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r = sql_query(&database->sql, literal, SQL_VALUES(sql_int(id)), &statement);

    if (r >= 0)
        r = sql_step(&database->sql, statement);
    if (r > 0)
        *ret = (LaneFacts){ .parallel = sql_column_int(statement, 0), .key = sql_column_text(statement, 1) };
    return r;
}

int queue_facts(Database *database, int64_t queue, LaneFacts *ret)
{
    int r = facts_read(database, "SELECT parallel, name FROM queues WHERE id = ?1", queue, ret);

    if (r > 0) {
        int s = count_active(
            database,
            "SELECT count(*) FROM tasks INDEXED BY tasks_in_queue WHERE queue = ?1 AND queue <> 0"
            " AND state IN (2, 3)",
            "SELECT ifnull(sum(last - first + 1), 0) FROM ranges INDEXED BY ranges_in_queue"
            " WHERE queue = ?1 AND queue <> 0 AND state = 2",
            queue, &ret->active);
        r = s < 0 ? s : r;
    }
    return r;
}

int lane_facts(Database *database, int64_t lane, LaneFacts *ret)
{
    int r = facts_read(database, "SELECT parallel, key FROM lanes WHERE id = ?1", lane, ret);

    if (r > 0) {
        int s =
            count_active(database,
                         "SELECT count(*) FROM tasks INDEXED BY tasks_in_lane WHERE lane = ?1 AND lane <> 0"
                         " AND state IN (2, 3)",
                         "SELECT ifnull(sum(last - first + 1), 0) FROM ranges INDEXED BY ranges_in_lane"
                         " WHERE lane = ?1 AND lane <> 0 AND state = 2",
                         lane, &ret->active);
        r = s < 0 ? s : r;
    }
    return r;
}

/* UINT64_MAX: any number. */
static uint64_t room_of(const LaneFacts *facts)
{
    if (facts->parallel == 0)
        return UINT64_MAX;
    return facts->active < facts->parallel ? (uint64_t) (facts->parallel - facts->active) : 0;
}

/* Who is under way is not counted where any number may be. */
static int room_read(Database *database, const char *literal, int64_t id,
                     int (*facts_of)(Database *database, int64_t id, LaneFacts *ret), uint64_t *ret)
{
    int64_t parallel = 0;
    LaneFacts facts;
    int r = id > 0 ? sql_number(&database->sql, literal, SQL_VALUES(sql_int(id)), &parallel) : 0;

    *ret = UINT64_MAX;
    if (r <= 0 || parallel == 0)
        return MIN(r, 0);
    r = facts_of(database, id, &facts);
    if (r <= 0)
        return r;
    *ret = room_of(&facts);
    g_free(facts.key);
    return 0;
}

static int queue_room(Database *database, int64_t queue, uint64_t *ret)
{
    return room_read(database, "SELECT parallel FROM queues WHERE id = ?1", queue, queue_facts, ret);
}

static int lane_room(Database *database, int64_t lane, uint64_t *ret)
{
    return room_read(database, "SELECT parallel FROM lanes WHERE id = ?1", lane, lane_facts, ret);
}

/* ------------------------------------------------------------------ who is next */

/* The first that waits in a lane of a queue; hidden ones are not there yet. */
typedef struct Head {
    bool found, virtual;
    int64_t priority;
    uint64_t id;
    LaneKey key;
    uint64_t most; /* of a range: so many at once */
} Head;

static int head_read(Database *database, const char *literal, const LaneKey *key, bool virtual, Head *head)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r;

    r = sql_query(&database->sql, literal, SQL_VALUES(sql_int(key->queue), sql_int(key->lane)), &statement);
    if (r < 0)
        return r;
    while ((r = sql_step(&database->sql, statement)) > 0) {
        uint64_t id = (uint64_t) sql_column_int(statement, 0);
        int64_t priority = sql_column_int(statement, 1);
        if (database_find_hidden(database, id))
            continue;
        if (!head->found || priority > head->priority || (priority == head->priority && id < head->id))
            *head = (Head){ .found = true, .virtual = virtual, .priority = priority, .id = id };
        return 0;
    }
    return r;
}

static int head_find(Database *database, const LaneKey *key, Head *ret)
{
    int r;

    *ret = (Head){ 0 };
    r = head_read(
        database,
        "SELECT id, priority FROM tasks INDEXED BY tasks_gated WHERE state = 10 AND queue = ?1 AND lane = ?2"
        " ORDER BY priority DESC, id",
        key, false, ret);
    return r < 0
               ? r
               : head_read(
                     database,
                     "SELECT first, priority FROM ranges INDEXED BY ranges_gated WHERE state = 10 AND queue = ?1"
                     " AND lane = ?2 ORDER BY priority DESC, last",
                     key, true, ret);
}

static int let_in(Database *database, const Head *head, uint64_t *ret_n)
{
    StoredTask task;
    int r = row_find_task(database, head->id, &task);

    if (r <= 0)
        return r < 0 ? r : -EIO;
    if (task.virtual && task.last - task.id >= head->most)
        task.last = task.id + head->most - 1;
    *ret_n = task.last - task.id + 1;
    return flow_move(database, &task, TASK_QUEUED);
}

/* ------------------------------------------------------------------ refilling */

/* 1: the lower of what the two statements yield, of the tasks and of the ranges that are gated. */
static int next_gated(Database *database, const char *of_tasks, const char *of_ranges, const SqlValue *values,
                      size_t n, int64_t *ret)
{
    int64_t task = INT64_MAX, range = INT64_MAX;
    int r = sql_number(&database->sql, of_tasks, values, n, &task);

    if (r >= 0)
        r = sql_number(&database->sql, of_ranges, values, n, &range);
    if (r < 0)
        return r;
    *ret = MIN(task, range);
    return *ret < INT64_MAX;
}

static int next_lane(Database *database, int64_t queue, int64_t after, int64_t *ret)
{
    return next_gated(
        database,
        "SELECT lane FROM tasks INDEXED BY tasks_gated WHERE state = 10 AND queue = ?1 AND lane > ?2"
        " ORDER BY lane LIMIT 1",
        "SELECT lane FROM ranges INDEXED BY ranges_gated WHERE state = 10 AND queue = ?1 AND lane > ?2"
        " ORDER BY lane LIMIT 1",
        SQL_VALUES(sql_int(queue), sql_int(after)), ret);
}

/* Also one that was removed, whose tasks are tried again. */
static int next_queue(Database *database, int64_t after, int64_t *ret)
{
    return next_gated(
        database,
        "SELECT queue FROM tasks INDEXED BY tasks_gated WHERE state = 10 AND queue > ?1 ORDER BY queue LIMIT 1",
        "SELECT queue FROM ranges INDEXED BY ranges_gated WHERE state = 10 AND queue > ?1 ORDER BY queue LIMIT 1",
        SQL_VALUES(sql_int(after)), ret);
}

static bool head_is_before(const Head *head, const Head *best)
{
    return head->found && (!best->found || head->priority > best->priority ||
                           (head->priority == best->priority && head->id < best->id));
}

/* What something has left, and what room there is now: counted once, since many may come in. */
typedef struct Refill {
    LaneKey key;
    uint64_t in_queue, in_lane;
} Refill;

/* The best of a lane in one of its queues, if both have room. */
static int head_improve(Database *database, const Refill *refill, const LaneKey *key, Head *best)
{
    uint64_t in_queue = refill->in_queue, in_lane = refill->in_lane;
    Head head = { 0 };
    int r = key->queue != refill->key.queue ? queue_room(database, key->queue, &in_queue) : 0;

    if (r >= 0 && in_queue > 0 && key->lane != refill->key.lane)
        r = lane_room(database, key->lane, &in_lane);
    if (r >= 0 && in_queue > 0 && in_lane > 0)
        r = head_find(database, key, &head);
    if (r < 0 || !head_is_before(&head, best))
        return r;
    *best = head;
    best->key = *key;
    /* of a queue that takes only so many one at a time: the next may be of another lane */
    best->most = in_queue == UINT64_MAX ? in_lane : 1;
    return 0;
}

/* Of all lanes of the queue. */
static int best_of_queue(Database *database, const Refill *refill, Head *best)
{
    LaneKey key = { refill->key.queue, -1 };
    int r;

    while ((r = next_lane(database, key.queue, key.lane, &key.lane)) > 0) {
        r = head_improve(database, refill, &key, best);
        if (r < 0)
            return r;
    }
    return r;
}

/* A lane may go through several queues: a name of which one task at a time may run. */
static int best_of_lane(Database *database, const Refill *refill, Head *best)
{
    LaneKey key = { -1, refill->key.lane };
    int r;

    while ((r = next_queue(database, key.queue, &key.queue)) > 0) {
        r = head_improve(database, refill, &key, best);
        if (r < 0)
            return r;
    }
    return r;
}

/* The most urgent of all that may come in: those of the queue, and those of the lane. */
static int best_of_both(Database *database, const Refill *refill, Head *ret)
{
    bool has_lane = refill->key.lane > 0;
    int r = 0;

    *ret = (Head){ 0 };
    /* where any number may run nobody but those of the lane has waited for this */
    if (refill->in_queue > 0 && (!has_lane || refill->in_queue < UINT64_MAX))
        r = best_of_queue(database, refill, ret);
    return r >= 0 && has_lane && refill->in_lane > 0 ? best_of_lane(database, refill, ret) : r;
}

static void take_room(uint64_t *room, uint64_t n)
{
    if (*room != UINT64_MAX)
        *room -= MIN(*room, n);
}

static int refill_init(Database *database, const LaneKey *key, Refill *ret)
{
    int r;

    *ret = (Refill){ .key = *key };
    r = queue_room(database, key->queue, &ret->in_queue);
    return r < 0 ? r : lane_room(database, key->lane, &ret->in_lane);
}

/* It comes from another queue or lane, which something may have left, too: is there somebody more urgent? */
static int head_yield(Database *database, const Refill *refill, Head *head)
{
    LaneKey from = refill->key;
    Refill there;
    Head best;
    int r;

    while (head->key.queue != from.queue || (head->key.lane != from.lane && head->key.lane > 0)) {
        from = head->key;
        r = refill_init(database, &from, &there);
        if (r >= 0)
            r = best_of_both(database, &there, &best);
        if (r < 0 || !head_is_before(&best, head))
            return r;
        *head = best;
    }
    return 0;
}

int lanes_refill(Database *database, const LaneKey *key)
{
    Refill refill;
    uint64_t n = 0;
    Head head;
    int r = refill_init(database, key, &refill);

    while (r >= 0 && (r = best_of_both(database, &refill, &head)) >= 0 && head.found) {
        r = head_yield(database, &refill, &head);
        if (r >= 0)
            r = let_in(database, &head, &n);
        if (head.key.queue == key->queue)
            take_room(&refill.in_queue, n);
        if (head.key.lane == key->lane)
            take_room(&refill.in_lane, n);
    }
    return r;
}

/* ------------------------------------------------------------------ names */

int queue_find(Database *database, const char *name, int64_t *ret)
{
    *ret = 0;
    if (!*name)
        return 1;
    return sql_number(&database->sql, "SELECT id FROM queues WHERE name = ?1", SQL_VALUES(sql_text(name)),
                      ret);
}

char *queue_name(Database *database, int64_t queue)
{
    LaneFacts facts = { 0 };

    return queue > 0 &&
                   facts_read(database, "SELECT parallel, name FROM queues WHERE id = ?1", queue, &facts) > 0
               ? facts.key
               : NULL;
}

int lane_get(Database *database, const char *key, uint32_t parallel, int64_t *ret)
{
    int r = sql_number(&database->sql, "SELECT id FROM lanes WHERE key = ?1", SQL_VALUES(sql_text(key)), ret);

    if (r != 0)
        return MIN(r, 0);
    database->n_lanes++;
    r = sql_run(&database->sql, "INSERT INTO lanes (key, parallel) VALUES (?1, ?2)",
                SQL_VALUES(sql_text(key), sql_int(parallel)));
    *ret = sqlite3_last_insert_rowid(database->sql.handle);
    return r;
}

int class_find(Database *database, const char *name, int64_t *ret)
{
    int r;

    *ret = 0;
    if (!name)
        return 0;
    r = sql_number(&database->sql, "SELECT id FROM classes WHERE name = ?1", SQL_VALUES(sql_text(name)), ret);
    if (r == 0)
        *ret = -1;
    return MIN(r, 0);
}

int class_get(Database *database, const char *name, int64_t *ret)
{
    int r;

    *ret = 0;
    if (!name)
        return 0;
    r = sql_number(&database->sql, "SELECT id FROM classes WHERE name = ?1", SQL_VALUES(sql_text(name)), ret);
    if (r != 0)
        return MIN(r, 0);
    r = sql_run(&database->sql, "INSERT INTO classes (name) VALUES (?1)", SQL_VALUES(sql_text(name)));
    *ret = sqlite3_last_insert_rowid(database->sql.handle);
    return r;
}

int class_load(Database *database, int64_t class, char **ret)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r;

    r = sql_query(&database->sql, "SELECT name FROM classes WHERE id = ?1", SQL_VALUES(sql_int(class)),
                  &statement);
    if (r >= 0)
        r = sql_step(&database->sql, statement);
    if (r > 0)
        *ret = sql_column_text(statement, 0);
    return r > 0 ? 0 : r < 0 ? r : -EIO;
}
