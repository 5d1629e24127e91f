/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The life of tasks in the store: submitted, handed out, settled; what is on disk afterwards. */
#include "tests/unit/store/store-fixture.h"

#include <sys/stat.h>

static void test_submit(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, true);
    Submitted first, second;
    TaskSpec *array;

    add_task(f, submission, "a");
    array = add_task(f, submission, "b");
    array->array_index = 10;
    array->array_count = 5;
    add_task(f, submission, "c");
    first = submit(f, submission);
    g_assert_cmpint(first.r, ==, 0);
    g_assert_cmpuint(first.batch, ==, 1);
    g_assert_cmpuint(first.first, ==, 1);
    g_assert_cmpuint(first.count, ==, 7);
    g_assert_cmpuint(f->counts.by_state[TASK_QUEUED], ==, 7);

    second = submit_tasks(f, 2, 0);
    g_assert_cmpuint(second.batch, ==, 2);
    g_assert_cmpuint(second.first, ==, 8);
    assert_string(window_of(f, UID_ANYBODY, 100), "1 2 3 4 5 6 7 8 9");
    fixture_verify(f);
    g_assert_cmpuint(f->counts.by_state[TASK_QUEUED], ==, 9);
    assert_string(window_of(f, UID_ANYBODY, 100), "1 2 3 4 5 6 7 8 9");
    g_assert_cmpuint(submit_tasks(f, 1, 0).first, ==, 10);
    fixture_free(f);
}

/* What was given comes back unharmed, of a row, a window and a listing alike. */
static void test_spec_is_kept(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, true);
    TaskSpec *spec = add_task(f, submission, "näme");
    g_autoptr(GPtrArray) window = NULL;
    g_autoptr(TaskRow) row = NULL;
    g_autoptr(TaskContext) context = fixture_context_new(1000, "/elsewhere");
    bool complete;

    task_context_unref(spec->context);
    context->streams[STREAM_STDIN] = g_bytes_new_static("/in\0", 4);
    context->memory_max_bytes = 123456789;
    spec->context = task_context_ref(context);
    spec->tags = g_strdup("one\ntwo");
    spec->priority = INT32_MIN;
    spec->has_fds = true;
    spec->array_index = 41;
    g_assert_cmpint(submit(f, submission).r, ==, 0);
    fixture_reopen(f);

    window = load_window(f, UID_ANYBODY, 10, &complete);
    row = get_row(f, 1);
    g_assert_cmpuint(window->len, ==, 1);
    for (int i = 0; i < 2; i++) {
        const TaskSpec *got = i == 0 ? window->pdata[0] : row->spec;
        g_assert_cmpuint(got->id, ==, 1);
        g_assert_cmpuint(got->batch, ==, 1);
        g_assert_cmpstr(got->name, ==, "näme");
        g_assert_cmpstr(got->tags, ==, "one\ntwo");
        g_assert_cmpint(got->priority, ==, INT32_MIN);
        g_assert_true(got->has_fds);
        g_assert_null(got->fds);
        g_assert_cmpuint(got->array_index, ==, 41);
        g_assert_cmpuint(got->array_count, ==, 1);
        g_assert_cmpmem(g_bytes_get_data(got->argv, NULL), g_bytes_get_size(got->argv),
                        "/bin/echo\0\xff\xfe\0", 13);
        g_assert_true(task_context_equal(got->context, context));
        g_assert_cmpuint(got->context->id, ==, 1);
    }
    g_assert_cmpint(row->state, ==, TASK_QUEUED);
    g_assert_cmpuint(row->attempt, ==, 0);
    g_assert_cmpuint(row->submitted_usec, >, 0);
    g_assert_cmpint(row->result.outcome, ==, OUTCOME_NONE);
    fixture_free(f);
}

static void test_contexts_are_shared(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 3, 0);
    fixture_reopen(f);
    submit_tasks(f, 3, 0);
    for (int i = 0; i < 3; i++) {
        Submission *submission = submission_new(1001, true);
        add_task(f, submission, "equal, but another object each time");
        submit(f, submission);
    }
    fixture_close(f);
    g_assert_cmpint(fixture_query(f, "SELECT count(*) FROM contexts"), ==, 2);
    fixture_open(f);
    fixture_free(f);
}

