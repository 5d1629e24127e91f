/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Dependencies: who waits, who goes on, who is skipped, and what is refused. After each test the sums are compared with
 * what the tables say: see fixture_verify(). */
#include <string.h>

#include "tests/unit/store/store-fixture.h"

static void finish(Fixture *f)
{
    fixture_verify(f);
    fixture_free(f);
}

/* ------------------------------------------------------------------ shapes */

static void test_chain(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 1, 0);
    submit_after(f, "afterok:1");
    submit_after(f, "afterok:2");
    assert_states(f, 1, 3, "qbb");
    assert_text(window_of(f, UID_ANYBODY, 10), "1");
    g_free(take_told(f->ready));
    run_again(f, 1, TASK_SUCCEEDED);
    assert_states(f, 1, 3, "Sqb");
    assert_told(f->ready, "2");
    run_again(f, 2, TASK_SUCCEEDED);
    assert_told(f->ready, "3");
    run_again(f, 3, TASK_SUCCEEDED);
    assert_states(f, 1, 3, "SSS");
    g_assert_cmpuint(f->counts.by_state[TASK_BLOCKED], ==, 0);
    g_assert_cmpuint(f->counts.by_state[TASK_SUCCEEDED], ==, 3);
    finish(f);
}

/* In one submission, by positions. */
static void test_diamond(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, true);

    add_task(f, submission, "top");
    add_after(f, submission, "afterok:p0");
    add_after(f, submission, "afterok:p0");
    add_after(f, submission, "afterok:p1:p2");
    submit(f, submission);
    assert_states(f, 1, 4, "qbbb");
    assert_told(f->ready, "1");
    run_again(f, 1, TASK_SUCCEEDED);
    assert_states(f, 1, 4, "Sqqb");
    run_again(f, 3, TASK_SUCCEEDED);
    assert_states(f, 1, 4, "SqSb");
    run_again(f, 2, TASK_SUCCEEDED);
    assert_states(f, 1, 4, "SSSq");
    assert_told(f->ready, "2 3 4");
    fixture_reopen(f);
    run_again(f, 4, TASK_SUCCEEDED);
    g_assert_cmpuint(f->ended->len, ==, 1);
    finish(f);
}

static void test_diamond_fails(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, true);

    add_task(f, submission, "top");
    add_after(f, submission, "afterok:p0");
    add_after(f, submission, "afterok:p0");
    add_after(f, submission, "afterok:p1:p2");
    add_after(f, submission, "afternotok:p3");
    submit(f, submission);
    run_again(f, 1, TASK_FAILED);
    assert_states(f, 1, 5, "FKKKq"); /* "afternotok" holds of what was skipped */
    assert_told(f->skipped, "2 3 4");
    assert_text(reason_of(f, 2), "afterok:1 can no longer come: task 1 has ended as failed");
    g_autofree char *reason = reason_of(f, 4); /* either parent */
    g_assert_true(g_str_has_suffix(reason, " has ended as skipped"));
    g_assert_cmpuint(f->ended->len, ==, 0);
    run_again(f, 5, TASK_SUCCEEDED);
    g_assert_cmpuint(f->ended->len, ==, 1);
    BatchEnd ended = g_array_index(f->ended, BatchEnd, 0);
    g_assert_cmpuint(ended.succeeded, ==, 1);
    g_assert_cmpuint(ended.failed, ==, 1);
    g_assert_cmpuint(ended.skipped, ==, 3);
    finish(f);
}

static void test_fan_in_by_ids(void)
{
    Fixture *f = fixture_new();
    g_autoptr(GString) after = g_string_new("afterok");

    submit_tasks(f, 50, 0);
    for (unsigned id = 1; id <= 50; id++)
        g_string_append_printf(after, ":%u", id);
    submit_after(f, after->str);
    for (uint64_t id = 50; id > 1; id--)
        run_again(f, id, TASK_SUCCEEDED);
    g_assert_cmpint(get_state(f, 51), ==, TASK_BLOCKED);
    fixture_reopen(f);
    run_again(f, 1, TASK_SUCCEEDED);
    g_assert_cmpint(get_state(f, 51), ==, TASK_QUEUED);
    finish(f);
}

