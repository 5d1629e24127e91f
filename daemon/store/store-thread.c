/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The store's thread: takes what is queued, runs it as one transaction, commits, answers.
 *
 *   queued --take--> group --commit--> answered            the ordinary way
 *                      |failed: rolled back
 *                      v
 *                  one by one --commit--> answered         so that one does not make the others fail
 *                      |the disk refuses
 *                      +--> answered with the errno        submit, cancel, …
 *                      +--> stuck                          assign, settle, …: tried first next time
 *
 * Results and assignments (the kept ones) are no person's to wait for: while they come thick and fast they are gathered, so
 * that the disk is asked to sync at most every SYNC_INTERVAL_USEC. Anything else that is queued goes at once and takes them
 * along; so does a result after a quiet time, and one that others may wait for while a slot idles (hurry).
 *
 * Invariant: no write is carried out while one that was queued before it is stuck. */
#include "store/store-thread.h"

#include <string.h>
#include <sys/eventfd.h>

#include "util/log.h"

#define GROUP_MAX_USEC 20000 /* so long a transaction may become before what is done is committed */
#define SYNC_INTERVAL_USEC 10000
#define DELAY_MIN_USEC 100000
#define DELAY_MAX_USEC 2000000

/* ------------------------------------------------------------------ answering */

static void answer(Store *store, Op **ops, guint n)
{
    bool first;

    g_mutex_lock(&store->mutex);
    first = store->answered->len == 0;
    for (guint i = 0; i < n; i++) {
        bool again = ops[i]->again && !store->stopping;
        ops[i]->commits += again;
        op_keep_effects(ops[i]);
        g_ptr_array_add(again ? store->queued : store->answered, ops[i]);
    }
    first = first && store->answered->len > 0;
    g_mutex_unlock(&store->mutex);
    if (first)
        (void) eventfd_write(store->fd, 1);
}

static void answer_counts(Store *store)
{
    const StoreCounts *counts = &store->database->counters.counts;
    Op *event;

    if (memcmp(counts, &store->told, sizeof(*counts)) == 0)
        return;
    store->told = *counts;
    event = event_new_counts(counts);
    answer(store, &event, 1);
}

/* When the next task's time comes. */
static void answer_due(Store *store)
{
    Due due;
    Op *event;

    if (!store->database->waits_changed || wait_next(store->database, &due) < 0)
        return;
    store->database->waits_changed = false;
    if (!store->database->waits_asked && due.boot_usec == store->due_told.boot_usec &&
        due.realtime_usec == store->due_told.realtime_usec)
        return;
    store->database->waits_asked = false;
    store->due_told = due;
    event = event_new_due(&due);
    answer(store, &event, 1);
}

static void answer_failing(Store *store)
{
    Op *event;

    if (store->failing == store->failing_told)
        return;
    store->failing_told = store->failing;
    event = event_new_failing(store->failing);
    answer(store, &event, 1);
}

/* ------------------------------------------------------------------ one transaction */

static int op_run(Database *database, Op *op)
{
    int r;

    op->r = 0;
    op->again = op->refused = false;
    op_forget_effects(op);
    database->op = op;
    r = op->class->run(database, op);
    return r >= 0 && op->class->writes ? flow_settle(database) : r;
}

/* Returns how many were carried out, from the first on: not all if it takes long. *ret_tried is as many after a failure
 * too, when none was. */
static int group_run(Database *database, Op **ops, guint n, guint *ret_tried)
{
    int64_t deadline = g_get_monotonic_time() + GROUP_MAX_USEC;
    bool writes = false, durable = false;
    guint tried = 0;
    int r;

    for (guint i = 0; i < n; i++) {
        writes |= ops[i]->class->writes;
        durable |= ops[i]->class->durable;
    }
    r = database_begin(database, writes, durable);
    do
        r = r < 0 ? r : op_run(database, ops[tried]);
    while (++tried < n && r >= 0 && g_get_monotonic_time() < deadline);
    if (r >= 0)
        r = database_commit(database);
    *ret_tried = tried;
    if (r >= 0)
        return (int) tried;
    database_rollback(database);
    return r;
}

static bool group_writes(Op *const *ops, guint n)
{
    for (guint i = 0; i < n; i++)
        if (ops[i]->class->writes)
            return true;
    return false;
}

static bool group_brings_results(Op *const *ops, guint n)
{
    for (guint i = 0; i < n; i++)
        if (ops[i]->class->kept && ops[i]->class->durable)
            return true;
    return false;
}

/* ------------------------------------------------------------------ one by one */

static void op_refuse(Store *store, Op *op, int r)
{
    if (op->refused) {
        op->r = r;
        answer(store, &op, 1);
    } else if (!sql_error_is_of_disk(r)) {
        log_error_errno(r, "A change could not be stored: %s", store->database->sql.message);
        op->r = r;
        answer(store, &op, 1);
    } else if (op->class->kept) {
        g_ptr_array_add(store->stuck, op);
    } else {
        op->r = r;
        answer(store, &op, 1);
    }
}

