/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Named queues, throttled arrays and singletons: how many are let in, who is next, and what makes room. After each test
 * fixture_verify() looks whether anybody waits for whom there is room. */
#include "tests/unit/store/store-fixture.h"

static void finish(Fixture *f)
{
    fixture_verify(f);
    fixture_free(f);
}

static void assert_window(Fixture *f, const char *expected)
{
    g_autofree char *window = window_of(f, UID_ANYBODY, 100);

    g_assert_cmpstr(window, ==, expected);
}

static TaskSpec *add_to_queue(Fixture *f, Submission *submission, const char *queue)
{
    TaskSpec *spec = add_task(f, submission, "");

    gate_of(spec)->queue = g_strdup(queue);
    return spec;
}

static void submit_to_queue(Fixture *f, const char *queue, unsigned n)
{
    Submission *submission = submission_new(1000, true);

    for (unsigned i = 0; i < n; i++)
        add_to_queue(f, submission, queue);
    g_assert_cmpint(submit(f, submission).r, ==, 0);
}

static uint64_t submit_throttled(Fixture *f, uint64_t n, uint32_t parallel)
{
    Submission *submission = submission_new(1000, true);
    TaskSpec *spec = add_task(f, submission, "array");

    spec->array_index = 0;
    spec->array_count = n;
    gate_of(spec)->parallel = parallel;
    return submit(f, submission).first;
}

static uint64_t submit_singleton(Fixture *f, const char *name, uint32_t uid, const char *queue)
{
    Submission *submission = submission_new(uid, true);
    TaskSpec *spec = add_task(f, submission, name);

    gate_of(spec)->singleton = true;
    spec->gate->queue = g_strdup(queue);
    return submit(f, submission).first;
}

static TaskEdit *to_queue(const char *queue)
{
    TaskEdit *edit = g_new0(TaskEdit, 1);

    edit->queue = g_strdup(queue);
    return edit;
}

/* ------------------------------------------------------------------ queues */

static void test_queue(void)
{
    Fixture *f = fixture_new();

    g_assert_cmpint(set_queue(f, "sims", 2), ==, 0);
    submit_to_queue(f, "sims", 5);
    submit_tasks(f, 1, 0); /* of none */
    assert_window(f, "1 2 6");
    g_assert_cmpuint(f->counts.by_state[TASK_QUEUED], ==, 6); /* they are all queued to those who look */
    assert_states(f, 1, 6, "qqqqqq");
    assert_text(list_queues(f), "sims 2: 2+3");
    g_free(take_told(f->ready));
    begin(f, 1); /* still under way */
    assert_window(f, "2 6");
    settle(f, settlement_of(1, 1, TASK_SUCCEEDED, 1));
    assert_told(f->ready, "3");
    assert_window(f, "2 3 6");
    run_again(f, 2, TASK_FAILED);
    assert_window(f, "3 4 6");
    fixture_reopen(f);
    assert_window(f, "3 4 6");
    run_again(f, 4, TASK_SUCCEEDED);
    run_again(f, 5, TASK_SUCCEEDED);
    run_again(f, 3, TASK_SUCCEEDED);
    assert_text(list_queues(f), "sims 2: 0+0");
    finish(f);
}

static void test_queue_unknown(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, true);

    add_to_queue(f, submission, "no\nsuch");
    Submitted submitted = submit(f, submission);
    g_assert_cmpint(submitted.r, ==, -ENOKEY);
    g_assert_cmpstr(submitted.refusal, ==, "There is no queue \"no?such\".");
    g_assert_cmpint(get_row(f, 1) == NULL, ==, true);
    finish(f);
}

static void test_queue_limit(void)
{
    Fixture *f = fixture_new();

    set_queue(f, "a", 1);
    submit_to_queue(f, "a", 6);
    assert_window(f, "1");
    g_free(take_told(f->ready));
    set_queue(f, "a", 3);
    assert_told(f->ready, "2 3");
    set_queue(f, "a", 1); /* what is under way goes on */
    assert_window(f, "1 2 3");
    run_again(f, 1, TASK_SUCCEEDED);
    run_again(f, 2, TASK_SUCCEEDED);
    assert_window(f, "3");
    run_again(f, 3, TASK_SUCCEEDED);
    assert_window(f, "4");
    set_queue(f, "a", 0); /* any number */
    assert_window(f, "4 5 6");
    assert_text(list_queues(f), "a 0: 3+0");
    finish(f);
}