static void test_fan_in_by_batch(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 3, 0);  /* batch 1: 1-3 */
    submit_array(f, 3, 0);  /* batch 2: 4-6 */
    submit_after(f, "afterok:batch:1");               /* 7 */
    submit_after(f, "afterany:batch:1,afterok:batch:2"); /* 8 */
    submit_after(f, "afternotok:batch:2");            /* 9 */
    submit_array_after(f, 2, "afterany:batch:2");     /* 10-11 */
    assert_states(f, 7, 11, "bbbbb");
    for (uint64_t id = 1; id <= 2; id++)
        run_again(f, id, TASK_SUCCEEDED);
    assert_states(f, 7, 11, "bbbbb");
    run_again(f, 3, TASK_SUCCEEDED);
    assert_states(f, 7, 11, "qbbbb");
    run_again(f, 4, TASK_SUCCEEDED);
    fixture_reopen(f);
    run_again(f, 5, TASK_FAILED);
    assert_states(f, 7, 11, "qKbbb"); /* as soon as it is certain */
    assert_text(reason_of(f, 8), "afterok:batch:2 can no longer come: not all of batch 2 ended like that");
    run_again(f, 6, TASK_SUCCEEDED);
    assert_states(f, 7, 11, "qKqqq");
    finish(f);
}

/* An array is a batch of its elements, also those that never had a row. */
static void test_fan_in_cancelled(void)
{
    Fixture *f = fixture_new();

    submit_array(f, 1000, 0);
    submit_after(f, "afterany:batch:1");
    submit_after(f, "afterok:batch:1");
    submit_after(f, "afterany:500");
    assert_text(cancel(f, filter_batch(1), UID_ANYBODY), "1-1000");
    assert_states(f, 1001, 1003, "qKq");
    finish(f);
}

/* ------------------------------------------------------------------ conditions */

static void test_or(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 4, 0);
    submit_after(f, "afterok:1?afterok:2");           /* 5 */
    submit_after(f, "afterok:1?afterok:2,afterok:3"); /* 6 */
    submit_after(f, "(afterok:1,afterok:3)?afterok:2"); /* 7 */
    submit_after(f, "afterok:1?exit=3:1");            /* 8 */
    submit_after(f, "afterok:1?afterok:1");           /* 9: twice the same */
    run_again(f, 1, TASK_FAILED);
    assert_states(f, 5, 9, "bbbqK");
    run_again(f, 2, TASK_SUCCEEDED);
    assert_states(f, 5, 9, "qbqqK");
    run_again(f, 3, TASK_FAILED);
    assert_states(f, 5, 9, "qKqqK");
    finish(f);
}

static void test_or_impossible(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 2, 0);
    submit_after(f, "afterok:1?afterok:2");
    run_again(f, 1, TASK_FAILED);
    g_assert_cmpint(get_state(f, 3), ==, TASK_BLOCKED);
    run_again(f, 2, TASK_FAILED);
    g_assert_cmpint(get_state(f, 3), ==, TASK_SKIPPED);
    finish(f);
}

/* What each kind of end does to each kind of condition. */
static const struct {
    Outcome outcome;
    int exit_status;
    TaskState end;
    const char *states; /* of those that wait: afterok afternotok afterany after exit=0 exit=3 exit=4 oom timeout */
} ends[] = {
    { OUTCOME_EXITED, 0, TASK_SUCCEEDED, "qKqqqKKKK" },
    { OUTCOME_EXITED, 3, TASK_FAILED, "KqqqKqKKK" },
    { OUTCOME_EXITED, 4, TASK_FAILED, "KqqqKKqKK" },
    { OUTCOME_SIGNALLED, 0, TASK_FAILED, "KqqqKKKKK" },
    { OUTCOME_OOM, 0, TASK_FAILED, "KqqqKKKqK" },
    { OUTCOME_TIMEOUT, 0, TASK_FAILED, "KqqqKKKKq" },
    { OUTCOME_SPAWN_FAILED, 0, TASK_FAILED, "KqqqKKKKK" },
    { OUTCOME_EXITED, 3, TASK_CANCELLED, "KqqqKqKKK" },
};

