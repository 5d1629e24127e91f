/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hold, release, retry and edit, of tasks in every state and of elements of arrays; what is told to the core of it. */
#include <string.h>

#include "tests/unit/store/store-fixture.h"

static void finish(Fixture *f)
{
    fixture_verify(f);
    fixture_free(f);
}

static TaskEdit *edit_argv(const char *word)
{
    TaskEdit *edit = g_new0(TaskEdit, 1);

    edit->argv = g_bytes_new(word, strlen(word) + 1);
    return edit;
}

static TaskEdit *edit_priority(int32_t priority)
{
    TaskEdit *edit = g_new0(TaskEdit, 1);

    edit->set_priority = true;
    edit->priority = priority;
    return edit;
}

static TaskEdit *edit_memory(uint64_t bytes)
{
    TaskEdit *edit = g_new0(TaskEdit, 1);

    edit->limits.set_memory = true;
    edit->limits.memory_max_bytes = bytes;
    return edit;
}

static void assert_window(Fixture *f, const char *expected)
{
    g_autofree char *window = window_of(f, UID_ANYBODY, 100);

    g_assert_cmpstr(window, ==, expected);
}

/* Tasks 1-9, one in each state in the order of TaskState; in batches of their own but for the last two. */
static Fixture *every_state(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, true);
    Settlement later = settlement_of(5, 1, TASK_WAITING, 1);

    gate_of(add_task(f, submission, ""))->held = true; /* 1 */
    submit(f, submission);
    submit_after(f, "afterok:1");                      /* 2 */
    submit_tasks(f, 1, 0);                             /* 3 */
    for (int i = 0; i < 5; i++)                        /* 4-8 */
        submit_tasks(f, 1, 0);
    begin(f, 4);
    begin(f, 5);
    later.due_usec = TEST_BOOT + 1000;
    settle(f, later);
    run_again(f, 6, TASK_SUCCEEDED);
    run_again(f, 7, TASK_FAILED);
    assert_text(cancel(f, FILTER_IDS(8), UID_ANYBODY), "8");
    submit_after(f, "afterok:7"); /* 9 */
    assert_states(f, 1, 9, "hbqrwSFCK");
    g_free(take_told(f->ready));
    return f;
}

static void test_hold(void)
{
    Fixture *f = every_state();

    assert_text(modify(f, filter_all(), TASK_HOLD, NULL), "3: 3");
    assert_states(f, 1, 9, "hhhrhSFCK");
    g_assert_cmpuint(f->counts.by_state[TASK_HELD], ==, 4);
    assert_window(f, "");
    assert_text(modify(f, filter_all(), TASK_HOLD, NULL), "0:");
    assert_told(f->ready, "");
    finish(f);
}

static void test_release(void)
{
    Fixture *f = every_state();

    g_free(modify(f, filter_all(), TASK_HOLD, NULL));
    fixture_reopen(f);
    assert_text(modify(f, filter_all(), TASK_RELEASE, NULL), "4:");
    assert_states(f, 1, 9, "qbqrwSFCK");
    assert_window(f, "1 3");
    assert_told(f->ready, "1 3");
    assert_text(modify(f, filter_all(), TASK_RELEASE, NULL), "0:");
    finish(f);
}

static void test_retry(void)
{
    Fixture *f = every_state();
    uint64_t n = f->counts.by_state[TASK_QUEUED];

    assert_text(modify(f, filter_all(), TASK_RETRY, NULL), "2:"); /* 9 follows by itself */
    assert_states(f, 1, 9, "hbqrwSqqb");
    g_assert_cmpuint(f->counts.by_state[TASK_QUEUED], ==, n + 2);
    assert_window(f, "3 7 8");
    assert_told(f->ready, "7 8");
    finish(f);
}

static void test_edit(void)
{
    Fixture *f = every_state();
    static const uint64_t changed[] = { 1, 2, 3, 5 }, others[] = { 4, 6, 7, 8, 9 };

    assert_text(modify(f, filter_all(), TASK_EDIT, edit_argv("/bin/other")), "4: 3");
    assert_states(f, 1, 9, "hbqrwSFCK");
    for (size_t i = 0; i < G_N_ELEMENTS(changed); i++)
        assert_text(argv_of(f, changed[i]), "/bin/other");
    for (size_t i = 0; i < G_N_ELEMENTS(others); i++)
        assert_text(argv_of(f, others[i]), "/bin/echo");
    assert_told(f->ready, "3"); /* anew */
    finish(f);
}

/* ------------------------------------------------------------------ what workers have */

