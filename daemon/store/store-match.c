/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finding live tasks by a filter, for cancel and examine. Where to look is chosen so that the cost is that of what may match: the
 * ids themselves, the ids of the batch, or what waits by user, plus the few tasks that workers hold. Stateless. */
#include "store/store-match.h"

#include <string.h>

typedef struct Matching {
    Database *database;
    const TaskFilter *filter;
    MatchUser user;
    bool ended; /* those that did not succeed, instead of those that live */
    MatchFound found;
    void *userdata;
} Matching;

/* ------------------------------------------------------------------ conditions */

static bool tags_contain(const char *tags, const char *tag)
{
    size_t n = strlen(tag);

    for (const char *s = tags; s && *s; s = strchr(s, '\n') ? strchr(s, '\n') + 1 : NULL)
        if (strncmp(s, tag, n) == 0 && (s[n] == '\n' || s[n] == '\0'))
            return true;
    return false;
}

int match_spec(Database *database, const TaskFilter *filter, const StoredTask *task)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r;

    if (filter->owner != UID_ANYBODY && filter->owner != task->uid)
        return 0;
    if (!filter->name && !filter->tag)
        return 1;
    r = sql_query(&database->sql, "SELECT name, tags FROM specs WHERE id = ?1",
                  SQL_VALUES(sql_int((int64_t) task->spec)), &statement);
    if (r >= 0)
        r = sql_step(&database->sql, statement);
    if (r <= 0)
        return r < 0 ? r : -EIO;
    if (filter->name && g_strcmp0((const char *) sqlite3_column_text(statement, 0), filter->name) != 0)
        return 0;
    return !filter->tag || tags_contain((const char *) sqlite3_column_text(statement, 1), filter->tag);
}

static bool user_matches(MatchUser user, uint32_t uid)
{
    return (user.only == UID_ANYBODY || user.only == uid) &&
           (user.except == UID_ANYBODY || user.except != uid);
}

static bool matching_wants(const Matching *matching, TaskState state)
{
    return matching->filter->states == 0 || matching->filter->states & 1U << state;
}

/* state: as it is shown. */
static int matching_offer(const Matching *matching, const StoredTask *task, TaskState state)
{
    const TaskFilter *filter = matching->filter;
    int r;

    if (task_state_is_end(state) != matching->ended || state == TASK_SUCCEEDED || !matching_wants(matching, state))
        return 0;
    if ((filter->batch != 0 && filter->batch != task->batch) || !user_matches(matching->user, task->uid))
        return 0;
    if (database_find_hidden(matching->database, task->id))
        return 0;
    r = match_spec(matching->database, filter, task);
    return r > 0 ? matching->found(task, matching->userdata) : r;
}

/* ------------------------------------------------------------------ places to look */

static int read_tasks(const Matching *matching, const char *literal, const SqlValue *values, size_t n)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r;

    r = sql_query(&matching->database->sql, literal, values, n, &statement);
    if (r < 0)
        return r;
    while ((r = sql_step(&matching->database->sql, statement)) > 0) {
        StoredTask task;
        row_read_task(statement, &task);
        r = matching_offer(matching, &task, state_shown(task.state));
        if (r != 0)
            return r;
    }
    return r;
}

/* CROSS JOIN is an order to SQLite: few tasks are held, and it must not go through all the others to find them. */
static int read_taken(const Matching *matching, uint64_t first, uint64_t last)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r;

    if (!matching_wants(matching, TASK_QUEUED) && !matching_wants(matching, TASK_RUNNING))
        return 0;
    r = sql_query(
        &matching->database->sql,
        "SELECT t.id, ifnull(t.spec, t.id), t.batch, t.uid, a.start FROM assignments a CROSS JOIN tasks t ON t.id = a.task"
        " WHERE a.task BETWEEN ?1 AND ?2",
        SQL_VALUES(sql_int((int64_t) first), sql_int((int64_t) last)), &statement);
    if (r < 0)
        return r;
    while ((r = sql_step(&matching->database->sql, statement)) > 0) {
        StoredTask task = {
            .id = (uint64_t) sql_column_int(statement, 0),
            .spec = (uint64_t) sql_column_int(statement, 1),
            .batch = (uint64_t) sql_column_int(statement, 2),
            .uid = (uint32_t) sql_column_int(statement, 3),
            .state = STATE_TAKEN,
        };
        task.last = task.id;
        r = matching_offer(matching, &task, sql_column_int(statement, 4) > 0 ? TASK_RUNNING : TASK_QUEUED);
        if (r != 0)
            return r;
    }
    return r;
}