static void test_outcomes(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(ends); i++) {
        Fixture *f = fixture_new();
        static const char *const conditions[] = { "afterok:1", "afternotok:1", "afterany:1", "after:1", "exit=0:1",
                                                  "exit=3:1",  "exit=4:1",     "oom:1",      "timeout:1" };

        g_test_message("end %zu", i);
        submit_tasks(f, 1, 0);
        for (size_t k = 0; k < G_N_ELEMENTS(conditions); k++)
            submit_after(f, conditions[k]);
        assert_states(f, 2, 10, "bbbbbbbbb");
        run_outcome(f, 1, ends[i].outcome, ends[i].exit_status, ends[i].end);
        assert_states(f, 2, 10, ends[i].states);
        for (size_t k = 0; k < G_N_ELEMENTS(conditions); k++) /* and decided at once, of what has ended */
            submit_after(f, conditions[k]);
        assert_states(f, 11, 19, ends[i].states);
        finish(f);
    }
}

/* Cancelled without ever having run. */
static void test_cancelled(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 1, 0);
    submit_after(f, "afterok:1");
    submit_after(f, "afternotok:1");
    submit_after(f, "after:1");
    submit_after(f, "exit=3:1");
    assert_text(cancel(f, FILTER_IDS(1), UID_ANYBODY), "1");
    assert_states(f, 1, 5, "CKqqK");
    finish(f);
}

static void test_after_start(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 1, 0);
    submit_after(f, "after:1");
    assign(f, 1, 1, 7);
    g_assert_cmpint(get_state(f, 2), ==, TASK_BLOCKED); /* handed out is not started */
    started(f, 1, 1, TEST_NOW);
    g_assert_cmpint(get_state(f, 2), ==, TASK_QUEUED);
    submit_after(f, "after:1");
    g_assert_cmpint(get_state(f, 3), ==, TASK_QUEUED);
    finish(f);
}

/* The start of a task and its end are not two. */
static void test_after_start_and_end(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 2, 0);
    submit_after(f, "after:1,afterok:2");
    begin(f, 1);
    g_assert_cmpint(get_state(f, 3), ==, TASK_BLOCKED);
    settle(f, settlement_of(1, 1, TASK_SUCCEEDED, 1));
    g_assert_cmpint(get_state(f, 3), ==, TASK_BLOCKED);
    run_again(f, 2, TASK_SUCCEEDED);
    g_assert_cmpint(get_state(f, 3), ==, TASK_QUEUED);
    finish(f);
}

static void test_after_batch_start(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 3, 0);
    begin(f, 1);
    submit_after(f, "after:batch:1");
    begin(f, 2);
    g_assert_cmpint(get_state(f, 4), ==, TASK_BLOCKED);
    run_again(f, 3, TASK_FAILED);
    g_assert_cmpint(get_state(f, 4), ==, TASK_QUEUED);
    finish(f);
}

/* One of them will never start: it has ended without, and the others run. */
static void test_after_batch_cancelled(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 2, 0);
    submit_after(f, "after:batch:1");
    assert_text(cancel(f, FILTER_IDS(2), UID_ANYBODY), "2");
    begin(f, 1);
    g_assert_cmpint(get_state(f, 3), ==, TASK_QUEUED);
    finish(f);
}

/* A submission that was refused leaves nothing behind, also not in memory. */
static void test_after_batch_refused(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, true);

    submit_tasks(f, 2, 0);
    begin(f, 1);
    add_after(f, submission, "after:batch:1,afterok:99");
    g_assert_cmpint(submit(f, submission).r, ==, -EDOM);
    submit_after(f, "after:batch:1");
    begin(f, 2);
    g_assert_cmpint(get_state(f, 3), ==, TASK_QUEUED);
    finish(f);
}

/* ------------------------------------------------------------------ decided at submission */

static void test_decided(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 3, 0);
    run_again(f, 1, TASK_SUCCEEDED);
    run_again(f, 2, TASK_FAILED);
    g_free(take_told(f->ready));
    submit_after(f, "afterok:1");             /* 4 */
    submit_after(f, "afterok:2");             /* 5 */
    submit_after(f, "afterok:1,afterok:3");   /* 6 */
    submit_after(f, "afterok:2?afterok:1");   /* 7 */
    submit_after(f, "afterok:5");             /* 8: of what was skipped */
    submit_after(f, "afternotok:5");          /* 9 */
    submit_after(f, "afterok:batch:1");       /* 10: one has failed, not all have ended */
    submit_after(f, "afterany:batch:1");      /* 11 */
    assert_states(f, 4, 11, "qKbqKqKb");
    assert_told(f->ready, "4 7 9");
    g_assert_cmpuint(f->counts.by_state[TASK_SKIPPED], ==, 3);
    run_again(f, 3, TASK_SUCCEEDED);
    assert_states(f, 4, 11, "qKqqKqKq");
    finish(f);
}

