/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A real store in a temporary directory: its life, its thread, its tables. The calls of the port are in fixture-calls.c. */
#include "tests/unit/store/store-fixture.h"

#include <glib/gstdio.h>
#include <poll.h>
#include <sqlite3.h>

#include "store/store-thread.h"

/* ------------------------------------------------------------------ events */

static void on_counts(const StoreCounts *counts, void *userdata)
{
    Fixture *f = userdata;

    f->counts = *counts;
    f->n_counts++;
    if (f->note_counts)
        g_string_append(f->log, "counts ");
}

static void on_batch_ended(const BatchEnd *end, void *userdata)
{
    Fixture *f = userdata;
    BatchEnd copy = *end;

    copy.result.stderr_tail = NULL;
    copy.result.data = NULL;
    copy.result.note = NULL;
    g_array_append_val(f->ended, copy);
    g_string_append_printf(f->log, "ended-%" G_GUINT64_FORMAT " ", end->batch);
}

static void on_halted(uint64_t batch, bool now, void *userdata)
{
    g_string_append_printf(((Fixture *) userdata)->halted, "%" G_GUINT64_FORMAT "%s ", batch, now ? "!" : "");
}

static void on_ready(GPtrArray *tasks, bool more, void *userdata)
{
    Fixture *f = userdata;

    for (guint i = 0; i < tasks->len; i++)
        g_string_append_printf(f->ready, "%" G_GUINT64_FORMAT " ", ((TaskSpec *) tasks->pdata[i])->id);
    if (more)
        g_string_append(f->ready, "+ ");
}

static void on_skipped(const GArray *skipped, void *userdata)
{
    Fixture *f = userdata;

    for (guint i = 0; i < skipped->len; i++) {
        IdRange range = g_array_index(skipped, IdRange, i);
        g_assert_cmpuint(range.batch, >, 0);
        g_string_append_printf(f->skipped, "%" G_GUINT64_FORMAT, range.first);
        if (range.last > range.first)
            g_string_append_printf(f->skipped, "-%" G_GUINT64_FORMAT, range.last);
        g_string_append_c(f->skipped, ' ');
    }
}

static void on_due_changed(uint64_t boot_usec, uint64_t realtime_usec, void *userdata)
{
    Fixture *f = userdata;

    f->due_boot = boot_usec;
    f->due_real = realtime_usec;
}

char *take_told(GString *told)
{
    char *text = g_strstrip(g_strdup(told->str));

    g_string_truncate(told, 0);
    return text;
}

static void on_failing(int r, void *userdata)
{
    Fixture *f = userdata;

    f->failing = r;
    f->n_failing++;
    g_string_append(f->log, r < 0 ? "failing " : "working ");
}

void note_done(int r, void *userdata)
{
    Fixture *f = userdata;

    if (r < 0)
        g_string_append_printf(f->log, "%s ", g_strerror(-r));
    else
        g_string_append(f->log, "done ");
}

void fixture_open(Fixture *f)
{
    StoreEvents events = {
        .counts_changed = on_counts,
        .batch_ended = on_batch_ended,
        .batch_halted = on_halted,
        .tasks_ready = on_ready,
        .tasks_skipped = on_skipped,
        .due_changed = on_due_changed,
        .failing = on_failing,
        .userdata = f,
    };

    g_assert_cmpint(store_open(f->directory, &events, &f->store, &f->snapshot), ==, 0);
    f->port = store_port(f->store);
    f->counts = f->snapshot->counts;
}

void fixture_close(Fixture *f)
{
    f->store = store_free(f->store);
    f->snapshot = store_snapshot_free(f->snapshot);
}

void fixture_reopen(Fixture *f)
{
    fixture_close(f);
    fixture_open(f);
}

/* ------------------------------------------------------------------ operations of the test's own */

typedef struct TestOp {
    Op op;
    bool *flag;
    GMutex *wait_for;
    char *script;
    unsigned n, *count;
} TestOp;

