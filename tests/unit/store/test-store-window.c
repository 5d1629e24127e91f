/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What comes next: order over priorities, users, arrays and what is hidden. */
#include "tests/unit/store/store-fixture.h"

static void submit_of(Fixture *f, uint32_t uid, int32_t priority, uint64_t count)
{
    Submission *submission = submission_new(uid, true);
    TaskSpec *spec = add_task(f, submission, "");

    spec->priority = priority;
    spec->array_count = count;
    if (count > 1)
        spec->array_index = 100;
    g_assert_cmpint(submit(f, submission).r, ==, 0);
}

static void test_empty(void)
{
    Fixture *f = fixture_new();

    assert_string(window_of(f, UID_ANYBODY, 10), "");
    assert_string(window_of(f, 1000, 10), "");
    submit_of(f, 1000, 0, 1);
    assert_string(window_of(f, 1001, 10), "");
    assert_string(window_of(f, UID_ANYBODY, 0), " +");
    fixture_free(f);
}

static void test_priorities(void)
{
    Fixture *f = fixture_new();

    submit_of(f, 1000, 0, 2);         /* 1 2 */
    submit_of(f, 1000, 5, 1);         /* 3 */
    submit_of(f, 1000, -1, 1);        /* 4 */
    submit_of(f, 1000, 5, 3);         /* 5 6 7 */
    submit_of(f, 1000, INT32_MAX, 1); /* 8 */
    submit_of(f, 1000, INT32_MIN, 1); /* 9 */
    submit_of(f, 1000, 5, 1);         /* 10 */
    assert_string(window_of(f, UID_ANYBODY, 100), "8 3 5 6 7 10 1 2 4 9");
    assert_string(window_of(f, 1000, 100), "8 3 5 6 7 10 1 2 4 9");
    assert_string(window_of(f, UID_ANYBODY, 10), "8 3 5 6 7 10 1 2 4 9");
    assert_string(window_of(f, UID_ANYBODY, 9), "8 3 5 6 7 10 1 2 4 +");
    assert_string(window_of(f, UID_ANYBODY, 4), "8 3 5 6 +");
    assert_string(window_of(f, UID_ANYBODY, 1), "8 +");
    for (size_t piece = 1; piece < 12; piece++)
        assert_string(window_by_pieces(f, UID_ANYBODY, piece), "8 3 5 6 7 10 1 2 4 9");
    fixture_free(f);
}

/* The users' tasks are one queue, whatever their numbers. */
static void test_users(void)
{
    Fixture *f = fixture_new();

    submit_of(f, 1002, 0, 1);            /* 1 */
    submit_of(f, 1000, 0, 2);            /* 2 3 */
    submit_of(f, 0, 1, 1);               /* 4 */
    submit_of(f, 1001, 0, 1);            /* 5 */
    submit_of(f, 1000, 1, 1);            /* 6 */
    submit_of(f, UID_ANYBODY - 1, 0, 2); /* 7 8 */
    assert_string(window_of(f, UID_ANYBODY, 100), "4 6 1 2 3 5 7 8");
    assert_string(window_of(f, UID_ANYBODY, 3), "4 6 1 +");
    assert_string(window_of(f, UID_ANYBODY, 4), "4 6 1 2 +");
    assert_string(window_of(f, 1000, 100), "6 2 3");
    assert_string(window_of(f, 0, 100), "4");
    assert_string(window_of(f, 1001, 1), "5");
    for (size_t piece = 1; piece < 4; piece++) {
        assert_string(window_by_pieces(f, UID_ANYBODY, piece), "4 6 1 2 3 5 7 8");
        assert_string(window_by_pieces(f, 1000, piece), "6 2 3");
    }
    fixture_free(f);
}

static void test_elements(void)
{
    Fixture *f = fixture_new();
    bool complete;
    g_autoptr(GPtrArray) window = NULL;

    submit_of(f, 1000, 0, 100000000);
    window = load_window(f, UID_ANYBODY, 5, &complete);
    g_assert_false(complete);
    g_assert_cmpuint(window->len, ==, 5);
    for (guint i = 0; i < 5; i++) {
        const TaskSpec *spec = window->pdata[i];
        g_assert_cmpuint(spec->id, ==, 1 + i);
        g_assert_cmpuint(spec->array_index, ==, 100 + i);
        g_assert_cmpuint(spec->array_count, ==, 1);
        g_assert_cmpuint(spec->batch, ==, 1);
        g_assert_nonnull(spec->context);
    }
    /* given out in order, out of order, and at the end */
    assign(f, 1, 1, 7);
    assign(f, 2, 1, 7);
    assign(f, 4, 1, 7);
    assign(f, 100000000, 1, 7);
    assert_string(window_of(f, UID_ANYBODY, 4), "3 5 6 7 +");
    settle(f, settlement_of(2, 1, TASK_QUEUED, 1));
    settle(f, settlement_of(4, 1, TASK_SUCCEEDED, 1));
    assert_string(window_of(f, UID_ANYBODY, 4), "2 3 5 6 +");
    fixture_verify(f);
    assert_string(window_of(f, UID_ANYBODY, 4), "2 3 5 6 +");
    g_assert_cmpuint(f->counts.by_state[TASK_QUEUED], ==, 99999999);
    fixture_free(f);
}