static void test_keep_unsatisfied(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, true);

    submit_tasks(f, 2, 0);
    gate_of(add_after(f, submission, "afterok:1"))->keep_unsatisfied = true;         /* 3 */
    gate_of(add_after(f, submission, "afterok:1,afterok:2"))->keep_unsatisfied = true; /* 4 */
    submit(f, submission);
    run_again(f, 1, TASK_FAILED);
    run_again(f, 2, TASK_SUCCEEDED);
    assert_states(f, 3, 4, "bb");
    submission = submission_new(1000, true);
    gate_of(add_after(f, submission, "afterok:1"))->keep_unsatisfied = true; /* 5: at submission */
    submit(f, submission);
    assert_states(f, 3, 5, "bbb");
    fixture_reopen(f);
    assert_text(modify(f, FILTER_IDS(1), TASK_RETRY, NULL), "1:");
    run_again(f, 1, TASK_SUCCEEDED);
    assert_states(f, 3, 5, "qqq");
    finish(f);
}

/* ------------------------------------------------------------------ retrying what others waited for */

static void test_retry_reopens(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 1, 0);
    submit_after(f, "afterok:1");
    submit_after(f, "afterok:2");
    submit_array_after(f, 3, "afterok:3"); /* 4-6 */
    submit_after(f, "afternotok:1");       /* 7 */
    run_again(f, 1, TASK_FAILED);
    assert_states(f, 1, 7, "FKKKKKq");
    run_again(f, 7, TASK_SUCCEEDED);
    assert_text(modify(f, filter_all(), TASK_RETRY, NULL), "1:"); /* the others follow by themselves */
    assert_states(f, 1, 7, "qbbbbbS");
    g_assert_cmpuint(f->counts.by_state[TASK_SKIPPED], ==, 0);
    fixture_reopen(f);
    run_again(f, 1, TASK_FAILED); /* once more */
    assert_states(f, 1, 7, "FKKKKKS");
    assert_text(modify(f, FILTER_IDS(1), TASK_RETRY, NULL), "1:");
    run_again(f, 1, TASK_SUCCEEDED);
    run_again(f, 2, TASK_SUCCEEDED);
    run_again(f, 3, TASK_SUCCEEDED);
    assert_states(f, 1, 7, "SSSqqqS");
    g_assert_cmpuint(f->counts.by_state[TASK_FAILED], ==, 0);
    finish(f);
}

/* The same for those that wait for its batch. */
static void test_retry_reopens_batch(gconstpointer restart)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 2, 0);
    submit_after(f, "afterok:batch:1");
    run_again(f, 1, TASK_SUCCEEDED);
    run_again(f, 2, TASK_FAILED);
    assert_states(f, 1, 3, "SFK");
    if (restart)
        fixture_reopen(f);
    g_free(modify(f, FILTER_IDS(2), TASK_RETRY, NULL));
    assert_states(f, 1, 3, "Sqb");
    run_again(f, 2, TASK_SUCCEEDED);
    assert_states(f, 1, 3, "SSq");
    finish(f);
}

/* It was decided when it was submitted. */
static void test_retry_reopens_late(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 2, 0);
    run_again(f, 1, TASK_FAILED);
    run_again(f, 2, TASK_SUCCEEDED);
    submit_after(f, "afterok:1");
    submit_after(f, "afterok:batch:1");
    assert_states(f, 3, 4, "KK");
    g_free(modify(f, FILTER_IDS(1), TASK_RETRY, NULL));
    assert_states(f, 3, 4, "bb");
    run_again(f, 1, TASK_SUCCEEDED);
    assert_states(f, 3, 4, "qq");
    finish(f);
}

/* Nothing is gained by retrying what waits for the impossible. */
static void test_retry_skipped(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 1, 0);
    submit_after(f, "afterok:1");
    run_again(f, 1, TASK_FAILED);
    g_free(take_told(f->skipped));
    assert_text(modify(f, FILTER_IDS(2), TASK_RETRY, NULL), "0:");
    assert_states(f, 1, 2, "FK");
    assert_told(f->skipped, "");
    finish(f);
}

