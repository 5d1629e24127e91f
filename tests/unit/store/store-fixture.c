/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A real store in a temporary directory, and synchronous calls on it. */
#include "tests/unit/store/store-fixture.h"

#include <glib/gstdio.h>
#include <poll.h>
#include <sqlite3.h>

#include "store/store-thread.h"

#define TEST_NOW UINT64_C(1700000000000000)

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
    g_array_append_val(f->ended, copy);
    g_string_append_printf(f->log, "ended-%" G_GUINT64_FORMAT " ", end->batch);
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
    StoreEvents events = {.counts_changed = on_counts, .batch_ended = on_batch_ended, .failing = on_failing, .userdata = f};

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

static const OpClass test_class = {.run = test_op_run, .complete = set_flag, .free = test_op_free};

static void test_op_enqueue(Fixture *f, TestOp template)
{
    TestOp *op = g_new(TestOp, 1);

    *op = template;
    op->op = OP_INIT(test_class);
    store_enqueue(f->store, &op->op);
}

void fixture_drain(Fixture *f)
{
    struct pollfd pollfd = {.fd = store_get_fd(f->store), .events = POLLIN};

    /* Twice, since the counts of a group come after its last answer. */
    for (int i = 0; i < 2; i++) {
        bool drained = false;
        test_op_enqueue(f, (TestOp){.flag = &drained});
        while (!drained) {
            g_assert_cmpint(poll(&pollfd, 1, 60000), ==, 1);
            store_dispatch(f->store);
        }
    }
}