static void test_queue_priority(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, true);
    static const int32_t priorities[] = { 0, 5, -3, 5, 9 };

    set_queue(f, "a", 1);
    submit_to_queue(f, "a", 1); /* 1 */
    for (size_t i = 0; i < G_N_ELEMENTS(priorities); i++)
        add_to_queue(f, submission, "a")->priority = priorities[i]; /* 2-6 */
    submit(f, submission);
    static const char *const order[] = { "1", "6", "3", "5", "2", "4" };
    for (size_t i = 0; i < G_N_ELEMENTS(order); i++) {
        assert_window(f, order[i]);
        run_again(f, g_ascii_strtoull(order[i], NULL, 10), TASK_SUCCEEDED);
    }
    finish(f);
}

static void test_queue_array(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, true);
    TaskSpec *spec;

    set_queue(f, "a", 3);
    spec = add_to_queue(f, submission, "a");
    spec->array_index = 0;
    spec->array_count = 1000000;
    submit(f, submission);
    assert_window(f, "1 2 3");
    run_again(f, 2, TASK_SUCCEEDED);
    assert_window(f, "1 3 4");
    assert_text(cancel(f, FILTER_IDS(1), UID_ANYBODY), "1");
    assert_window(f, "3 4 5");
    assert_text(list_queues(f), "a 3: 3+999995");
    assert_text(cancel(f, filter_all(), UID_ANYBODY), "3-1000000");
    assert_text(list_queues(f), "a 3: 0+0");
    finish(f);
}

static void test_queue_remove(void)
{
    Fixture *f = fixture_new();

    g_assert_cmpint(remove_queue(f, "a"), ==, -ENOKEY);
    set_queue(f, "a", 1);
    set_queue(f, "b", 7);
    submit_to_queue(f, "a", 2);
    g_assert_cmpint(remove_queue(f, "a"), ==, -EBUSY);
    run_again(f, 1, TASK_FAILED);
    begin(f, 2);
    g_assert_cmpint(remove_queue(f, "a"), ==, -EBUSY);
    settle(f, settlement_of(2, 1, TASK_SUCCEEDED, 1));
    g_assert_cmpint(remove_queue(f, "a"), ==, 0);
    g_assert_cmpint(remove_queue(f, "a"), ==, -ENOKEY);
    assert_text(list_queues(f), "b 7: 0+0");
    g_free(modify(f, FILTER_IDS(1), TASK_RETRY, NULL)); /* its queue is gone: nothing keeps it back */
    assert_window(f, "1");
    finish(f);
}

/* A new queue is another one than that of old tasks, whatever its number. */
static void test_queue_new(void)
{
    Fixture *f = fixture_new();
    g_autoptr(TaskRow) row = NULL;

    set_queue(f, "old", 1);
    submit_to_queue(f, "old", 1);
    run_again(f, 1, TASK_FAILED);
    g_assert_cmpint(remove_queue(f, "old"), ==, 0);
    set_queue(f, "new", 1);
    row = get_row(f, 1);
    g_assert_cmpstr(row->queue, !=, "new");
    finish(f);
}

/* Whatever keeps a task that was let in back again makes room. */
static void test_queue_room(void)
{
    Fixture *f = fixture_new();

    set_queue(f, "a", 1);
    submit_to_queue(f, "a", 8);
    assert_window(f, "1");
    assert_text(cancel(f, FILTER_IDS(1), UID_ANYBODY), "1");
    assert_window(f, "2");
    assert_text(modify(f, FILTER_IDS(2), TASK_HOLD, NULL), "1: 2");
    assert_window(f, "3");
    assert_text(modify(f, FILTER_IDS(2), TASK_RELEASE, NULL), "1:"); /* there is no room any more */
    assert_window(f, "3");
    begin(f, 3); /* fails, and is to be tried again later */
    Settlement later = settlement_of(3, 1, TASK_WAITING, 1);
    later.due_usec = TEST_BOOT + 1000;
    settle(f, later);
    assert_window(f, "2");
    wake(f, TEST_BOOT + 1000, TEST_NOW);
    assert_window(f, "2");
    assert_states(f, 3, 3, "q");
    assign(f, 2, 1, 7); /* comes back from its worker as held */
    settle(f, settlement_of(2, 1, TASK_HELD, 0));
    assert_window(f, "3"); /* by id */
    assign(f, 3, 2, 7); /* comes back as it was */
    settle(f, settlement_of(3, 2, TASK_QUEUED, 1));
    assert_window(f, "3");
    assert_text(modify(f, FILTER_IDS(3), TASK_EDIT, to_queue("")), "1: 3"); /* into none */
    assert_window(f, "3 4");
    settle(f, (Settlement){ .result = { .task = 4, .fence = 0 }, .next = TASK_FAILED }); /* cannot be started */
    assert_window(f, "3 5");
    finish(f);
}

