/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Order of answers, groups, and a disk that is full. */
#include "tests/unit/store/store-fixture.h"

#include <poll.h>

static void note_submitted(int r, Submission *submission, void *userdata)
{
    Fixture *f = userdata;

    if (r < 0)
        g_string_append_printf(f->log, "submit:%s ", g_strerror(-r));
    else
        g_string_append_printf(f->log, "submit-%" G_GUINT64_FORMAT " ", submission->batch);
}

static void note_window(int r, GPtrArray *tasks, bool complete, void *userdata)
{
    Fixture *f = userdata;

    g_string_append_printf(f->log, "window-%u ", tasks->len);
    g_ptr_array_unref(tasks);
}

static void note_row(int r, TaskRow *row, void *userdata)
{
    Fixture *f = userdata;

    g_string_append_printf(f->log, "get-%s ", row ? task_state_to_string(row->state) : "none");
    task_row_free(row);
}

static void note_cancel(int r, GArray *cancelled, GArray *held, void *userdata)
{
    Fixture *f = userdata;

    if (r < 0)
        g_string_append_printf(f->log, "cancel:%s ", g_strerror(-r));
    else
        g_string_append_printf(f->log, "cancel-%u-%u ", cancelled->len, held->len);
}

static void call_submit(Fixture *f, unsigned n, size_t argv_size)
{
    Submission *submission = submission_new(1000, true);

    for (unsigned i = 0; i < n; i++) {
        TaskSpec *spec = add_task(f, submission, "");
        if (argv_size > 0) {
            g_bytes_unref(spec->argv);
            spec->argv = g_bytes_new_take(g_malloc0(argv_size), argv_size);
        }
    }
    f->port->submit(f->port, submission, note_submitted, f);
}

static void call_settle(Fixture *f, uint64_t task, uint64_t fence, TaskState next)
{
    Settlement settlement = settlement_of(task, fence, next, next == TASK_QUEUED ? 0 : 1);

    f->port->settle(f->port, &settlement, 1, note_done, f);
}

static void call_assign(Fixture *f, uint64_t task, uint64_t fence)
{
    f->port->assign(f->port, &(Assignment){ .task = task, .fence = fence, .worker = 7 }, 1);
}

/* Answers come in the order of the calls, also over the borders of kinds; batches that end after the answer of what ended
 * them; counts once, before all of them. */
static void test_order(void)
{
    Fixture *f = fixture_new();
    gint64 begin;

    f->note_counts = true;
    fixture_hold(f);
    f->port->get(f->port, 1, note_row, f);
    call_submit(f, 2, 0);
    f->port->get(f->port, 1, note_row, f);
    f->port->load_window(f->port, UID_ANYBODY, NULL, QUEUE_HEAD, 10, note_window, f);
    call_assign(f, 1, 1);
    call_assign(f, 2, 1);
    f->port->load_window(f->port, UID_ANYBODY, NULL, QUEUE_HEAD, 10, note_window, f);
    call_settle(f, 1, 1, TASK_SUCCEEDED);
    call_settle(f, 2, 1, TASK_QUEUED);
    f->port->settle(f->port, NULL, 0, note_done, f);
    f->port->cancel(f->port, filter_batch(1), UID_ANYBODY, 5, note_cancel, f);
    f->port->get(f->port, 2, note_row, f);
    f->port->set_enabled(f->port, false, note_done, f);
    call_submit(f, 1, 0);
    begin = g_get_monotonic_time();
    fixture_release(f);
    fixture_drain(f);
    /* A group that takes long is cut: then there are more. */
    if (g_get_monotonic_time() - begin < 20000) {
        g_assert_cmpuint(f->n_counts, ==, 1);
        g_assert_true(g_str_has_prefix(f->log->str, "counts ")); /* who is answered finds them */
    }
    g_string_replace(f->log, "counts ", "", 0);
    g_assert_cmpstr(
        f->log->str, ==,
        "get-none submit-1 get-queued window-2 window-0 done done done cancel-1-0 ended-1 get-cancelled done submit-2 ");
    fixture_verify(f);
    fixture_free(f);
}

