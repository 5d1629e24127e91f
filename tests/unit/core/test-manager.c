/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* manager.c: admission, settings, what is shown, and time. */
#include "fake-ports.h"

#include <string.h>

#define GIB (UINT64_C(1) << 30)

static void test_admission(World *world, const void *unused)
{
    g_autofree char *many = NULL, *memory = NULL;

    manager_set_max_workers(world->manager, 2);
    world->facts.memory_available_bytes = 3 * GIB / 2; /* 1 GiB is kept */
    unsigned n_calls = world->store.n_calls;
    g_assert_cmpint(world_add(world, world_spec(1), &memory), ==, REFUSED_MEMORY);
    g_assert_cmpstr(memory, ==, "needs 1.0G; 1.5G free, of it 1.0G kept for the system, 0B still due to running workers");
    world->facts.memory_available_bytes = 4 * GIB;
    world_running_worker(world, 1);
    world_running_worker(world, 1);
    unsigned n_answers = world->n_answers, n_calls_two = world->store.n_calls;
    g_assert_cmpint(world_add(world, world_spec(1), &many), ==, REFUSED_TOO_MANY_WORKERS);
    g_assert_cmpstr(many, ==, "2 of at most 2 workers run already");
    g_assert_cmpuint(world->n_answers, ==, n_answers);
    g_assert_cmpuint(world->store.n_calls, ==, n_calls_two);
    g_assert_cmpuint(n_calls_two, >, n_calls);
    g_assert_cmpuint(manager_workers(world->manager)->len, ==, 2);
}

static Worker *add_forced(World *world)
{
    WorkerSpec *spec = world_spec(1);

    spec->forced = true;
    g_assert_cmpint(world_add(world, spec, NULL), ==, ADMITTED);
    fake_store_dispatch(&world->store);
    return world_worker(world, manager_workers(world->manager)->len);
}

/* Force overrides memory, never the number, and is remembered only where it was needed. */
static void test_force(World *world, const void *unused)
{
    WorkerSpec *third = world_spec(1);

    manager_set_max_workers(world->manager, 2);
    g_assert_false(add_forced(world)->spec->forced);
    world->facts.memory_available_bytes = 0;
    g_assert_true(add_forced(world)->spec->forced);
    third->forced = true;
    g_assert_cmpint(world_add(world, third, NULL), ==, REFUSED_TOO_MANY_WORKERS);
}

static void test_max_workers(World *world, const void *unused)
{
    world_running_worker(world, 1);
    world_running_worker(world, 1);
    manager_set_max_workers(world->manager, 1);
    g_assert_cmpuint(world->n_settings_changes, ==, 1);
    manager_set_max_workers(world->manager, 1);
    g_assert_cmpuint(world->n_settings_changes, ==, 1);
    g_assert_cmpuint(manager_n_live_workers(world->manager), ==, 2); /* those that run stay */
    assert_log(world->engine_log, "");
    g_assert_cmpint(world_add(world, world_spec(1), NULL), ==, REFUSED_TOO_MANY_WORKERS);
    manager_reload(world->manager, &world->settings);
    g_assert_cmpuint(manager_max_workers(world->manager), ==, 8);
    g_assert_cmpint(world_add(world, world_spec(1), NULL), ==, ADMITTED);
}

static void test_status(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);
    ManagerStatus status;

    world_submit(world, 3);
    world_started(world, worker, 1);
    fake_store_dispatch(&world->store);
    g_assert_cmpuint(manager_queue_length(world->manager), ==, 2);
    g_assert_cmpuint(manager_n_running(world->manager), ==, 1);
    world_finish(world, worker, 1, OUTCOME_EXITED, 0);
    fake_store_dispatch(&world->store);
    world->facts.memory_available_bytes = 3 * GIB;
    manager_status(world->manager, &status);
    g_assert_cmpuint(status.counts.by_state[TASK_SUCCEEDED], ==, 1);
    g_assert_cmpuint(status.counts.by_state[TASK_QUEUED], ==, 2);
    g_assert_cmpuint(status.active, ==, 1);
    g_assert_cmpuint(status.admissible, ==, 2); /* 1 GiB is still due to the running worker */
    g_assert_cmpstr(status.binding, ==, "memory");
    g_assert_cmpfloat(status.throughput_per_minute, >=, 1);
    g_assert_cmpuint(status.started_usec, ==, UINT64_C(1700000000) * USEC_PER_SEC);
    g_assert_cmpuint(status.host.cpus, ==, 8);
    world_advance(world, 61 * USEC_PER_SEC);
    world->facts.memory_available_bytes = 32 * GIB;
    manager_status(world->manager, &status);
    g_assert_cmpfloat(status.throughput_per_minute, ==, 0);
    g_assert_cmpuint(status.admissible, ==, 8);
    g_assert_cmpstr(status.binding, ==, "max-workers");
}

