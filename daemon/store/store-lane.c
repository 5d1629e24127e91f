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

static int queue_room(Database *database, int64_t queue, uint64_t *ret)
{
    LaneFacts facts;
    int r = queue > 0 ? queue_facts(database, queue, &facts) : 0;

    *ret = UINT64_MAX;
    if (r <= 0)
        return r;
    *ret = room_of(&facts);
    g_free(facts.key);
    return 0;
}

static int lane_room(Database *database, int64_t lane, uint64_t *ret)
{
    LaneFacts facts;
    int r = lane > 0 ? lane_facts(database, lane, &facts) : 0;

    *ret = UINT64_MAX;
    if (r <= 0)
        return r;
    *ret = room_of(&facts);
    g_free(facts.key);
    return 0;
}

/* ------------------------------------------------------------------ who is next */

/* The first that waits in a lane of a queue; hidden ones are not there yet. */
typedef struct Head {
    bool found, virtual;
    int64_t priority;
    uint64_t id;
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
            *head = (Head){ true, virtual, priority, id };
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

static int let_in(Database *database, const Head *head, uint64_t most, uint64_t *ret_n)
{
    StoredTask task;
    int r = row_find_task(database, head->id, &task);

    if (r <= 0)
        return r < 0 ? r : -EIO;
    if (task.virtual && task.last - task.id >= most)
        task.last = task.id + most - 1;
    *ret_n = task.last - task.id + 1;
    return flow_move(database, &task, TASK_QUEUED);
}

/* ------------------------------------------------------------------ refilling */

static int next_lane(Database *database, int64_t queue, int64_t after, int64_t *ret)
{
    int64_t of_tasks = INT64_MAX, of_ranges = INT64_MAX;
    int r;

    r = sql_number(
        &database->sql,
        "SELECT lane FROM tasks INDEXED BY tasks_gated WHERE state = 10 AND queue = ?1 AND lane > ?2"
        " ORDER BY lane LIMIT 1",
        SQL_VALUES(sql_int(queue), sql_int(after)), &of_tasks);
    if (r >= 0)
        r = sql_number(
            &database->sql,
            "SELECT lane FROM ranges INDEXED BY ranges_gated WHERE state = 10 AND queue = ?1 AND lane > ?2"
            " ORDER BY lane LIMIT 1",
            SQL_VALUES(sql_int(queue), sql_int(after)), &of_ranges);
    if (r < 0)
        return r;
    *ret = MIN(of_tasks, of_ranges);
    return *ret < INT64_MAX;
}

/* The best of all lanes of the queue that have room. *ret_room: that of its lane. */
static int best_head(Database *database, int64_t queue, Head *ret, uint64_t *ret_room)
{
    LaneKey key = { queue, -1 };
    int r;

    *ret = (Head){ 0 };
    while ((r = next_lane(database, queue, key.lane, &key.lane)) > 0) {
        uint64_t room;
        Head head;
        r = lane_room(database, key.lane, &room);
        if (r >= 0 && room > 0)
            r = head_find(database, &key, &head);
        if (r < 0)
            return r;
        if (room == 0 || !head.found)
            continue;
        if (!ret->found || head.priority > ret->priority ||
            (head.priority == ret->priority && head.id < ret->id)) {
            *ret = head;
            *ret_room = room;
        }
    }
    return r;
}

static int refill_queue(Database *database, int64_t queue, uint64_t room)
{
    uint64_t lane = 0, n;
    int r = 0;

    while (r >= 0 && room > 0) {
        Head head;
        r = best_head(database, queue, &head, &lane);
        if (r < 0 || !head.found)
            return r;
        /* one at a time: the next may be of another lane */
        r = let_in(database, &head, room == UINT64_MAX ? lane : 1, &n);
        if (room != UINT64_MAX)
            room -= MIN(room, n);
    }
    return r;
}

/* The best of a lane in one of its queues, if that has room. */
static int lane_head(Database *database, const LaneKey *key, Head *best)
{
    uint64_t room;
    Head head = { 0 };
    int r = queue_room(database, key->queue, &room);

    if (r >= 0 && room > 0)
        r = head_find(database, key, &head);
    if (r >= 0 && head.found &&
        (!best->found || head.priority > best->priority ||
         (head.priority == best->priority && head.id < best->id)))
        *best = head;
    return r;
}

/* A lane may go through several queues: a name of which one task at a time may run. */
static int best_of_lane(Database *database, int64_t lane, Head *ret)
{
    LaneKey key = { 0, lane };
    int r;

    *ret = (Head){ 0 };
    do
        r = lane_head(database, &key, ret);
    while (r >= 0 &&
           (r = sql_number(&database->sql, "SELECT id FROM queues WHERE id > ?1 ORDER BY id LIMIT 1",
                           SQL_VALUES(sql_int(key.queue)), &key.queue)) > 0);
    return r;
}

static int refill_lane(Database *database, int64_t lane)
{
    uint64_t room, n;
    int r = lane_room(database, lane, &room);

    while (r >= 0 && room > 0) {
        Head head;
        r = best_of_lane(database, lane, &head);
        if (r < 0 || !head.found)
            return r;
        r = let_in(database, &head, 1, &n);
        room -= room == UINT64_MAX ? 0 : n;
    }
    return r;
}

int lanes_refill(Database *database, const LaneKey *key)
{
    uint64_t room;
    int r = key->lane > 0 ? refill_lane(database, key->lane) : 0;

    if (r >= 0)
        r = queue_room(database, key->queue, &room);
    if (r < 0 || room == 0 || (key->lane > 0 && room == UINT64_MAX))
        return r;
    return refill_queue(database, key->queue, room); /* others of its queue may come in */
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