/* From one queue to another, from each state. */
static void test_queue_edit(void)
{
    Fixture *f = fixture_new();

    set_queue(f, "a", 1);
    set_queue(f, "b", 1);
    submit_to_queue(f, "a", 3);
    submit_to_queue(f, "b", 1); /* 4 */
    assert_window(f, "1 4");
    assert_text(modify(f, FILTER_IDS(1), TASK_EDIT, to_queue("b")), "1: 1"); /* there is none left there */
    assert_window(f, "2 4");
    assert_text(modify(f, FILTER_IDS(3), TASK_EDIT, to_queue("")), "1:");
    assert_window(f, "2 3 4");
    run_again(f, 4, TASK_SUCCEEDED);
    assert_window(f, "1 2 3");
    assert_text(modify(f, FILTER_IDS(2), TASK_EDIT, to_queue("nowhere")), "error: Required key not available");
    assert_text(modify(f, FILTER_IDS(3), TASK_EDIT, to_queue("a")), "1: 3");
    assert_window(f, "1 2");
    finish(f);
}

/* Its worker has it and has not started it: the queue that it leaves has room. */
static void test_queue_edit_taken(void)
{
    Fixture *f = fixture_new();

    set_queue(f, "a", 1);
    submit_to_queue(f, "a", 2);
    assign(f, 1, 1, 7);
    assert_text(modify(f, FILTER_IDS(1), TASK_EDIT, to_queue("")), "1: | 1");
    assert_window(f, "2");
    finish(f);
}

static void test_queue_hidden(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, false);

    set_queue(f, "a", 1);
    add_to_queue(f, submission, "a"); /* 1 */
    add_to_queue(f, submission, "a");
    uint64_t batch = submit(f, submission).batch;
    submit_to_queue(f, "a", 2); /* 3-4: the others are not there yet */
    assert_window(f, "3");
    submission = submission_new(1000, true);
    submission->batch = batch;
    submit(f, submission);
    assert_window(f, "3");
    run_again(f, 3, TASK_SUCCEEDED);
    assert_window(f, "1");
    finish(f);
}

/* ------------------------------------------------------------------ throttled arrays */

static void test_throttle(void)
{
    Fixture *f = fixture_new();

    submit_throttled(f, 10, 3);
    submit_throttled(f, 10, 1);
    assert_window(f, "1 2 3 11");
    run_again(f, 2, TASK_SUCCEEDED);
    assert_window(f, "1 3 4 11");
    begin(f, 1);
    begin(f, 3);
    assert_window(f, "4 11");
    fixture_reopen(f);
    settle(f, settlement_of(1, 1, TASK_FAILED, 1));
    assert_window(f, "4 5 11");
    assert_text(cancel(f, FILTER_IDS(4, 5), UID_ANYBODY), "4-5");
    assert_window(f, "6 7 11");
    assert_text(modify(f, FILTER_IDS(6, 7, 8), TASK_HOLD, NULL), "3: 6 7");
    assert_window(f, "9 10 11");
    assert_text(modify(f, FILTER_IDS(6), TASK_RELEASE, NULL), "1:");
    settle(f, settlement_of(3, 1, TASK_SUCCEEDED, 1));
    assert_window(f, "6 9 10 11");
    assert_text(explain(f, 12), "array: 1 tasks of its array run or are next, and it was submitted with %1");
    finish(f);
}

static void test_throttle_retry(void)
{
    Fixture *f = fixture_new();

    submit_throttled(f, 3, 1);
    run_again(f, 1, TASK_FAILED);
    assert_window(f, "2");
    assert_text(modify(f, FILTER_IDS(1), TASK_RETRY, NULL), "1:");
    assert_window(f, "2");
    run_again(f, 2, TASK_SUCCEEDED);
    assert_window(f, "1");
    run_again(f, 1, TASK_SUCCEEDED);
    assert_window(f, "3");
    finish(f);
}

/* A throttled array in a queue: the lower of both. */
static void test_throttle_in_queue(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, true);

    set_queue(f, "a", 3);
    for (int i = 0; i < 2; i++) { /* 1-10, 11-20 */
        TaskSpec *spec = add_to_queue(f, submission, "a");
        spec->array_index = 0;
        spec->array_count = 10;
        spec->gate->parallel = 2;
    }
    submit(f, submission);
    assert_window(f, "1 2 11");
    run_again(f, 11, TASK_SUCCEEDED);
    assert_window(f, "1 2 12");
    run_again(f, 1, TASK_SUCCEEDED);
    assert_window(f, "2 3 12");
    set_queue(f, "a", 0);
    assert_window(f, "2 3 12 13");
    finish(f);
}

