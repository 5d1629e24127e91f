/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What several things that happen in one operation, or things that are taken back, bring about for those that wait: what the
 * random histories of test-store-queue-model.c have found, each as small as it can be. */
#include "tests/unit/store/store-fixture.h"

#define NOW ((uint64_t) g_get_real_time())

static void finish(Fixture *f)
{
    fixture_verify(f);
    fixture_free(f);
}

static void edit_queue(Fixture *f, uint64_t task, const char *queue)
{
    TaskEdit *edit = g_new0(TaskEdit, 1);

    edit->queue = g_strdup(queue);
    assert_text(modify(f, FILTER_IDS(task), TASK_EDIT, edit), "1:");
}

/* One of two parents makes the gate be counted anew, the other counts it down: not twice. */
static void test_counted_once(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 4, 0);
    submit_after(f, "afterany:1?afterok:4,afterany:2,afterok:3"); /* 5 */
    g_free(cancel(f, FILTER_IDS(1, 2), UID_ANYBODY));
    assert_states(f, 5, 5, "b");
    run_again(f, 3, TASK_SUCCEEDED);
    assert_states(f, 5, 5, "q");
    finish(f);
}

/* The same when the other one follows from the first. */
static void test_counted_once_in_a_row(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 2, 0);
    submit_after(f, "afterok:1");                                                  /* 3: skipped with 1 */
    submit_after(f, "afternotok:1?afterok:2,afternotok:3,afternotok:3,afterok:2"); /* 4 */
    run_again(f, 1, TASK_FAILED);
    assert_states(f, 3, 4, "Kb");
    run_again(f, 2, TASK_SUCCEEDED);
    assert_states(f, 4, 4, "q");
    finish(f);
}

/* Retried, and its own condition can no longer come: others that wait for it learn that, once. */
static void test_end_after_end(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 2, 0);
    submit_after(f, "afternotok:1");           /* 3 */
    submit_after(f, "afternotok:3,afterok:2"); /* 4 */
    run_again(f, 1, TASK_FAILED);
    run_again(f, 3, TASK_FAILED);
    assert_text(modify(f, FILTER_IDS(1), TASK_RETRY, NULL), "1:");
    run_again(f, 1, TASK_SUCCEEDED);
    g_free(modify(f, FILTER_IDS(3), TASK_RETRY, NULL));
    assert_states(f, 3, 4, "Kb");
    run_again(f, 2, TASK_SUCCEEDED);
    assert_states(f, 4, 4, "q");
    finish(f);
}

/* Nobody would ever look at it again if it waited. */
static void test_release_too_late(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 1, 0);
    submit_after(f, "afternotok:1"); /* 2 */
    run_again(f, 1, TASK_FAILED);
    assert_states(f, 2, 2, "q");
    g_free(modify(f, FILTER_IDS(1), TASK_RETRY, NULL));
    run_again(f, 1, TASK_SUCCEEDED);
    g_free(modify(f, FILTER_IDS(2), TASK_HOLD, NULL));
    g_free(modify(f, FILTER_IDS(2), TASK_RELEASE, NULL));
    assert_states(f, 2, 2, "K");
    finish(f);
}

/* The ends of the elements change nothing for those that another condition has closed. */
static void test_closed_elements(void)
{
    Fixture *f = fixture_new();

    submit_array(f, 2, 0);                             /* 1-2 */
    submit_tasks(f, 1, 0);                             /* 3 */
    submit_array_after(f, 2, "aftercorr:1,afterok:3"); /* 4-5 */
    run_again(f, 3, TASK_FAILED);
    assert_states(f, 4, 5, "KK");
    run_again(f, 1, TASK_SUCCEEDED);
    assert_states(f, 4, 5, "KK");
    finish(f);
}