static int test_op_run(Database *database, Op *op)
{
    TestOp *test = (TestOp *) op;

    if (test->wait_for) {
        g_mutex_lock(test->wait_for);
        g_mutex_unlock(test->wait_for);
    }
    return test->script ? sql_script(&database->sql, test->script) : 0;
}

static void set_flag(Op *op, const StoreEvents *events)
{
    TestOp *test = (TestOp *) op;

    if (test->flag)
        *test->flag = true;
}

static void test_op_free(Op *op)
{
    g_free(((TestOp *) op)->script);
}

static const OpClass test_class = { .run = test_op_run, .complete = set_flag, .free = test_op_free };

static void test_op_enqueue(Fixture *f, TestOp template)
{
    TestOp *op = g_new(TestOp, 1);

    *op = template;
    op->op = OP_INIT(test_class);
    store_enqueue(f->store, &op->op);
}

void fixture_drain(Fixture *f)
{
    struct pollfd pollfd = { .fd = store_get_fd(f->store), .events = POLLIN };

    /* Twice, since the counts of a group come after its last answer. */
    for (int i = 0; i < 2; i++) {
        bool drained = false;
        test_op_enqueue(f, (TestOp){ .flag = &drained });
        while (!drained) {
            g_assert_cmpint(poll(&pollfd, 1, 60000), ==, 1);
            store_dispatch(f->store);
        }
    }
}

void fixture_gate(Fixture *f, unsigned gate)
{
    g_mutex_lock(&f->gates[gate]);
    test_op_enqueue(f, (TestOp){ .wait_for = &f->gates[gate] });
}

void fixture_wait_taken(Fixture *f)
{
    for (;;) {
        bool taken;
        g_mutex_lock(&f->store->mutex);
        taken = f->store->queued->len == 0;
        g_mutex_unlock(&f->store->mutex);
        if (taken)
            return;
        g_thread_yield();
    }
}

void fixture_hold(Fixture *f)
{
    fixture_gate(f, 0);
    fixture_wait_taken(f);
}

void fixture_open_gate(Fixture *f, unsigned gate)
{
    g_mutex_unlock(&f->gates[gate]);
}

void fixture_release(Fixture *f)
{
    fixture_open_gate(f, 0);
}

void fixture_set_page_limit(Fixture *f, uint32_t pages)
{
    test_op_enqueue(f, (TestOp){ .script = g_strdup_printf("PRAGMA max_page_count = %u",
                                                           pages > 0 ? pages : 1073741823U) });
    fixture_drain(f);
}

void fixture_set_read_only(Fixture *f, bool read_only)
{
    test_op_enqueue(f, (TestOp){ .script = g_strdup_printf("PRAGMA query_only = %d", read_only) });
}

static int synchronous_run(Database *database, Op *op)
{
    int64_t mode;
    int r = sql_number(&database->sql, "PRAGMA main.synchronous", SQL_NO_VALUES, &mode);

    ((TestOp *) op)->n = (unsigned) mode;
    return r < 0 ? r : 0;
}

static void count_complete(Op *op, const StoreEvents *events)
{
    *((TestOp *) op)->count = ((TestOp *) op)->n;
}

static const OpClass synchronous_class = { .run = synchronous_run, .complete = count_complete };

void fixture_ask_synchronous(Fixture *f, unsigned *ret)
{
    TestOp *op = g_new0(TestOp, 1);

    op->op = OP_INIT(synchronous_class);
    op->count = ret;
    store_enqueue(f->store, &op->op);
}

/* ------------------------------------------------------------------ how statements are carried out */

/* Tables that are small, or that an index narrows down to what is small. */
static bool scan_is_fine(const char *plan, const char *literal)
{
    static const char *const small[] = { "SCAN counters", "SCAN workers", "SCAN assignments", "SCAN boots",
                                         "SCAN wishes", "USING INDEX ranges_parked",
                                         "SCAN learned USING INDEX learned_used", "batches_hidden", "SCAN sqlite_" };

    for (size_t i = 0; i < G_N_ELEMENTS(small); i++)
        if (strstr(plan, small[i]))
            return true;
    /* "Is there one at all?"; and ranges that are not ready are few: arrays as wholes, or what was cancelled of them. */
    return strstr(literal, "LIMIT 1)") || g_str_has_suffix(literal, "FROM ranges WHERE state <> 2");
}

