/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* scaling.c: a target that follows queue and memory. When is a matter of policy/autoscale; here it is the facts that count, and
 * that the workers follow. */
#include "fake-ports.h"

#include <string.h>

#define GIB (UINT64_C(1) << 30)
#define INTERVAL (5 * USEC_PER_SEC)

static void setup(World *world, const void *unused)
{
    world_setup(world, unused);
    world->settings.autoscale = (AutoScaleSettings){
        .min = 1,
        .max = 4,
        .up_below_percent = 70,
        .down_above_percent = 85,
        .pressure_percent = 10,
        .idle_timeout_usec = 60 * USEC_PER_SEC,
        .interval_usec = INTERVAL,
    };
    manager_reload(world->manager, &world->settings);
}

static void automatic(World *world, bool on)
{
    manager_set_autoscale(world->manager, on, world_done, world);
    fake_store_dispatch(&world->store);
}

/* The world does what it is asked for: workers come up, and go. */
static void obey(World *world)
{
    const GPtrArray *workers = manager_workers(world->manager);

    fake_store_dispatch(&world->store);
    for (guint i = workers->len; i > 0; i--) {
        Worker *worker = workers->pdata[i - 1];
        if (worker->state == WORKER_DRAINING && worker->aborting)
            world_gone(world, worker->number, "exited with status 0");
        else if (worker->state == WORKER_STARTING && !worker->aborting) {
            world_engine_started(world, worker->number);
            g_assert_cmpint(world_register(world, worker->number), ==, 0);
        }
    }
    fake_store_dispatch(&world->store);
}

static void pass(World *world, uint64_t usec)
{
    for (uint64_t passed = 0; passed < usec; passed += 500 * USEC_PER_MSEC) {
        world_advance(world, 500 * USEC_PER_MSEC);
        obey(world);
    }
}

static uint32_t target(World *world)
{
    return manager_scale_target(world->manager);
}

static void end_all(World *world)
{
    g_autoptr(GArray) active = manager_active_tasks(world->manager);

    while (active->len > 0) {
        for (guint i = 0; i < active->len; i++) {
            uint64_t id = g_array_index(active, uint64_t, i);
            world_end(world, manager_find_active(world->manager, id)->worker, id, OUTCOME_EXITED);
        }
        g_array_unref(active);
        active = manager_active_tasks(world->manager);
    }
}

/* One step per interval while tasks wait, up to Max; down when they have idled; never below Min. */
static void test_up_and_down(World *world, const void *unused)
{
    automatic(world, true);
    g_assert_cmpuint(target(world), ==, 1);
    pass(world, 10 * USEC_PER_SEC);
    g_assert_cmpuint(target(world), ==, 1);
    world_submit(world, 100);
    uint32_t before = target(world);
    for (int i = 0; i < 8; i++) {
        pass(world, INTERVAL);
        g_assert_cmpuint(target(world), <=, before + 1);
        before = target(world);
    }
    g_assert_cmpuint(target(world), ==, 4);
    g_assert_cmpuint(manager_n_live_workers(world->manager), ==, 4);
    g_assert_cmpstr(manager_scale_reason(world->manager), ==, "tasks wait, and memory and pressure allow it");
    end_all(world);
    pass(world, 50 * USEC_PER_SEC);
    g_assert_cmpuint(target(world), ==, 4);
    pass(world, 120 * USEC_PER_SEC);
    g_assert_cmpuint(target(world), ==, 1);
    g_assert_cmpuint(manager_n_live_workers(world->manager), ==, 1);
    g_assert_cmpstr(manager_scale_reason(world->manager), ==, "a worker has been idle for IdleTimeout");
}

/* Memory in use between the lines: it stays. Over the upper one: down, though tasks wait. */
static void test_memory(World *world, const void *unused)
{
    automatic(world, true);
    world_submit(world, 100);
    pass(world, 2 * INTERVAL);
    uint32_t n = target(world);
    g_assert_cmpuint(n, >=, 2);
    world->facts.memory_available_bytes = 64 * GIB / 4; /* 75 % in use */
    pass(world, 10 * INTERVAL);
    g_assert_cmpuint(target(world), ==, n);
    world->facts.memory_available_bytes = 64 * GIB / 10;
    pass(world, 2 * INTERVAL);
    g_assert_cmpuint(target(world), ==, n - 1);
    g_assert_cmpstr(manager_scale_reason(world->manager), ==, "memory in use is over ScaleDownAbove");
    pass(world, 100 * INTERVAL);
    g_assert_cmpuint(target(world), >=, 1);
}