/* More contexts than are remembered in memory. */
static void test_many_contexts(void)
{
    Fixture *f = fixture_new();
    g_autoptr(GPtrArray) window = NULL;
    const unsigned n = 700;
    bool complete;

    for (int round = 0; round < 2; round++) {
        Submission *submission = submission_new(1000, true);
        for (unsigned i = 0; i < n; i++) {
            g_autofree char *cwd = g_strdup_printf("/%u", i);
            TaskSpec *spec = add_task(f, submission, "");
            task_context_unref(spec->context);
            spec->context = fixture_context_new(1000, cwd);
        }
        g_assert_cmpint(submit(f, submission).r, ==, 0);
    }
    window = load_window(f, UID_ANYBODY, 2 * n, &complete);
    g_assert_cmpuint(window->len, ==, 2 * n);
    for (unsigned i = 0; i < 2 * n; i++) {
        g_autofree char *cwd = g_strdup_printf("/%u", i % n);
        const TaskSpec *spec = window->pdata[i];
        g_assert_cmpstr(g_bytes_get_data(spec->context->cwd, NULL), ==, cwd);
    }
    fixture_close(f);
    g_assert_cmpint(fixture_query(f, "SELECT count(*) FROM contexts"), ==, n);
    fixture_open(f);
    fixture_free(f);
}

static void test_submit_refused(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, true);
    Submitted submitted;

    add_task(f, submission, "")->array_count = INT64_MAX;
    g_assert_cmpint(submit(f, submission).r, ==, -E2BIG);
    submission = submission_new(1000, true);
    add_task(f, submission, "")->array_count = INT64_MAX / 2;
    add_task(f, submission, "")->array_count = INT64_MAX / 2 + 10;
    g_assert_cmpint(submit(f, submission).r, ==, -E2BIG);
    submission = submission_new(1000, true);
    add_task(f, submission, "")->array_count = UINT64_MAX;
    g_assert_cmpint(submit(f, submission).r, ==, -E2BIG);
    submission = submission_new(1000, true);
    add_task(f, submission, "")->array_count = 0;
    g_assert_cmpint(submit(f, submission).r, ==, -EINVAL);

    submission = submission_new(1000, true);
    submission->batch = 99;
    g_assert_cmpint(submit(f, submission).r, ==, -ESRCH);
    submitted = submit(f, submission_new(1000, false));
    g_assert_cmpint(submitted.r, ==, 0);
    submission = submission_new(1001, true);
    submission->batch = submitted.batch;
    g_assert_cmpint(submit(f, submission).r, ==, -ESRCH);
    submission = submission_new(1000, true);
    submission->batch = submitted.batch;
    g_assert_cmpint(submit(f, submission).r, ==, 0);
    submission = submission_new(1000, true);
    submission->batch = submitted.batch;
    g_assert_cmpint(submit(f, submission).r, ==, -EALREADY);

    /* nothing of this left a trace */
    submitted = submit_tasks(f, 1, 0);
    g_assert_cmpuint(submitted.first, ==, 1);
    g_assert_cmpuint(submitted.batch, ==, 2);
    fixture_verify(f);
    fixture_free(f);
}

/* The last ids there are. */
static void test_ids_run_out(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, true);
    Submitted submitted;
    uint64_t cursor;
    TaskFilter *filter;

    submitted = submit_array(f, INT64_MAX - 10, 0);
    g_assert_cmpuint(submitted.count, ==, INT64_MAX - 10);
    for (int i = 0; i < 10; i++)
        add_task(f, submission, "");
    g_assert_cmpint(submit(f, submission).r, ==, -E2BIG);
    g_assert_cmpuint(submit_tasks(f, 9, 5).first, ==, INT64_MAX - 9);
    submission = submission_new(1000, true);
    add_task(f, submission, "");
    g_assert_cmpint(submit(f, submission).r, ==, -E2BIG);
    assert_string(window_of(f, UID_ANYBODY, 1), "9223372036854775798 +");
    filter = filter_all();
    filter->reverse = true;
    filter->limit = 2;
    assert_string(list_ids(f, filter, &cursor), "9223372036854775806 9223372036854775805");
    g_assert_cmpuint(cursor, ==, 9223372036854775805U);
    fixture_free(f);
}

