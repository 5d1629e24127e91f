/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parking.c: tasks that fit no worker; when that is found out, who is told, and when they are looked at again. */
#include "fake-ports.h"

#include <string.h>

#define TOO_LARGE "needs 2.0G of memory; the worker has 1.0G"

static void test_parked(World *world, const void *unused)
{
    world_running_worker(world, 4);
    world_running_worker(world, 4);
    world_submit_limited(world, 2048);
    assert_log(world->news_log, "1 unplaceable: " TOO_LARGE);
    g_assert_cmpint(world_state(world, 1), ==, TASK_BLOCKED);
    world_submit(world, 1);
    assert_log(world->link_log, "run w1 2.1");
    assert_log(world->news_log, "");
    g_autofree char *why = world_explain(world, 1);
    g_assert_cmpstr(why, ==, "room: it fits no worker: " TOO_LARGE
                             "; parctl add-worker adds a larger one, parctl set changes the task or a worker");
    world_running_worker_with(world, world_spec_with(1, 2048));
    g_assert_cmpuint(world_fence(world, 1), ==, 1);
    g_assert_cmpint(manager_find_active(world->manager, 1)->worker_number, ==, 3);
}

/* At once, though nobody looks for anything to do: the only worker is busy, or stands still. */
static void test_parked_when_busy(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    world_submit(world, 1);
    world_submit_limited(world, 2048);
    assert_log(world->news_log, "2 unplaceable: " TOO_LARGE);
    g_assert_cmpint(world_state(world, 2), ==, TASK_BLOCKED);
    world_end(world, worker, 1, OUTCOME_EXITED);
    g_assert_cmpint(manager_freeze_worker(world->manager, worker, true, false, world_changed, world), ==, 0);
    world_submit_limited(world, 4096);
    fake_store_dispatch(&world->store);
    g_assert_cmpint(world_state(world, 3), ==, TASK_BLOCKED);
}

/* While the store is asked for more, what it answers may hold what has been put aside meanwhile. */
static void test_told_once(World *world, const void *unused)
{
    world_running_worker(world, 1);
    world_submit_limited(world, 2048);
    world_submit_limited(world, 2048);
    assert_log(world->news_log, "1 unplaceable: " TOO_LARGE "; 2 unplaceable: " TOO_LARGE);
    for (int i = 0; i < 5; i++) {
        world_submit_array(world, 100); /* the window is read anew */
        world_running_worker(world, 1);
    }
    assert_log(world->news_log, "");
}

/* Only a worker that has more of something is a reason to look at them again, and they are not told of twice. */
static void test_judged_again(World *world, const void *unused)
{
    world_running_worker(world, 1);
    world_submit_limited(world, 4096);
    assert_log(world->news_log, "1 unplaceable: needs 4.0G of memory; the worker has 1.0G");
    unsigned n = world->store.n_unparks;
    world_running_worker(world, 4);
    world_running_worker_with(world, world_spec_with(1, 512));
    g_assert_cmpuint(world->store.n_unparks, ==, n);
    world_running_worker_with(world, world_spec_with(1, 2048));
    g_assert_cmpuint(world->store.n_unparks, ==, n + 1);
    g_assert_cmpint(world_state(world, 1), ==, TASK_BLOCKED);
    assert_log(world->news_log, "");
}

/* Two that become large enough at the same time do not hide each other. */
static void test_enlarged_together(World *world, const void *unused)
{
    Worker *workers[] = { world_running_worker(world, 1), world_running_worker(world, 1) };

    world_submit_limited(world, 2048);
    g_assert_cmpint(world_state(world, 1), ==, TASK_BLOCKED);
    for (int i = 0; i < 2; i++) {
        WorkerLimits limits = workers[i]->spec->limits;
        g_autofree char *why = NULL;
        limits.memory_max_bytes = UINT64_C(3) << 30;
        g_assert_cmpint(manager_set_worker_limits(world->manager, workers[i], &limits, false, world_changed, world, &why), ==, 0);
    }
    world_limits_set(world, 1, 0, NULL);
    world_limits_set(world, 2, 0, NULL);
    fake_store_dispatch(&world->store);
    g_assert_nonnull(manager_find_active(world->manager, 1));
}

/* However many kinds there are before it, and also if others are told of. */
static void test_many_kinds(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);
    WorkerLimits limits = worker->spec->limits;
    g_autofree char *why = NULL;

    for (uint64_t i = 0; i < 70; i++)
        world_submit_limited(world, 50 + i);
    for (uint64_t i = 0; i < 40; i++)
        world_submit_limited(world, 450);
    uint64_t last = world_submit_limited(world, 300);
    world_forget_logs(world);
    limits.memory_max_bytes = UINT64_C(200) << 20;
    g_assert_cmpint(manager_set_worker_limits(world->manager, worker, &limits, false, world_changed, world, &why), ==, 0);
    world_limits_set(world, 1, 0, NULL);
    fake_store_dispatch(&world->store);
    g_assert_cmpint(world_state(world, last), ==, TASK_BLOCKED);
    g_autofree char *news = world_take(world->news_log);
    g_assert_nonnull(strstr(news, "needs 300.0M of memory; the worker has 200.0M"));
}

