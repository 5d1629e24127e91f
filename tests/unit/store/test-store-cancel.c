/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cancelling by ids, batch, states, name, tag and owner; of others' tasks; and what examine says beforehand. */
#include "tests/unit/store/store-fixture.h"

#define NOT_RUNNING (1U << TASK_QUEUED)

static void test_ids(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 6, 0);
    run_task(f, 2, TASK_SUCCEEDED);
    assign(f, 3, 1, 7);
    assert_string(cancel(f, FILTER_IDS(5, 4, 1, 2, 3, 4, 99), UID_ANYBODY), "1 4-5 | 3");
    assert_string(cancel(f, FILTER_IDS(5, 4, 1), UID_ANYBODY), "");
    assert_string(window_of(f, UID_ANYBODY, 10), "6");
    g_assert_cmpuint(f->counts.by_state[TASK_CANCELLED], ==, 3);
    settle(f, (Settlement){ .result = { .task = 3, .fence = 1 }, .next = TASK_CANCELLED });
    g_assert_cmpint(get_state(f, 3), ==, TASK_CANCELLED);
    fixture_verify(f);
    fixture_free(f);
}

/* A cancelled task tells since when it is, though it never ran. */
static void test_row(void)
{
    Fixture *f = fixture_new();
    g_autoptr(TaskRow) row = NULL;
    g_autoptr(TaskRow) element = NULL;

    submit_tasks(f, 1, 0);
    submit_array(f, 3, 0);
    assert_string(cancel(f, FILTER_IDS(1, 3), UID_ANYBODY), "1 3");
    row = get_row(f, 1);
    element = get_row(f, 3);
    g_assert_cmpint(row->state, ==, TASK_CANCELLED);
    g_assert_cmpint(row->result.outcome, ==, OUTCOME_NONE);
    g_assert_cmpuint(row->result.end_usec, ==, UINT64_C(1700000000000099));
    g_assert_cmpuint(row->attempt, ==, 0);
    g_assert_cmpint(element->state, ==, TASK_CANCELLED);
    g_assert_cmpuint(element->result.end_usec, ==, UINT64_C(1700000000000099));
    g_assert_cmpuint(element->spec->array_index, ==, 1);
    fixture_free(f);
}

static void test_batch(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 3, 0);
    submit_tasks(f, 4, 0);
    submit_array(f, 5, 0);
    assign(f, 5, 1, 7);
    started(f, 5, 1, 10);
    assert_string(cancel(f, filter_batch(2), UID_ANYBODY), "4 6-7 | 5");
    assert_string(cancel(f, filter_batch(3), UID_ANYBODY), "8-12");
    assert_string(cancel(f, filter_batch(99), UID_ANYBODY), "");
    g_assert_cmpuint(f->ended->len, ==, 1);
    g_assert_cmpuint(g_array_index(f->ended, BatchEnd, 0).batch, ==, 3);
    g_assert_cmpuint(g_array_index(f->ended, BatchEnd, 0).cancelled, ==, 5);
    settle(f, settlement_of(5, 1, TASK_CANCELLED, 1));
    g_assert_cmpuint(f->ended->len, ==, 2);
    assert_string(window_of(f, UID_ANYBODY, 10), "1 2 3");
    fixture_verify(f);
    fixture_free(f);
}

/* Of a hundred million elements, some of which have been dealt with. */
static void test_range(void)
{
    Fixture *f = fixture_new();
    TaskFilter *filter;
    gint64 begin;

    submit_array(f, 100000000, 0);
    run_task(f, 1, TASK_SUCCEEDED);
    assign(f, 10, 1, 7);
    assert_string(cancel(f, FILTER_IDS(5, 6, 7), UID_ANYBODY), "5-7");
    filter = FILTER_IDS(8, 12);
    filter->batch = 1;
    assert_string(cancel(f, filter, UID_ANYBODY), "8 12");
    begin = g_get_monotonic_time();
    assert_string(cancel(f, filter_batch(1), UID_ANYBODY), "2-4 9 11 13-100000000 | 10");
    g_assert_cmpint(g_get_monotonic_time() - begin, <, 5 * G_USEC_PER_SEC);
    g_assert_cmpuint(f->counts.by_state[TASK_CANCELLED], ==, 100000000 - 2);
    g_assert_cmpuint(f->ended->len, ==, 0);
    settle(f, settlement_of(10, 1, TASK_CANCELLED, 1));
    g_assert_cmpuint(f->ended->len, ==, 1);
    fixture_close(f);
    g_assert_cmpint(fixture_query(f, "SELECT count(*) FROM ranges"), <, 12);
    fixture_open(f);
    fixture_verify(f);
    fixture_free(f);
}

