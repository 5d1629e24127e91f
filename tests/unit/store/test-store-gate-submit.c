/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Dependencies on their way in: what is refused, batches that are not committed yet, keys; and what is told of those that wait. */
#include <string.h>

#include "tests/unit/store/store-fixture.h"

static void finish(Fixture *f)
{
    fixture_verify(f);
    fixture_free(f);
}

/* ------------------------------------------------------------------ refusals */

static const struct {
    const char *after;
    int r;
    const char *refusal;
} refusals[] = {
    { "afterok:7", -EDOM, "Task 7 depends on itself." },
    { "afterok:p0", -EDOM, "Task 7 depends on itself." },
    { "afterok:8", -EDOM, "Task 7 depends on a later task, 8." },
    { "afterok:18446744073709551615", -EDOM, "Task 7 depends on a later task, 18446744073709551615." },
    { "afterok:p1", -EDOM, "Task 7 depends on position 1 of its batch, which has not come that far." },
    { "afterok:0", -ENOENT, "There is no task 0 to depend on." },
    { "afterok:6", -EDOM, "Task 6 belongs to another user (1001); dependencies are between tasks of one user." },
    { "afterok:batch:9", -ENOENT, "There is no batch 9 to depend on." },
    { "afterok:batch:4", -EDOM, "A task of batch 4 depends on its own batch." },
    { "afterok:batch:3", -EDOM, "Batch 3 belongs to another user." },
    { "exit=3:batch:1", -EDOM, "exit looks at one task; batch 1 has 2." },
    { "aftercorr:1", -EDOM, "aftercorr goes between arrays with the same indices" },
    { "aftercorr:3", -EDOM, "aftercorr goes between arrays with the same indices" },
    { "afterok:1,afterok:99", -EDOM, "depends on a later task, 99" },
};

static void test_refusals(void)
{
    Fixture *f = fixture_new();
    Submission *foreign = submission_new(1001, true);

    submit_tasks(f, 2, 0);  /* batch 1: 1-2 */
    submit_array(f, 3, 0);  /* batch 2: 3-5 */
    add_task(f, foreign, "");
    submit(f, foreign);     /* batch 3: 6 */
    for (size_t i = 0; i < G_N_ELEMENTS(refusals); i++) {
        Submission *submission = submission_new(1000, true);
        add_after(f, submission, refusals[i].after);
        Submitted submitted = submit(f, submission);
        g_test_message("%s: %s", refusals[i].after, submitted.refusal);
        g_assert_cmpint(submitted.r, ==, refusals[i].r);
        g_assert_nonnull(strstr(submitted.refusal, refusals[i].refusal));
    }
    assert_states(f, 7, 9, "---");
    g_assert_cmpuint(f->counts.by_state[TASK_QUEUED], ==, 6);
    fixture_verify(f);
    submit_after(f, "afterok:1"); /* the id is that of the first that was refused */
    g_assert_cmpint(get_state(f, 7), ==, TASK_BLOCKED);
    finish(f);
}

/* One bad task among many: nothing is stored of the others. */
static void test_refused_whole(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, true);

    set_queue(f, "q", 1);
    submit_tasks(f, 1, 0);
    for (int i = 0; i < 20; i++) {
        TaskSpec *spec = add_after(f, submission, i == 19 ? "afterok:99" : "afterok:1");
        gate_of(spec)->delay_usec = 1000;
        gate_of(spec)->queue = g_strdup("q");
    }
    g_assert_cmpint(submit(f, submission).r, ==, -EDOM);
    fixture_verify(f);
    fixture_close(f);
    g_assert_cmpint(fixture_query(f, "SELECT (SELECT count(*) FROM gates) + (SELECT count(*) FROM edges)"
                                     " + (SELECT count(*) FROM waits) + (SELECT count(*) FROM lanes)"), ==, 0);
    fixture_open(f);
    run_again(f, 1, TASK_SUCCEEDED);
    assert_text(window_of(f, UID_ANYBODY, 10), "");
    finish(f);
}

/* ------------------------------------------------------------------ batches that are not committed yet */

/* Parents end while the batch is open; nothing of it is seen before it is committed. */
static void test_uncommitted(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, false);
    uint64_t batch;

    submit_tasks(f, 3, 0);                 /* batch 1: 1-3 */
    add_after(f, submission, "afterok:1"); /* 4 */
    add_after(f, submission, "afterok:2"); /* 5 */
    add_after(f, submission, "afterok:3"); /* 6 */
    add_after(f, submission, "afterok:p1"); /* 7: of one that will be skipped */
    add_after(f, submission, "afterany:p1"); /* 8 */
    batch = submit(f, submission).batch;
    g_free(take_told(f->ready));
    run_again(f, 1, TASK_SUCCEEDED);
    run_again(f, 2, TASK_FAILED);
    assert_told(f->ready, "");
    assert_told(f->skipped, "");
    assert_states(f, 4, 8, "-----");
    assert_text(window_of(f, UID_ANYBODY, 10), "3");
    g_assert_cmpuint(f->counts.by_state[TASK_QUEUED], ==, 1);
    g_assert_cmpuint(f->counts.by_state[TASK_SKIPPED], ==, 0);
    submission = submission_new(1000, true);
    submission->batch = batch;
    add_after(f, submission, "afterok:p0"); /* 9: a position of the first call */
    g_assert_cmpint(submit(f, submission).r, ==, 0);
    assert_states(f, 4, 9, "qKbKqb");
    run_again(f, 4, TASK_SUCCEEDED);
    run_again(f, 3, TASK_SUCCEEDED);
    assert_states(f, 4, 9, "SKqKqq");
    g_assert_cmpuint(f->counts.by_state[TASK_SKIPPED], ==, 2);
    g_assert_cmpuint(f->counts.by_state[TASK_QUEUED], ==, 3);
    finish(f);
}

