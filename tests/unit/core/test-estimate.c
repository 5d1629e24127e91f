/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* estimate.c: what is left of all tasks, by what such tasks took before. */
#include "fake-ports.h"

static TaskSpec *named(const char *name)
{
    TaskSpec *spec = world_task(1000, 0);

    g_free(spec->name);
    spec->name = g_strdup(name);
    return spec;
}

static void learn(World *world, Worker *worker, const char *name, unsigned seconds)
{
    world_end_with_peak(world, worker, world_submit_one(world, named(name)), 1, seconds * USEC_PER_SEC);
}

static uint64_t seconds_left(World *world)
{
    uint64_t left = manager_time_left(world->manager);

    return left == UINT64_MAX ? left : left / USEC_PER_SEC;
}

static void test_unknown(World *world, const void *unused)
{
    g_assert_cmpuint(seconds_left(world), ==, UINT64_MAX);
    world_running_worker(world, 2);
    g_assert_cmpuint(seconds_left(world), ==, UINT64_MAX);
    world_submit_one(world, named("new"));
    world_submit_one(world, named("new"));
    world_submit_one(world, named("new"));
    g_assert_cmpuint(seconds_left(world), ==, UINT64_MAX);
}

static void test_shared(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 2);

    learn(world, worker, "sim", 10);
    g_assert_cmpuint(seconds_left(world), ==, UINT64_MAX); /* there is nothing to do */
    uint64_t first = world_submit_one(world, named("sim"));
    g_assert_cmpuint(seconds_left(world), ==, 10); /* it does not take half the time with two slots */
    for (int i = 0; i < 5; i++)
        world_submit_one(world, named("sim"));
    g_assert_cmpuint(seconds_left(world), ==, 30);
    world_started(world, worker, first);
    world->now += 4 * USEC_PER_SEC;
    g_assert_cmpuint(seconds_left(world), ==, 28);
    world->now += 60 * USEC_PER_SEC; /* longer than such tasks take */
    g_assert_cmpuint(seconds_left(world), ==, 25);
}

/* What is not known takes as long as what is. */
static void test_mixed(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    learn(world, worker, "sim", 10);
    learn(world, worker, "render", 30);
    world_submit_one(world, named("sim"));
    world_submit_one(world, named("render"));
    g_assert_cmpuint(seconds_left(world), ==, 40);
    world_submit_one(world, named("new"));
    g_assert_cmpuint(seconds_left(world), ==, 70);
    TaskSpec *array = named("sim");
    array->array_index = 0;
    array->array_count = 1000000;
    world_submit_one(world, array);
    g_assert_cmpuint(seconds_left(world), >, 10000000);
    g_assert_cmpuint(seconds_left(world), <, 12000000);
}

static void test_nobody_works(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    learn(world, worker, "sim", 10);
    world_submit_one(world, named("sim"));
    manager_set_enabled(world->manager, false, world_done, world);
    fake_store_dispatch(&world->store);
    g_assert_cmpuint(seconds_left(world), ==, UINT64_MAX);
    manager_set_enabled(world->manager, true, world_done, world);
    fake_store_dispatch(&world->store);
    g_assert_cmpuint(seconds_left(world), ==, 10);
    g_assert_cmpint(manager_drain(world->manager, worker), ==, 0);
    g_assert_cmpuint(seconds_left(world), ==, UINT64_MAX);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    WORLD_TEST("/estimate/unknown", test_unknown);
    WORLD_TEST("/estimate/shared", test_shared);
    WORLD_TEST("/estimate/mixed", test_mixed);
    WORLD_TEST("/estimate/nobody-works", test_nobody_works);
    return g_test_run();
}