static void test_started_and_settled(void)
{
    Fixture *f = fixture_new();
    Settlement settlement;
    g_autoptr(TaskRow) row = NULL;
    g_autoptr(TaskRow) ended = NULL;
    const AttemptRow *attempt;

    submit_tasks(f, 2, 0);
    assign(f, 1, 1, 7);
    assert_string(window_of(f, UID_ANYBODY, 10), "2");
    g_assert_cmpint(get_state(f, 1), ==, TASK_QUEUED);
    g_assert_cmpuint(f->counts.by_state[TASK_QUEUED], ==, 2);
    started(f, 1, 1, 1234);
    g_assert_cmpuint(f->counts.by_state[TASK_RUNNING], ==, 1);
    row = get_row(f, 1);
    g_assert_cmpint(row->state, ==, TASK_RUNNING);
    g_assert_cmpuint(row->attempt, ==, 1);
    g_assert_cmpuint(row->worker, ==, 7);
    g_assert_cmpuint(row->start_usec, ==, 1234);
    g_assert_cmpuint(row->spec->fence, ==, 1);

    settlement = settlement_of(1, 1, TASK_FAILED, 1);
    settlement.result.stderr_tail = g_bytes_new_static("oh\0no", 5);
    settlement.reason = g_strdup("because");
    g_assert_cmpint(settle(f, settlement), ==, 0);
    fixture_verify(f);
    g_assert_cmpuint(f->counts.by_state[TASK_RUNNING], ==, 0);
    g_assert_cmpuint(f->counts.by_state[TASK_FAILED], ==, 1);
    ended = get_row(f, 1);
    g_assert_cmpint(ended->state, ==, TASK_FAILED);
    g_assert_cmpuint(ended->attempt, ==, 1);
    g_assert_cmpuint(ended->worker, ==, 7);
    g_assert_cmpstr(ended->reason, ==, "because");
    g_assert_cmpint(ended->result.outcome, ==, OUTCOME_EXITED);
    g_assert_cmpint(ended->result.exit_status, ==, 3);
    g_assert_cmpuint(ended->attempts->len, ==, 1);
    attempt = ended->attempts->pdata[0];
    g_assert_cmpuint(attempt->attempt, ==, 1);
    g_assert_cmpuint(attempt->worker, ==, 7);
    g_assert_cmpuint(attempt->result.cpu_nsec, ==, 5000);
    g_assert_cmpuint(attempt->result.memory_peak_bytes, ==, MEMORY_UNKNOWN);
    g_assert_cmpmem(g_bytes_get_data(attempt->result.stderr_tail, NULL),
                    g_bytes_get_size(attempt->result.stderr_tail), "oh\0no", 5);
    fixture_free(f);
}

/* A result is applied once, and only of the latest assignment. */
static void test_fence(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 1, 0);
    assign(f, 1, 5, 7);
    g_assert_cmpint(settle(f, settlement_of(1, 4, TASK_SUCCEEDED, 1)), ==, 0);
    g_assert_cmpint(settle(f, settlement_of(1, 6, TASK_SUCCEEDED, 1)), ==, 0);
    started(f, 1, 4, 77);
    g_assert_cmpint(get_state(f, 1), ==, TASK_QUEUED);
    g_assert_cmpint(settle(f, settlement_of(1, 5, TASK_FAILED, 1)), ==, 0);
    g_assert_cmpint(settle(f, settlement_of(1, 5, TASK_SUCCEEDED, 2)), ==, 0);
    g_assert_cmpint(settle(f, settlement_of(99, 5, TASK_SUCCEEDED, 1)), ==, 0);
    g_assert_cmpint(get_state(f, 1), ==, TASK_FAILED);
    g_assert_cmpuint(f->counts.by_state[TASK_FAILED], ==, 1);
    fixture_verify(f);
    fixture_free(f);
}

