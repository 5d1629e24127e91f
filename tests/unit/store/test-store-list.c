/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pages of tasks: by ids, batch, state, words; forwards and backwards; with elements of arrays between rows. */
#include "tests/unit/store/store-fixture.h"

/* 1 2 3: batch 1; 4 … 9: an array, batch 2; 10 11: batch 3 */
static Fixture *fixture_with_tasks(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 3, 0);
    submit_array(f, 6, 0);
    submit_tasks(f, 2, 7);
    run_task(f, 2, TASK_SUCCEEDED);
    run_task(f, 5, TASK_FAILED);
    run_task(f, 8, TASK_SUCCEEDED);
    assign(f, 4, 1, 7);
    started(f, 4, 1, 10);
    assign(f, 10, 1, 7);
    assert_string(cancel(f, FILTER_IDS(9, 1), UID_ANYBODY), "1 9");
    return f;
}

typedef struct Case {
    uint32_t states;
    uint64_t batch;
    const char *expected, *reversed;
} Case;

static const Case cases[] = {
    { 0, 0, "1 2 3 4 5 6 7 8 9 10 11", "11 10 9 8 7 6 5 4 3 2 1" },
    { 0, 1, "1 2 3", "3 2 1" },
    { 0, 2, "4 5 6 7 8 9", "9 8 7 6 5 4" },
    { 0, 3, "10 11", "11 10" },
    { 0, 4, "", "" },
    { 1U << TASK_QUEUED, 0, "3 6 7 10 11", "11 10 7 6 3" },
    { 1U << TASK_RUNNING, 0, "4", "4" },
    { 1U << TASK_SUCCEEDED, 0, "2 8", "8 2" },
    { 1U << TASK_FAILED, 0, "5", "5" },
    { 1U << TASK_CANCELLED, 0, "1 9", "9 1" },
    { 1U << TASK_CANCELLED | 1U << TASK_QUEUED, 0, "1 3 6 7 9 10 11", "11 10 9 7 6 3 1" },
    { 1U << TASK_FAILED | 1U << TASK_SUCCEEDED | 1U << TASK_RUNNING, 0, "2 4 5 8", "8 5 4 2" },
    { 1U << TASK_QUEUED, 2, "6 7", "7 6" },
    { 1U << TASK_CANCELLED | 1U << TASK_RUNNING, 2, "4 9", "9 4" },
    { 1U << TASK_SUCCEEDED, 2, "8", "8" },
    { 1U << TASK_SKIPPED, 0, "", "" },
};

static TaskFilter *filter_of_case(void *userdata)
{
    const Case *one = userdata;
    TaskFilter *filter = task_filter_new();

    filter->states = one->states;
    filter->batch = one->batch;
    return filter;
}

/* With every size of page the same. */
static void test_pages(void)
{
    Fixture *f = fixture_with_tasks();

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        for (uint32_t limit = 1; limit <= 12; limit++) {
            assert_string(list_all(f, filter_of_case, (void *) &cases[i], limit, false), cases[i].expected);
            assert_string(list_all(f, filter_of_case, (void *) &cases[i], limit, true), cases[i].reversed);
        }
    fixture_verify(f);
    fixture_free(f);
}

/* No cursor if there is nothing behind it. */
static void test_cursor(void)
{
    Fixture *f = fixture_with_tasks();
    TaskFilter *filter;
    uint64_t cursor;

    filter = filter_all();
    filter->limit = 11;
    assert_string(list_ids(f, filter, &cursor), "1 2 3 4 5 6 7 8 9 10 11");
    g_assert_cmpuint(cursor, ==, 0);
    filter = filter_all();
    filter->limit = 6;
    assert_string(list_ids(f, filter, &cursor), "1 2 3 4 5 6");
    g_assert_cmpuint(cursor, ==, 6);
    filter = filter_all();
    filter->limit = 5;
    filter->cursor = 6;
    assert_string(list_ids(f, filter, &cursor), "7 8 9 10 11");
    g_assert_cmpuint(cursor, ==, 0);
    filter = filter_all();
    filter->cursor = UINT64_MAX;
    assert_string(list_ids(f, filter, &cursor), "");
    filter = filter_all();
    filter->cursor = 1;
    filter->reverse = true;
    assert_string(list_ids(f, filter, &cursor), "");
    filter = filter_all();
    filter->limit = 0;
    assert_string(list_ids(f, filter, &cursor), "1");
    fixture_free(f);
}

static TaskFilter *filter_of_ids(void *userdata)
{
    return FILTER_IDS(11, 3, 3, 77, 5, 0, UINT64_MAX, 6);
}