static void test_retry_element(void)
{
    Fixture *f = fixture_new();

    submit_array(f, 2, 0);                   /* 1-2 */
    submit_array_after(f, 2, "aftercorr:1"); /* 3-4 */
    run_again(f, 1, TASK_FAILED);
    assert_states(f, 3, 4, "Kb");
    assert_told(f->skipped, "3");
    assert_text(modify(f, FILTER_IDS(3), TASK_RETRY, NULL), "0:");
    assert_told(f->skipped, "");
    g_free(modify(f, FILTER_IDS(1), TASK_RETRY, NULL));
    assert_states(f, 3, 4, "bb");
    finish(f);
}

/* ------------------------------------------------------------------ the starts of a batch */

static void test_start_taken_back(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 3, 0);            /* batch 1 */
    submit_after(f, "after:batch:1"); /* 4 */
    g_free(cancel(f, FILTER_IDS(1), UID_ANYBODY));
    g_free(modify(f, FILTER_IDS(1), TASK_RETRY, NULL));
    begin(f, 1);
    begin(f, 2);
    assert_states(f, 1, 4, "rrqb");
    begin(f, 3);
    assert_states(f, 4, 4, "q");
    finish(f);
}

static void test_start_skipped_and_not(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, true);

    submit_tasks(f, 1, 0);
    add_after(f, submission, "afterok:1"); /* 2, batch 2 */
    add_task(f, submission, "");           /* 3 */
    submit(f, submission);
    submit_after(f, "after:batch:2"); /* 4 */
    run_again(f, 1, TASK_FAILED);
    g_free(modify(f, FILTER_IDS(1), TASK_RETRY, NULL));
    assert_states(f, 1, 4, "qbqb");
    begin(f, 3);
    assert_states(f, 4, 4, "b");
    finish(f);
}

/* Elements that ended before anybody waited. */
static void test_start_of_elements(void)
{
    Fixture *f = fixture_new();

    submit_array(f, 3, 0); /* batch 1 */
    g_free(cancel(f, FILTER_IDS(2, 3), UID_ANYBODY));
    submit_after(f, "after:batch:1"); /* 4 */
    assert_states(f, 4, 4, "b");
    begin(f, 1);
    assert_states(f, 4, 4, "q");
    finish(f);
}

/* It ran before; that it cannot go on is no further start. */
static void test_start_once(void)
{
    Fixture *f = fixture_new();
    Settlement settlement;

    submit_tasks(f, 2, 0);            /* batch 1 */
    submit_after(f, "after:batch:1"); /* 3 */
    run_again(f, 1, TASK_QUEUED);
    settlement = settlement_of(1, 1, TASK_FAILED, 0);
    settlement.attempts = 1;
    g_assert_cmpint(settle(f, settlement), ==, 0);
    assert_states(f, 1, 3, "Fqb");
    finish(f);
}

/* So short that it was over before anybody told that it started. */
static void test_start_untold(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 1, 0);
    submit_after(f, "after:1?afterok:1"); /* 2 */
    assign(f, 1, 1, 7);
    g_assert_cmpint(settle(f, settlement_of(1, 1, TASK_QUEUED, 1)), ==, 0);
    assert_states(f, 1, 2, "qq");
    finish(f);
}

/* ------------------------------------------------------------------ queues */

/* The array is throttled, and it waits in a queue with somebody more urgent. */
static void test_urgent_in_queue(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, true);
    TaskSpec *array = add_task(f, submission, ""); /* 1-3 */

    set_queue(f, "q", 1);
    array->array_index = 0;
    array->array_count = 3;
    gate_of(array)->parallel = 1;
    array->gate->queue = g_strdup("q");
    submit(f, submission);
    submission = submission_new(1000, true);
    add_task(f, submission, "")->priority = 10; /* 4 */
    gate_of(submission->tasks->pdata[0])->queue = g_strdup("q");
    submit(f, submission);
    assert_text(window_of(f, UID_ANYBODY, 10), "1");
    run_again(f, 1, TASK_SUCCEEDED);
    assert_text(window_of(f, UID_ANYBODY, 10), "4");
    run_again(f, 4, TASK_SUCCEEDED);
    assert_text(window_of(f, UID_ANYBODY, 10), "2");
    finish(f);
}