void fixture_hold(Fixture *f)
{
    g_mutex_lock(&f->held);
    test_op_enqueue(f, (TestOp){.wait_for = &f->held});
    /* Taken, so that what follows comes into the next group. */
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

void fixture_release(Fixture *f)
{
    g_mutex_unlock(&f->held);
}

void fixture_set_page_limit(Fixture *f, uint32_t pages)
{
    test_op_enqueue(f, (TestOp){.script = g_strdup_printf("PRAGMA max_page_count = %u", pages > 0 ? pages : 1073741823U)});
    fixture_drain(f);
}

void fixture_set_read_only(Fixture *f, bool read_only)
{
    test_op_enqueue(f, (TestOp){.script = g_strdup_printf("PRAGMA query_only = %d", read_only)});
}

/* ------------------------------------------------------------------ how statements are carried out */

/* Tables that are small, or that an index narrows down to what is small. */
static bool scan_is_fine(const char *plan)
{
    static const char *const small[] = {"SCAN counters", "SCAN workers", "SCAN assignments", "batches_hidden", "SCAN sqlite_"};

    for (size_t i = 0; i < G_N_ELEMENTS(small); i++)
        if (strstr(plan, small[i]))
            return true;
    return false;
}

static int plan_check(Sql *sql, const char *literal)
{
    g_autofree char *text = g_strconcat("EXPLAIN QUERY PLAN ", literal, NULL);
    sqlite3_stmt *statement;

    g_assert_cmpint(sqlite3_prepare_v2(sql->handle, text, -1, &statement, NULL), ==, SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        const char *plan = (const char *) sqlite3_column_text(statement, 3);
        if (g_str_has_prefix(plan, "SCAN") && !scan_is_fine(plan))
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
        if (strncmp(literal, "SELECT", 6) == 0 || strncmp(literal, "UPDATE", 6) == 0 || strncmp(literal, "DELETE", 6) == 0) {
            g_assert_cmpint(plan_check(&database->sql, literal), ==, SQLITE_OK);
            test->n++;
        }
    return 0;
}

static void plans_complete(Op *op, const StoreEvents *events)
{
    *((TestOp *) op)->count = ((TestOp *) op)->n;
}

static const OpClass plans_class = {.run = plans_run, .complete = plans_complete};

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
    g_mutex_init(&f->held);
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
    g_mutex_clear(&f->held);
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
    " SELECT CASE t.state WHEN 3 THEN CASE a.start WHEN 0 THEN 2 ELSE 3 END ELSE t.state END, 1"
    "  FROM tasks t JOIN batches b ON b.id = t.batch LEFT JOIN assignments a ON a.task = t.id WHERE b.phase = 1"
    " UNION ALL SELECT r.state, r.last - r.first + 1 FROM ranges r JOIN batches b ON b.id = r.batch WHERE b.phase = 1)"
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
    " OR b.succeeded <> ifnull((SELECT sum(n) FROM ends e WHERE e.batch = b.id AND e.state = 5), 0)"
    " OR b.failed <> ifnull((SELECT sum(n) FROM ends e WHERE e.batch = b.id AND e.state = 6), 0)"
    " OR b.cancelled <> ifnull((SELECT sum(n) FROM ends e WHERE e.batch = b.id AND e.state = 7), 0)"
    " OR b.skipped <> ifnull((SELECT sum(n) FROM ends e WHERE e.batch = b.id AND e.state = 8), 0)",
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

/* ------------------------------------------------------------------ submitting */

static void spec_free(gpointer spec)
{
    task_spec_free(spec);
}

Submission *submission_new(uint32_t uid, bool commit)
{
    Submission *submission = g_new0(Submission, 1);

    submission->tasks = g_ptr_array_new_with_free_func(spec_free);
    submission->uid = uid;
    submission->commit = commit;
    submission->submitted_usec = TEST_NOW;
    return submission;
}

TaskSpec *add_task(Fixture *f, Submission *submission, const char *name)
{
    TaskSpec *spec = task_spec_new();

    g_free(spec->name);
    spec->name = g_strdup(name);
    spec->argv = g_bytes_new_static("/bin/echo\0\xff\xfe\0", 13);
    spec->context = f->context->uid == submission->uid ? task_context_ref(f->context) : fixture_context_new(submission->uid, "/");
    g_ptr_array_add(submission->tasks, spec);
    return spec;
}

static void on_submitted(int r, Submission *submission, void *userdata)
{
    *(Submitted *) userdata = (Submitted){r, submission->batch, submission->first, submission->count};
}

Submitted submit(Fixture *f, Submission *submission)
{
    Submitted submitted = {.r = 1};

    f->port->submit(f->port, submission, on_submitted, &submitted);
    fixture_drain(f);
    g_assert_cmpint(submitted.r, <=, 0);
    return submitted;
}

Submitted submit_tasks(Fixture *f, unsigned n, int32_t priority)
{
    Submission *submission = submission_new(1000, true);
    Submitted submitted;

    for (unsigned i = 0; i < n; i++)
        add_task(f, submission, "")->priority = priority;
    submitted = submit(f, submission);
    g_assert_cmpint(submitted.r, ==, 0);
    return submitted;
}

Submitted submit_array(Fixture *f, uint64_t n, int32_t priority)
{
    Submission *submission = submission_new(1000, true);
    TaskSpec *spec = add_task(f, submission, "array");
    Submitted submitted;

    spec->array_index = 0;
    spec->array_count = n;
    spec->priority = priority;
    submitted = submit(f, submission);
    g_assert_cmpint(submitted.r, ==, 0);
    return submitted;
}

/* ------------------------------------------------------------------ reading */

typedef struct Loaded {
    GPtrArray *tasks;
    bool complete;
} Loaded;

static void on_window(int r, GPtrArray *tasks, bool complete, void *userdata)
{
    g_assert_cmpint(r, ==, 0);
    *(Loaded *) userdata = (Loaded){tasks, complete};
}

GPtrArray *load_window(Fixture *f, uint32_t user, size_t limit, bool *ret_complete)
{
    Loaded loaded = {0};

    f->port->load_window(f->port, user, limit, on_window, &loaded);
    fixture_drain(f);
    g_assert_nonnull(loaded.tasks);
    *ret_complete = loaded.complete;
    return loaded.tasks;
}

char *window_of(Fixture *f, uint32_t user, size_t limit)
{
    bool complete;
    g_autoptr(GPtrArray) tasks = load_window(f, user, limit, &complete);
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < tasks->len; i++)
        g_string_append_printf(text, "%s%" G_GUINT64_FORMAT, i > 0 ? " " : "", ((TaskSpec *) tasks->pdata[i])->id);
    if (!complete)
        g_string_append(text, " +");
    return g_string_free(text, FALSE);
}

static void on_row(int r, TaskRow *row, void *userdata)
{
    g_assert_true(r == 0 ? row != NULL : r == -ENOENT && !row);
    *(TaskRow **) userdata = row;
}

TaskRow *get_row(Fixture *f, uint64_t task)
{
    TaskRow *row = NULL;

    f->port->get(f->port, task, on_row, &row);
    fixture_drain(f);
    return row;
}

TaskState get_state(Fixture *f, uint64_t task)
{
    g_autoptr(TaskRow) row = get_row(f, task);

    g_assert_nonnull(row);
    return row->state;
}

typedef struct Page {
    GString *text;
    uint64_t cursor;
} Page;

static void on_rows(int r, GPtrArray *rows, uint64_t cursor, void *userdata)
{
    Page *page = userdata;

    g_assert_cmpint(r, ==, 0);
    for (guint i = 0; i < rows->len; i++) {
        const TaskRow *row = rows->pdata[i];
        g_assert_null(row->attempts);
        g_string_append_printf(page->text, "%s%" G_GUINT64_FORMAT, page->text->len > 0 ? " " : "", row->spec->id);
    }
    page->cursor = cursor;
    g_ptr_array_unref(rows);
}

char *list_ids(Fixture *f, TaskFilter *filter, uint64_t *ret_cursor)
{
    Page page = {.text = g_string_new(NULL), .cursor = UINT64_MAX};

    f->port->list(f->port, filter, on_rows, &page);
    fixture_drain(f);
    g_assert_cmpuint(page.cursor, !=, UINT64_MAX);
    if (ret_cursor)
        *ret_cursor = page.cursor;
    return g_string_free(page.text, FALSE);
}

char *list_all(Fixture *f, TaskFilter *(*make)(void *userdata), void *userdata, uint32_t limit, bool reverse)
{
    Page page = {.text = g_string_new(NULL)};

    do {
        TaskFilter *filter = make(userdata);
        filter->limit = limit;
        filter->reverse = reverse;
        filter->cursor = page.cursor;
        page.cursor = UINT64_MAX;
        f->port->list(f->port, filter, on_rows, &page);
        fixture_drain(f);
        g_assert_cmpuint(page.cursor, !=, UINT64_MAX);
    } while (page.cursor != 0);
    return g_string_free(page.text, FALSE);
}

TaskFilter *filter_ids(const uint64_t *ids, size_t n)
{
    TaskFilter *filter = task_filter_new();

    filter->ids = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    g_array_append_vals(filter->ids, ids, (guint) n);
    return filter;
}

TaskFilter *filter_batch(uint64_t batch)
{
    TaskFilter *filter = task_filter_new();

    filter->batch = batch;
    return filter;
}

TaskFilter *filter_states(uint32_t states)
{
    TaskFilter *filter = task_filter_new();

    filter->states = states;
    return filter;
}

TaskFilter *filter_all(void)
{
    return task_filter_new();
}

/* ------------------------------------------------------------------ assigning and settling */

void assign(Fixture *f, uint64_t task, uint64_t fence, uint32_t worker)
{
    f->port->assign(f->port, &(Assignment){.task = task, .fence = fence, .worker = worker}, 1);
    fixture_drain(f);
}

void started(Fixture *f, uint64_t task, uint64_t fence, uint64_t start_usec)
{
    f->port->started(f->port, &(Assignment){.task = task, .fence = fence, .start_usec = start_usec}, 1);
    fixture_drain(f);
}

Settlement settlement_of(uint64_t task, uint64_t fence, TaskState next, uint32_t attempts)
{
    return (Settlement){
        .result = {
            .task = task,
            .fence = fence,
            .outcome = OUTCOME_EXITED,
            .exit_status = next == TASK_SUCCEEDED ? 0 : 3,
            .start_usec = TEST_NOW + 10,
            .end_usec = TEST_NOW + 20,
            .cpu_nsec = 5000,
            .memory_peak_bytes = MEMORY_UNKNOWN,
        },
        .next = next,
        .attempted = attempts > 0,
        .attempts = attempts,
        .worker = 7,
    };
}

static void on_settled(int r, void *userdata)
{
    *(int *) userdata = r;
}

int settle(Fixture *f, Settlement settlement)
{
    int r = 1;

    f->port->settle(f->port, &settlement, 1, on_settled, &r);
    fixture_drain(f);
    return r;
}

void run_task(Fixture *f, uint64_t task, TaskState end)
{
    assign(f, task, 1, 7);
    started(f, task, 1, TEST_NOW + 10);
    g_assert_cmpint(settle(f, settlement_of(task, 1, end, 1)), ==, 0);
}

/* ------------------------------------------------------------------ cancelling */

void note_cancelled(int r, GArray *cancelled, GArray *held, void *userdata)
{
    GString *text = userdata;

    g_assert_cmpint(r, ==, 0);
    g_string_append_c(text, '<');
    for (guint i = 0; i < cancelled->len; i++) {
        IdRange range = g_array_index(cancelled, IdRange, i);
        g_assert_cmpuint(range.batch, >, 0);
        g_string_append_printf(text, "%s%" G_GUINT64_FORMAT, i > 0 ? " " : "", range.first);
        if (range.last > range.first)
            g_string_append_printf(text, "-%" G_GUINT64_FORMAT, range.last);
    }
    for (guint i = 0; i < held->len; i++)
        g_string_append_printf(text, "%s%" G_GUINT64_FORMAT, i > 0 ? " " : " | ", g_array_index(held, uint64_t, i));
    g_string_append_c(text, '>');
}

void wait_for_cancel(Fixture *f, GString *text)
{
    while (!g_str_has_suffix(text->str, ">"))
        fixture_drain(f);
}

char *cancel(Fixture *f, TaskFilter *filter, uint32_t only_uid)
{
    GString *text = g_string_new(NULL);

    f->port->cancel(f->port, filter, only_uid, TEST_NOW + 99, note_cancelled, text);
    wait_for_cancel(f, text);
    g_string_truncate(text, text->len - 1);
    g_string_erase(text, 0, 1);
    return g_string_free(text, FALSE);
}

static void on_facts(int r, const FilterFacts *facts, void *userdata)
{
    g_assert_cmpint(r, ==, 0);
    *(FilterFacts *) userdata = *facts;
}

FilterFacts examine(Fixture *f, TaskFilter *filter, uint32_t uid)
{
    FilterFacts facts = {.foreign = UINT64_MAX};

    f->port->examine(f->port, filter, uid, on_facts, &facts);
    fixture_drain(f);
    g_assert_cmpuint(facts.foreign, !=, UINT64_MAX);
    return facts;
}

WorkerRecord *worker_record_for_test(uint32_t number)
{
    WorkerRecord *record = g_new0(WorkerRecord, 1);

    record->number = number;
    record->spec = worker_spec_new();
    record->spec->slots = 2;
    record->spec->user = UID_ANYBODY;
    record->state = WORKER_STARTING;
    record->added_usec = TEST_NOW;
    for (size_t i = 0; i < LAUNCH_TOKEN_BYTES; i++)
        record->token[i] = (uint8_t) (number + i);
    return record;
}