/* What waits for all of a batch, with the batch in two calls. */
static void test_uncommitted_positions(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, false);
    TaskSpec *array = add_task(f, submission, "array"); /* positions 0-3 */
    uint64_t batch;

    array->array_index = 0;
    array->array_count = 4;
    add_task(f, submission, ""); /* 4 */
    batch = submit(f, submission).batch;
    submit_tasks(f, 2, 0); /* ids between the two calls */
    submission = submission_new(1000, true);
    submission->batch = batch;
    add_after(f, submission, "afterok:p2");    /* id 8, position 5 */
    add_after(f, submission, "afterok:p4:p5"); /* id 9 */
    submit(f, submission);
    assert_states(f, 1, 9, "qqqqqqqbb");
    run_again(f, 3, TASK_SUCCEEDED);
    assert_states(f, 8, 9, "qb");
    run_again(f, 5, TASK_SUCCEEDED);
    run_again(f, 8, TASK_SUCCEEDED);
    assert_states(f, 8, 9, "Sq");
    finish(f);
}

static void test_discarded(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, false);

    submit_tasks(f, 1, 0);
    add_after(f, submission, "afterok:1");
    gate_of(add_after(f, submission, "afterok:1"))->delay_usec = 1000;
    submission->key = g_strdup("key");
    uint64_t batch = submit(f, submission).batch;
    f->port->discard_batch(f->port, batch);
    fixture_drain(f);
    run_again(f, 1, TASK_SUCCEEDED);
    assert_text(window_of(f, UID_ANYBODY, 10), "");
    fixture_close(f);
    g_assert_cmpint(fixture_query(f, "SELECT count(*) FROM edges"), ==, 0);
    g_assert_cmpint(fixture_query(f, "SELECT count(*) FROM gates"), ==, 0);
    g_assert_cmpint(fixture_query(f, "SELECT count(*) FROM waits"), ==, 0);
    fixture_open(f);
    finish(f);
}

/* ------------------------------------------------------------------ what else there is to them */

/* Held while the parents end, either way. */
static void test_held(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, true);

    submit_tasks(f, 2, 0);
    gate_of(add_after(f, submission, "afterok:1"))->held = true; /* 3 */
    gate_of(add_after(f, submission, "afterok:2"))->held = true; /* 4 */
    gate_of(add_after(f, submission, "afterok:2"))->held = true; /* 5 */
    submit(f, submission);
    assert_text(modify(f, FILTER_IDS(5), TASK_RELEASE, NULL), "1:");
    assert_states(f, 3, 5, "hhb");
    run_again(f, 1, TASK_SUCCEEDED);
    run_again(f, 2, TASK_FAILED);
    assert_states(f, 3, 5, "hKK");
    assert_text(modify(f, FILTER_IDS(3), TASK_RELEASE, NULL), "1:");
    assert_states(f, 3, 5, "qKK");
    finish(f);
}

static void test_cancel_blocked(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 1, 0);
    submit_array_after(f, 3, "afterok:1"); /* 2-4 */
    submit_after(f, "afterany:3");         /* 5 */
    assert_text(cancel(f, FILTER_IDS(3), UID_ANYBODY), "3");
    assert_states(f, 1, 5, "qbCbq");
    run_again(f, 1, TASK_SUCCEEDED);
    assert_states(f, 1, 5, "SqCqq");
    finish(f);
}

static void test_explain(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 3, 0);
    submit_after(f, "afterok:1,exit=3:2,afterany:batch:1");
    begin(f, 1);
    run_again(f, 2, TASK_SUCCEEDED);
    assert_text(explain(f, 4), "");
    submit_after(f, "afterok:1?afterok:3,afterany:batch:1"); /* 5 */
    assert_text(explain(f, 5), "dependency: it waits for afterok:1: task 1 is running\n"
                               "dependency: it waits for afterok:3: task 3 is queued\n"
                               "dependency: it waits for afterany:batch:1: of the 3 tasks of batch 1 1 have succeeded and 0 "
                               "ended otherwise");
    assert_text(explain(f, 99), "No such file or directory");
    finish(f);
}