/* Its queue does not exist any more: that is no limit. */
static void test_removed_queue(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, true);

    set_queue(f, "q", 1);
    for (int i = 0; i < 2; i++) { /* 1, 2 */
        gate_of(add_task(f, submission, "name"))->singleton = true;
        gate_of(submission->tasks->pdata[i])->queue = g_strdup(i == 0 ? "q" : "");
    }
    g_clear_pointer(&((TaskSpec *) submission->tasks->pdata[1])->gate->queue, g_free);
    submit(f, submission);
    run_again(f, 1, TASK_FAILED);
    g_assert_cmpint(remove_queue(f, "q"), ==, 0);
    g_free(modify(f, FILTER_IDS(1), TASK_RETRY, NULL));
    assert_text(window_of(f, UID_ANYBODY, 10), "2");
    run_again(f, 2, TASK_SUCCEEDED);
    assert_text(window_of(f, UID_ANYBODY, 10), "1");
    finish(f);
}

static void test_hidden_in_queue(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, false);
    TaskSpec *array;

    set_queue(f, "q", 1);
    gate_of(add_task(f, submission, ""))->queue = g_strdup("q");
    array = add_task(f, submission, "");
    array->array_count = 5;
    gate_of(array)->queue = g_strdup("q");
    submit(f, submission);
    assert_text(list_queues(f), "q 1: 0+0");
    submission = submission_new(1000, true);
    submission->batch = 1;
    submit(f, submission);
    assert_text(list_queues(f), "q 1: 1+5");
    edit_queue(f, 2, "");
    assert_text(list_queues(f), "q 1: 1+4");
    finish(f);
}

/* What throttled an array goes with it, also if it was never committed. */
static void test_lane_forgotten(void)
{
    Fixture *f = fixture_new();

    for (int i = 0; i < 2; i++) {
        Submission *submission = submission_new(1000, i == 0);
        TaskSpec *array = add_task(f, submission, "");
        array->array_index = 0;
        array->array_count = 3;
        gate_of(array)->parallel = 2;
        Submitted submitted = submit(f, submission);
        if (i == 1)
            f->port->discard_batch(f->port, submitted.batch);
    }
    g_free(cancel(f, filter_batch(1), UID_ANYBODY));
    prune(f, NOW + 1000);
    fixture_close(f);
    g_assert_cmpint(fixture_query(f, "SELECT count(*) FROM lanes"), ==, 0);
    fixture_open(f);
    finish(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/store-consequences/counted-once", test_counted_once);
    g_test_add_func("/store-consequences/counted-once-in-a-row", test_counted_once_in_a_row);
    g_test_add_func("/store-consequences/end-after-end", test_end_after_end);
    g_test_add_func("/store-consequences/release-too-late", test_release_too_late);
    g_test_add_func("/store-consequences/closed-elements", test_closed_elements);
    g_test_add_func("/store-consequences/retry-element", test_retry_element);
    g_test_add_func("/store-consequences/start-taken-back", test_start_taken_back);
    g_test_add_func("/store-consequences/start-skipped-and-not", test_start_skipped_and_not);
    g_test_add_func("/store-consequences/start-of-elements", test_start_of_elements);
    g_test_add_func("/store-consequences/start-once", test_start_once);
    g_test_add_func("/store-consequences/start-untold", test_start_untold);
    g_test_add_func("/store-consequences/urgent-in-queue", test_urgent_in_queue);
    g_test_add_func("/store-consequences/removed-queue", test_removed_queue);
    g_test_add_func("/store-consequences/hidden-in-queue", test_hidden_in_queue);
    g_test_add_func("/store-consequences/lane-forgotten", test_lane_forgotten);
    return g_test_run();
}