/* Ranges, up to the first that begins behind last: there the statement must yield them in ascending order. A range is of one call: it does not reach over the borders of a segment. */
static int read_ranges(const Matching *matching, const char *literal, const SqlValue *values, size_t n,
                       uint64_t last)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r;

    r = sql_query(&matching->database->sql, literal, values, n, &statement);
    if (r < 0)
        return r;
    while ((r = sql_step(&matching->database->sql, statement)) > 0) {
        StoredRange range;
        StoredTask task;
        row_read_range(statement, &range);
        row_of_range(&range, range.first, &task);
        if (task.id > last)
            return 0;
        r = matching_offer(matching, &task, state_shown(task.state));
        if (r != 0)
            return r;
    }
    return r;
}

/* As they are in the table. */
static const int waiting_states[] = { TASK_HELD, TASK_BLOCKED, TASK_WAITING, STATE_GATED, TASK_QUEUED, STATE_PARKED };
static const int ended_states[] = { TASK_FAILED, TASK_CANCELLED, TASK_SKIPPED };

/* In which states of the table to look. */
static const int *matching_states(const Matching *matching, size_t *ret_n)
{
    *ret_n = matching->ended ? G_N_ELEMENTS(ended_states) : G_N_ELEMENTS(waiting_states);
    return matching->ended ? ended_states : waiting_states;
}

/* Of a segment. */
static int match_segment(const Matching *matching, const IdRange *segment)
{
    const SqlValue first = sql_int((int64_t) segment->first), last = sql_int((int64_t) segment->last);
    size_t n;
    const int *states = matching_states(matching, &n);
    int r = 0;

    for (size_t i = 0; r == 0 && i < n; i++)
        if (matching_wants(matching, state_shown(states[i])))
            r = read_tasks(matching,
                           "SELECT " TASK_COLUMNS " FROM tasks INDEXED BY tasks_by_state"
                           " WHERE state = ?1 AND state NOT IN (3, 5) AND id BETWEEN ?2 AND ?3",
                           SQL_VALUES(sql_int(states[i]), first, last));
    if (r == 0 && !matching->ended)
        r = read_taken(matching, segment->first, segment->last);
    if (r == 0)
        r = read_ranges(
            matching,
            "SELECT " RANGE_COLUMNS " FROM ranges WHERE last >= ?1 ORDER BY last",
            SQL_VALUES(first), segment->last);
    return r;
}

static int match_batch(const Matching *matching)
{
    g_autoptr(GArray) segments = NULL;
    int64_t uid;
    int r;

    /* A batch has one owner. */
    r = sql_number(&matching->database->sql, "SELECT uid FROM batches WHERE id = ?1",
                   SQL_VALUES(sql_int((int64_t) matching->filter->batch)), &uid);
    if (r <= 0 || !user_matches(matching->user, (uint32_t) uid) ||
        database_hides_batch(matching->database, matching->filter->batch))
        return r < 0 ? r : 0;
    r = match_load_segments(matching->database, matching->filter->batch, &segments);
    for (guint i = 0; r == 0 && i < segments->len; i++)
        r = match_segment(matching, &g_array_index(segments, IdRange, i));
    return r;
}

static int match_ids(const Matching *matching)
{
    g_autoptr(GArray) ids = match_sorted_ids(matching->filter);
    int r = 0;

    for (guint i = 0; r == 0 && i < ids->len; i++) {
        StoredAssignment assignment = { 0 };
        StoredTask task;
        r = row_find_task(matching->database, g_array_index(ids, uint64_t, i), &task);
        if (r <= 0)
            continue;
        if (task.state == STATE_TAKEN)
            r = row_find_assignment(matching->database, task.id, &assignment);
        if (r < 0)
            return r;
        task.last = task.id;
        r = matching_offer(matching, &task, row_state(&task, &assignment));
    }
    return r;
}

/* What is ready, of one class and user. */
static int match_ready(const Matching *matching, int64_t class, uint32_t uid)
{
    int r;

    r = read_tasks(matching,
                   "SELECT " TASK_COLUMNS " FROM tasks INDEXED BY tasks_ready"
                   " WHERE state = 2 AND class = ?2 AND uid = ?1",
                   SQL_VALUES(sql_int(uid), sql_int(class)));
    if (r == 0)
        r = read_ranges(matching,
                        "SELECT " RANGE_COLUMNS " FROM ranges INDEXED BY ranges_ready"
                        " WHERE state = 2 AND class = ?2 AND uid = ?1",
                        SQL_VALUES(sql_int(uid), sql_int(class)), INT64_MAX);
    return r;
}

/* 1: the lowest that either statement has. */
static int lowest_of(const Matching *matching, const char *of_tasks, const char *of_ranges, const SqlValue *values,
                     size_t n, int64_t *ret)
{
    int64_t task = INT64_MAX, range = INT64_MAX;
    int r = sql_number(&matching->database->sql, of_tasks, values, n, &task);

    if (r >= 0)
        r = sql_number(&matching->database->sql, of_ranges, values, n, &range);
    if (r < 0)
        return r;
    *ret = MIN(task, range);
    return *ret < INT64_MAX;
}