static void test_requeue(void)
{
    Fixture *f = fixture_new();
    g_autoptr(TaskRow) row = NULL;
    g_autoptr(TaskRow) again = NULL;
    Settlement settlement;

    submit_tasks(f, 2, 0);
    assign(f, 1, 1, 7);
    started(f, 1, 1, 55);
    settlement = settlement_of(1, 1, TASK_QUEUED, 1);
    settlement.result.outcome = OUTCOME_LOST;
    settlement.lost = 1;
    g_assert_cmpint(settle(f, settlement), ==, 0);
    assert_string(window_of(f, UID_ANYBODY, 10), "1 2");
    row = get_row(f, 1);
    g_assert_cmpint(row->state, ==, TASK_QUEUED);
    g_assert_cmpuint(row->attempt, ==, 1);
    g_assert_cmpuint(row->spec->attempts, ==, 1);
    g_assert_cmpuint(row->spec->lost, ==, 1);
    g_assert_cmpuint(row->spec->fence, ==, 1);
    g_assert_cmpint(row->result.outcome, ==, OUTCOME_LOST);

    /* a late result of the first attempt changes nothing */
    settle(f, settlement_of(1, 1, TASK_SUCCEEDED, 1));
    g_assert_cmpint(get_state(f, 1), ==, TASK_QUEUED);

    /* handed out and taken back without having been started */
    assign(f, 1, 2, 8);
    settle(f, (Settlement){
                  .result = { .task = 1, .fence = 2 }, .next = TASK_QUEUED, .attempts = 1, .lost = 1 });
    assign(f, 1, 3, 9);
    started(f, 1, 3, 66);
    again = get_row(f, 1);
    g_assert_cmpint(again->state, ==, TASK_RUNNING);
    g_assert_cmpuint(again->attempt, ==, 2);
    g_assert_cmpuint(again->worker, ==, 9);
    g_assert_cmpint(again->result.outcome, ==, OUTCOME_NONE);
    g_assert_cmpuint(again->attempts->len, ==, 1);
    settle(f, settlement_of(1, 3, TASK_SUCCEEDED, 2));
    g_assert_cmpint(get_state(f, 1), ==, TASK_SUCCEEDED);
    fixture_verify(f);
    fixture_free(f);
}

/* A task that nobody holds can be ended, too: its descriptors are gone. */
static void test_settle_waiting(void)
{
    Fixture *f = fixture_new();
    Settlement settlement = { .result = { .task = 1 }, .next = TASK_FAILED, .reason = g_strdup("gone") };
    g_autoptr(TaskRow) row = NULL;

    submit_tasks(f, 1, 0);
    submit_array(f, 10, 0);
    g_assert_cmpint(settle(f, settlement), ==, 0);
    settlement = (Settlement){ .result = { .task = 5 }, .next = TASK_FAILED };
    g_assert_cmpint(settle(f, settlement), ==, 0);
    settlement = (Settlement){ .result = { .task = 6, .fence = 1 }, .next = TASK_FAILED };
    g_assert_cmpint(settle(f, settlement), ==, 0);
    row = get_row(f, 1);
    g_assert_cmpint(row->state, ==, TASK_FAILED);
    g_assert_cmpstr(row->reason, ==, "gone");
    g_assert_cmpuint(row->result.end_usec, >, 0);
    assert_string(window_of(f, UID_ANYBODY, 20), "2 3 4 6 7 8 9 10 11");
    g_assert_cmpuint(f->counts.by_state[TASK_FAILED], ==, 2);
    g_assert_cmpuint(f->ended->len, ==, 1);
    fixture_verify(f);
    fixture_free(f);
}

static void test_batch_end(void)
{
    Fixture *f = fixture_new();
    const BatchEnd *end;

    submit_tasks(f, 3, 0);
    run_task(f, 1, TASK_SUCCEEDED);
    run_task(f, 2, TASK_FAILED);
    g_assert_cmpuint(f->ended->len, ==, 0);
    assert_string(cancel(f, FILTER_IDS(3), UID_ANYBODY), "3");
    g_assert_cmpuint(f->ended->len, ==, 1);
    end = &g_array_index(f->ended, BatchEnd, 0);
    g_assert_cmpuint(end->batch, ==, 1);
    g_assert_cmpuint(end->count, ==, 3);
    g_assert_cmpuint(end->succeeded, ==, 1);
    g_assert_cmpuint(end->failed, ==, 1);
    g_assert_cmpuint(end->cancelled, ==, 1);
    g_assert_cmpuint(end->single, ==, 0);

    /* of one task: told with how it ended */
    submit_tasks(f, 1, 0);
    run_task(f, 4, TASK_FAILED);
    end = &g_array_index(f->ended, BatchEnd, 1);
    g_assert_cmpuint(end->single, ==, 4);
    g_assert_cmpuint(end->worker, ==, 7);
    g_assert_cmpint(end->result.outcome, ==, OUTCOME_EXITED);
    g_assert_cmpint(end->result.exit_status, ==, 3);

    submit_tasks(f, 1, 0);
    assert_string(cancel(f, FILTER_IDS(5), UID_ANYBODY), "5");
    end = &g_array_index(f->ended, BatchEnd, 2);
    g_assert_cmpuint(end->single, ==, 5);
    g_assert_cmpuint(end->worker, ==, 0);
    g_assert_cmpint(end->result.outcome, ==, OUTCOME_NONE);

    /* of none */
    submit(f, submission_new(1000, true));
    end = &g_array_index(f->ended, BatchEnd, 3);
    g_assert_cmpuint(end->count, ==, 0);
    g_assert_cmpuint(f->ended->len, ==, 4);
    fixture_free(f);
}