static void on_inputs(int r, GPtrArray *inputs, void *userdata)
{
    g_assert_cmpint(r, ==, 0);
    for (guint i = 0; i < inputs->len; i++) {
        const TaskInput *input = inputs->pdata[i];
        g_string_append_printf(userdata, "%s=%.*s ", input->name, (int) g_bytes_get_size(input->data),
                               (const char *) g_bytes_get_data(input->data, NULL));
    }
    g_ptr_array_unref(inputs);
}

static char *inputs_of(Fixture *f, uint64_t task)
{
    GString *text = g_string_new(NULL);

    f->port->load_inputs(f->port, task, on_inputs, text);
    fixture_drain(f);
    return g_strchomp(g_string_free(text, FALSE));
}

static void run_with_result(Fixture *f, uint64_t task, const char *data)
{
    Settlement settlement = settlement_of(task, 1, TASK_SUCCEEDED, 1);

    settlement.result.data = g_bytes_new(data, strlen(data));
    begin(f, task);
    settle(f, settlement);
}

static void test_inputs(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, true);
    g_autoptr(TaskRow) row = NULL, other = NULL;

    add_task(f, submission, "left");
    add_task(f, submission, "left");
    add_task(f, submission, "../up");
    add_task(f, submission, "silent");
    submit(f, submission);
    submit_after(f, "afterok:1:2:3:4"); /* 5 */
    submit_after(f, "afterok:4");       /* 6 */
    run_with_result(f, 1, "one");
    run_with_result(f, 2, "two");
    run_with_result(f, 3, "three");
    run_again(f, 4, TASK_SUCCEEDED);
    assert_text(inputs_of(f, 5), "left=one 2=two 3=three"); /* by id, if the name is taken or no file name */
    assert_text(inputs_of(f, 6), "");
    row = get_row(f, 5);
    other = get_row(f, 6);
    g_assert_true(row->spec->has_inputs);
    g_assert_false(other->spec->has_inputs);
    g_assert_cmpstr(row->after, ==, "afterok:1,afterok:2,afterok:3,afterok:4");
    finish(f);
}

/* A key names a batch of one user. */
static void test_key(void)
{
    Fixture *f = fixture_new();
    Submitted first, again, foreign;

    for (int i = 0; i < 3; i++) {
        Submission *submission = submission_new(i == 2 ? 1001 : 1000, true);
        submission->key = g_strdup("nightly");
        add_task(f, submission, "");
        Submitted submitted = submit(f, submission);
        *(i == 0 ? &first : i == 1 ? &again : &foreign) = submitted;
    }
    g_assert_false(first.known);
    g_assert_true(again.known);
    g_assert_cmpuint(again.batch, ==, first.batch);
    g_assert_cmpuint(again.first, ==, first.first);
    g_assert_cmpuint(again.count, ==, 1);
    g_assert_false(foreign.known);
    g_assert_cmpuint(foreign.batch, ==, first.batch + 1);
    g_assert_cmpuint(f->counts.by_state[TASK_QUEUED], ==, 2);
    finish(f);
}

static void test_halt(void)
{
    Fixture *f = fixture_new();

    for (int i = 0; i < 3; i++) {
        Submission *submission = submission_new(1000, true);
        for (int k = 0; k < 10; k++)
            add_task(f, submission, "");
        submission->halt.now = i == 1;
        submission->halt.max_fails = i == 0 ? 2 : UINT64_MAX;
        submission->halt.max_successes = i == 1 ? 1 : UINT64_MAX;
        submission->halt.max_fails_percent = i == 2 ? 20 : -1;
        submit(f, submission);
    }
    run_again(f, 1, TASK_FAILED);
    assert_told(f->halted, "");
    run_again(f, 2, TASK_SUCCEEDED);
    run_again(f, 3, TASK_FAILED);
    assert_told(f->halted, "1");
    run_again(f, 4, TASK_FAILED); /* once */
    assert_told(f->halted, "");
    run_again(f, 11, TASK_FAILED);
    assert_told(f->halted, "");
    run_again(f, 12, TASK_SUCCEEDED);
    assert_told(f->halted, "2!");
    run_again(f, 21, TASK_FAILED);
    assert_told(f->halted, "");
    run_again(f, 22, TASK_FAILED);
    assert_told(f->halted, "3");
    finish(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/store-gate-submit/refusals", test_refusals);
    g_test_add_func("/store-gate-submit/refused-whole", test_refused_whole);
    g_test_add_func("/store-gate-submit/uncommitted/parents-end", test_uncommitted);
    g_test_add_func("/store-gate-submit/uncommitted/positions", test_uncommitted_positions);
    g_test_add_func("/store-gate-submit/uncommitted/discarded", test_discarded);
    g_test_add_func("/store-gate-submit/held", test_held);
    g_test_add_func("/store-gate-submit/cancel-blocked", test_cancel_blocked);
    g_test_add_func("/store-gate-submit/explain", test_explain);
    g_test_add_func("/store-gate-submit/inputs", test_inputs);
    g_test_add_func("/store-gate-submit/key", test_key);
    g_test_add_func("/store-gate-submit/halt", test_halt);
    return g_test_run();
}