static void test_ids(void)
{
    Fixture *f = fixture_with_tasks();
    TaskFilter *filter;

    for (uint32_t limit = 1; limit <= 5; limit++) {
        assert_string(list_all(f, filter_of_ids, NULL, limit, false), "3 5 6 11");
        assert_string(list_all(f, filter_of_ids, NULL, limit, true), "11 6 5 3");
    }
    filter = FILTER_IDS(1, 2, 3, 4, 5, 6);
    filter->states = 1U << TASK_QUEUED;
    assert_string(list_ids(f, filter, NULL), "3 6");
    filter = FILTER_IDS(1, 2, 3, 4, 5, 6);
    filter->batch = 2;
    assert_string(list_ids(f, filter, NULL), "4 5 6");
    fixture_free(f);
}

static TaskFilter *filter_needle(void *userdata)
{
    TaskFilter *filter = task_filter_new();

    filter->name = g_strdup("needle");
    return filter;
}

/* A call looks at so many tasks only; the cursor leads on. */
static void test_bounded(void)
{
    Fixture *f = fixture_new();
    Submission *submission;
    TaskFilter *filter;
    uint64_t cursor;
    char *text;

    for (int i = 0; i < 3; i++) {
        submission = submission_new(1000, true);
        for (int k = 0; k < 9000; k++)
            add_task(f, submission, "hay");
        submit(f, submission);
    }
    submission = submission_new(1000, true);
    add_task(f, submission, "needle");
    add_task(f, submission, "hay")->array_count = 1000000;
    add_task(f, submission, "needle")->array_count = 2;
    submit(f, submission);
    filter = filter_needle(NULL);
    text = list_ids(f, filter, &cursor);
    g_assert_cmpstr(text, ==, "");
    g_assert_cmpuint(cursor, ==, 20000);
    g_free(text);
    assert_string(list_all(f, filter_needle, NULL, 1000, false), "27001 1027002 1027003");
    assert_string(list_all(f, filter_needle, NULL, 2, true), "1027003 1027002 27001");
    fixture_free(f);
}

/* Millions that are in the way are jumped over. */
static void test_far_apart(void)
{
    Fixture *f = fixture_new();
    uint64_t cursor;

    submit_array(f, 100000000, 0);
    submit_array(f, 100000000, 0);
    run_task(f, 60000000, TASK_FAILED);
    run_task(f, 160000000, TASK_FAILED);
    assert_string(list_ids(f, filter_states(1U << TASK_FAILED), &cursor), "60000000 160000000");
    g_assert_cmpuint(cursor, ==, 0);
    fixture_free(f);
}

static void test_hidden(void)
{
    Fixture *f = fixture_new();
    Submission *submission;
    uint64_t batch = 0;

    for (int i = 0; i < 3; i++) {
        submission = submission_new(1000, false);
        submission->batch = batch;
        for (int k = 0; k < 3; k++)
            add_task(f, submission, "");
        add_task(f, submission, "")->array_count = 2;
        batch = submit(f, submission).batch; /* 1 … 5, 7 … 11, 13 … 17 */
        submit_tasks(f, 1, 0);               /* 6, 12, 18 */
    }
    for (uint32_t limit = 1; limit <= 4; limit++) {
        Case all = { 0 }, queued = { .states = 1U << TASK_QUEUED }, staged = { .batch = batch };
        assert_string(list_all(f, filter_of_case, &all, limit, false), "6 12 18");
        assert_string(list_all(f, filter_of_case, &all, limit, true), "18 12 6");
        assert_string(list_all(f, filter_of_case, &queued, limit, false), "6 12 18");
        assert_string(list_all(f, filter_of_case, &queued, limit, true), "18 12 6");
        assert_string(list_all(f, filter_of_case, &staged, limit, false), "");
    }
    g_assert_null(get_row(f, 1));
    g_assert_null(get_row(f, 5));
    submission = submission_new(1000, true);
    submission->batch = batch;
    submit(f, submission);
    assert_string(list_ids(f, filter_batch(batch), NULL), "1 2 3 4 5 7 8 9 10 11 13 14 15 16 17");
    fixture_free(f);
}

static void test_get(void)
{
    Fixture *f = fixture_with_tasks();
    g_autoptr(TaskRow) element = get_row(f, 7);

    g_assert_null(get_row(f, 0));
    g_assert_null(get_row(f, 12));
    g_assert_null(get_row(f, UINT64_MAX));
    g_assert_cmpint(element->state, ==, TASK_QUEUED);
    g_assert_cmpuint(element->spec->array_index, ==, 3);
    g_assert_cmpuint(element->attempts->len, ==, 0);
    g_assert_cmpuint(element->submitted_usec, >, 0);
    fixture_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/store/list/pages", test_pages);
    g_test_add_func("/store/list/cursor", test_cursor);
    g_test_add_func("/store/list/ids", test_ids);
    g_test_add_func("/store/list/bounded", test_bounded);
    g_test_add_func("/store/list/far-apart", test_far_apart);
    g_test_add_func("/store/list/hidden", test_hidden);
    g_test_add_func("/store/list/get", test_get);
    return g_test_run();
}