/* Answers only ever come from store_dispatch(). */
static void test_only_when_dispatched(void)
{
    Fixture *f = fixture_new();
    struct pollfd pollfd = { .fd = store_get_fd(f->store), .events = POLLIN };

    g_assert_cmpint(poll(&pollfd, 1, 0), ==, 0);
    f->port->set_enabled(f->port, false, note_done, f);
    g_assert_cmpint(poll(&pollfd, 1, 60000), ==, 1);
    g_assert_cmpstr(f->log->str, ==, "");
    store_dispatch(f->store);
    g_assert_cmpstr(f->log->str, ==, "done ");
    g_assert_cmpint(poll(&pollfd, 1, 0), ==, 0);
    fixture_free(f);
}

static void on_done_call_again(int r, void *userdata)
{
    Fixture *f = userdata;

    g_string_append(f->log, "first ");
    f->port->set_enabled(f->port, true, note_done, f);
}

static void test_calls_from_answers(void)
{
    Fixture *f = fixture_new();

    f->port->set_enabled(f->port, false, on_done_call_again, f);
    fixture_drain(f);
    fixture_drain(f);
    g_assert_cmpstr(f->log->str, ==, "first done ");
    fixture_reopen(f);
    g_assert_true(f->snapshot->enabled);
    fixture_free(f);
}

/* What was called before store_free() is on disk, though nobody is told any more. */
static void test_free_finishes(void)
{
    Fixture *f = fixture_new();

    fixture_hold(f);
    for (int i = 0; i < 50; i++)
        call_submit(f, 10, 0);
    call_assign(f, 500, 1);
    call_settle(f, 500, 1, TASK_FAILED);
    fixture_release(f);
    fixture_reopen(f);
    g_assert_cmpstr(f->log->str, ==, "");
    g_assert_cmpuint(f->counts.by_state[TASK_QUEUED], ==, 499);
    g_assert_cmpuint(f->counts.by_state[TASK_FAILED], ==, 1);
    fixture_verify(f);
    fixture_free(f);
    g_assert_null(store_free(NULL));
}

static void do_submit(Fixture *f)
{
    f->port->submit(f->port, submission_new(1000, true), NULL, NULL);
}

static void do_assign(Fixture *f)
{
    call_assign(f, 1, 1);
}

static void do_assign_and_submit(Fixture *f)
{
    call_assign(f, 2, 1);
    do_submit(f);
}

static void do_settle(Fixture *f)
{
    call_settle(f, 1, 1, TASK_SUCCEEDED);
}

static void do_cancel(Fixture *f)
{
    f->port->cancel(f->port, FILTER_IDS(3), UID_ANYBODY, 5, NULL, NULL);
}

static void do_add_worker(Fixture *f)
{
    WorkerRecord *record = worker_record_for_test(1);

    f->port->add_worker(f->port, record, NULL, NULL);
    worker_record_free(record);
}

static void do_update_worker(Fixture *f)
{
    WorkerRecord *record = worker_record_for_test(1);

    f->port->update_worker(f->port, record);
    worker_record_free(record);
}

static void do_set_enabled(Fixture *f)
{
    f->port->set_enabled(f->port, false, NULL, NULL);
}

/* What must be on disk before it is answered, and what need not. */
static void test_durable(void)
{
    static const struct {
        void (*call)(Fixture *f);
        unsigned synchronous; /* 1: NORMAL, 2: FULL */
    } calls[] = {
        { do_submit, 2 }, { do_assign, 1 },     { do_settle, 2 },        { do_assign_and_submit, 2 },
        { do_cancel, 2 }, { do_add_worker, 2 }, { do_update_worker, 1 }, { do_set_enabled, 2 },
    };
    Fixture *f = fixture_new();

    submit_tasks(f, 3, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(calls); i++) {
        unsigned synchronous = 0;
        fixture_hold(f);
        calls[i].call(f);
        fixture_ask_synchronous(f, &synchronous);
        fixture_release(f);
        fixture_drain(f);
        g_assert_cmpuint(synchronous, ==, calls[i].synchronous);
    }
    fixture_free(f);
}