static void submit_mixture(Fixture *f)
{
    static const struct {
        uint32_t uid;
        const char *name, *tags;
        uint64_t count;
    } tasks[] = {
        { 1000, "a", "red", 1 },        /* 1 */
        { 1001, "a", "red\nblue", 1 },  /* 2 */
        { 1000, "b", NULL, 3 },         /* 3 4 5 */
        { 1001, "b", "redder", 1 },     /* 6 */
        { 1000, "a", "blue\nred", 2 },  /* 7 8 */
        { 1001, "c", "dark\nblue", 2 }, /* 9 10 */
    };

    for (size_t i = 0; i < G_N_ELEMENTS(tasks); i++) {
        Submission *submission = submission_new(tasks[i].uid, true);
        TaskSpec *spec = add_task(f, submission, tasks[i].name);
        spec->tags = g_strdup(tasks[i].tags);
        spec->array_count = tasks[i].count;
        submit(f, submission);
    }
}

static TaskFilter *filter_words(const char *name, const char *tag, uint32_t owner)
{
    TaskFilter *filter = task_filter_new();

    filter->name = g_strdup(name);
    filter->tag = g_strdup(tag);
    filter->owner = owner;
    return filter;
}

static void test_words(void)
{
    static const struct {
        const char *name, *tag;
        uint32_t owner, only;
        const char *expected;
        uint64_t foreign; /* to uid 1000 */
    } cases[] = {
        { "a", NULL, UID_ANYBODY, UID_ANYBODY, "1 2 7-8", 1 },
        { "a", NULL, UID_ANYBODY, 1000, "1 7-8", 1 },
        { NULL, "red", UID_ANYBODY, UID_ANYBODY, "1 2 7-8", 1 },
        { NULL, "blue", UID_ANYBODY, UID_ANYBODY, "2 7-8 9-10", 3 },
        { NULL, "blu", UID_ANYBODY, UID_ANYBODY, "", 0 },
        { "b", NULL, 1001, UID_ANYBODY, "6", 1 },
        { "b", NULL, 1001, 1000, "", 1 },
        { NULL, NULL, 1000, UID_ANYBODY, "1 3-5 7-8", 0 },
        { NULL, NULL, UID_ANYBODY, 1001, "2 6 9-10", 4 },
        { NULL, NULL, UID_ANYBODY, UID_ANYBODY, "1 2 3-5 6 7-8 9-10", 4 },
        { "a", "blue", 1001, UID_ANYBODY, "2", 1 },
        { "", NULL, UID_ANYBODY, UID_ANYBODY, "", 0 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        Fixture *f = fixture_new();
        submit_mixture(f);
        g_assert_cmpuint(examine(f, filter_words(cases[i].name, cases[i].tag, cases[i].owner), 1000).foreign,
                         ==, cases[i].foreign);
        assert_string(cancel(f, filter_words(cases[i].name, cases[i].tag, cases[i].owner), cases[i].only),
                      cases[i].expected);
        fixture_verify(f);
        fixture_free(f);
    }
}

static void test_states(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 5, 0);
    assign(f, 1, 1, 7);
    started(f, 1, 1, 10);
    assign(f, 2, 1, 7);
    run_task(f, 3, TASK_FAILED);
    assert_string(cancel(f, filter_states(1U << TASK_FAILED | 1U << TASK_SUCCEEDED), UID_ANYBODY), "");
    assert_string(cancel(f, filter_states(1U << TASK_RUNNING), UID_ANYBODY), " | 1");
    assert_string(cancel(f, filter_states(NOT_RUNNING), UID_ANYBODY), "4-5 | 2");
    assert_string(cancel(f, filter_all(), UID_ANYBODY), " | 1 2");
    fixture_verify(f);
    g_assert_true(((HeldTask *) f->snapshot->held->pdata[0])->cancelled);
    fixture_free(f);
}

static void test_examine(void)
{
    Fixture *f = fixture_new();
    FilterFacts facts;

    submit_mixture(f);
    facts = examine(f, FILTER_IDS(1, 2), 1000);
    g_assert_cmpuint(facts.missing_id, ==, 0);
    g_assert_false(facts.missing_batch);
    g_assert_cmpuint(facts.foreign, ==, 1);
    g_assert_cmpuint(examine(f, FILTER_IDS(1, 10, 11), 1000).missing_id, ==, 11);
    g_assert_cmpuint(examine(f, FILTER_IDS(0), 1000).missing_id, ==, 0);
    g_assert_cmpuint(examine(f, FILTER_IDS(UINT64_MAX), 1000).missing_id, ==, UINT64_MAX);
    g_assert_true(examine(f, filter_batch(7), 1000).missing_batch);
    g_assert_cmpuint(examine(f, filter_batch(6), 1000).foreign, ==, 2);
    g_assert_cmpuint(examine(f, filter_batch(6), 1001).foreign, ==, 0);
    g_assert_cmpuint(examine(f, filter_states(1U << TASK_SUCCEEDED), 1000).foreign, ==, 0);
    run_task(f, 2, TASK_SUCCEEDED);
    assign(f, 6, 1, 7);
    g_assert_cmpuint(examine(f, filter_all(), 1000).foreign, ==, 3);
    g_assert_cmpuint(examine(f, filter_all(), 5).foreign, ==, 9);
    fixture_free(f);
}

