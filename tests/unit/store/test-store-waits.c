/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waiting for a time: delays by CLOCK_BOOTTIME, points by CLOCK_REALTIME, retries; and what else may happen meanwhile. */
#include <string.h>

#include "tests/unit/store/store-fixture.h"

#define SEC USEC_PER_SEC

static void finish(Fixture *f)
{
    fixture_verify(f);
    fixture_free(f);
}

static TaskSpec *add_delayed(Fixture *f, Submission *submission, uint64_t delay_usec)
{
    TaskSpec *spec = add_task(f, submission, "");

    gate_of(spec)->delay_usec = delay_usec;
    return spec;
}

static uint64_t submit_delayed(Fixture *f, uint64_t delay_usec)
{
    Submission *submission = submission_new(1000, true);

    add_delayed(f, submission, delay_usec);
    return submit(f, submission).first;
}

static uint64_t submit_at(Fixture *f, uint64_t realtime_usec)
{
    Submission *submission = submission_new(1000, true);

    gate_of(add_task(f, submission, ""))->not_before_usec = realtime_usec;
    return submit(f, submission).first;
}

static void assert_due(Fixture *f, uint64_t boot_usec, uint64_t realtime_usec)
{
    fixture_drain(f); /* it is told after the answers */
    g_assert_cmpuint(f->due_boot, ==, boot_usec);
    g_assert_cmpuint(f->due_real, ==, realtime_usec);
}

static void test_delay(void)
{
    Fixture *f = fixture_new();

    submit_delayed(f, 60 * SEC);
    submit_delayed(f, 30 * SEC);
    submit_delayed(f, 0); /* none */
    assert_states(f, 1, 3, "wwq");
    assert_due(f, TEST_BOOT + 30 * SEC, UINT64_MAX);
    assert_text(window_of(f, UID_ANYBODY, 10), "3");
    g_free(take_told(f->ready));
    wake(f, TEST_BOOT + 30 * SEC - 1, TEST_NOW + 3600 * SEC); /* the wall clock was set: that is nothing to it */
    assert_states(f, 1, 3, "wwq");
    assert_told(f->ready, "");
    wake(f, TEST_BOOT + 30 * SEC, TEST_NOW);
    assert_states(f, 1, 3, "wqq");
    assert_told(f->ready, "2");
    assert_due(f, TEST_BOOT + 60 * SEC, UINT64_MAX);
    wake(f, TEST_BOOT + 3600 * SEC, TEST_NOW);
    assert_states(f, 1, 3, "qqq");
    assert_due(f, UINT64_MAX, UINT64_MAX);
    g_assert_cmpuint(f->counts.by_state[TASK_WAITING], ==, 0);
    finish(f);
}

static void test_not_before(void)
{
    Fixture *f = fixture_new();

    submit_at(f, TEST_NOW + 60 * SEC);
    submit_at(f, TEST_NOW);     /* now */
    submit_at(f, TEST_NOW - 5); /* has been */
    assert_states(f, 1, 3, "wqq");
    assert_due(f, UINT64_MAX, TEST_NOW + 60 * SEC);
    wake(f, UINT64_MAX / 4, TEST_NOW + 60 * SEC - 1);
    assert_states(f, 1, 1, "w");
    wake(f, 0, TEST_NOW + 60 * SEC);
    assert_states(f, 1, 1, "q");
    finish(f);
}

static void test_row(void)
{
    Fixture *f = fixture_new();

    submit_delayed(f, 60 * SEC);
    submit_at(f, TEST_NOW + 90 * SEC);
    g_autoptr(TaskRow) delayed = get_row(f, 1);
    g_autoptr(TaskRow) later = get_row(f, 2);
    g_assert_cmpuint(delayed->not_before_usec, ==, TEST_NOW + 60 * SEC);
    g_assert_cmpuint(later->not_before_usec, ==, TEST_NOW + 90 * SEC);
    g_autofree char *why = explain(f, 2);
    g_assert_true(g_str_has_prefix(why, "time: it may not start before 2023-11-1"));
    finish(f);
}

static void test_endless(void)
{
    Fixture *f = fixture_new();

    submit_delayed(f, UINT64_MAX);
    submit_delayed(f, UINT64_MAX - 1);
    submit_at(f, UINT64_MAX);
    assert_states(f, 1, 3, "www");
    wake(f, TEST_BOOT * 1000, TEST_NOW * 2);
    assert_states(f, 1, 3, "www");
    assert_text(cancel(f, filter_all(), UID_ANYBODY), "1 2 3");
    finish(f);
}

