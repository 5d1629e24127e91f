/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Batches of several calls: invisible until committed, gone if they never are, also after a crash in between. */
#include "tests/unit/store/store-fixture.h"

static Submitted submit_part(Fixture *f, uint64_t batch, unsigned n, bool commit)
{
    Submission *submission = submission_new(1000, commit);
    Submitted submitted;

    submission->batch = batch;
    for (unsigned i = 0; i < n; i++)
        add_task(f, submission, "");
    submitted = submit(f, submission);
    g_assert_cmpint(submitted.r, ==, 0);
    return submitted;
}

/* Lets the removal of what was discarded take its course. */
static void let_discard(Fixture *f)
{
    for (int i = 0; i < 50; i++)
        fixture_drain(f);
}

static void test_commit(void)
{
    Fixture *f = fixture_new();
    Submitted first, second;

    first = submit_part(f, 0, 2, false);
    g_assert_cmpuint(first.count, ==, 2);
    submit_tasks(f, 1, 0);
    second = submit_part(f, first.batch, 2, false);
    g_assert_cmpuint(second.batch, ==, first.batch);
    g_assert_cmpuint(second.first, ==, 4);
    assert_string(window_of(f, UID_ANYBODY, 10), "3");
    g_assert_cmpuint(f->counts.by_state[TASK_QUEUED], ==, 1);
    g_assert_cmpuint(f->ended->len, ==, 0);
    submit_part(f, first.batch, 1, true);
    assert_string(window_of(f, UID_ANYBODY, 10), "1 2 3 4 5 6");
    g_assert_cmpuint(f->counts.by_state[TASK_QUEUED], ==, 6);
    assert_string(list_ids(f, filter_batch(first.batch), NULL), "1 2 4 5 6");
    fixture_verify(f);
    run_task(f, 1, TASK_SUCCEEDED);
    assert_string(cancel(f, filter_batch(first.batch), UID_ANYBODY), "2 4-6");
    g_assert_cmpuint(g_array_index(f->ended, BatchEnd, 0).count, ==, 5);
    fixture_free(f);
}

/* The call that commits may bring nothing. */
static void test_commit_only(void)
{
    Fixture *f = fixture_new();
    Submitted submitted, last;

    submitted = submit_part(f, 0, 3, false);
    last = submit_part(f, submitted.batch, 0, true);
    g_assert_cmpuint(last.count, ==, 0);
    g_assert_cmpuint(last.first, ==, 0);
    assert_string(window_of(f, UID_ANYBODY, 10), "1 2 3");

    /* of nothing at all: it ends at once */
    submitted = submit_part(f, 0, 0, false);
    g_assert_cmpuint(f->ended->len, ==, 0);
    submit_part(f, submitted.batch, 0, true);
    g_assert_cmpuint(f->ended->len, ==, 1);
    fixture_verify(f);
    fixture_free(f);
}

static void test_discard(void)
{
    Fixture *f = fixture_new();
    Submission *submission;
    Submitted submitted;

    submitted = submit_part(f, 0, 7000, false);
    submit_tasks(f, 1, 0);
    submission = submission_new(1000, false);
    submission->batch = submitted.batch;
    add_task(f, submission, "")->array_count = 100000000;
    submit(f, submission);
    f->port->discard_batch(f->port, submitted.batch);
    assert_string(window_of(f, UID_ANYBODY, 10), "7001");
    submission = submission_new(1000, true);
    submission->batch = submitted.batch;
    g_assert_cmpint(submit(f, submission).r, ==, -ESRCH);
    let_discard(f);
    fixture_close(f);
    g_assert_cmpint(fixture_query(f, "SELECT count(*) FROM tasks"), ==, 1);
    g_assert_cmpint(fixture_query(f, "SELECT count(*) FROM specs"), ==, 1);
    g_assert_cmpint(fixture_query(f, "SELECT count(*) FROM ranges"), ==, 0);
    g_assert_cmpint(fixture_query(f, "SELECT count(*) FROM batches"), ==, 1);
    fixture_open(f);
    g_assert_cmpuint(f->counts.by_state[TASK_QUEUED], ==, 1);
    g_assert_cmpuint(submit_tasks(f, 1, 0).first, ==, 100007002);
    fixture_verify(f);
    fixture_free(f);
}

/* Only what is open can be discarded. */
static void test_discard_refused(void)
{
    Fixture *f = fixture_new();
    Submitted submitted = submit_tasks(f, 2, 0);

    f->port->discard_batch(f->port, submitted.batch);
    f->port->discard_batch(f->port, 99);
    let_discard(f);
    assert_string(window_of(f, UID_ANYBODY, 10), "1 2");
    fixture_verify(f);
    fixture_free(f);
}

