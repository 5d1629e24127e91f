/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* task-window.c: the order, what is taken in and what is not, removal, and when it wants to be loaded. */
#include "core/task-window.h"

static TaskSpec *take_first(TaskWindow *window)
{
    const TaskSpec *first = task_window_first(window);

    return first ? task_window_take(window, first) : NULL;
}

static TaskSpec *spec_new(uint64_t id, int32_t priority, uint32_t uid)
{
    TaskSpec *spec = task_spec_new();

    spec->id = id;
    spec->priority = priority;
    spec->argv = g_bytes_new_static("true", 5);
    spec->context = task_context_new();
    spec->context->uid = uid;
    return spec;
}

static void offer(TaskWindow *window, uint64_t id, int32_t priority)
{
    g_autoptr(TaskSpec) spec = spec_new(id, priority, 1000);

    task_window_offer(window, spec);
}

/* The store has found these ids, all of priority 0, behind that place. */
static void fill(TaskWindow *window, QueuePlace after, uint64_t first, uint64_t last, bool complete)
{
    GPtrArray *tasks = g_ptr_array_new();

    for (uint64_t id = first; id <= last; id++)
        g_ptr_array_add(tasks, spec_new(id, 0, 1000));
    task_window_fill(window, after, tasks, (QueuePlace){ 0, last }, complete);
}

/* A window that holds these ids. */
static void load(TaskWindow *window, uint64_t first, uint64_t last, bool complete)
{
    fill(window, QUEUE_HEAD, first, last, complete);
}

static char *drain(TaskWindow *window)
{
    GString *ids = g_string_new(NULL);
    TaskSpec *spec;

    while ((spec = take_first(window))) {
        g_string_append_printf(ids, "%s%" G_GUINT64_FORMAT, ids->len > 0 ? " " : "", spec->id);
        task_spec_free(spec);
    }
    return g_string_free(ids, FALSE);
}

#define assert_drains(window, expected)                                                                         \
    do {                                                                                                        \
        g_autofree char *ids_ = drain(window);                                                                  \
        g_assert_cmpstr(ids_, ==, expected);                                                                    \
        g_assert_cmpuint(task_window_size(window), ==, 0);                                                      \
        g_assert_null(task_window_first(window));                                                               \
    } while (0)

static void test_order(void)
{
    TaskWindow *window = task_window_new(UID_ANYBODY, NULL, NULL);

    load(window, 1, 0, true);
    offer(window, 5, 0);
    offer(window, 3, 0);
    offer(window, 9, 10);
    offer(window, 4, -10);
    offer(window, 7, 10);
    offer(window, 8, INT32_MAX);
    offer(window, 2, INT32_MIN);
    offer(window, 3, 0); /* twice */
    g_assert_cmpuint(task_window_size(window), ==, 7);
    g_assert_cmpuint(task_window_first(window)->id, ==, 8);
    assert_drains(window, "8 7 9 3 5 4 2");
    task_window_free(window);
}

static void test_user(void)
{
    TaskWindow *window = task_window_new(1001, NULL, NULL);
    g_autoptr(TaskSpec) mine = spec_new(1, 0, 1001), foreign = spec_new(2, 0, 1000);

    g_assert_cmpuint(task_window_user(window), ==, 1001);
    load(window, 1, 0, true);
    task_window_offer(window, foreign);
    task_window_offer(window, mine);
    assert_drains(window, "1");
    task_window_free(window);
}

/* What lies beyond the end of an incomplete window stays on disk. */
static void test_incomplete(void)
{
    TaskWindow *window = task_window_new(UID_ANYBODY, NULL, NULL);

    load(window, 10, 600, false);
    offer(window, 601, 0);
    offer(window, 700, -1);
    g_assert_cmpuint(task_window_size(window), ==, 591);
    offer(window, 5, 0);
    offer(window, 800, 1);
    g_assert_cmpuint(task_window_size(window), ==, 593);
    g_assert_cmpuint(task_window_first(window)->id, ==, 800);
    g_assert_false(task_window_wants_load(window));
    task_window_free(window);
}

static void test_empty_incomplete(void)
{
    TaskWindow *window = task_window_new(UID_ANYBODY, NULL, NULL);

    g_assert_true(task_window_wants_load(window)); /* nothing is known yet */
    offer(window, 1, 0);
    g_assert_cmpuint(task_window_size(window), ==, 0);
    load(window, 1, 1, true);
    g_assert_false(task_window_wants_load(window));
    task_window_free(window);
}