/* 1: a user who has something ready of that class, not below "least". */
static int next_ready_uid(const Matching *matching, int64_t class, int64_t least, int64_t *ret)
{
    return lowest_of(matching,
                     "SELECT uid FROM tasks INDEXED BY tasks_ready WHERE state = 2 AND class = ?1 AND uid >= ?2"
                     " ORDER BY uid LIMIT 1",
                     "SELECT uid FROM ranges INDEXED BY ranges_ready WHERE state = 2 AND class = ?1 AND uid >= ?2"
                     " ORDER BY uid LIMIT 1",
                     SQL_VALUES(sql_int(class), sql_int(least)), ret);
}

static int match_ready_class(const Matching *matching, int64_t class)
{
    uint32_t only = matching->user.only != UID_ANYBODY ? matching->user.only : matching->filter->owner;
    int64_t uid = 0;
    int r;

    if (only != UID_ANYBODY)
        return match_ready(matching, class, only);
    while ((r = next_ready_uid(matching, class, uid, &uid)) > 0) {
        r = user_matches(matching->user, (uint32_t) uid) ? match_ready(matching, class, (uint32_t) uid) : 0;
        if (r != 0)
            return r;
        uid++;
    }
    return r;
}

static int match_all_ready(const Matching *matching)
{
    int64_t class = 0;
    int r;

    while ((r = lowest_of(matching,
                          "SELECT class FROM tasks INDEXED BY tasks_ready WHERE state = 2 AND class >= ?1"
                          " ORDER BY class LIMIT 1",
                          "SELECT class FROM ranges INDEXED BY ranges_ready WHERE state = 2 AND class >= ?1"
                          " ORDER BY class LIMIT 1",
                          SQL_VALUES(sql_int(class)), &class)) > 0) {
        r = match_ready_class(matching, class);
        if (r != 0)
            return r;
        class ++;
    }
    return r;
}

static int match_everywhere(const Matching *matching)
{
    size_t n;
    const int *states = matching_states(matching, &n);
    int r = 0;

    for (size_t i = 0; r == 0 && i < n; i++)
        if (states[i] != (int) TASK_QUEUED && matching_wants(matching, state_shown(states[i])))
            r = read_tasks(matching,
                           "SELECT " TASK_COLUMNS
                           " FROM tasks INDEXED BY tasks_by_state WHERE state = ?1 AND state NOT IN (3, 5)",
                           SQL_VALUES(sql_int(states[i])));
    if (r == 0) /* ranges are few */
        r = read_ranges(matching, "SELECT " RANGE_COLUMNS " FROM ranges WHERE state <> 2", SQL_NO_VALUES, INT64_MAX);
    if (r == 0 && !matching->ended)
        r = read_taken(matching, 1, INT64_MAX);
    if (r == 0 && !matching->ended && matching_wants(matching, TASK_QUEUED))
        r = match_all_ready(matching);
    return r;
}

/* ------------------------------------------------------------------ */

static int match_run(const Matching *matching)
{
    if (matching->filter->ids)
        return match_ids(matching);
    return matching->filter->batch != 0 ? match_batch(matching) : match_everywhere(matching);
}

int match_live(Database *database, const TaskFilter *filter, MatchUser user, MatchFound found, void *userdata)
{
    Matching matching = {
        .database = database, .filter = filter, .user = user, .found = found, .userdata = userdata
    };

    return match_run(&matching);
}

int match_ended(Database *database, const TaskFilter *filter, MatchUser user, MatchFound found, void *userdata)
{
    Matching matching = {
        .database = database, .filter = filter, .user = user, .ended = true, .found = found, .userdata = userdata
    };

    return match_run(&matching);
}

int match_load_segments(Database *database, uint64_t batch, GArray **ret)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    g_autoptr(GArray) segments = g_array_new(FALSE, FALSE, sizeof(IdRange));
    int r;

    r = sql_query(&database->sql, "SELECT first, last FROM segments WHERE batch = ?1 ORDER BY first",
                  SQL_VALUES(sql_int((int64_t) batch)), &statement);
    if (r < 0)
        return r;
    while ((r = sql_step(&database->sql, statement)) > 0) {
        IdRange segment = { (uint64_t) sql_column_int(statement, 0),
                            (uint64_t) sql_column_int(statement, 1) };
        g_array_append_val(segments, segment);
    }
    if (r < 0)
        return r;
    *ret = g_steal_pointer(&segments);
    return 0;
}

static int id_compare(gconstpointer a, gconstpointer b)
{
    uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

    return x < y ? -1 : x > y;
}

GArray *match_sorted_ids(const TaskFilter *filter)
{
    GArray *ids = g_array_copy(filter->ids);
    guint kept = 0;

    g_array_sort(ids, id_compare);
    for (guint i = 0; i < ids->len; i++)
        if (kept == 0 || g_array_index(ids, uint64_t, i) != g_array_index(ids, uint64_t, kept - 1))
            g_array_index(ids, uint64_t, kept++) = g_array_index(ids, uint64_t, i);
    g_array_set_size(ids, kept);
    return ids;
}