static void assert_big_worker(const WorkerRecord *got, const WorkerRecord *record)
{
    g_assert_cmpuint(got->number, ==, 1);
    g_assert_cmpstr(got->spec->name, ==, "big");
    g_assert_cmpuint(got->spec->limits.memory_max_bytes, ==, UINT64_C(8) << 30);
    g_assert_cmpuint(got->spec->limits.memory_high_bytes, ==, LIMIT_INFINITY);
    g_assert_cmpuint(got->spec->limits.cpu_quota_usec_per_sec, ==, LIMIT_INFINITY);
    g_assert_cmpstr(got->spec->limits.allowed_cpus, ==, "0-3");
    g_assert_cmpuint(got->spec->slots, ==, 2);
    g_assert_cmpint(got->spec->engine, ==, ENGINE_CGROUP);
    g_assert_cmpuint(got->spec->user, ==, 0);
    g_assert_true(got->spec->forced);
    g_assert_cmpmem(g_bytes_get_data(got->spec->environment, NULL), g_bytes_get_size(got->spec->environment),
                    "X=1", 4);
    g_assert_cmpint(got->state, ==, WORKER_RUNNING);
    g_assert_cmpint(got->process.pid, ==, 99);
    g_assert_cmpuint(got->process.start_time, ==, 1234);
    g_assert_cmpstr(got->process.unit, ==, "");
    g_assert_cmpstr(got->process.control_group, ==, "/a/b");
    g_assert_cmpmem(got->token, LAUNCH_TOKEN_BYTES, record->token, LAUNCH_TOKEN_BYTES);
    g_assert_cmpuint(got->added_usec, ==, record->added_usec);
    g_assert_cmpuint(got->tasks_done, ==, 5);
    g_assert_cmpuint(got->tasks_failed, ==, 6);
}

static void test_workers_and_settings(void)
{
    Fixture *f = fixture_new();
    WorkerRecord *record = worker_record_for_test(1);
    WorkerRecord *other = worker_record_for_test(2);
    const WorkerRecord *got;

    g_assert_cmpuint(f->snapshot->next_worker, ==, 1);
    g_assert_true(f->snapshot->enabled);
    g_free(record->spec->name);
    record->spec->name = g_strdup("big");
    record->spec->limits.memory_max_bytes = UINT64_C(8) << 30;
    record->spec->limits.allowed_cpus = g_strdup("0-3");
    record->spec->engine = ENGINE_CGROUP;
    record->spec->user = 0;
    record->spec->forced = true;
    record->spec->environment = g_bytes_new_static("X=1", 4);
    f->port->add_worker(f->port, record, note_done, f);
    f->port->add_worker(f->port, other, note_done, f);
    record->state = WORKER_RUNNING;
    record->process = (WorkerProcess){
        .pid = 99, .start_time = 1234, .unit = g_strdup(""), .control_group = g_strdup("/a/b")
    };
    record->tasks_done = 5;
    record->tasks_failed = 6;
    f->port->update_worker(f->port, record);
    f->port->forget_worker(f->port, 2);
    f->port->set_enabled(f->port, false, note_done, f);
    fixture_drain(f);
    g_assert_cmpstr(f->log->str, ==, "done done done ");
    fixture_reopen(f);

    g_assert_false(f->snapshot->enabled);
    g_assert_cmpuint(f->snapshot->next_worker, ==, 3);
    g_assert_cmpuint(f->snapshot->workers->len, ==, 1);
    got = f->snapshot->workers->pdata[0];
    assert_big_worker(got, record);

    /* the process is not known yet: told apart from "none" */
    f->port->add_worker(f->port, other, NULL, NULL);
    fixture_reopen(f);
    got = f->snapshot->workers->pdata[1];
    g_assert_null(got->process.unit);
    g_assert_cmpuint(got->spec->user, ==, UID_ANYBODY);
    worker_record_free(record);
    worker_record_free(other);
    fixture_free(f);
}

