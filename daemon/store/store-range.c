/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Elements of arrays that have no row of their own. Invariant: an id is in tasks or in exactly one range, never in both.
 * Every change is of one or two rows, however many elements it concerns. */
#include "store/store-range.h"

int range_insert(Database *database, const StoredRange *range)
{
    return sql_run(
        &database->sql,
        "INSERT INTO ranges (last, first, spec, batch, uid, state, priority, since, class, queue, lane)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        SQL_VALUES(sql_int((int64_t) range->last), sql_int((int64_t) range->first),
                   sql_int((int64_t) range->spec), sql_int((int64_t) range->batch), sql_int(range->uid),
                   sql_int(range->state), sql_int(range->priority), sql_int((int64_t) range->since_usec),
                   sql_int(range->class), sql_int(range->queue), sql_int(range->lane)));
}

static int range_set_first(Database *database, const StoredRange *range, uint64_t first)
{
    return sql_run(&database->sql, "UPDATE ranges SET first = ?2 WHERE last = ?1",
                   SQL_VALUES(sql_int((int64_t) range->last), sql_int((int64_t) first)));
}

int range_remove(Database *database, const StoredRange *range, uint64_t first, uint64_t last)
{
    StoredRange before = *range;
    int r = 0;

    if (first > range->first) {
        before.last = first - 1;
        r = range_insert(database, &before);
    }
    if (r < 0)
        return r;
    if (last < range->last)
        return range_set_first(database, range, last + 1);
    return sql_run(&database->sql, "DELETE FROM ranges WHERE last = ?1",
                   SQL_VALUES(sql_int((int64_t) range->last)));
}

int range_set_state(Database *database, const StoredRange *range, uint64_t first, uint64_t last,
                    int state, uint64_t since_usec)
{
    StoredRange changed = *range;
    int r;

    changed.first = first;
    changed.last = last;
    changed.state = state;
    changed.since_usec = since_usec;
    r = range_remove(database, range, first, last);
    if (r < 0)
        return r;
    return range_insert(database, &changed);
}

int range_make_task(Database *database, const StoredRange *range, uint64_t id, int state, uint64_t fence)
{
    return sql_run(
        &database->sql,
        "INSERT INTO tasks (id, spec, batch, uid, state, priority, fence, since, class, queue, lane)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        SQL_VALUES(sql_int((int64_t) id), sql_int((int64_t) range->spec), sql_int((int64_t) range->batch),
                   sql_int(range->uid), sql_int(state), sql_int(range->priority), sql_int((int64_t) fence),
                   sql_int((int64_t) range->since_usec), sql_int(range->class), sql_int(range->queue),
                   sql_int(range->lane)));
}