static void test_full(void)
{
    TaskWindow *window = task_window_new(UID_ANYBODY, NULL, NULL);

    load(window, 1, TASK_WINDOW_MAX, true);
    offer(window, 5000, 1); /* pushes the last one out */
    g_assert_cmpuint(task_window_size(window), ==, TASK_WINDOW_MAX);
    offer(window, TASK_WINDOW_MAX, 0); /* that one: it is beyond the end now */
    g_assert_cmpuint(task_window_size(window), ==, TASK_WINDOW_MAX);
    g_assert_false(task_window_wants_load(window));
    for (unsigned i = 0; i < TASK_WINDOW_MAX - TASK_WINDOW_LOW; i++)
        task_spec_free(take_first(window));
    g_assert_false(task_window_wants_load(window));
    task_spec_free(take_first(window));
    g_assert_true(task_window_wants_load(window));
    size_t limit;
    QueuePlace after = task_window_begin_load(window, &limit);
    g_assert_cmpint(after.priority, ==, 0); /* only what is missing */
    g_assert_cmpuint(after.id, ==, TASK_WINDOW_MAX - 1);
    g_assert_cmpuint(limit, ==, TASK_WINDOW_MAX - task_window_size(window));
    g_assert_false(task_window_wants_load(window)); /* asked already */
    task_window_fail_load(window);
    g_assert_true(task_window_wants_load(window));
    task_window_free(window);
}

/* More of the queue is added to what is there. */
static void test_extend(void)
{
    TaskWindow *window = task_window_new(UID_ANYBODY, NULL, NULL);
    size_t limit;

    g_assert_cmpint(task_window_begin_load(window, &limit).priority, ==, INT32_MAX);
    g_assert_cmpuint(limit, ==, TASK_WINDOW_MAX);
    load(window, 10, 12, false);
    QueuePlace after = task_window_begin_load(window, &limit);
    g_assert_cmpuint(limit, ==, TASK_WINDOW_MAX - 3);
    offer(window, 5, 0);
    offer(window, 13, 0); /* the store may have seen it, or has it still to see */
    fill(window, after, 13, 14, true);
    g_assert_false(task_window_wants_load(window));
    assert_drains(window, "5 10 11 12 13 14");
    task_window_free(window);
}

/* Everything that was found is left out, or gone: the end moves all the same. */
static void test_extend_by_nothing(void)
{
    TaskWindow *window = task_window_new(UID_ANYBODY, NULL, NULL);
    size_t limit;

    load(window, 1, 3, false);
    QueuePlace after = task_window_begin_load(window, &limit);
    task_window_fill(window, after, g_ptr_array_new(), (QueuePlace){ 0, 99 }, false);
    g_assert_true(task_window_wants_load(window));
    g_assert_cmpuint(task_window_begin_load(window, &limit).id, ==, 99);
    offer(window, 50, 0);
    assert_drains(window, "1 2 3 50");
    task_window_free(window);
}

/* While the store looked, what is offered has pushed the end forward. */
static void test_extend_too_late(void)
{
    TaskWindow *window = task_window_new(UID_ANYBODY, NULL, NULL);
    size_t limit;

    load(window, 1, 10, false);
    QueuePlace after = task_window_begin_load(window, &limit);
    for (uint64_t id = 10000; id < 10000 + TASK_WINDOW_MAX - 9; id++)
        offer(window, id, 1);
    g_assert_cmpuint(task_window_size(window), ==, TASK_WINDOW_MAX);
    fill(window, after, 11, 12, true);
    g_assert_cmpuint(task_window_size(window), ==, TASK_WINDOW_MAX); /* 10 is missing: so they are not taken */
    g_assert_false(task_window_is_complete(window));
    task_window_free(window);
}

/* Something was queued elsewhere while the store looked for more: it is still to be looked for. */
static void test_extend_when_stale(void)
{
    TaskWindow *window = task_window_new(UID_ANYBODY, NULL, NULL);
    size_t limit;

    load(window, 1, 3, false);
    QueuePlace after = task_window_begin_load(window, &limit);
    task_window_invalidate(window);
    fill(window, after, 4, 5, true);
    g_assert_true(task_window_wants_load(window));
    g_assert_false(task_window_is_complete(window));
    g_assert_cmpint(task_window_begin_load(window, &limit).priority, ==, INT32_MAX);
    load(window, 1, 6, true);
    assert_drains(window, "1 2 3 4 5 6");
    task_window_free(window);
}

static void test_invalidate(void)
{
    TaskWindow *window = task_window_new(UID_ANYBODY, NULL, NULL);

    load(window, 1, 1000, true);
    g_assert_false(task_window_wants_load(window));
    task_window_invalidate(window);
    g_assert_true(task_window_wants_load(window));
    load(window, 1, 2, true);
    g_assert_false(task_window_wants_load(window));
    assert_drains(window, "1 2");
    g_assert_false(task_window_wants_load(window)); /* complete: nothing else is queued */
    task_window_free(window);
}

