/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Forgetting what ended long ago: what goes, what stays because others wait for it, and that the sums follow. */
#include "tests/unit/store/store-fixture.h"

#define NOW ((uint64_t) g_get_real_time())

static void finish(Fixture *f)
{
    fixture_verify(f);
    fixture_free(f);
}

static int64_t rows(Fixture *f, const char *literal)
{
    int64_t n;

    fixture_close(f);
    n = fixture_query(f, literal);
    fixture_open(f);
    return n;
}

/* The batch ended so long ago. */
static void make_old(Fixture *f, uint64_t batch, uint64_t ended_usec)
{
    g_autofree char *literal = g_strdup_printf("UPDATE batches SET ended = %" G_GUINT64_FORMAT
                                               " WHERE ended IS NOT NULL AND id = %" G_GUINT64_FORMAT,
                                               ended_usec, batch);

    fixture_close(f);
    fixture_query(f, literal);
    fixture_open(f);
}

/* Everything that there is about tasks. */
static const char all_rows[] =
    "SELECT (SELECT count(*) FROM tasks) + (SELECT count(*) FROM ranges) + (SELECT count(*) FROM specs)"
    " + (SELECT count(*) FROM batches) + (SELECT count(*) FROM segments) + (SELECT count(*) FROM attempts)"
    " + (SELECT count(*) FROM results) + (SELECT count(*) FROM gates) + (SELECT count(*) FROM edges)"
    " + (SELECT count(*) FROM waits) + (SELECT count(*) FROM keys) + (SELECT count(*) FROM assignments)";

static void test_time(void)
{
    Fixture *f = fixture_new();

    for (uint64_t id = 1; id <= 4; id++) {
        submit_tasks(f, 1, 0);
        if (id < 4)
            run_again(f, id, id == 2 ? TASK_FAILED : TASK_SUCCEEDED);
    }
    make_old(f, 1, 1000);
    make_old(f, 2, 2000);
    make_old(f, 3, 3000);
    g_assert_cmpuint(prune(f, 1000), ==, 1);
    assert_states(f, 1, 4, "SFSq");
    prune(f, 2001);
    assert_states(f, 1, 4, "--Sq");
    g_assert_cmpuint(f->counts.by_state[TASK_SUCCEEDED], ==, 1);
    g_assert_cmpuint(f->counts.by_state[TASK_FAILED], ==, 0);
    g_assert_cmpuint(f->counts.by_state[TASK_QUEUED], ==, 1);
    fixture_reopen(f);
    g_assert_cmpuint(f->counts.by_state[TASK_SUCCEEDED], ==, 1);
    prune(f, UINT64_MAX);
    assert_states(f, 1, 4, "---q"); /* what lives stays, however late it is */
    submit_tasks(f, 1, 0);
    assert_states(f, 4, 5, "qq"); /* ids are not given out again */
    finish(f);
}

/* Of every kind of row nothing is left. */
static void test_whole(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, true);
    Settlement settlement = settlement_of(2, 1, TASK_SUCCEEDED, 1);

    submission->key = g_strdup("key");
    add_task(f, submission, "");
    add_task(f, submission, "");
    add_after(f, submission, "afterok:p0");
    gate_of(add_after(f, submission, "afterany:p1"))->delay_usec = 10;
    TaskSpec *array = add_after(f, submission, "afterok:p1");
    array->array_index = 0;
    array->array_count = 50;
    submit(f, submission);
    submit_after(f, "afterany:batch:1"); /* 55, batch 2 */
    run_again(f, 1, TASK_FAILED);
    settlement.result.data = g_bytes_new_static("x", 1);
    settlement.result.note = g_strdup("a note");
    begin(f, 2);
    settle(f, settlement);
    assert_text(cancel(f, filter_batch(1), UID_ANYBODY), "4-54");
    run_again(f, 55, TASK_SUCCEEDED);
    g_assert_cmpuint(f->ended->len, ==, 2);
    fixture_verify(f);
    prune(f, NOW + 1000);
    g_assert_cmpint(rows(f, all_rows), ==, 0);
    for (int state = 0; state < _TASK_STATE_MAX; state++)
        g_assert_cmpuint(f->counts.by_state[state], ==, 0);
    finish(f);
}