/* Very many at once: in portions, and all of them. */
static void test_many(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, true);

    for (int i = 0; i < 1000; i++)
        add_delayed(f, submission, SEC);
    submit(f, submission);
    g_assert_cmpuint(f->counts.by_state[TASK_WAITING], ==, 1000);
    g_free(take_told(f->ready));
    wake(f, TEST_BOOT + SEC, TEST_NOW);
    for (int i = 0; i < 20 && f->counts.by_state[TASK_WAITING] > 0; i++)
        fixture_drain(f);
    g_assert_cmpuint(f->counts.by_state[TASK_WAITING], ==, 0);
    g_assert_cmpuint(f->counts.by_state[TASK_QUEUED], ==, 1000);
    g_assert_nonnull(strchr(f->ready->str, '+')); /* more than are told one by one */
    assert_due(f, UINT64_MAX, UINT64_MAX);
    finish(f);
}

static void test_array(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, true);
    TaskSpec *spec = add_delayed(f, submission, SEC);

    spec->array_index = 0;
    spec->array_count = 6;
    submit(f, submission);
    assert_text(cancel(f, FILTER_IDS(2), UID_ANYBODY), "2");
    assert_text(modify(f, FILTER_IDS(4, 5), TASK_HOLD, NULL), "2:");
    assert_states(f, 1, 6, "wCwhhw");
    assert_text(modify(f, FILTER_IDS(5), TASK_RELEASE, NULL), "1:");
    assert_states(f, 1, 6, "wCwhww"); /* its time has not come */
    fixture_reopen(f);
    wake(f, TEST_BOOT + SEC, TEST_NOW);
    assert_states(f, 1, 6, "qCqhqq");
    assert_text(modify(f, FILTER_IDS(4), TASK_RELEASE, NULL), "1:");
    assert_states(f, 1, 6, "qCqqqq");
    finish(f);
}

static void test_hold(void)
{
    Fixture *f = fixture_new();

    submit_delayed(f, 10 * SEC);
    submit_delayed(f, 10 * SEC);
    assert_text(modify(f, filter_batch(1), TASK_HOLD, NULL), "1:");
    assert_text(modify(f, filter_batch(2), TASK_HOLD, NULL), "1:");
    assert_states(f, 1, 2, "hh");
    assert_text(modify(f, filter_batch(1), TASK_RELEASE, NULL), "1:");
    assert_states(f, 1, 2, "wh");
    wake(f, TEST_BOOT + 10 * SEC, TEST_NOW);
    assert_states(f, 1, 2, "qh"); /* the time alone does not release it */
    assert_text(modify(f, filter_batch(2), TASK_RELEASE, NULL), "1:");
    assert_states(f, 1, 2, "qq");
    finish(f);
}

/* The delay begins with the submission, whatever else it waits for. */
static void test_blocked(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, true);

    submit_tasks(f, 2, 0);
    gate_of(add_after(f, submission, "afterok:1"))->delay_usec = 10 * SEC; /* 3 */
    gate_of(add_after(f, submission, "afterok:2"))->delay_usec = 10 * SEC; /* 4 */
    submit(f, submission);
    assert_states(f, 3, 4, "bb");
    run_again(f, 1, TASK_SUCCEEDED);
    assert_states(f, 3, 4, "wb");
    wake(f, TEST_BOOT + 10 * SEC, TEST_NOW);
    assert_states(f, 3, 4, "qb");
    run_again(f, 2, TASK_SUCCEEDED);
    assert_states(f, 3, 4, "qq");
    finish(f);
}

static Settlement try_later(uint64_t task, uint64_t fence, uint64_t due_usec)
{
    Settlement settlement = settlement_of(task, fence, TASK_WAITING, (uint32_t) fence);

    settlement.due_usec = due_usec;
    settlement.spent = (uint32_t) fence;
    return settlement;
}

static void test_retry(void)
{
    Fixture *f = fixture_new();
    g_autoptr(TaskRow) row = NULL;

    submit_array(f, 3, 0);
    begin(f, 2);
    g_assert_cmpint(settle(f, try_later(2, 1, TEST_BOOT + 5 * SEC)), ==, 0);
    assert_states(f, 1, 3, "qwq");
    assert_due(f, TEST_BOOT + 5 * SEC, UINT64_MAX);
    assert_text(window_of(f, UID_ANYBODY, 10), "1 3");
    g_assert_cmpuint(f->ended->len, ==, 0);
    row = get_row(f, 2);
    g_assert_cmpuint(row->spec->spent, ==, 1);
    g_assert_cmpuint(row->spec->attempts, ==, 1);
    g_autofree char *why = explain(f, 2);
    g_assert_true(g_str_has_prefix(why, "time: it is tried again (attempt 2) at "));
    fixture_reopen(f);
    wake(f, TEST_BOOT + 5 * SEC, TEST_NOW);
    assert_states(f, 1, 3, "qqq");
    begin(f, 2);
    g_assert_cmpint(settle(f, try_later(2, 2, TEST_BOOT + 9 * SEC)), ==, 0);
    assert_due(f, TEST_BOOT + 9 * SEC, UINT64_MAX);
    assert_text(cancel(f, FILTER_IDS(2), UID_ANYBODY), "2");
    wake(f, TEST_BOOT + 9 * SEC, TEST_NOW);
    assert_states(f, 1, 3, "qCq");
    finish(f);
}