/* What a transaction that is taken back had found is not found twice. */
static void test_rolled_back_once(void)
{
    Fixture *f = fixture_new();
    WorkerRecord *record = worker_record_for_test(1);

    submit_tasks(f, 3, 0);
    assign(f, 2, 1, 7);
    f->port->add_worker(f->port, record, NULL, NULL);
    fixture_drain(f);
    fixture_hold(f);
    f->port->cancel(f->port, filter_batch(1), UID_ANYBODY, 5, note_cancel, f);
    call_settle(f, 2, 1, TASK_CANCELLED);
    f->port->add_worker(f->port, record, note_done, f);
    fixture_release(f);
    fixture_drain(f);
    g_assert_cmpstr(f->log->str, ==, "cancel-2-1 done ended-1 Invalid argument ");
    fixture_verify(f);
    worker_record_free(record);
    fixture_free(f);
}

/* A context whose row was taken back has a number that another one may get. */
static void test_rolled_back_context(void)
{
    Fixture *f = fixture_new();
    g_autoptr(TaskContext) context = fixture_context_new(1000, "/taken/back");
    Submission *submission;
    g_autoptr(TaskRow) row = NULL;

    for (int i = 0; i < 3; i++) {
        submission = submission_new(1000, true);
        TaskSpec *spec = add_task(f, submission, "");
        if (i != 1) {
            task_context_unref(spec->context);
            spec->context = task_context_ref(context);
        }
        fixture_hold(f);
        f->port->submit(f->port, submission, note_submitted, f);
        fixture_set_read_only(f, i == 0);
        fixture_release(f);
        fixture_drain(f);
        fixture_set_read_only(f, false);
    }
    while (f->failing < 0)
        fixture_drain(f);
    row = get_row(f, 2);
    g_assert_nonnull(row);
    g_assert_cmpstr(g_bytes_get_data(row->spec->context->cwd, NULL), ==, "/taken/back");
    fixture_verify(f);
    fixture_free(f);
}

/* ------------------------------------------------------------------ a full disk */

static void fill_disk(Fixture *f)
{
    fixture_set_page_limit(f, 1);
}

/* The submission that does not fit is refused, those beside it are not. */
static void test_full_refuses_one(void)
{
    Fixture *f = fixture_new();

    call_submit(f, 1, 0);
    fixture_set_page_limit(f, 100);
    fixture_hold(f);
    call_submit(f, 1, 0);
    call_submit(f, 1, 4 << 20);
    call_submit(f, 1, 0);
    f->port->get(f->port, 2, note_row, f);
    fixture_release(f);
    fixture_drain(f);
    g_assert_cmpstr(f->log->str, ==, "submit-1 submit-2 submit:No space left on device submit-3 get-queued ");
    g_assert_cmpint(f->failing, ==, 0);
    fixture_verify(f);
    g_assert_cmpuint(f->counts.by_state[TASK_QUEUED], ==, 3);
    fixture_free(f);
}

/* What must not be lost waits for space, in order; what may be refused is; reads go on. */
static void test_full_keeps(void)
{
    Fixture *f = fixture_new();
    Settlement settlement;

    submit_tasks(f, 3, 0);
    assign(f, 1, 1, 7);
    g_string_truncate(f->log, 0);
    fill_disk(f);
    settlement = settlement_of(1, 1, TASK_FAILED, 1);
    settlement.result.stderr_tail = g_bytes_new_take(g_malloc0(1 << 20), 1 << 20);
    f->port->settle(f->port, &settlement, 1, note_done, f);
    fixture_drain(f);
    g_assert_cmpstr(f->log->str, ==, "failing ");
    g_assert_cmpint(f->failing, ==, -ENOSPC);

    call_assign(f, 2, 1);
    call_settle(f, 2, 1, TASK_SUCCEEDED);
    f->port->cancel(f->port, FILTER_IDS(3), UID_ANYBODY, 5, note_cancel, f);
    call_submit(f, 1, 0);
    f->port->get(f->port, 1, note_row, f);
    f->port->get(f->port, 3, note_row, f);
    fixture_drain(f);
    g_assert_cmpstr(
        f->log->str, ==,
        "failing cancel:No space left on device submit:No space left on device get-queued get-queued ");
    g_assert_cmpuint(f->n_failing, ==, 1);

    g_string_truncate(f->log, 0);
    fixture_set_page_limit(f, 0);
    while (f->failing < 0)
        fixture_drain(f);
    g_assert_cmpstr(f->log->str, ==, "done done working ");
    g_assert_cmpint(get_state(f, 1), ==, TASK_FAILED);
    g_assert_cmpint(get_state(f, 2), ==, TASK_SUCCEEDED);
    g_assert_cmpint(get_state(f, 3), ==, TASK_QUEUED);
    fixture_verify(f);
    fixture_free(f);
}

