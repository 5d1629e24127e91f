/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What names tasks, and the filters it becomes. */

#include "client/task-selector.h"

#include "client/task-list.h"

static void test_forms(void)
{
    static const struct {
        const char *text;
        int result;
        uint64_t ids; /* named by number */
    } cases[] = {
        { "17", 0, 1 },
        { "17-30", 0, 14 },
        { "17,19", 0, 2 },
        { "1-3,5,9-10", 0, 6 },
        { "1-1000000", 0, 1000000 },
        { "1-1000001", -ERANGE, 0 },
        { "0", -EINVAL, 0 },
        { "5-4", -EINVAL, 0 },
        { "", -EINVAL, 0 },
        { ",", -EINVAL, 0 },
        { "17,", -EINVAL, 0 },
        { "1-2-3", -EINVAL, 0 },
        { "-5", -EINVAL, 0 },
        { "5-", -EINVAL, 0 },
        { "w1", -EINVAL, 0 },
        { "batch:", -EINVAL, 0 },
        { "batch:0", -EINVAL, 0 },
        { "batch:x", -EINVAL, 0 },
        { "Last", -EINVAL, 0 },
        { "18446744073709551616", -EINVAL, 0 },
        { " 17", -EINVAL, 0 },
        { "17 ", -EINVAL, 0 },
        { "18446744073709551615", 0, 1 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(TaskSelector) selector;
        task_selector_init(&selector);
        g_test_message("\"%s\"", cases[i].text);
        g_assert_cmpint(task_selector_add(&selector, cases[i].text), ==, cases[i].result);
        if (cases[i].result == 0)
            g_assert_cmpuint(task_selector_ids(&selector), ==, cases[i].ids);
    }
}

static void test_words(void)
{
    g_auto(TaskSelector) selector;

    task_selector_init(&selector);
    g_assert_cmpint(task_selector_add(&selector, "last,batch:4"), ==, 0);
    g_assert_true(selector.last);
    g_assert_false(selector.mine);
    g_assert_cmpint(task_selector_add(&selector, "mine"), ==, 0);
    g_assert_true(selector.mine);
    g_assert_cmpuint(selector.batches->len, ==, 1);
    g_assert_cmpuint(g_array_index(selector.batches, uint64_t, 0), ==, 4);
    g_assert_cmpuint(task_selector_ids(&selector), ==, 0);
}

static void test_filters(void)
{
    g_auto(TaskSelector) selector;
    const TaskFilter *filter;

    task_selector_init(&selector);
    g_assert_cmpint(task_selector_add(&selector, "1-2500,7000,batch:9,mine"), ==, 0);
    g_autoptr(GPtrArray) filters = task_selector_filters(&selector);
    g_assert_cmpuint(filters->len, ==, 5); /* 1000 ids in each, a batch, the user's */
    filter = filters->pdata[0];
    g_assert_cmpuint(filter->ids->len, ==, TASK_PAGE_MAX);
    filter = filters->pdata[2];
    g_assert_cmpuint(filter->ids->len, ==, 501);
    g_assert_cmpuint(g_array_index(filter->ids, uint64_t, 500), ==, 7000);
    filter = filters->pdata[3];
    g_assert_cmpuint(filter->batch, ==, 9);
    g_assert_cmpuint(filter->states, ==, 0);
    filter = filters->pdata[4];
    g_assert_cmpuint(filter->owner, ==, getuid());
    g_assert_cmpuint(filter->states, ==, TASK_STATES_UNFINISHED);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/task-selector/forms", test_forms);
    g_test_add_func("/task-selector/words", test_words);
    g_test_add_func("/task-selector/filters", test_filters);
    return g_test_run();
}