static void test_taken(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 3, 0);
    assign(f, 1, 1, 7);
    begin(f, 2);
    assert_text(modify(f, filter_all(), TASK_HOLD, NULL), "2: 3 | 1");
    assert_states(f, 1, 3, "qrh"); /* until it is given back */
    settle(f, settlement_of(1, 1, TASK_HELD, 0));
    assert_states(f, 1, 3, "hrh");
    g_free(modify(f, filter_all(), TASK_RELEASE, NULL));
    assign(f, 1, 2, 7);
    assert_text(modify(f, FILTER_IDS(1), TASK_EDIT, edit_priority(5)), "1: | 1");
    settle(f, settlement_of(1, 2, TASK_QUEUED, 0));
    assert_window(f, "1 3");
    g_autoptr(TaskRow) row = get_row(f, 1);
    g_assert_cmpint(row->spec->priority, ==, 5);
    assign(f, 1, 3, 7);
    g_free(cancel(f, FILTER_IDS(1), UID_ANYBODY));
    assert_text(modify(f, FILTER_IDS(1), TASK_HOLD, NULL), "0:"); /* it is being cancelled */
    assert_text(modify(f, FILTER_IDS(1), TASK_RETRY, NULL), "0:");
    assert_text(modify(f, FILTER_IDS(1), TASK_RELEASE, NULL), "0:");
    finish(f);
}

/* Handed out while it was being held or cancelled: that counts for nothing, but the fence has been used. */
static void test_overtaken(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 1, 0);
    submit_array(f, 2, 0);
    assert_text(modify(f, FILTER_IDS(1, 2), TASK_HOLD, NULL), "2: 1 2");
    assert_text(cancel(f, FILTER_IDS(3), UID_ANYBODY), "3");
    for (uint64_t id = 1; id <= 3; id++) {
        assign(f, id, 1, 7);
        started(f, id, 1, TEST_NOW);
        settle(f, settlement_of(id, 1, TASK_SUCCEEDED, 1));
    }
    assert_states(f, 1, 3, "hhC");
    for (uint64_t id = 1; id <= 3; id++) {
        g_autoptr(TaskRow) row = get_row(f, id);
        g_assert_cmpuint(row->attempts->len, ==, 0);
        g_assert_cmpuint(row->spec->fence, ==, 1);
    }
    finish(f);
}

/* ------------------------------------------------------------------ retrying */

/* The attempts are kept, the counts begin anew. */
static void test_retry_again(void)
{
    Fixture *f = fixture_new();
    Settlement settlement = settlement_of(1, 1, TASK_FAILED, 1);

    submit_tasks(f, 2, 0);
    settlement.spent = 3;
    settlement.lost = 2;
    settlement.reason = g_strdup("so it was");
    begin(f, 1);
    settle(f, settlement);
    run_again(f, 2, TASK_SUCCEEDED);
    g_assert_cmpuint(f->ended->len, ==, 1);
    g_autoptr(TaskRow) before = get_row(f, 1);
    g_assert_cmpstr(before->reason, ==, "so it was");
    assert_text(modify(f, FILTER_IDS(1), TASK_RETRY, NULL), "1:");
    g_autoptr(TaskRow) row = get_row(f, 1);
    g_assert_cmpuint(row->spec->spent, ==, 0);
    g_assert_cmpuint(row->spec->lost, ==, 0);
    g_assert_cmpuint(row->spec->attempts, ==, 1);
    g_assert_cmpuint(row->spec->fence, ==, 1);
    g_assert_cmpstr(row->reason, ==, NULL);
    fixture_verify(f); /* the batch has not ended any more */
    run_again(f, 1, TASK_SUCCEEDED);
    g_assert_cmpuint(f->ended->len, ==, 2); /* again */
    g_assert_cmpuint(g_array_index(f->ended, BatchEnd, 1).succeeded, ==, 2);
    g_autoptr(TaskRow) after = get_row(f, 1);
    g_assert_cmpuint(after->attempts->len, ==, 2);
    finish(f);
}

/* Descriptors cannot be passed twice. */
static void test_retry_fds(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, true);

    add_task(f, submission, "")->has_fds = true;
    submit(f, submission);
    run_again(f, 1, TASK_FAILED);
    assert_text(modify(f, FILTER_IDS(1), TASK_RETRY, NULL), "0:");
    assert_states(f, 1, 1, "F");
    finish(f);
}