static void test_remove(void)
{
    TaskWindow *window = task_window_new(UID_ANYBODY, NULL, NULL);

    load(window, 1, 12, true);
    task_window_remove(window, 3);
    task_window_remove(window, 3);
    task_window_remove(window, 99);
    task_window_remove_range(window, 5, 6);
    task_window_remove_range(window, 8, 8);
    task_window_remove_range(window, 0, 1);
    task_window_remove_range(window, 11, UINT64_MAX);
    assert_drains(window, "2 4 7 9 10");
    load(window, 1, 5, true);
    task_window_remove_range(window, 0, UINT64_MAX);
    assert_drains(window, "");
    load(window, 1, 5, true);
    task_window_remove_range(window, UINT64_MAX, UINT64_MAX);
    assert_drains(window, "1 2 3 4 5");
    task_window_free(window);
    task_window_free(NULL);
}

/* A narrow one reads on while others submit, and is put right when it has something. */
static void test_narrow(void)
{
    const Room room = { 0 };
    TaskWindow *window = task_window_new(UID_ANYBODY, NULL, &room);
    size_t limit;

    g_assert_true(task_window_wants_load(window));
    QueuePlace after = task_window_begin_load(window, &limit);
    task_window_invalidate(window);
    task_window_fill(window, after, g_ptr_array_new(), (QueuePlace){ 0, 2048 }, false);
    after = task_window_begin_load(window, &limit);
    g_assert_cmpuint(after.id, ==, 2048); /* on, not again */
    g_assert_cmpuint(limit, ==, TASK_WINDOW_MAX);
    task_window_invalidate(window);
    fill(window, after, 4000, 4001, false);
    g_assert_false(task_window_is_complete(window));
    after = task_window_begin_load(window, &limit);
    g_assert_cmpint(after.priority, ==, INT32_MAX); /* now it has something to give */
    fill(window, after, 7, 8, false);
    g_assert_cmpuint(task_window_size(window), ==, 4); /* beside what is there */
    task_window_invalidate(window); /* once more, while it is at it */
    after = task_window_begin_load(window, &limit);
    g_assert_cmpuint(after.id, ==, 8);
    fill(window, after, 4000, 4002, false); /* two are there already; it has come to its end, and on */
    assert_drains(window, "7 8 4000 4001 4002");
    after = task_window_begin_load(window, &limit);
    g_assert_cmpuint(after.id, ==, 4002); /* nothing is left: on */
    fill(window, after, 5000, 5000, true);
    after = task_window_begin_load(window, &limit);
    g_assert_cmpint(after.priority, ==, INT32_MAX); /* the other pass */
    fill(window, after, 9, 9, true);
    g_assert_true(task_window_is_complete(window));
    g_assert_false(task_window_wants_load(window));
    assert_drains(window, "9 5000");
    task_window_free(window);
}

static void test_narrow_full(void)
{
    const Room room = { 0 };
    TaskWindow *window = task_window_new(UID_ANYBODY, NULL, &room);
    size_t limit;

    fill(window, task_window_begin_load(window, &limit), 1, TASK_WINDOW_LOW - 1, false);
    task_window_invalidate(window);
    fill(window, task_window_begin_load(window, &limit), 10000, 10000 + TASK_WINDOW_MAX - 1, false);
    g_assert_cmpuint(task_window_size(window), ==, TASK_WINDOW_MAX);
    g_assert_false(task_window_wants_load(window));
    g_assert_cmpuint(task_window_first(window)->id, ==, 1);
    task_window_free(window);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/task-window/order", test_order);
    g_test_add_func("/task-window/user", test_user);
    g_test_add_func("/task-window/incomplete", test_incomplete);
    g_test_add_func("/task-window/empty-incomplete", test_empty_incomplete);
    g_test_add_func("/task-window/full", test_full);
    g_test_add_func("/task-window/extend", test_extend);
    g_test_add_func("/task-window/extend-by-nothing", test_extend_by_nothing);
    g_test_add_func("/task-window/extend-too-late", test_extend_too_late);
    g_test_add_func("/task-window/extend-when-stale", test_extend_when_stale);
    g_test_add_func("/task-window/narrow", test_narrow);
    g_test_add_func("/task-window/narrow-full", test_narrow_full);
    g_test_add_func("/task-window/invalidate", test_invalidate);
    g_test_add_func("/task-window/remove", test_remove);
    return g_test_run();
}