static void op_run_alone(Store *store, Op *op)
{
    guint tried;
    int r;

    if (op->class->writes && store->stuck->len > 0) {
        op_refuse(store, op, store->failing);
        return;
    }
    r = group_run(store->database, &op, 1, &tried);
    if (op->class->writes && !op->refused && (r >= 0 || sql_error_is_of_disk(r)))
        store->failing = MIN(r, 0);
    if (r < 0) {
        op_refuse(store, op, r);
        return;
    }
    answer_counts(store);
    answer(store, &op, 1);
    answer_due(store);
}

/* ------------------------------------------------------------------ rounds */

static void run_all(Store *store, Op **ops, guint n)
{
    guint tried;
    int r;

    for (guint i = 0; i < n; i += tried) {
        tried = 1;
        if (store->stuck->len > 0) {
            op_run_alone(store, ops[i]);
            continue;
        }
        r = group_run(store->database, ops + i, n - i, &tried);
        for (guint k = 0; r < 0 && k < tried; k++)
            op_run_alone(store, ops[i + k]);
        if (r < 0)
            continue;
        if (group_writes(ops + i, tried))
            store->failing = 0;
        if (group_brings_results(ops + i, tried))
            store->synced_at = g_get_monotonic_time();
        answer_counts(store); /* first: who has been answered finds the new counts */
        answer(store, ops + i, tried);
        answer_due(store);
    }
}

static void plan_retry(Store *store)
{
    if (store->stuck->len == 0 && store->failing == 0) {
        store->delay_usec = DELAY_MIN_USEC;
        return;
    }
    store->retry_at = g_get_monotonic_time() + store->delay_usec;
    store->delay_usec = MIN(store->delay_usec * 2, DELAY_MAX_USEC);
}

static int probe_run(Database *database, Op *op)
{
    return sql_run(&database->sql, "UPDATE counters SET value = value WHERE id = 100", SQL_NO_VALUES);
}

/* Finds out whether the disk takes writes again when nothing is stuck. */
static const OpClass probe_class = { .run = probe_run, .writes = true, .durable = true };

static Op *probe_new(void)
{
    Op *op = g_new(Op, 1);

    *op = OP_INIT(probe_class);
    return op;
}

/* Reads do not wait for what is stuck; writes try it again first. */
static void round_run(Store *store, GPtrArray *fresh, bool retry)
{
    g_autoptr(GPtrArray) ops = NULL;
    bool writes = retry || group_writes((Op **) fresh->pdata, fresh->len);

    if (!writes) {
        g_autoptr(GPtrArray) stuck = g_steal_pointer(&store->stuck);
        store->stuck = g_ptr_array_new();
        run_all(store, (Op **) fresh->pdata, fresh->len);
        g_ptr_array_unref(store->stuck);
        store->stuck = g_steal_pointer(&stuck);
        return;
    }
    ops = g_steal_pointer(&store->stuck);
    store->stuck = g_ptr_array_new();
    g_ptr_array_extend(ops, fresh, NULL, NULL);
    if (ops->len == 0)
        g_ptr_array_add(ops, probe_new());
    run_all(store, (Op **) ops->pdata, ops->len);
    plan_retry(store);
    answer_failing(store);
}

/* Waits until there is something to do. NULL: it is to stop, and nothing is queued. */
static GPtrArray *take(Store *store, bool *ret_retry)
{
    GPtrArray *taken = NULL;
    bool troubled = store->stuck->len > 0 || store->failing < 0, retry = false;

    g_mutex_lock(&store->mutex);
    while (store->queued->len == 0 && !store->stopping && !retry) {
        if (troubled)
            retry = !g_cond_wait_until(&store->wake, &store->mutex, store->retry_at);
        else
            g_cond_wait(&store->wake, &store->mutex);
    }
    while (store->queued->len > 0 && !store->urgent && !store->stopping && !retry)
        if (!g_cond_wait_until(&store->wake, &store->mutex, store->synced_at + SYNC_INTERVAL_USEC))
            break;
    if (store->queued->len > 0 || retry) {
        taken = g_steal_pointer(&store->queued);
        store->queued = g_ptr_array_new();
        store->urgent = false;
    }
    g_mutex_unlock(&store->mutex);
    *ret_retry = retry || (troubled && g_get_monotonic_time() >= store->retry_at);
    return taken;
}

gpointer store_thread(gpointer userdata)
{
    Store *store = userdata;
    g_autoptr(GPtrArray) none = g_ptr_array_new();
    GPtrArray *taken;
    bool retry;

    store->delay_usec = DELAY_MIN_USEC;
    while ((taken = take(store, &retry))) {
        round_run(store, taken, retry);
        g_ptr_array_unref(taken);
    }
    if (store->stuck->len > 0)
        round_run(store, none, true);
    if (store->stuck->len > 0)
        log_error_errno(store->failing, "%u changes are lost, the database does not take them: %m",
                        store->stuck->len);
    return NULL;
}