static void test_retry_elements(void)
{
    Fixture *f = fixture_new();

    submit_array(f, 10, 0);
    for (uint64_t id = 1; id <= 3; id++)
        run_again(f, id, id == 2 ? TASK_SUCCEEDED : TASK_FAILED);
    assert_text(cancel(f, filter_batch(1), UID_ANYBODY), "4-10");
    assert_text(modify(f, FILTER_IDS(2, 3, 6), TASK_RETRY, NULL), "2:");
    assert_states(f, 1, 10, "FSqCCqCCCC");
    assert_text(modify(f, filter_batch(1), TASK_RETRY, NULL), "7:");
    assert_states(f, 1, 10, "qSqqqqqqqq");
    assert_window(f, "1 3 4 5 6 7 8 9 10");
    finish(f);
}

/* A batch that was given up counts again when somebody retries it. */
static void test_retry_halted(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, true);

    for (int i = 0; i < 5; i++)
        add_task(f, submission, "");
    submission->halt.max_fails = 1;
    submit(f, submission);
    run_again(f, 1, TASK_FAILED);
    assert_told(f->halted, "1");
    assert_text(modify(f, FILTER_IDS(1), TASK_RETRY, NULL), "1:");
    run_again(f, 2, TASK_SUCCEEDED);
    assert_told(f->halted, "");
    run_again(f, 1, TASK_FAILED);
    assert_told(f->halted, "1");
    finish(f);
}

/* ------------------------------------------------------------------ elements of arrays */

static void test_hold_elements(void)
{
    Fixture *f = fixture_new();

    submit_array(f, 10, 0);
    assert_text(modify(f, FILTER_IDS(3, 4, 8), TASK_HOLD, NULL), "3: 3 4 8");
    assert_states(f, 1, 10, "qqhhqqqhqq");
    assert_window(f, "1 2 5 6 7 9 10");
    run_again(f, 5, TASK_SUCCEEDED);
    assert_text(modify(f, filter_batch(1), TASK_HOLD, NULL), "6: 1-2 6-7 9-10");
    fixture_reopen(f);
    assert_text(modify(f, FILTER_IDS(1, 10), TASK_RELEASE, NULL), "2:");
    assert_states(f, 1, 10, "qhhhShhhhq");
    assert_text(modify(f, filter_all(), TASK_RELEASE, NULL), "7:");
    assert_window(f, "1 2 3 4 6 7 8 9 10");
    finish(f);
}

static void assert_argvs(Fixture *f, uint64_t first, const char *const *expected)
{
    for (size_t i = 0; expected[i]; i++) {
        g_autofree char *word = argv_of(f, first + i);
        g_test_message("task %" G_GUINT64_FORMAT, first + i);
        g_assert_cmpstr(word, ==, expected[i]);
    }
}

#define ARGVS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* Each element keeps its index and the others what they were. */
static void test_edit_middle(void)
{
    Fixture *f = fixture_new();

    submit_array(f, 5, 0);
    assert_text(modify(f, FILTER_IDS(3), TASK_EDIT, edit_argv("c")), "1: 3");
    assert_argvs(f, 1, ARGVS("/bin/echo", "/bin/echo", "c", "/bin/echo", "/bin/echo"));
    assert_text(modify(f, FILTER_IDS(5), TASK_EDIT, edit_argv("e")), "1: 5");
    assert_argvs(f, 1, ARGVS("/bin/echo", "/bin/echo", "c", "/bin/echo", "e"));
    assert_text(modify(f, FILTER_IDS(3), TASK_EDIT, edit_argv("cc")), "1: 3");
    assert_argvs(f, 1, ARGVS("/bin/echo", "/bin/echo", "cc", "/bin/echo", "e"));
    for (uint64_t id = 1; id <= 5; id++) {
        g_autoptr(TaskRow) row = get_row(f, id);
        g_assert_cmpuint(row->spec->array_index, ==, id - 1);
    }
    assert_window(f, "1 2 3 4 5");
    for (uint64_t id = 1; id <= 5; id++)
        run_again(f, id, TASK_SUCCEEDED);
    finish(f);
}

/* The first one, whose id is that of the whole. */
static void test_edit_first(void)
{
    Fixture *f = fixture_new();

    submit_array(f, 4, 0);
    assert_text(modify(f, FILTER_IDS(1), TASK_EDIT, edit_argv("a")), "1: 1");
    assert_argvs(f, 1, ARGVS("a", "/bin/echo", "/bin/echo", "/bin/echo"));
    finish(f);
}

static TaskFilter *filter_span(uint64_t first, uint64_t last)
{
    TaskFilter *filter = FILTER_IDS(first);

    for (uint64_t id = first + 1; id <= last; id++)
        g_array_append_val(filter->ids, id);
    return filter;
}

