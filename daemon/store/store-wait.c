/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tasks that wait for a time, and the operation that lets them on when it has come. A relative time is one of CLOCK_BOOTTIME
 * within one boot: setting the wall clock changes nothing; after the next boot it is what the wall clock says is left. */
#include <time.h>

#include "store/store-flow.h"
#include "store/store-internal.h"

static uint64_t boot_now(void)
{
    struct timespec now;

    (void) clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t) now.tv_sec * USEC_PER_SEC + (uint64_t) now.tv_nsec / NSEC_PER_USEC;
}

int wait_insert(Database *database, const Wait *wait)
{
    database->n_waits++;
    database->waits_changed = true;
    return sql_run(
        &database->sql,
        "INSERT OR REPLACE INTO waits (first, last, wall, due, realtime) VALUES (?1, ?2, ?3, ?4, ?5)",
        SQL_VALUES(sql_int((int64_t) wait->first), sql_int((int64_t) wait->last), sql_int(wait->wall),
                   sql_int((int64_t) MIN(wait->due_usec, INT64_MAX)),
                   sql_int((int64_t) MIN(wait->realtime_usec, INT64_MAX))));
}

int wait_insert_task(Database *database, uint64_t task, uint64_t due_usec)
{
    uint64_t now = boot_now(), left = due_usec > now ? due_usec - now : 0;
    Wait wait = { .first = task,
                  .last = task,
                  .due_usec = due_usec,
                  .realtime_usec = usec_add((uint64_t) g_get_real_time(), left) };

    return wait_insert(database, &wait);
}

int wait_find(Database *database, uint64_t task, Wait *ret)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r;

    r = sql_query(
        &database->sql,
        "SELECT first, last, wall, due, realtime FROM waits WHERE first <= ?1 ORDER BY first DESC LIMIT 1",
        SQL_VALUES(sql_int((int64_t) task)), &statement);
    if (r >= 0)
        r = sql_step(&database->sql, statement);
    if (r <= 0 || (uint64_t) sql_column_int(statement, 1) < task)
        return MIN(r, 0);
    *ret = (Wait){
        .first = (uint64_t) sql_column_int(statement, 0),
        .last = (uint64_t) sql_column_int(statement, 1),
        .wall = sql_column_int(statement, 2) != 0,
        .due_usec = (uint64_t) sql_column_int(statement, 3),
        .realtime_usec = (uint64_t) sql_column_int(statement, 4),
    };
    return 1;
}

static int next_by(Database *database, bool wall, uint64_t *ret)
{
    int64_t due;
    int r = sql_number(&database->sql, "SELECT due FROM waits WHERE wall = ?1 ORDER BY due LIMIT 1",
                       SQL_VALUES(sql_int(wall)), &due);

    *ret = r > 0 ? (uint64_t) due : UINT64_MAX;
    return MIN(r, 0);
}

int wait_next(Database *database, Due *ret)
{
    int r = next_by(database, false, &ret->boot_usec);

    return r < 0 ? r : next_by(database, true, &ret->realtime_usec);
}

int wait_load(Database *database)
{
    g_autofree char *boot = NULL, *script = NULL;
    int64_t same = 0;
    int r;

    if (!g_file_get_contents("/proc/sys/kernel/random/boot_id", &boot, NULL, NULL))
        return 0;
    g_strstrip(boot);
    r = sql_number(&database->sql, "SELECT count(*) FROM boots WHERE boot = ?1", SQL_VALUES(sql_text(boot)),
                   &same);
    if (r < 0 || same > 0)
        return MIN(r, 0);
    r = sql_run(&database->sql, "UPDATE waits SET due = ?1 + max(0, realtime - ?2) WHERE wall = 0",
                SQL_VALUES(sql_int((int64_t) boot_now()), sql_int(g_get_real_time())));
    return r < 0 ? r : sql_run(&database->sql, "UPDATE boots SET boot = ?1", SQL_VALUES(sql_text(boot)));
}

/* ------------------------------------------------------------------ wake */

#define WAKE_AT_ONCE 256

typedef struct WakeOp {
    Op op;
    uint64_t boot_usec, realtime_usec;
} WakeOp;

static int due_collect(Database *database, bool wall, uint64_t now, GArray *waits)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    int r;

    r = sql_query(&database->sql,
                  "SELECT first, last FROM waits WHERE wall = ?1 AND due <= ?2 ORDER BY due LIMIT ?3",
                  SQL_VALUES(sql_int(wall), sql_int((int64_t) now), sql_int(WAKE_AT_ONCE)), &statement);
    if (r < 0)
        return r;
    while ((r = sql_step(&database->sql, statement)) > 0) {
        IdRange range = { .first = (uint64_t) sql_column_int(statement, 0),
                          .last = (uint64_t) sql_column_int(statement, 1) };
        g_array_append_val(waits, range);
    }
    return r;
}

/* Who is still blocked or held by then finds no wait any more when that is over. */
static int wake_range(Database *database, const IdRange *range)
{
    g_autoptr(GArray) tasks = g_array_new(FALSE, FALSE, sizeof(StoredTask));
    FlowSet set = { range->first, range->last, TASK_WAITING };
    int r;

    database->waits_changed = true;
    r = sql_run(&database->sql, "DELETE FROM waits WHERE first = ?1",
                SQL_VALUES(sql_int((int64_t) range->first)));
    if (r >= 0)
        r = flow_collect(database, &set, tasks);
    for (guint i = 0; r >= 0 && i < tasks->len; i++)
        r = flow_enter(database, &g_array_index(tasks, StoredTask, i), STATE_GATED);
    return r;
}

static int wake_run(Database *database, Op *op)
{
    g_autoptr(GArray) waits = g_array_new(FALSE, FALSE, sizeof(IdRange));
    const WakeOp *wake = (WakeOp *) op;
    int r;

    database->waits_changed = database->waits_asked = true;
    r = due_collect(database, false, wake->boot_usec, waits);
    if (r >= 0)
        r = due_collect(database, true, wake->realtime_usec, waits);
    for (guint i = 0; r >= 0 && i < waits->len; i++)
        r = wake_range(database, &g_array_index(waits, IdRange, i));
    op->again = r >= 0 && waits->len >= WAKE_AT_ONCE;
    return r;
}

static const OpClass wake_class = { .run = wake_run, .writes = true, .kept = true };

void store_wake(StorePort *port, uint64_t boot_usec, uint64_t realtime_usec)
{
    WakeOp *wake = g_new(WakeOp, 1);

    *wake = (WakeOp){ .op = OP_INIT(wake_class), .boot_usec = boot_usec, .realtime_usec = realtime_usec };
    store_enqueue((Store *) port, &wake->op);
}