static int plan_check(Sql *sql, const char *literal)
{
    g_autofree char *text = g_strconcat("EXPLAIN QUERY PLAN ", literal, NULL);
    sqlite3_stmt *statement;

    g_assert_cmpint(sqlite3_prepare_v2(sql->handle, text, -1, &statement, NULL), ==, SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        const char *plan = (const char *) sqlite3_column_text(statement, 3);
        if (g_str_has_prefix(plan, "SCAN") && !scan_is_fine(plan, literal))
            g_error("%s: %s", literal, plan);
        if (strstr(plan, "TEMP B-TREE") && !strstr(literal, "batches_hidden"))
            g_error("%s: %s", literal, plan);
    }
    return sqlite3_finalize(statement);
}

static int plans_run(Database *database, Op *op)
{
    GHashTableIter iter;
    gpointer literal;
    TestOp *test = (TestOp *) op;

    g_hash_table_iter_init(&iter, database->sql.statements);
    while (g_hash_table_iter_next(&iter, &literal, NULL))
        if (strncmp(literal, "SELECT", 6) == 0 || strncmp(literal, "UPDATE", 6) == 0 ||
            strncmp(literal, "DELETE", 6) == 0) {
            g_assert_cmpint(plan_check(&database->sql, literal), ==, SQLITE_OK);
            test->n++;
        }
    return 0;
}

static const OpClass plans_class = { .run = plans_run, .complete = count_complete };

unsigned fixture_check_plans(Fixture *f)
{
    TestOp *op = g_new0(TestOp, 1);
    unsigned count = 0;

    op->op = OP_INIT(plans_class);
    op->count = &count;
    store_enqueue(f->store, &op->op);
    fixture_drain(f);
    return count;
}

/* ------------------------------------------------------------------ life */

Fixture *fixture_new(void)
{
    Fixture *f = g_new0(Fixture, 1);

    f->directory = g_dir_make_tmp("parexec-store-XXXXXX", NULL);
    g_assert_nonnull(f->directory);
    f->ended = g_array_new(FALSE, TRUE, sizeof(BatchEnd));
    f->log = g_string_new(NULL);
    f->ready = g_string_new(NULL);
    f->skipped = g_string_new(NULL);
    f->halted = g_string_new(NULL);
    f->due_boot = f->due_real = UINT64_MAX;
    g_mutex_init(&f->gates[0]);
    g_mutex_init(&f->gates[1]);
    f->context = fixture_context_new(1000, "/tmp");
    fixture_open(f);
    return f;
}

void fixture_free(Fixture *f)
{
    g_autoptr(GDir) directory = NULL;
    const char *name;

    fixture_close(f);
    directory = g_dir_open(f->directory, 0, NULL);
    while ((name = g_dir_read_name(directory))) {
        g_autofree char *path = g_build_filename(f->directory, name, NULL);
        g_assert_cmpint(g_unlink(path), ==, 0);
    }
    g_assert_cmpint(g_rmdir(f->directory), ==, 0);
    g_free(f->directory);
    g_array_unref(f->ended);
    g_string_free(f->log, TRUE);
    g_string_free(f->ready, TRUE);
    g_string_free(f->skipped, TRUE);
    g_string_free(f->halted, TRUE);
    g_mutex_clear(&f->gates[0]);
    g_mutex_clear(&f->gates[1]);
    task_context_unref(f->context);
    g_free(f);
}

TaskContext *fixture_context_new(uint32_t uid, const char *cwd)
{
    TaskContext *context = task_context_new();

    context->uid = uid;
    context->gid = uid;
    context->n_groups = 2;
    context->groups = g_new(uint32_t, 2);
    context->groups[0] = 4;
    context->groups[1] = uid;
    context->cwd = g_bytes_new(cwd, strlen(cwd) + 1);
    context->environment = g_bytes_new_static("A=1\0B=\xff", 8);
    return context;
}