/* Parts of parts, in any order; some have run. */
static void test_edit_parts(void)
{
    for (uint32_t seed = 0; seed < 40; seed++) {
        Fixture *f = fixture_new();
        g_autoptr(GRand) random = g_rand_new_with_seed(seed);
        g_autoptr(GPtrArray) expected = g_ptr_array_new_with_free_func(g_free);
        submit_array(f, 12, 0);
        for (int i = 0; i < 12; i++)
            g_ptr_array_add(expected, g_strdup("/bin/echo"));
        for (int step = 0; step < 12; step++) {
            uint64_t first = (uint64_t) g_rand_int_range(random, 1, 13), last = (uint64_t) g_rand_int_range(random, 1, 13);
            g_autofree char *word = g_strdup_printf("word%d", step), *text = NULL;
            if (g_rand_int_range(random, 0, 4) == 0) {
                if (get_state(f, first) == TASK_QUEUED)
                    run_again(f, first, TASK_FAILED);
                continue;
            }
            text = modify(f, filter_span(MIN(first, last), MAX(first, last)), TASK_EDIT, edit_argv(word));
            for (uint64_t id = MIN(first, last); id <= MAX(first, last); id++) {
                g_autoptr(TaskRow) row = get_row(f, id);
                if (!task_state_is_end(row->state)) {
                    g_free(expected->pdata[id - 1]);
                    expected->pdata[id - 1] = g_strdup(word);
                }
                g_assert_cmpuint(row->spec->array_index, ==, id - 1);
            }
            g_ptr_array_add(expected, NULL);
            assert_argvs(f, 1, (const char *const *) expected->pdata);
            g_ptr_array_set_size(expected, 12);
        }
        finish(f);
    }
}

static void test_edit_first_memory(void)
{
    Fixture *f = fixture_new();

    submit_array(f, 4, 0);
    run_again(f, 2, TASK_FAILED); /* has a row, and shares the spec */
    assert_text(modify(f, FILTER_IDS(1), TASK_EDIT, edit_memory(UINT64_C(1) << 30)), "1: 1");
    for (uint64_t id = 1; id <= 4; id++) {
        g_autoptr(TaskRow) row = get_row(f, id);
        g_assert_cmpuint(row->spec->context->memory_max_bytes, ==, id == 1 ? UINT64_C(1) << 30 : UINT64_MAX);
    }
    finish(f);
}

/* What has run keeps the command that it ran, whoever is changed afterwards. */
static void test_edit_rest(void)
{
    Fixture *f = fixture_new();

    submit_array(f, 5, 0);
    run_again(f, 1, TASK_SUCCEEDED);
    begin(f, 2);
    assert_text(modify(f, filter_batch(1), TASK_EDIT, edit_argv("x")), "3: 3-5");
    assert_argvs(f, 1, ARGVS("/bin/echo", "/bin/echo", "x", "x", "x"));
    finish(f);
}

static void test_edit_rest_first_waits(void)
{
    Fixture *f = fixture_new();

    submit_array(f, 4, 0);
    run_again(f, 3, TASK_SUCCEEDED);
    assert_text(modify(f, filter_batch(1), TASK_EDIT, edit_argv("x")), "3: 1-2 4");
    assert_argvs(f, 1, ARGVS("x", "x", "/bin/echo", "x"));
    finish(f);
}

static void test_priority_elements(void)
{
    Fixture *f = fixture_new();

    submit_array(f, 6, 0);
    assert_text(modify(f, FILTER_IDS(5), TASK_EDIT, edit_priority(1)), "1: 5");
    assert_text(modify(f, FILTER_IDS(2), TASK_EDIT, edit_priority(-1)), "1: 2");
    assert_window(f, "5 1 3 4 6 2");
    fixture_reopen(f);
    assert_text(modify(f, filter_batch(1), TASK_EDIT, edit_priority(INT32_MAX)), "6: 1 2 3-4 5 6");
    assert_window(f, "1 2 3 4 5 6");
    finish(f);
}

/* An array that waits stays together: its elements are not edited one by one. */
static void test_edit_blocked_element(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 1, 0);
    submit_array_after(f, 3, "afterok:1"); /* 2-4 */
    assert_text(modify(f, FILTER_IDS(3), TASK_EDIT, edit_argv("x")), "0:");
    assert_states(f, 2, 4, "bbb");
    assert_text(modify(f, FILTER_IDS(3), TASK_HOLD, NULL), "1:");
    assert_text(modify(f, FILTER_IDS(3), TASK_RELEASE, NULL), "1:");
    assert_states(f, 2, 4, "bbb");
    run_again(f, 1, TASK_FAILED);
    assert_states(f, 2, 4, "KKK");
    assert_text(modify(f, FILTER_IDS(1), TASK_RETRY, NULL), "1:");
    assert_states(f, 2, 4, "bbb");
    run_again(f, 1, TASK_SUCCEEDED);
    assert_states(f, 2, 4, "qqq");
    finish(f);
}

