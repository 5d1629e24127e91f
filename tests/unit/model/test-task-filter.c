/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* task-filter.c: a new filter matches everything; each field alone makes it say something. */
#include "model/task-filter.h"

static void test_empty(void)
{
    g_autoptr(TaskFilter) filter = task_filter_new();

    g_assert_true(task_filter_is_empty(filter));
    g_assert_cmpuint(filter->limit, ==, TASK_PAGE_MAX);
    g_assert_cmpuint(filter->owner, ==, UID_ANYBODY);
    filter->limit = 1;
    filter->cursor = 7;
    filter->reverse = true;
    g_assert_true(task_filter_is_empty(filter)); /* paging does not count */
}

static void set_ids(TaskFilter *filter) { filter->ids = g_array_new(FALSE, FALSE, sizeof(uint64_t)); }
static void set_batch(TaskFilter *filter) { filter->batch = 1; }
static void set_states(TaskFilter *filter) { filter->states = 1; }
static void set_name(TaskFilter *filter) { filter->name = g_strdup(""); }
static void set_tag(TaskFilter *filter) { filter->tag = g_strdup(""); }
static void set_owner(TaskFilter *filter) { filter->owner = 0; }

static void test_fields(void)
{
    static void (*const setters[])(TaskFilter *) = { set_ids, set_batch, set_states, set_name, set_tag, set_owner };

    for (size_t i = 0; i < G_N_ELEMENTS(setters); i++) {
        g_autoptr(TaskFilter) filter = task_filter_new();
        setters[i](filter);
        g_assert_false(task_filter_is_empty(filter));
    }
}

static void test_free_null(void)
{
    g_assert_null(task_filter_free(NULL));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/task-filter/empty", test_empty);
    g_test_add_func("/task-filter/fields", test_fields);
    g_test_add_func("/task-filter/free-null", test_free_null);
    return g_test_run();
}
