/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Dependencies of arrays on arrays, element by element. */
#include "tests/unit/store/store-fixture.h"

static void finish(Fixture *f)
{
    fixture_verify(f);
    fixture_free(f);
}

/* ------------------------------------------------------------------ aftercorr */

static void test_corr(void)
{
    Fixture *f = fixture_new();

    submit_array(f, 4, 0);                  /* 1-4 */
    submit_array_after(f, 4, "aftercorr:1"); /* 5-8 */
    assert_states(f, 5, 8, "bbbb");
    run_again(f, 3, TASK_SUCCEEDED);
    assert_states(f, 5, 8, "bbqb");
    run_again(f, 1, TASK_FAILED);
    assert_states(f, 5, 8, "Kbqb");
    fixture_reopen(f);
    run_again(f, 2, TASK_SUCCEEDED);
    assert_text(cancel(f, FILTER_IDS(4), UID_ANYBODY), "4");
    assert_states(f, 5, 8, "KqqK");
    g_free(modify(f, FILTER_IDS(1), TASK_RETRY, NULL));
    assert_states(f, 5, 8, "bqqK");
    run_again(f, 1, TASK_SUCCEEDED);
    assert_states(f, 5, 8, "qqqK");
    finish(f);
}

/* Some had ended before, by batch, and with another condition that all wait for. */
static void test_corr_late(void)
{
    Fixture *f = fixture_new();

    submit_array(f, 3, 0); /* 1-3, batch 1 */
    submit_tasks(f, 1, 0); /* 4 */
    run_again(f, 1, TASK_SUCCEEDED);
    run_again(f, 2, TASK_FAILED);
    submit_array_after(f, 3, "aftercorr:batch:1");           /* 5-7 */
    submit_array_after(f, 3, "aftercorr:batch:1,afterok:4"); /* 8-10 */
    assert_states(f, 5, 10, "qKbbbb");
    run_again(f, 3, TASK_SUCCEEDED);
    assert_states(f, 5, 10, "qKqbbb");
    run_again(f, 4, TASK_SUCCEEDED);
    assert_states(f, 5, 10, "qKqqKq");
    finish(f);
}

/* An element that was edited is still that element. */
static void test_corr_edited(void)
{
    Fixture *f = fixture_new();
    TaskEdit *edit = g_new0(TaskEdit, 1);

    submit_array(f, 3, 0);
    submit_array_after(f, 3, "aftercorr:1"); /* 4-6 */
    edit->argv = g_bytes_new_static("other", 6);
    g_free(modify(f, FILTER_IDS(2), TASK_EDIT, edit));
    for (uint64_t id = 1; id <= 3; id++)
        run_again(f, id, TASK_SUCCEEDED);
    assert_states(f, 4, 6, "qqq");
    finish(f);
}

static void test_corr_edited_child(void)
{
    Fixture *f = fixture_new();
    TaskEdit *edit = g_new0(TaskEdit, 1);

    submit_array(f, 3, 0);
    submit_array_after(f, 3, "aftercorr:1"); /* 4-6 */
    edit->argv = g_bytes_new_static("other", 6);
    g_free(modify(f, FILTER_IDS(5), TASK_EDIT, edit));
    run_again(f, 1, TASK_SUCCEEDED);
    run_again(f, 2, TASK_FAILED);
    assert_states(f, 4, 6, "qKb");
    finish(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/store-aftercorr/each", test_corr);
    g_test_add_func("/store-aftercorr/late", test_corr_late);
    g_test_add_func("/store-aftercorr/edited", test_corr_edited);
    g_test_add_func("/store-aftercorr/edited-child", test_corr_edited_child);
    return g_test_run();
}