/* Those that somebody still waits for. */
static void test_awaited(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 1, 0); /* batch 1 */
    submit_tasks(f, 1, 0); /* batch 2 */
    submit_tasks(f, 1, 0); /* batch 3: lives */
    submit_after(f, "afterok:1,afterok:3");             /* 4 */
    submit_after(f, "afterok:batch:2,afterok:batch:3"); /* 5 */
    run_again(f, 1, TASK_SUCCEEDED);
    run_again(f, 2, TASK_SUCCEEDED);
    prune(f, NOW + 1000);
    assert_states(f, 1, 5, "SSqbb");
    run_again(f, 3, TASK_SUCCEEDED);
    assert_states(f, 4, 5, "qq");
    prune(f, NOW + 1000); /* nobody does any more */
    assert_states(f, 1, 5, "---qq");
    run_again(f, 4, TASK_FAILED);
    assert_text(modify(f, FILTER_IDS(4), TASK_RETRY, NULL), "1:"); /* what it waited for has been */
    assert_states(f, 4, 4, "q");
    finish(f);
}

/* A batch of several calls goes as a whole or not at all. */
static void test_awaited_call(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, false);

    add_task(f, submission, ""); /* 1 */
    submit(f, submission);
    submission = submission_new(1000, true);
    submission->batch = 1;
    add_task(f, submission, ""); /* 2 */
    submit(f, submission);
    submit_tasks(f, 1, 0);              /* 3: lives */
    submit_after(f, "afterok:2,afterok:3"); /* 4 */
    run_again(f, 1, TASK_SUCCEEDED);
    run_again(f, 2, TASK_SUCCEEDED);
    prune(f, NOW + 1000);
    assert_states(f, 1, 4, "SSqb");
    run_again(f, 3, TASK_SUCCEEDED);
    prune(f, NOW + 1000);
    assert_states(f, 1, 4, "---q");
    finish(f);
}

/* Element by element: they are awaited as long as one of those that wait has not been let on. */
static void test_awaited_elements(void)
{
    Fixture *f = fixture_new();

    submit_array(f, 2, 0);                   /* 1-2 */
    submit_array_after(f, 2, "aftercorr:1"); /* 3-4 */
    g_free(modify(f, FILTER_IDS(4), TASK_HOLD, NULL));
    run_again(f, 1, TASK_SUCCEEDED);
    run_again(f, 2, TASK_SUCCEEDED);
    prune(f, NOW + 1000);
    assert_text(modify(f, FILTER_IDS(4), TASK_RELEASE, NULL), "1:");
    assert_states(f, 3, 4, "qq");
    finish(f);
}

/* A batch that was dropped before it was committed waits for nobody. */
static void test_discarded(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, false);

    submit_tasks(f, 2, 0); /* 1-2 */
    add_after(f, submission, "afterok:1,afterok:2");
    uint64_t batch = submit(f, submission).batch;
    f->port->discard_batch(f->port, batch);
    fixture_drain(f);
    run_again(f, 1, TASK_SUCCEEDED);
    run_again(f, 2, TASK_SUCCEEDED);
    prune(f, NOW + 1000);
    assert_states(f, 1, 2, "--");
    finish(f);
}

/* Its parent was forgotten: that is no reason to run, and none to crash. */
static void test_forgotten(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, true);

    submit_tasks(f, 1, 0);
    gate_of(add_after(f, submission, "afterok:1"))->keep_unsatisfied = true; /* 2 */
    submit(f, submission);
    run_again(f, 1, TASK_FAILED);
    prune(f, NOW + 1000);
    assert_states(f, 1, 2, "-b");
    assert_text(explain(f, 2), "dependency: it waits for afterok:1: task 1 is not known any more, so this can no longer come; "
                               "parctl retry there, or parctl cancel here");
    submission = submission_new(1000, true);
    add_after(f, submission, "afterok:1");
    g_assert_cmpint(submit(f, submission).r, ==, -ENOENT);
    finish(f);
}