static void test_pressure(World *world, const void *unused)
{
    automatic(world, true);
    world->facts.memory_pressure_percent = 11;
    world_submit(world, 100);
    pass(world, 10 * INTERVAL);
    g_assert_cmpuint(target(world), ==, 1);
}

/* A step up that brings memory over the one line, a step down that brings it under the other: not every ten seconds. */
static void test_no_flapping(World *world, const void *unused)
{
    unsigned steps = 0;

    automatic(world, true);
    world_submit(world, 100);
    uint32_t before = target(world);
    for (int i = 0; i < 720; i++) { /* an hour */
        world->facts.memory_available_bytes = target(world) > 2 ? 64 * GIB / 10 : 32 * GIB;
        pass(world, INTERVAL);
        steps += target(world) != before;
        before = target(world);
    }
    g_assert_cmpuint(steps, <=, 30);
}

/* Tasks that no ordinary worker would run are no reason for one. */
static void test_other_classes(World *world, const void *unused)
{
    automatic(world, true);
    pass(world, USEC_PER_SEC);
    for (int i = 0; i < 5; i++) {
        TaskSpec *spec = world_task(1000, 0);
        spec->class = g_strdup("sim");
        world_submit_one(world, spec);
    }
    pass(world, 10 * INTERVAL);
    g_assert_cmpuint(target(world), ==, 1);
}

/* A program without work is no free worker. */
static void test_idle_program(World *world, const void *unused)
{
    WorkerSpec *spec = world_spec(1);

    spec->class = g_strdup("sim");
    spec->exec = g_bytes_new_static("sim", 4);
    world_running_worker_with(world, spec);
    automatic(world, true);
    pass(world, USEC_PER_SEC);
    world_submit(world, 2); /* one waits */
    pass(world, 3 * INTERVAL);
    g_assert_cmpuint(target(world), ==, 2);
}

/* The target is not about private workers, and there is room for so many fewer: none is refused. */
static void test_room_taken_by_others(World *world, const void *unused)
{
    world->settings.autoscale.max = 0;
    world->settings.autoscale.idle_timeout_usec = UINT64_MAX;
    world->facts.cores = 5;
    manager_reload(world->manager, &world->settings);
    world_running_worker_of(world, 1, 1001);
    world_running_worker_of(world, 1, 1001);
    automatic(world, true);
    world_submit(world, 100);
    pass(world, 20 * INTERVAL);
    g_assert_cmpuint(manager_n_live_workers(world->manager), ==, 5);
    g_assert_cmpuint(target(world), ==, 3); /* cores */
    world->facts.cores = 16;
    pass(world, 20 * INTERVAL);
    g_assert_cmpuint(manager_n_live_workers(world->manager), ==, 8);
    g_assert_cmpuint(target(world), ==, 6); /* MaxWorkers */
    g_assert_cmpstr(manager_scale_reason(world->manager), ==, "tasks wait, and memory and pressure allow it");
    end_all(world);
    manager_set_max_workers(world->manager, 5);
    pass(world, 20 * INTERVAL);
    g_assert_cmpuint(manager_n_live_workers(world->manager), ==, 5);
    g_assert_cmpuint(target(world), ==, 3);
    g_assert_cmpstr(manager_scale_reason(world->manager), ==, "there are more than MaxWorkers leaves");
}

/* There cannot be so many; it stops where there can, and says so with the numbers. */
static void test_min_cannot_be_had(World *world, const void *unused)
{
    world->settings.autoscale.min = 30;
    world->settings.autoscale.max = 0;
    manager_reload(world->manager, &world->settings);
    automatic(world, true);
    g_assert_cmpuint(target(world), ==, 8);
    pass(world, 20 * INTERVAL);
    g_assert_cmpuint(target(world), ==, 8);
    g_assert_cmpuint(manager_n_live_workers(world->manager), ==, 8);
    g_assert_cmpstr(manager_scale_reason(world->manager), ==, "Min is 30, which cannot be had: MaxWorkers leaves 8");
    world->facts.cores = 3; /* of eight that are there already */
    pass(world, 20 * INTERVAL);
    world_gone(world, 8, "exited with status 3");
    fake_store_dispatch(&world->store);
    g_autofree char *reason = g_strdup(manager_scale_reason(world->manager));
    g_assert_true(g_str_has_prefix(reason, "Min is 30, which cannot be had: "));
    g_assert_nonnull(strstr(reason, "; 7 of 8 workers: w8 failed: exited with status 3"));
    world->settings.autoscale.min = 1;
    manager_reload(world->manager, &world->settings);
    pass(world, INTERVAL);
    g_assert_null(strstr(manager_scale_reason(world->manager), "Min is"));
    automatic(world, false);
    g_assert_null(strstr(manager_scale_reason(world->manager), "Min is"));
}