static void test_throttle_after(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, true);
    TaskSpec *spec;

    submit_tasks(f, 1, 0);
    spec = add_after(f, submission, "afterok:1");
    spec->array_index = 0;
    spec->array_count = 5;
    spec->gate->parallel = 2;
    submit(f, submission);
    assert_window(f, "1");
    run_again(f, 1, TASK_SUCCEEDED);
    assert_window(f, "2 3");
    assert_text(cancel(f, filter_batch(2), UID_ANYBODY), "2-6");
    finish(f);
}

/* ------------------------------------------------------------------ singletons */

static void test_singleton(void)
{
    Fixture *f = fixture_new();

    submit_singleton(f, "backup", 1000, NULL); /* 1 */
    submit_singleton(f, "backup", 1000, NULL); /* 2 */
    submit_singleton(f, "other", 1000, NULL);  /* 3 */
    submit_singleton(f, "backup", 1001, NULL); /* 4: of another user */
    assert_window(f, "1 3 4");
    assert_text(explain(f, 2), "singleton: 1 task of this name runs or is next, and it is a singleton");
    begin(f, 1);
    assert_window(f, "3 4");
    fixture_reopen(f);
    settle(f, settlement_of(1, 1, TASK_FAILED, 1));
    assert_window(f, "2 3 4");
    submit_singleton(f, "backup", 1000, NULL); /* 5 */
    assert_text(cancel(f, FILTER_IDS(2), UID_ANYBODY), "2");
    assert_window(f, "3 4 5");
    finish(f);
}

/* Of one name, in different queues. */
static void test_singleton_in_queues(void)
{
    Fixture *f = fixture_new();

    set_queue(f, "a", 5);
    set_queue(f, "b", 5);
    submit_singleton(f, "backup", 1000, "a");  /* 1 */
    submit_singleton(f, "backup", 1000, "b");  /* 2 */
    submit_singleton(f, "backup", 1000, NULL); /* 3 */
    assert_window(f, "1");
    run_again(f, 1, TASK_SUCCEEDED);
    assert_window(f, "2");
    run_again(f, 2, TASK_SUCCEEDED);
    assert_window(f, "3");
    finish(f);
}

/* ------------------------------------------------------------------ explaining, looking, cancelling */

static void test_explain(void)
{
    Fixture *f = fixture_new();

    set_queue(f, "a", 2);
    submit_to_queue(f, "a", 3);
    begin(f, 1);
    assert_text(explain(f, 3), "queue: 2 tasks of queue a run or are next, and it takes 2; parctl queue set a --parallel N "
                               "changes that");
    g_autoptr(TaskRow) row = get_row(f, 3);
    g_assert_cmpstr(row->queue, ==, "a");
    assert_text(list_ids(f, filter_states(1U << TASK_QUEUED), NULL), "2 3");
    assert_text(cancel(f, filter_states(1U << TASK_QUEUED), UID_ANYBODY), "2-3");
    finish(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/store-lanes/queue/tasks", test_queue);
    g_test_add_func("/store-lanes/queue/unknown", test_queue_unknown);
    g_test_add_func("/store-lanes/queue/limit", test_queue_limit);
    g_test_add_func("/store-lanes/queue/priority", test_queue_priority);
    g_test_add_func("/store-lanes/queue/array", test_queue_array);
    g_test_add_func("/store-lanes/queue/remove", test_queue_remove);
    g_test_add_func("/store-lanes/queue/new", test_queue_new);
    g_test_add_func("/store-lanes/queue/room", test_queue_room);
    g_test_add_func("/store-lanes/queue/edit", test_queue_edit);
    g_test_add_func("/store-lanes/queue/edit-taken", test_queue_edit_taken);
    g_test_add_func("/store-lanes/queue/hidden", test_queue_hidden);
    g_test_add_func("/store-lanes/throttle/array", test_throttle);
    g_test_add_func("/store-lanes/throttle/retry", test_throttle_retry);
    g_test_add_func("/store-lanes/throttle/in-queue", test_throttle_in_queue);
    g_test_add_func("/store-lanes/throttle/after", test_throttle_after);
    g_test_add_func("/store-lanes/singleton/names", test_singleton);
    g_test_add_func("/store-lanes/singleton/in-queues", test_singleton_in_queues);
    g_test_add_func("/store-lanes/explain", test_explain);
    return g_test_run();
}
