/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* windows.c: more tasks that are too large for a worker than it looks at, with some behind them that are not. */
#include "fake-ports.h"

#include <string.h>

#include "core/manager-internal.h"

static uint64_t submit_many(World *world, uint64_t n, uint64_t memory_mib, int32_t priority)
{
    TaskSpec *spec = world_limited_task(memory_mib);

    spec->priority = priority;
    spec->array_index = 0;
    spec->array_count = n;
    return world_submit_one(world, spec);
}

static Worker *sized_worker(World *world, uint64_t memory_mib)
{
    return world_running_worker_with(world, world_spec_with(1, memory_mib));
}

static void assert_runs(World *world, const Worker *worker, uint64_t task)
{
    g_assert_nonnull(manager_find_active(world->manager, task));
    g_assert_true(manager_find_active(world->manager, task)->worker == worker);
}

#define MANY (UINT64_C(3) * TASK_WINDOW_MAX)

/* Behind thousands of large ones the small worker finds what it can run, in its order. */
static void test_behind_thousands(World *world, const void *unused)
{
    const Worker *large = sized_worker(world, 512);
    Worker *small = sized_worker(world, 64);

    uint64_t first = submit_many(world, MANY, 200, 0), second = submit_many(world, 3, 16, 0),
             urgent = submit_many(world, 1, 16, 5);
    assert_runs(world, large, first);
    assert_runs(world, small, second); /* it was there when it was looked for */
    world_end(world, small, second, OUTCOME_EXITED);
    assert_runs(world, small, urgent);
    world_end(world, small, urgent, OUTCOME_EXITED);
    assert_runs(world, small, second + 1);
    uint64_t plain = world_submit_one(world, world_task(1001, 1));
    world_end(world, small, second + 1, OUTCOME_EXITED);
    assert_runs(world, small, plain);
    world_end(world, small, plain, OUTCOME_EXITED);
    assert_runs(world, small, second + 2);
}

/* The same small worker goes back to the queue of all when the large ones are gone. */
static void test_thousands_cancelled(World *world, const void *unused)
{
    const Worker *large = sized_worker(world, 512);
    Worker *small = sized_worker(world, 64);

    uint64_t first = submit_many(world, MANY, 200, 0), little = submit_many(world, 2, 16, 0);
    assert_runs(world, small, little);
    g_assert_cmpuint(world->manager->windows->len, ==, 2);
    manager_cancel(world->manager, world_filter_ids(first + 1, first + MANY - 1), UID_ANYBODY, world_cancelled, world);
    fake_store_dispatch(&world->store);
    world_end(world, small, little, OUTCOME_EXITED);
    assert_runs(world, small, little + 1);
    world_end(world, small, little + 1, OUTCOME_EXITED);
    g_assert_cmpuint(world->manager->windows->len, ==, 1);
    uint64_t next = submit_many(world, 1, 16, 0);
    assert_runs(world, small, next);
    assert_runs(world, large, first);
}

/* Workers of one size share what they look at; one that is enlarged looks at everything again. */
static void test_thousands_shared(World *world, const void *unused)
{
    sized_worker(world, 512);
    Worker *a = sized_worker(world, 64), *b = sized_worker(world, 64);

    uint64_t first = submit_many(world, MANY, 200, 0), little = submit_many(world, 4, 16, 0);
    g_assert_cmpuint(world->manager->windows->len, ==, 2);
    assert_runs(world, a, little);
    assert_runs(world, b, little + 1);
    b->spec->limits.memory_max_bytes = UINT64_C(300) << 20;
    world_end(world, b, little + 1, OUTCOME_EXITED);
    assert_runs(world, b, first + 1);
    world_end(world, a, little, OUTCOME_EXITED);
    assert_runs(world, a, little + 2);
}

/* Nobody looks at what is new and large, and fits nobody; it is found out all the same. */
static void test_thousands_and_hopeless(World *world, const void *unused)
{
    sized_worker(world, 512);
    sized_worker(world, 64);

    submit_many(world, MANY, 200, 0);
    submit_many(world, 1, 16, 0);
    uint64_t hopeless = submit_many(world, 1, 4000, 9);
    g_autofree char *why = world_explain(world, hopeless);
    g_assert_nonnull(strstr(why, "fits no worker"));
    g_assert_cmpint(world_state(world, hopeless), ==, TASK_BLOCKED);
}

/* What a task asks for by what was learned is no more than the largest worker has: when that goes, it is less. */
static void test_thousands_learned(World *world, const void *unused)
{
    Worker *large = sized_worker(world, 512);
    Worker *small = sized_worker(world, 64);
    TaskSpec *spec = world_limited_task(400);

    spec->name = g_strdup("big");
    world_end_with_peak(world, large, world_submit_one(world, spec), 300, USEC_PER_SEC);
    uint64_t busy = submit_many(world, 1, 500, 0);
    spec = world_task(1000, 0);
    spec->name = g_strdup("big");
    spec->context->demand.memory_auto = true;
    spec->array_index = 0;
    spec->array_count = MANY;
    uint64_t first = world_submit_one(world, spec);
    assert_runs(world, large, busy);
    g_assert_null(manager_find_active(world->manager, first));
    g_assert_cmpint(manager_abort(world->manager, large), ==, 0);
    world_gone(world, 1, NULL);
    fake_store_dispatch(&world->store);
    assert_runs(world, small, first);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    WORLD_TEST("/windows/behind-thousands", test_behind_thousands);
    WORLD_TEST("/windows/thousands-cancelled", test_thousands_cancelled);
    WORLD_TEST("/windows/thousands-shared", test_thousands_shared);
    WORLD_TEST("/windows/thousands-and-hopeless", test_thousands_and_hopeless);
    WORLD_TEST("/windows/thousands-learned", test_thousands_learned);
    return g_test_run();
}