/* The store has it smaller already when it is put aside for what it was. */
static void test_edited_meanwhile(World *world, const void *unused)
{
    const TaskLimits limits = { .set_memory = true, .memory_max_bytes = 20 << 20 };
    Worker *worker = world_running_worker(world, 1);
    WorkerLimits smaller = worker->spec->limits;
    g_autofree char *why = NULL;

    world_submit(world, 1);
    uint64_t id = world_submit_limited(world, 300);
    smaller.memory_max_bytes = UINT64_C(64) << 20;
    g_assert_cmpint(manager_set_worker_limits(world->manager, worker, &smaller, false, world_changed, world, &why), ==, 0);
    manager_set_task_limits(world->manager, world_filter_ids(id, id), UID_ANYBODY, &limits, world_limited, world);
    world_limits_set(world, 1, 0, NULL); /* it is judged, and the store has not answered yet */
    fake_store_dispatch(&world->store);
    g_assert_cmpint(world_state(world, id), ==, TASK_QUEUED);
    world_end(world, worker, 1, OUTCOME_EXITED);
    g_assert_nonnull(manager_find_active(world->manager, id));
}

static void test_array_told_shortly(World *world, const void *unused)
{
    TaskSpec *spec = world_limited_task(2048);

    world_running_worker(world, 1);
    spec->array_index = 0;
    spec->array_count = 100;
    world_submit_one(world, spec);
    for (uint64_t id = 1; id <= 100; id++)
        g_assert_cmpint(world_state(world, id), ==, TASK_BLOCKED);
    g_autofree char *news = world_take(world->news_log);
    g_auto(GStrv) told = g_strsplit(news, "; ", -1);
    g_assert_cmpuint(g_strv_length(told), <=, 2 * 16); /* the sentence has a semicolon, too */
}

static void test_enlarged(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);
    g_autofree char *why = NULL;
    WorkerLimits limits = worker->spec->limits;

    world_submit_limited(world, 2048);
    limits.memory_max_bytes = UINT64_C(3) << 30;
    g_assert_cmpint(manager_set_worker_limits(world->manager, worker, &limits, false, world_changed, world, &why), ==, 0);
    world_limits_set(world, 1, 0, NULL);
    fake_store_dispatch(&world->store);
    assert_log(world->link_log, "run w1 1.1");
}

static void test_task_made_smaller(World *world, const void *unused)
{
    const TaskLimits limits = { .set_memory = true, .memory_max_bytes = 512 << 20 };

    world_running_worker(world, 1);
    world_submit_limited(world, 2048);
    manager_set_task_limits(world->manager, world_filter_ids(1, 1), UID_ANYBODY, &limits, world_limited, world);
    fake_store_dispatch(&world->store);
    assert_log(world->link_log, "run w1 1.1");
}

/* Put aside when the last worker that has room is told to go, not later. */
static void test_last_large_drains(World *world, const void *unused)
{
    world_running_worker(world, 1);
    Worker *large = world_running_worker_with(world, world_spec_with(1, 4096));

    world_submit_limited(world, 3000);
    world_submit_limited(world, 3000);
    assert_log(world->news_log, "");
    g_assert_cmpint(manager_drain(world->manager, large), ==, 0);
    fake_store_dispatch(&world->store);
    assert_log(world->news_log, "2 unplaceable: needs 2.9G of memory; the worker has 1.0G");
    g_assert_cmpint(world_state(world, 2), ==, TASK_BLOCKED);
}

static void test_no_worker_at_all(World *world, const void *unused)
{
    world_submit_limited(world, 1 << 20);
    world_running_worker_of(world, 1, 1001); /* not theirs */
    assert_log(world->news_log, "");
    g_assert_cmpint(world_state(world, 1), ==, TASK_QUEUED);
}

/* One that is starting counts, one that is frozen, too: what waits for it is not put aside. */
static void test_waits_for_frozen(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    g_assert_cmpint(manager_freeze_worker(world->manager, worker, true, false, world_changed, world), ==, 0);
    world_submit_limited(world, 1000);
    assert_log(world->news_log, "");
    assert_log(world->link_log, "");
    g_assert_cmpint(manager_freeze_worker(world->manager, worker, false, false, world_changed, world), ==, 0);
    assert_log(world->link_log, "run w1 1.1");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    WORLD_TEST("/parking/parked", test_parked);
    WORLD_TEST("/parking/parked-when-busy", test_parked_when_busy);
    WORLD_TEST("/parking/judged-again", test_judged_again);
    WORLD_TEST("/parking/enlarged-together", test_enlarged_together);
    WORLD_TEST("/parking/many-kinds", test_many_kinds);
    WORLD_TEST("/parking/edited-meanwhile", test_edited_meanwhile);
    WORLD_TEST("/parking/told-once", test_told_once);
    WORLD_TEST("/parking/array-told-shortly", test_array_told_shortly);
    WORLD_TEST("/parking/enlarged", test_enlarged);
    WORLD_TEST("/parking/task-made-smaller", test_task_made_smaller);
    WORLD_TEST("/parking/last-large-drains", test_last_large_drains);
    WORLD_TEST("/parking/no-worker-at-all", test_no_worker_at_all);
    WORLD_TEST("/parking/waits-for-frozen", test_waits_for_frozen);
    return g_test_run();
}