/* ------------------------------------------------------------------ */

/* Random graphs: everybody runs once the parents have succeeded, nobody before, and the chain of who did not is skipped. */
static void test_random(void)
{
    enum { N = 60 };
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, true);
    uint64_t parents[N + 1] = { 0 }; /* bits */
    TaskState expected[N + 1];
    unsigned progress = 1;

    for (unsigned id = 1; id <= N; id++) {
        g_autoptr(GString) after = g_string_new(NULL);
        for (unsigned i = 0; id > 3 && i < 3; i++) {
            unsigned parent = (unsigned) g_test_rand_int_range(1, (int) id);
            parents[id] |= UINT64_C(1) << parent;
            g_string_append_printf(after, "%safterok:p%u", after->len > 0 ? "," : "", parent - 1);
        }
        if (after->len > 0)
            add_after(f, submission, after->str);
        else
            add_task(f, submission, "");
    }
    g_assert_cmpint(submit(f, submission).r, ==, 0);
    for (unsigned id = 1; id <= N; id++)
        expected[id] = parents[id] ? TASK_BLOCKED : TASK_QUEUED;
    while (progress > 0) {
        progress = 0;
        for (unsigned id = 1; id <= N; id++) {
            if (expected[id] != TASK_QUEUED)
                continue;
            expected[id] = g_test_rand_int_range(0, 15) == 0 ? TASK_FAILED : TASK_SUCCEEDED;
            run_again(f, id, expected[id]);
            progress++;
            for (unsigned k = id + 1; k <= N; k++) {
                bool all = true, bad = false;
                for (unsigned p = 1; p < k; p++) {
                    if (!(parents[k] & UINT64_C(1) << p))
                        continue;
                    all &= expected[p] == TASK_SUCCEEDED;
                    bad |= expected[p] == TASK_FAILED || expected[p] == TASK_SKIPPED;
                }
                if (expected[k] == TASK_BLOCKED)
                    expected[k] = bad ? TASK_SKIPPED : all ? TASK_QUEUED : TASK_BLOCKED;
            }
            for (unsigned k = 1; k <= N; k++)
                g_assert_cmpint(get_state(f, k), ==, expected[k]);
        }
        fixture_reopen(f);
    }
    g_assert_cmpuint(f->counts.by_state[TASK_BLOCKED], ==, 0);
    finish(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/store-gates/chain", test_chain);
    g_test_add_func("/store-gates/diamond", test_diamond);
    g_test_add_func("/store-gates/diamond-fails", test_diamond_fails);
    g_test_add_func("/store-gates/fan-in/ids", test_fan_in_by_ids);
    g_test_add_func("/store-gates/fan-in/batch", test_fan_in_by_batch);
    g_test_add_func("/store-gates/fan-in/cancelled", test_fan_in_cancelled);
    g_test_add_func("/store-gates/or", test_or);
    g_test_add_func("/store-gates/or-impossible", test_or_impossible);
    g_test_add_func("/store-gates/outcomes", test_outcomes);
    g_test_add_func("/store-gates/cancelled", test_cancelled);
    g_test_add_func("/store-gates/after/start", test_after_start);
    g_test_add_func("/store-gates/after/start-and-end", test_after_start_and_end);
    g_test_add_func("/store-gates/after/batch", test_after_batch_start);
    g_test_add_func("/store-gates/after/batch-cancelled", test_after_batch_cancelled);
    g_test_add_func("/store-gates/after/batch-refused", test_after_batch_refused);
    g_test_add_func("/store-gates/decided", test_decided);
    g_test_add_func("/store-gates/keep-unsatisfied", test_keep_unsatisfied);
    g_test_add_func("/store-gates/retry/reopens", test_retry_reopens);
    g_test_add_data_func("/store-gates/retry/reopens-batch", NULL, test_retry_reopens_batch);
    g_test_add_data_func("/store-gates/retry/reopens-batch-restarted", "", test_retry_reopens_batch);
    g_test_add_func("/store-gates/retry/reopens-late", test_retry_reopens_late);
    g_test_add_func("/store-gates/retry/skipped", test_retry_skipped);
    g_test_add_func("/store-gates/random", test_random);
    return g_test_run();
}