/* A later write takes what is stuck along, without waiting for its time to come. */
static void test_full_is_tried_with_the_next(void)
{
    Fixture *f = fixture_new();
    Settlement settlement;

    submit_tasks(f, 2, 0);
    assign(f, 1, 1, 7);
    fill_disk(f);
    settlement = settlement_of(1, 1, TASK_FAILED, 1);
    settlement.result.stderr_tail = g_bytes_new_take(g_malloc0(1 << 20), 1 << 20);
    f->port->settle(f->port, &settlement, 1, note_done, f);
    for (int i = 0; i < 20; i++) { /* each attempt makes the pause longer */
        call_submit(f, 100, 0);
        fixture_drain(f);
    }
    g_string_truncate(f->log, 0);
    fixture_hold(f);
    fixture_release(f);
    fixture_set_page_limit(f, 0);
    call_submit(f, 1, 0);
    fixture_drain(f);
    g_assert_cmpstr(f->log->str, ==, "done submit-2 working ");
    fixture_verify(f);
    fixture_free(f);
}

/* When only a submission was refused, the store finds out by itself that there is space again. */
static void test_full_probes(void)
{
    Fixture *f = fixture_new();

    fixture_set_page_limit(f, 60);
    call_submit(f, 1, 4 << 20);
    fixture_drain(f);
    g_assert_cmpstr(f->log->str, ==, "submit:No space left on device failing ");
    while (f->failing < 0)
        fixture_drain(f);
    g_assert_cmpstr(f->log->str, ==, "submit:No space left on device failing working ");
    fixture_free(f);
}

/* The daemon is told to end after the disk has taken writes again, but before the next attempt was due. */
static void test_stuck_at_the_end(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 1, 0);
    assign(f, 1, 1, 7);
    fixture_set_read_only(f, true);
    for (int i = 0; i < 10; i++) { /* each attempt makes the pause longer */
        call_settle(f, 1, 1, TASK_SUCCEEDED);
        fixture_drain(f);
    }
    fixture_set_read_only(f, false);
    fixture_verify(f);
    g_assert_cmpint(get_state(f, 1), ==, TASK_SUCCEEDED);
    fixture_free(f);
}

/* The daemon is told to end while the disk is full: it ends, and what could not be written is as if it had not been. */
static void test_full_at_the_end(void)
{
    Fixture *f = fixture_new();
    Settlement settlement;

    submit_tasks(f, 1, 0);
    assign(f, 1, 1, 7);
    fill_disk(f);
    settlement = settlement_of(1, 1, TASK_FAILED, 1);
    settlement.result.stderr_tail = g_bytes_new_take(g_malloc0(1 << 20), 1 << 20);
    f->port->settle(f->port, &settlement, 1, note_done, f);
    fixture_verify(f);
    g_assert_cmpuint(f->snapshot->held->len, ==, 1);
    fixture_free(f);
}