/* ------------------------------------------------------------------ the others */

static void test_edit_memory(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 2, 0); /* of one context */
    assert_text(modify(f, FILTER_IDS(2), TASK_EDIT, edit_memory(12345678)), "1: 2");
    g_autoptr(TaskRow) one = get_row(f, 1);
    g_autoptr(TaskRow) two = get_row(f, 2);
    g_assert_cmpuint(one->spec->context->memory_max_bytes, ==, UINT64_MAX);
    g_assert_cmpuint(two->spec->context->memory_max_bytes, ==, 12345678);
    g_assert_cmpuint(two->spec->context->uid, ==, 1000);
    finish(f);
}

typedef struct Only {
    uint64_t count;
    int r;
} Only;

static void on_only(int r, const Modified *modified, void *userdata)
{
    *(Only *) userdata = (Only){ modified->count, r };
}

static void test_only_uid(void)
{
    Fixture *f = fixture_new();
    Submission *foreign = submission_new(1001, true);
    Only only;

    submit_tasks(f, 2, 0);
    add_task(f, foreign, "");
    submit(f, foreign);
    f->port->modify(f->port, filter_all(), 1001, TASK_HOLD, NULL, on_only, &only);
    fixture_drain(f);
    g_assert_cmpuint(only.count, ==, 1);
    assert_states(f, 1, 3, "qqh");
    run_again(f, 1, TASK_FAILED);
    g_assert_cmpuint(examine(f, FILTER_IDS(1, 2, 3), 1001).foreign, ==, 1);
    g_assert_cmpuint(examine(f, FILTER_IDS(1, 2, 3), 1001).foreign_ended, ==, 1);
    finish(f);
}

static void test_filters(void)
{
    Fixture *f = every_state();

    assert_text(modify(f, filter_states(1U << TASK_WAITING), TASK_HOLD, NULL), "1:");
    assert_states(f, 1, 9, "hbqrhSFCK");
    assert_text(modify(f, filter_states(1U << TASK_CANCELLED), TASK_RETRY, NULL), "1:");
    assert_states(f, 1, 9, "hbqrhSFqK");
    assert_text(modify(f, FILTER_IDS(99, 7, 7, 7), TASK_RETRY, NULL), "1:");
    assert_text(modify(f, filter_batch(99), TASK_HOLD, NULL), "0:");
    finish(f);
}

/* A batch that is not committed is not there. */
static void test_hidden(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, false);

    add_task(f, submission, "");
    submit(f, submission);
    assert_text(modify(f, filter_all(), TASK_HOLD, NULL), "0:");
    assert_text(modify(f, FILTER_IDS(1), TASK_HOLD, NULL), "0:");
    assert_text(modify(f, filter_batch(1), TASK_EDIT, edit_priority(3)), "0:");
    fixture_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/store-modify/hold", test_hold);
    g_test_add_func("/store-modify/release", test_release);
    g_test_add_func("/store-modify/retry", test_retry);
    g_test_add_func("/store-modify/edit", test_edit);
    g_test_add_func("/store-modify/taken", test_taken);
    g_test_add_func("/store-modify/overtaken", test_overtaken);
    g_test_add_func("/store-modify/retry/again", test_retry_again);
    g_test_add_func("/store-modify/retry/fds", test_retry_fds);
    g_test_add_func("/store-modify/retry/elements", test_retry_elements);
    g_test_add_func("/store-modify/retry/halted", test_retry_halted);
    g_test_add_func("/store-modify/elements/hold", test_hold_elements);
    g_test_add_func("/store-modify/elements/edit-middle", test_edit_middle);
    g_test_add_func("/store-modify/elements/edit-first", test_edit_first);
    g_test_add_func("/store-modify/elements/edit-parts", test_edit_parts);
    g_test_add_func("/store-modify/elements/edit-first-memory", test_edit_first_memory);
    g_test_add_func("/store-modify/elements/edit-rest", test_edit_rest);
    g_test_add_func("/store-modify/elements/edit-rest-first-waits", test_edit_rest_first_waits);
    g_test_add_func("/store-modify/elements/priority", test_priority_elements);
    g_test_add_func("/store-modify/elements/edit-blocked", test_edit_blocked_element);
    g_test_add_func("/store-modify/edit-memory", test_edit_memory);
    g_test_add_func("/store-modify/only-uid", test_only_uid);
    g_test_add_func("/store-modify/filters", test_filters);
    g_test_add_func("/store-modify/hidden", test_hidden);
    return g_test_run();
}