static void test_disabled(World *world, const void *unused)
{
    automatic(world, true);
    manager_set_enabled(world->manager, false, world_done, world);
    world_submit(world, 100);
    pass(world, 10 * INTERVAL);
    g_assert_cmpuint(target(world), ==, 1);
    manager_set_enabled(world->manager, true, world_done, world);
    pass(world, 10 * INTERVAL);
    g_assert_cmpuint(target(world), ==, 4);
}

/* It begins with what there is, private workers and programs left out. */
static void test_begins(World *world, const void *unused)
{
    world_running_worker_of(world, 1, 1000);
    world_running_worker(world, 1);
    world_running_worker(world, 1);
    automatic(world, true);
    g_assert_cmpuint(target(world), ==, 2);
    automatic(world, false);
    g_assert_cmpuint(target(world), ==, 2); /* kept as it is */
    world_restart(world);
    g_assert_cmpuint(target(world), ==, 2);
    g_assert_false(manager_autoscales(world->manager));
}

/* Those that it had grown to are not drained because a new daemon starts at Min. */
static void test_restart(World *world, const void *unused)
{
    g_assert_cmpint(manager_scale(world->manager, 1, world_done, world), ==, 0);
    automatic(world, true);
    world_submit(world, 100);
    pass(world, 10 * INTERVAL);
    g_assert_cmpuint(target(world), ==, 4);
    world_restart(world);
    g_assert_true(manager_autoscales(world->manager));
    g_assert_cmpuint(target(world), ==, 4);
    world_advance(world, INTERVAL);
    for (uint32_t number = 1; number <= 4; number++)
        g_assert_cmpint(world_worker(world, number)->state, ==, WORKER_RUNNING);
}

/* A target that was set ends it, also where the configuration has it. */
static void test_target_ends_it(World *world, const void *unused)
{
    world->settings.autoscale.enabled = true;
    world_restart(world);
    g_assert_true(manager_autoscales(world->manager));
    g_assert_cmpuint(target(world), ==, 1);
    g_assert_cmpint(manager_scale(world->manager, 2, world_done, world), ==, 0);
    g_assert_false(manager_autoscales(world->manager));
    world_restart(world);
    g_assert_false(manager_autoscales(world->manager));
    g_assert_cmpuint(target(world), ==, 2);
}

/* Nothing is decided before the workers have come back. */
static void test_recovering(World *world, const void *unused)
{
    automatic(world, true);
    world_submit(world, 20);
    pass(world, INTERVAL);
    world_restart(world);
    uint32_t before = target(world);
    world_advance(world, 3 * USEC_PER_SEC - 1);
    g_assert_cmpuint(target(world), ==, before);
}

#define TEST(path, function) g_test_add(path, World, NULL, setup, function, world_teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    TEST("/scaling-auto/up-and-down", test_up_and_down);
    TEST("/scaling-auto/memory", test_memory);
    TEST("/scaling-auto/pressure", test_pressure);
    TEST("/scaling-auto/no-flapping", test_no_flapping);
    TEST("/scaling-auto/other-classes", test_other_classes);
    TEST("/scaling-auto/idle-program", test_idle_program);
    TEST("/scaling-auto/room-taken-by-others", test_room_taken_by_others);
    TEST("/scaling-auto/min-cannot-be-had", test_min_cannot_be_had);
    TEST("/scaling-auto/disabled", test_disabled);
    TEST("/scaling-auto/begins", test_begins);
    TEST("/scaling-auto/restart", test_restart);
    TEST("/scaling-auto/target-ends-it", test_target_ends_it);
    TEST("/scaling-auto/recovering", test_recovering);
    return g_test_run();
}