/* ------------------------------------------------------------------ checking the tables */

int64_t fixture_query(Fixture *f, const char *sql)
{
    g_autofree char *path = g_build_filename(f->directory, "parexec.db", NULL);
    sqlite3_stmt *statement;
    sqlite3 *handle;
    int64_t number = -1;

    g_assert_null(f->store);
    g_assert_cmpint(sqlite3_open(path, &handle), ==, SQLITE_OK);
    g_assert_cmpint(sqlite3_prepare_v2(handle, sql, -1, &statement, NULL), ==, SQLITE_OK);
    if (sqlite3_step(statement) == SQLITE_ROW)
        number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(handle);
    return number;
}

/* Each counts what must not be there. */
static const char *const invariants[] = {
    /* the counters say what the tables say; what is hidden is not counted */
    "WITH shown(state, n) AS ("
    " SELECT CASE t.state WHEN 3 THEN CASE a.start WHEN 0 THEN 2 ELSE 3 END WHEN 10 THEN 2 ELSE t.state END, 1"
    "  FROM tasks t JOIN batches b ON b.id = t.batch LEFT JOIN assignments a ON a.task = t.id WHERE b.phase = 1"
    " UNION ALL SELECT CASE r.state WHEN 10 THEN 2 ELSE r.state END, r.last - r.first + 1"
    "  FROM ranges r JOIN batches b ON b.id = r.batch WHERE b.phase = 1)"
    " SELECT count(*) FROM counters c WHERE c.id < 100"
    " AND c.value <> ifnull((SELECT sum(n) FROM shown s WHERE s.state = c.id), 0)",
    /* held tasks have an assignment, and only they */
    "SELECT count(*) FROM tasks t LEFT JOIN assignments a ON a.task = t.id WHERE (t.state = 3) <> (a.task IS NOT NULL)",
    "SELECT count(*) FROM assignments a LEFT JOIN tasks t ON t.id = a.task WHERE t.id IS NULL OR t.fence <> a.fence OR t.batch <> a.batch",
    /* ranges overlap neither one another nor tasks, and are not empty */
    "SELECT count(*) FROM ranges a JOIN ranges b ON a.last < b.last AND b.first <= a.last",
    "SELECT count(*) FROM ranges WHERE first > last",
    "SELECT count(*) FROM ranges r JOIN tasks t ON t.id BETWEEN r.first AND r.last",
    /* batches have as many tasks as they say, of which so many have ended, and only the ids of their segments */
    "SELECT count(*) FROM batches b WHERE b.count <> ifnull((SELECT sum(last - first + 1) FROM segments s WHERE s.batch = b.id), 0)",
    "WITH ends(batch, state, n) AS (SELECT batch, state, 1 FROM tasks UNION ALL SELECT batch, state, last - first + 1 FROM ranges)"
    " SELECT count(*) FROM batches b WHERE"
    " b.count <> ifnull((SELECT sum(n) FROM ends e WHERE e.batch = b.id), 0)"
    /* of what is not committed nothing is counted, not even what was skipped */
    " OR b.phase = 1 AND (b.succeeded <> ifnull((SELECT sum(n) FROM ends e WHERE e.batch = b.id AND e.state = 5), 0)"
    " OR b.failed <> ifnull((SELECT sum(n) FROM ends e WHERE e.batch = b.id AND e.state = 6), 0)"
    " OR b.cancelled <> ifnull((SELECT sum(n) FROM ends e WHERE e.batch = b.id AND e.state = 7), 0)"
    " OR b.skipped <> ifnull((SELECT sum(n) FROM ends e WHERE e.batch = b.id AND e.state = 8), 0))",
    "SELECT count(*) FROM tasks t WHERE NOT EXISTS (SELECT 1 FROM segments s WHERE s.batch = t.batch AND t.id BETWEEN s.first AND s.last)",
    "SELECT count(*) FROM ranges r WHERE NOT EXISTS"
    " (SELECT 1 FROM segments s WHERE s.batch = r.batch AND r.first >= s.first AND r.last <= s.last)",
    /* everything has a command, a context and a batch; nothing of what was discarded is left */
    "SELECT count(*) FROM tasks t LEFT JOIN specs s ON s.id = ifnull(t.spec, t.id) LEFT JOIN contexts c ON c.id = s.context"
    " LEFT JOIN batches b ON b.id = t.batch WHERE c.id IS NULL OR b.id IS NULL OR b.uid <> t.uid",
    "SELECT count(*) FROM specs s WHERE NOT EXISTS (SELECT 1 FROM segments g WHERE s.id BETWEEN g.first AND g.last)",
    "SELECT count(*) FROM segments s WHERE s.batch NOT IN (SELECT id FROM batches)",
    /* ids are not given out again */
    "SELECT count(*) FROM counters WHERE (id = 100 AND value <= ifnull((SELECT max(last) FROM segments), 0))"
    " OR (id = 101 AND value <= ifnull((SELECT max(id) FROM batches), 0))",
    /* the number of attempts is that of the rows */
    "SELECT count(*) FROM tasks t WHERE t.attempts <> (SELECT count(*) FROM attempts a WHERE a.task = t.id)",
    /* who waits in a queue or lane would be one too many */
    "WITH units(batch, queue, lane, state, n) AS (SELECT batch, queue, lane, state, 1 FROM tasks"
    "  UNION ALL SELECT batch, queue, lane, state, last - first + 1 FROM ranges),"
    " active(queue, lane, n) AS (SELECT queue, lane, n FROM units WHERE state IN (2, 3))"
    " SELECT count(*) FROM units u JOIN batches b ON b.id = u.batch AND b.phase = 1 WHERE u.state = 10"
    " AND NOT EXISTS (SELECT 1 FROM queues q WHERE q.id = u.queue AND q.parallel > 0"
    "  AND q.parallel <= ifnull((SELECT sum(n) FROM active a WHERE a.queue = q.id), 0))"
    " AND NOT EXISTS (SELECT 1 FROM lanes l WHERE l.id = u.lane"
    "  AND l.parallel <= ifnull((SELECT sum(n) FROM active a WHERE a.lane = l.id), 0))",
    /* who is blocked waits for something */
    "SELECT count(*) FROM tasks t LEFT JOIN gates g ON ifnull(t.spec, t.id) BETWEEN g.spec AND g.last"
    " WHERE t.state = 1 AND (g.spec IS NULL OR (g.pending = 0 AND NOT g.by_element))",
    /* who waits for a time has one, and nothing is left of what was discarded or forgotten */
    "SELECT count(*) FROM tasks t WHERE t.state = 4 AND NOT EXISTS (SELECT 1 FROM waits w WHERE t.id BETWEEN w.first AND w.last)",
    "SELECT count(*) FROM gates g WHERE NOT EXISTS (SELECT 1 FROM specs s WHERE s.id = g.spec)",
    "SELECT count(*) FROM waits w WHERE NOT EXISTS (SELECT 1 FROM segments s WHERE w.first BETWEEN s.first AND s.last)",
    "SELECT count(*) FROM keys k WHERE k.batch NOT IN (SELECT id FROM batches)",
    /* a batch knows when its last task ended, if it has */
    "SELECT count(*) FROM batches b WHERE (b.ended IS NOT NULL)"
    " <> (b.phase = 1 AND b.succeeded + b.failed + b.cancelled + b.skipped >= b.count)",
    "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
};

void fixture_verify(Fixture *f)
{
    fixture_close(f);
    for (size_t i = 0; i < G_N_ELEMENTS(invariants); i++)
        if (fixture_query(f, invariants[i]) != 0)
            g_error("%s yields %" G_GINT64_FORMAT, invariants[i], fixture_query(f, invariants[i]));
    fixture_open(f);
}