/* Very large ones go in portions, between which others get their turn; an interruption loses nothing. */
static void test_large(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, true);
    unsigned n;

    for (int i = 0; i < 5000; i++)
        add_task(f, submission, "");
    submit(f, submission);
    submit_array(f, 1000000, 0);
    g_free(cancel(f, filter_batch(1), UID_ANYBODY));
    g_free(cancel(f, filter_batch(2), UID_ANYBODY));
    g_assert_cmpuint(f->counts.by_state[TASK_CANCELLED], ==, 1005000);
    n = prune(f, NOW + 1000);
    g_assert_cmpuint(n, >, 3);
    g_assert_cmpuint(n, <, 30);
    g_assert_cmpuint(f->counts.by_state[TASK_CANCELLED], ==, 0);
    g_assert_cmpint(rows(f, all_rows), ==, 0);
    finish(f);
}

static void note_pruned(int r, bool more, void *userdata)
{
    g_assert_cmpint(r, ==, 0);
    *(bool *) userdata = more;
}

static void test_interrupted(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, true);
    bool more = false;

    for (int i = 0; i < 3000; i++)
        add_task(f, submission, "");
    submit(f, submission);
    g_free(cancel(f, filter_batch(1), UID_ANYBODY));
    f->port->prune(f->port, NOW + 1000, note_pruned, &more);
    fixture_drain(f);
    g_assert_true(more);
    fixture_reopen(f);
    prune(f, NOW + 1000);
    g_assert_cmpuint(f->counts.by_state[TASK_CANCELLED], ==, 0);
    g_assert_cmpint(rows(f, all_rows), ==, 0);
    finish(f);
}

/* Half forgotten, it is not to come back to life. */
static void test_retry_meanwhile(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, true);
    bool more = false;

    for (int i = 0; i < 3000; i++)
        add_task(f, submission, "");
    submit(f, submission);
    g_free(cancel(f, filter_batch(1), UID_ANYBODY));
    f->port->prune(f->port, NOW + 1000, note_pruned, &more);
    fixture_drain(f);
    g_assert_true(more);
    g_autofree char *told = modify(f, filter_batch(1), TASK_RETRY, NULL);
    prune(f, NOW + 1000);
    g_autofree char *window = window_of(f, UID_ANYBODY, 1000000);
    /* either all of it that was still there lives, or nothing does: the sums fit */
    fixture_close(f);
    g_assert_cmpint(fixture_query(f, "SELECT count(*) FROM tasks WHERE state = 2"), ==,
                    (int64_t) g_ascii_strtoull(told, NULL, 10));
    g_assert_cmpint(fixture_query(f, "SELECT value FROM counters WHERE id = 2"), ==,
                    (int64_t) g_ascii_strtoull(told, NULL, 10));
    fixture_open(f);
    fixture_free(f);
}

/* A key may be used again when its batch is forgotten. */
static void test_key(void)
{
    Fixture *f = fixture_new();

    for (int i = 0; i < 2; i++) {
        Submission *submission = submission_new(1000, true);
        submission->key = g_strdup("nightly");
        add_task(f, submission, "");
        Submitted submitted = submit(f, submission);
        g_assert_false(submitted.known);
        run_again(f, submitted.first, TASK_SUCCEEDED);
        prune(f, NOW + 1000);
    }
    finish(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/store-prune/time", test_time);
    g_test_add_func("/store-prune/whole", test_whole);
    g_test_add_func("/store-prune/awaited", test_awaited);
    g_test_add_func("/store-prune/awaited-call", test_awaited_call);
    g_test_add_func("/store-prune/awaited-elements", test_awaited_elements);
    g_test_add_func("/store-prune/discarded", test_discarded);
    g_test_add_func("/store-prune/forgotten", test_forgotten);
    g_test_add_func("/store-prune/large", test_large);
    g_test_add_func("/store-prune/interrupted", test_interrupted);
    g_test_add_func("/store-prune/retry-meanwhile", test_retry_meanwhile);
    g_test_add_func("/store-prune/key", test_key);
    return g_test_run();
}