/* A whole group of elements at once, across the ends of ranges. */
static void test_assign_many(void)
{
    Fixture *f = fixture_new();
    Assignment assignments[12];

    submit_of(f, 1000, 0, 5); /* 1 … 5 */
    submit_of(f, 1000, 0, 1); /* 6 */
    submit_of(f, 1000, 0, 6); /* 7 … 12 */
    for (unsigned i = 0; i < 12; i++)
        assignments[i] = (Assignment){ .task = 1 + i, .fence = 1, .worker = 3 };
    f->port->assign(f->port, assignments + 1, 3);
    assert_string(window_of(f, UID_ANYBODY, 20), "1 5 6 7 8 9 10 11 12");
    f->port->assign(f->port, assignments, 11);
    assert_string(window_of(f, UID_ANYBODY, 20), "12");
    fixture_verify(f);
    g_assert_cmpuint(f->snapshot->held->len, ==, 11);
    fixture_free(f);
}

/* What ended while its assignment was on the way is left alone. */
static void test_assign_too_late(void)
{
    Fixture *f = fixture_new();

    submit_of(f, 1000, 0, 1);
    submit_of(f, 1000, 0, 3);
    assert_string(cancel(f, FILTER_IDS(1, 3), UID_ANYBODY), "1 3");
    assign(f, 1, 1, 7);
    assign(f, 3, 1, 7);
    assign(f, 77, 1, 7);
    g_assert_cmpint(get_state(f, 1), ==, TASK_CANCELLED);
    g_assert_cmpint(get_state(f, 3), ==, TASK_CANCELLED);
    settle(f, settlement_of(1, 1, TASK_SUCCEEDED, 1));
    g_assert_cmpint(get_state(f, 1), ==, TASK_CANCELLED);
    fixture_verify(f);
    g_assert_cmpuint(f->snapshot->held->len, ==, 0);
    fixture_free(f);
}

/* Tasks of a batch that is not committed are jumped over, at whatever priority. */
static void test_hidden(void)
{
    Fixture *f = fixture_new();
    Submission *submission;
    uint64_t batch = 0;

    for (int i = 0; i < 3; i++) {
        submission = submission_new(1000, false);
        submission->batch = batch;
        add_task(f, submission, "hidden");
        add_task(f, submission, "hidden array")->array_count = 4;
        add_task(f, submission, "hidden, urgent")->priority = 9;
        batch = submit(f, submission).batch; /* 1 … 6, 8 … 13, 15 … 20 */
        submit_of(f, 1000, i, 1);            /* 7, 14, 21 */
    }
    assert_string(window_of(f, UID_ANYBODY, 20), "21 14 7");
    assert_string(window_of(f, UID_ANYBODY, 2), "21 14 +");
    submission = submission_new(1000, true);
    submission->batch = batch;
    g_assert_cmpint(submit(f, submission).r, ==, 0);
    assert_string(window_of(f, UID_ANYBODY, 100), "6 13 20 21 14 1 2 3 4 5 7 8 9 10 11 12 15 16 17 18 19");
    fixture_free(f);
}

/* Each task with a priority of its own, and thousands of them. */
static void test_many_priorities(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, true);
    g_autoptr(GPtrArray) window = NULL;
    bool complete;

    for (int i = 0; i < 5000; i++)
        add_task(f, submission, "")->priority = i * 7919 % 5000;
    submit(f, submission);
    window = load_window(f, UID_ANYBODY, 2048, &complete);
    g_assert_cmpuint(window->len, ==, 2048);
    for (guint i = 0; i < window->len; i++)
        g_assert_cmpint(((TaskSpec *) window->pdata[i])->priority, ==, 4999 - (int) i);
    fixture_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/store/window/empty", test_empty);
    g_test_add_func("/store/window/priorities", test_priorities);
    g_test_add_func("/store/window/users", test_users);
    g_test_add_func("/store/window/elements", test_elements);
    g_test_add_func("/store/window/assign-many", test_assign_many);
    g_test_add_func("/store/window/assign-too-late", test_assign_too_late);
    g_test_add_func("/store/window/hidden", test_hidden);
    g_test_add_func("/store/window/many-priorities", test_many_priorities);
    return g_test_run();
}