/* The daemon ends between two calls: the batch is gone, its ids are not given out again. */
static void test_restart_between_calls(void)
{
    Fixture *f = fixture_new();
    Submission *submission;
    Submitted submitted;

    submitted = submit_part(f, 0, 12000, false);
    submit_tasks(f, 1, 0);
    submit_part(f, submitted.batch, 3, false);
    fixture_reopen(f);
    assert_string(window_of(f, UID_ANYBODY, 10), "12001");
    submission = submission_new(1000, true);
    submission->batch = submitted.batch;
    g_assert_cmpint(submit(f, submission).r, ==, -ESRCH);
    /* and again, while it is being removed */
    fixture_reopen(f);
    let_discard(f);
    g_assert_cmpuint(submit_tasks(f, 1, 0).first, ==, 12005);
    fixture_close(f);
    g_assert_cmpint(fixture_query(f, "SELECT count(*) FROM tasks"), ==, 2);
    fixture_open(f);
    fixture_verify(f);
    fixture_free(f);
}

/* A commit, or another part, that the disk refuses leaves the batch as it was. */
static void test_refused_commit(void)
{
    Fixture *f = fixture_new();
    Submission *submission;
    Submitted submitted;

    submitted = submit_part(f, 0, 3, false);
    fixture_set_read_only(f, true);
    for (int commit = 0; commit < 2; commit++) {
        submission = submission_new(1000, commit);
        submission->batch = submitted.batch;
        add_task(f, submission, "");
        g_assert_cmpint(submit(f, submission).r, ==, -EROFS);
        assert_string(window_of(f, UID_ANYBODY, 10), "");
        g_assert_null(get_row(f, 1));
    }
    fixture_set_read_only(f, false);

    /* the same when it fails only at the end of the transaction */
    submission = submission_new(1000, true);
    submission->batch = submitted.batch;
    fixture_hold(f);
    f->port->submit(f->port, submission, NULL, NULL);
    fixture_set_read_only(f, true);
    fixture_release(f);
    fixture_drain(f);
    assert_string(window_of(f, UID_ANYBODY, 10), "");
    g_assert_cmpuint(f->counts.by_state[TASK_QUEUED], ==, 0);
    fixture_set_read_only(f, false);
    submit_part(f, submitted.batch, 1, false);
    assert_string(window_of(f, UID_ANYBODY, 10), "");
    submit_part(f, submitted.batch, 0, true);
    assert_string(window_of(f, UID_ANYBODY, 10), "1 2 3 4");
    fixture_drain(f);
    g_assert_cmpint(f->failing, ==, 0);
    fixture_verify(f);
    fixture_free(f);
}

static void test_large_commit(void)
{
    Fixture *f = fixture_new();
    Submitted submitted = { 0 };
    gint64 begin;

    for (int i = 0; i < 10; i++)
        submitted = submit_part(f, submitted.batch, 10000, false);
    begin = g_get_monotonic_time();
    submit_part(f, submitted.batch, 0, true);
    g_test_message("committing 100000 tasks of ten calls: %" G_GINT64_FORMAT " µs",
                   g_get_monotonic_time() - begin);
    g_assert_cmpuint(f->counts.by_state[TASK_QUEUED], ==, 100000);
    assert_string(window_of(f, UID_ANYBODY, 2), "1 2 +");
    begin = g_get_monotonic_time();
    assert_string(cancel(f, filter_batch(submitted.batch), UID_ANYBODY), "1-100000");
    g_test_message("cancelling them: %" G_GINT64_FORMAT " µs", g_get_monotonic_time() - begin);
    g_assert_cmpuint(f->ended->len, ==, 1);
    fixture_verify(f);
    fixture_free(f);
}

static void test_large_array(void)
{
    Fixture *f = fixture_new();
    gint64 begin = g_get_monotonic_time();

    submit_array(f, 100000, 0);
    g_test_message("submitting an array of 100000: %" G_GINT64_FORMAT " µs", g_get_monotonic_time() - begin);
    begin = g_get_monotonic_time();
    assert_string(cancel(f, filter_batch(1), UID_ANYBODY), "1-100000");
    g_test_message("cancelling it: %" G_GINT64_FORMAT " µs", g_get_monotonic_time() - begin);
    fixture_close(f);
    g_assert_cmpint(fixture_query(f, "SELECT count(*) FROM tasks"), ==, 0);
    g_assert_cmpint(fixture_query(f, "SELECT count(*) FROM ranges"), ==, 1);
    fixture_open(f);
    fixture_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/store/submit/commit", test_commit);
    g_test_add_func("/store/submit/commit-only", test_commit_only);
    g_test_add_func("/store/submit/discard", test_discard);
    g_test_add_func("/store/submit/discard-refused", test_discard_refused);
    g_test_add_func("/store/submit/restart-between-calls", test_restart_between_calls);
    g_test_add_func("/store/submit/refused-commit", test_refused_commit);
    g_test_add_func("/store/submit/large-commit", test_large_commit);
    g_test_add_func("/store/submit/large-array", test_large_array);
    return g_test_run();
}