/* Once the first chunk of a large cancellation is on disk, the rest is not given up. */
static void test_failing_between_chunks(void)
{
    Fixture *f = fixture_new();
    GString *text = g_string_new(NULL);

    submit_tasks(f, 25000, 0);
    g_string_truncate(f->log, 0);
    fixture_hold(f);
    f->port->cancel(f->port, filter_batch(1), UID_ANYBODY, 99, note_cancelled, text);
    fixture_gate(f, 1);
    fixture_release(f);
    fixture_wait_taken(f); /* the first chunk is on its way: this comes before the second */
    fixture_set_read_only(f, true);
    fixture_open_gate(f, 1);
    while (f->failing == 0)
        fixture_drain(f);
    g_assert_cmpint(f->failing, ==, -EROFS);
    g_assert_cmpuint(f->counts.by_state[TASK_CANCELLED], ==, 10000);
    call_submit(f, 1, 0);
    fixture_drain(f);
    g_assert_cmpstr(f->log->str, ==, "failing submit:Read-only file system ");
    g_assert_cmpstr(text->str, ==, "");
    fixture_set_read_only(f, false);
    wait_for_cancel(f, text);
    g_assert_cmpstr(text->str, ==, "<1-25000>");
    fixture_drain(f);
    g_assert_cmpint(f->failing, ==, 0);
    g_assert_cmpuint(f->ended->len, ==, 1);
    fixture_verify(f);
    g_string_free(text, TRUE);
    fixture_free(f);
}

/* Everything that must not be lost, in one go, while nothing can be written; and reads meanwhile. */
static void test_read_only(void)
{
    Fixture *f = fixture_new();
    WorkerRecord *record = worker_record_for_test(1);

    submit_tasks(f, 3, 0);
    f->port->add_worker(f->port, record, NULL, NULL);
    fixture_drain(f);
    g_string_truncate(f->log, 0);
    fixture_hold(f);
    fixture_set_read_only(f, true);
    call_assign(f, 1, 1);
    f->port->started(f->port, &(Assignment){ .task = 1, .fence = 1, .start_usec = 5 }, 1);
    record->state = WORKER_RUNNING;
    f->port->update_worker(f->port, record);
    f->port->add_worker(f->port, record, note_done, f);
    f->port->set_enabled(f->port, false, note_done, f);
    f->port->cancel(f->port, FILTER_IDS(2), UID_ANYBODY, 5, note_cancel, f);
    call_settle(f, 1, 1, TASK_SUCCEEDED);
    f->port->load_window(f->port, UID_ANYBODY, NULL, QUEUE_HEAD, 10, note_window, f);
    fixture_release(f);
    fixture_drain(f);
    g_assert_cmpstr(
        f->log->str, ==,
        "Read-only file system Read-only file system cancel:Read-only file system window-3 failing ");
    g_assert_cmpint(get_state(f, 1), ==, TASK_QUEUED);
    fixture_set_read_only(f, false);
    while (f->failing < 0)
        fixture_drain(f);
    g_assert_true(g_str_has_suffix(f->log->str, "failing done working "));
    g_assert_cmpint(get_state(f, 1), ==, TASK_SUCCEEDED);
    g_assert_cmpint(get_state(f, 2), ==, TASK_QUEUED);
    fixture_reopen(f);
    g_assert_true(f->snapshot->enabled);
    g_assert_cmpint(((WorkerRecord *) f->snapshot->workers->pdata[0])->state, ==, WORKER_RUNNING);
    worker_record_free(record);
    fixture_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/store/thread/order", test_order);
    g_test_add_func("/store/thread/only-when-dispatched", test_only_when_dispatched);
    g_test_add_func("/store/thread/calls-from-answers", test_calls_from_answers);
    g_test_add_func("/store/thread/free-finishes", test_free_finishes);
    g_test_add_func("/store/thread/durable", test_durable);
    g_test_add_func("/store/thread/rolled-back-once", test_rolled_back_once);
    g_test_add_func("/store/thread/rolled-back-context", test_rolled_back_context);
    g_test_add_func("/store/thread/stuck-at-the-end", test_stuck_at_the_end);
    g_test_add_func("/store/thread/full-refuses-one", test_full_refuses_one);
    g_test_add_func("/store/thread/full-keeps", test_full_keeps);
    g_test_add_func("/store/thread/full-is-tried-with-the-next", test_full_is_tried_with_the_next);
    g_test_add_func("/store/thread/full-probes", test_full_probes);
    g_test_add_func("/store/thread/failing-between-chunks", test_failing_between_chunks);
    g_test_add_func("/store/thread/read-only", test_read_only);
    g_test_add_func("/store/thread/full-at-the-end", test_full_at_the_end);
    return g_test_run();
}