/* A number that is taken already is a bug: answered, and nothing else of the group suffers. */
static void test_one_bad_does_not_spoil_the_group(void)
{
    Fixture *f = fixture_new();
    WorkerRecord *record = worker_record_for_test(1);
    Submission *submission = submission_new(1000, true);
    Submitted submitted = { .r = 1 };

    add_task(f, submission, "");
    fixture_hold(f);
    f->port->add_worker(f->port, record, note_done, f);
    f->port->add_worker(f->port, record, note_done, f);
    f->port->submit(f->port, submission, NULL, NULL);
    f->port->set_enabled(f->port, false, note_done, f);
    fixture_release(f);
    fixture_drain(f);
    g_assert_cmpstr(f->log->str, ==, "done Invalid argument done ");
    g_assert_cmpuint(f->counts.by_state[TASK_QUEUED], ==, 1);
    submitted = submit_tasks(f, 1, 0);
    g_assert_cmpuint(submitted.first, ==, 2);
    g_assert_cmpint(f->n_failing, ==, 0);
    fixture_verify(f);
    worker_record_free(record);
    fixture_free(f);
}

static void test_snapshot_holds(void)
{
    Fixture *f = fixture_new();
    const HeldTask *held;

    submit_tasks(f, 3, 4);
    submit_array(f, 5, 9);
    assign(f, 2, 3, 7);
    started(f, 2, 3, 555);
    assign(f, 6, 1, 8);
    run_task(f, 1, TASK_SUCCEEDED);
    assert_string(cancel(f, FILTER_IDS(6, 3), UID_ANYBODY), "3 | 6");
    fixture_verify(f);
    g_assert_cmpuint(f->snapshot->held->len, ==, 2);
    held = f->snapshot->held->pdata[0];
    g_assert_cmpuint(held->spec->id, ==, 2);
    g_assert_cmpuint(held->spec->fence, ==, 3);
    g_assert_cmpint(held->spec->priority, ==, 4);
    g_assert_cmpuint(held->worker, ==, 7);
    g_assert_cmpuint(held->start_usec, ==, 555);
    g_assert_false(held->cancelled);
    g_assert_true(task_context_equal(held->spec->context, f->context));
    held = f->snapshot->held->pdata[1];
    g_assert_cmpuint(held->spec->id, ==, 6);
    g_assert_cmpuint(held->spec->array_index, ==, 2);
    g_assert_cmpstr(held->spec->name, ==, "array");
    g_assert_cmpuint(held->worker, ==, 8);
    g_assert_cmpuint(held->start_usec, ==, 0);
    g_assert_true(held->cancelled);
    fixture_free(f);
}

static void test_file_is_private(void)
{
    Fixture *f = fixture_new();
    g_autofree char *path = g_build_filename(f->directory, "parexec.db", NULL);
    g_autofree char *wal = g_strconcat(path, "-wal", NULL);
    struct stat status;

    submit_tasks(f, 1, 0);
    g_assert_cmpint(stat(path, &status), ==, 0);
    g_assert_cmpint(status.st_mode & 0777, ==, 0600);
    g_assert_cmpint(stat(wal, &status), ==, 0);
    g_assert_cmpint(status.st_mode & 0777, ==, 0600);
    fixture_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/store/submit", test_submit);
    g_test_add_func("/store/spec-is-kept", test_spec_is_kept);
    g_test_add_func("/store/contexts-are-shared", test_contexts_are_shared);
    g_test_add_func("/store/many-contexts", test_many_contexts);
    g_test_add_func("/store/submit-refused", test_submit_refused);
    g_test_add_func("/store/ids-run-out", test_ids_run_out);
    g_test_add_func("/store/started-and-settled", test_started_and_settled);
    g_test_add_func("/store/fence", test_fence);
    g_test_add_func("/store/requeue", test_requeue);
    g_test_add_func("/store/settle-waiting", test_settle_waiting);
    g_test_add_func("/store/batch-end", test_batch_end);
    g_test_add_func("/store/workers-and-settings", test_workers_and_settings);
    g_test_add_func("/store/one-bad-does-not-spoil-the-group", test_one_bad_does_not_spoil_the_group);
    g_test_add_func("/store/snapshot-holds", test_snapshot_holds);
    g_test_add_func("/store/file-is-private", test_file_is_private);
    return g_test_run();
}