/* So many that counting them all would keep the others waiting. */
static void test_examine_is_bounded(void)
{
    Fixture *f = fixture_new();

    submit_array(f, 100000000, 0);
    g_assert_cmpuint(examine(f, filter_all(), 1001).foreign, ==, 10000);
    fixture_free(f);
}

/* So many that they are cancelled in chunks: what comes in between is neither lost nor cancelled by mistake. */
static void test_chunks(void)
{
    Fixture *f = fixture_new();
    TaskFilter *filter = task_filter_new();
    GString *text = g_string_new(NULL);
    Settlement settlement = settlement_of(12000, 1, TASK_SUCCEEDED, 1);
    Submission *later = submission_new(1000, true);

    submit_tasks(f, 15000, 0);
    submit_tasks(f, 15000, 0);
    submit_array(f, 50000, 0);
    filter->owner = 1000;
    add_task(f, later, "later");
    fixture_hold(f);
    f->port->cancel(f->port, filter, UID_ANYBODY, 99, note_cancelled, text);
    f->port->assign(f->port, &(Assignment){ .task = 5, .fence = 1, .worker = 7 }, 1); /* too late */
    f->port->assign(f->port, &(Assignment){ .task = 25000, .fence = 1, .worker = 7 }, 1);
    f->port->assign(f->port, &(Assignment){ .task = 12000, .fence = 1, .worker = 7 }, 1);
    f->port->settle(f->port, &settlement, 1, note_done, f);
    f->port->submit(f->port, later, NULL, NULL);
    fixture_release(f);
    while (f->log->len == 0)
        store_dispatch(f->store);
    g_assert_cmpstr(text->str, ==, "");
    wait_for_cancel(f, text);
    g_assert_cmpstr(text->str, ==, "<1-11999 12001-15000 15001-24999 25001-30000 30001-80000 | 25000>");
    assert_string(window_of(f, UID_ANYBODY, 10), "80001");
    g_assert_cmpuint(f->counts.by_state[TASK_CANCELLED], ==, 79998);
    g_assert_cmpuint(f->ended->len, ==, 2);
    settle(f, settlement_of(25000, 1, TASK_CANCELLED, 0));
    g_assert_cmpuint(f->ended->len, ==, 3);
    fixture_verify(f);
    g_string_free(text, TRUE);
    fixture_free(f);
}

/* What is not committed does not exist for anybody. */
static void test_hidden(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, false);
    Submitted submitted;

    add_task(f, submission, "x");
    add_task(f, submission, "x")->array_count = 5;
    submitted = submit(f, submission);
    submit_tasks(f, 1, 0);
    g_assert_cmpuint(examine(f, FILTER_IDS(1), 1000).missing_id, ==, 1);
    g_assert_true(examine(f, filter_batch(submitted.batch), 1000).missing_batch);
    g_assert_cmpuint(examine(f, filter_all(), 0).foreign, ==, 1);
    assert_string(cancel(f, FILTER_IDS(1, 3), UID_ANYBODY), "");
    assert_string(cancel(f, filter_batch(submitted.batch), UID_ANYBODY), "");
    assert_string(cancel(f, filter_all(), UID_ANYBODY), "7");
    fixture_free(f);
}

/* Ended by being cancelled after an attempt: told with it. */
static void test_single_with_attempt(void)
{
    Fixture *f = fixture_new();
    const BatchEnd *end;

    submit_tasks(f, 1, 0);
    assign(f, 1, 1, 7);
    settle(f, settlement_of(1, 1, TASK_QUEUED, 1));
    assert_string(cancel(f, FILTER_IDS(1), UID_ANYBODY), "1");
    g_assert_cmpuint(f->ended->len, ==, 1);
    end = &g_array_index(f->ended, BatchEnd, 0);
    g_assert_cmpuint(end->single, ==, 1);
    g_assert_cmpuint(end->worker, ==, 7);
    g_assert_cmpint(end->result.outcome, ==, OUTCOME_EXITED);
    fixture_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/store/cancel/ids", test_ids);
    g_test_add_func("/store/cancel/row", test_row);
    g_test_add_func("/store/cancel/batch", test_batch);
    g_test_add_func("/store/cancel/range", test_range);
    g_test_add_func("/store/cancel/words", test_words);
    g_test_add_func("/store/cancel/states", test_states);
    g_test_add_func("/store/cancel/examine", test_examine);
    g_test_add_func("/store/cancel/examine-is-bounded", test_examine_is_bounded);
    g_test_add_func("/store/cancel/chunks", test_chunks);
    g_test_add_func("/store/cancel/hidden", test_hidden);
    g_test_add_func("/store/cancel/single-with-attempt", test_single_with_attempt);
    return g_test_run();
}