static void test_retry_held(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 2, 0);
    for (uint64_t id = 1; id <= 2; id++) {
        begin(f, id);
        settle(f, try_later(id, 1, TEST_BOOT + 5 * SEC));
    }
    assert_text(modify(f, filter_batch(1), TASK_HOLD, NULL), "2:");
    assert_text(modify(f, FILTER_IDS(1), TASK_RELEASE, NULL), "1:");
    assert_states(f, 1, 2, "wh");
    wake(f, TEST_BOOT + 5 * SEC, TEST_NOW);
    assert_states(f, 1, 2, "qh");
    finish(f);
}

/* Those that wait for a task that is to be tried again go on waiting. */
static void test_retry_parent(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 1, 0);
    submit_after(f, "afterok:1");
    submit_after(f, "afternotok:1");
    submit_after(f, "after:1");
    begin(f, 1);
    settle(f, try_later(1, 1, TEST_BOOT + 5 * SEC));
    assert_states(f, 1, 4, "wbbq");
    wake(f, TEST_BOOT + 5 * SEC, TEST_NOW);
    run_again(f, 1, TASK_SUCCEEDED);
    assert_states(f, 1, 4, "SqKq");
    finish(f);
}

/* The next boot: CLOCK_BOOTTIME begins anew, and the wall clock tells what is left. */
static void test_reboot(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, true);
    uint64_t now = (uint64_t) g_get_real_time();

    submission->submitted_usec = now;
    submission->boot_usec = UINT64_C(1) << 50; /* of a machine that had been up for 35 years */
    add_delayed(f, submission, 3600 * SEC);
    submit(f, submission);
    g_assert_cmpuint(f->due_boot, ==, (UINT64_C(1) << 50) + 3600 * SEC);
    fixture_reopen(f); /* the same boot */
    wake(f, 0, now);
    g_assert_cmpuint(f->due_boot, ==, (UINT64_C(1) << 50) + 3600 * SEC);
    fixture_close(f);
    fixture_query(f, "UPDATE boots SET boot = 'another'");
    fixture_open(f);
    wake(f, 0, now);
    uint64_t due = f->due_boot;
    g_assert_cmpuint(due, <, UINT64_C(1) << 50);
    wake(f, due - 1, now);
    assert_states(f, 1, 1, "w");
    wake(f, due, now);
    assert_states(f, 1, 1, "q");
    finish(f);
}

/* A batch that is not committed: its time may come before that. */
static void test_hidden(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, false);

    add_delayed(f, submission, SEC);
    add_delayed(f, submission, 9 * SEC);
    uint64_t batch = submit(f, submission).batch;
    g_free(take_told(f->ready));
    wake(f, TEST_BOOT + SEC, TEST_NOW);
    assert_told(f->ready, "");
    assert_text(window_of(f, UID_ANYBODY, 10), "");
    submission = submission_new(1000, true);
    submission->batch = batch;
    submit(f, submission);
    assert_states(f, 1, 2, "qw");
    assert_told(f->ready, "1");
    finish(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/store-waits/delay", test_delay);
    g_test_add_func("/store-waits/not-before", test_not_before);
    g_test_add_func("/store-waits/row", test_row);
    g_test_add_func("/store-waits/endless", test_endless);
    g_test_add_func("/store-waits/many", test_many);
    g_test_add_func("/store-waits/array", test_array);
    g_test_add_func("/store-waits/hold", test_hold);
    g_test_add_func("/store-waits/blocked", test_blocked);
    g_test_add_func("/store-waits/retry/attempts", test_retry);
    g_test_add_func("/store-waits/retry/held", test_retry_held);
    g_test_add_func("/store-waits/retry/parent", test_retry_parent);
    g_test_add_func("/store-waits/reboot", test_reboot);
    g_test_add_func("/store-waits/hidden", test_hidden);
    return g_test_run();
}