static void test_store_error(World *world, const void *unused)
{
    const StoreEvents *events = &world->store.events;
    ManagerStatus status;

    events->failing(-ENOSPC, events->userdata);
    manager_status(world->manager, &status);
    g_assert_cmpint(status.store_error, ==, -ENOSPC);
    events->failing(0, events->userdata);
    manager_status(world->manager, &status);
    g_assert_cmpint(status.store_error, ==, 0);
}

/* It is disabled when that is on disk, not before. */
static void test_enabled(World *world, const void *unused)
{
    world->store.fail = -ENOSPC;
    manager_set_enabled(world->manager, false, world_done, world);
    fake_store_dispatch(&world->store);
    g_assert_cmpint(world->done_r, ==, -ENOSPC);
    g_assert_true(manager_is_enabled(world->manager));
    g_assert_cmpuint(world->n_settings_changes, ==, 0);
    manager_set_enabled(world->manager, false, world_done, world);
    g_assert_true(manager_is_enabled(world->manager));
    fake_store_dispatch(&world->store);
    g_assert_cmpint(world->done_r, ==, 0);
    g_assert_false(manager_is_enabled(world->manager));
    g_assert_cmpuint(world->n_settings_changes, ==, 1);
}

static void test_stalled(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    world_advance(world, 180 * USEC_PER_SEC - 1);
    g_assert_false(worker->stalled);
    unsigned n = world->n_worker_changes;
    world_advance(world, 1);
    g_assert_true(worker->stalled);
    g_assert_cmpuint(world->n_worker_changes, ==, n + 1);
    g_assert_cmpuint(world->alarm, ==, UINT64_MAX); /* told once */
    manager_worker_heartbeat(world->manager, worker);
    g_assert_false(worker->stalled);
    g_assert_cmpuint(worker->heartbeat_usec, ==, world->real);
    g_assert_cmpuint(world->alarm, ==, world->now + 180 * USEC_PER_SEC);
    world_submit(world, 1); /* a stalled worker is still a worker */
    assert_log(world->link_log, "run w1 1.1");
}

static void test_infinity(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    world->settings.stalled_after_usec = UINT64_MAX;
    world->settings.keep_failed_usec = UINT64_MAX;
    world->settings.worker_start_timeout_usec = UINT64_MAX;
    manager_reload(world->manager, &world->settings);
    g_assert_cmpuint(world->alarm, ==, UINT64_MAX);
    world_gone(world, worker->number, "killed by signal 9");
    g_assert_cmpuint(world->alarm, ==, UINT64_MAX);
    g_assert_cmpint(world_add(world, world_spec(1), NULL), ==, ADMITTED);
    fake_store_dispatch(&world->store);
    world_advance(world, 3650 * 86400 * USEC_PER_SEC);
    g_assert_cmpuint(world->alarm, ==, UINT64_MAX);
    g_assert_cmpint(world_worker(world, 1)->state, ==, WORKER_FAILED);
    g_assert_cmpint(world_worker(world, 2)->state, ==, WORKER_STARTING);
    assert_log(world->engine_log, "release w1; start w2");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    WORLD_TEST("/manager/admission", test_admission);
    WORLD_TEST("/manager/force", test_force);
    WORLD_TEST("/manager/max-workers", test_max_workers);
    WORLD_TEST("/manager/status", test_status);
    WORLD_TEST("/manager/store-error", test_store_error);
    WORLD_TEST("/manager/enabled", test_enabled);
    WORLD_TEST("/manager/stalled", test_stalled);
    WORLD_TEST("/manager/infinity", test_infinity);
    return g_test_run();
}
