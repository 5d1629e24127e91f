/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a new daemon makes of the workers and tasks of an earlier one. */
#include "fake-ports.h"

#include <string.h>

/* A worker of two slots that runs task 1 and holds task 2; the new daemon has not heard of it yet. */
static Worker *restarted(World *world)
{
    Worker *worker = world_running_worker(world, 2);

    world_submit(world, 2);
    world_started(world, worker, 1);
    world_restart(world);
    fake_store_dispatch(&world->store);
    return world_worker(world, 1);
}

static void come_back(World *world, Worker *worker, const HeldReport *held, size_t n)
{
    g_assert_cmpint(manager_worker_register(world->manager, 1, worker->token, PID_OF(1)), ==, 0);
    manager_worker_reports(world->manager, worker, held, n, NULL, 0, world_done, world);
    fake_store_dispatch(&world->store);
}

static void test_adopted(World *world, const void *unused)
{
    Worker *worker = restarted(world);

    assert_log(world->engine_log, "adopt w1 1001");
    assert_log(world->worker_log, "added w1");
    g_assert_cmpint(worker->state, ==, WORKER_RUNNING);
    g_assert_cmpstr(worker->process.unit, ==, "parexec-w1.scope");
    g_assert_cmpuint(g_hash_table_size(worker->tasks), ==, 2);
    world_submit(world, 1);
    assert_log(world->link_log, ""); /* it has not come back yet */
    g_assert_cmpint(world_state(world, 1), ==, TASK_RUNNING);
}

static void test_held(World *world, const void *unused)
{
    Worker *worker = restarted(world);
    HeldReport held[] = { { 1, 1, world->real }, { 2, 1, world->real } };

    come_back(world, worker, held, 2);
    assert_log(world->link_log, "thaw w1 1 2"); /* nothing stands still that nobody remembers */
    assert_log(world->task_log, "2 running w1 #1"); /* it has started meanwhile */
    world_finish(world, worker, 1, OUTCOME_EXITED, 0);
    world_finish(world, worker, 2, OUTCOME_EXITED, 0);
    fake_store_dispatch(&world->store);
    g_assert_cmpint(world_state(world, 1), ==, TASK_SUCCEEDED);
    g_assert_cmpint(world_state(world, 2), ==, TASK_SUCCEEDED);
    g_assert_cmpuint(fake_store_task(&world->store, 1)->n_attempts, ==, 1);
}

static void test_results(World *world, const void *unused)
{
    Worker *worker = restarted(world);
    HeldReport held = { 2, 1, 0 };
    TaskResult results[] = {
        { .task = 1, .fence = 1, .outcome = OUTCOME_EXITED, .start_usec = 1, .end_usec = 2 },
        { .task = 55, .fence = 1, .outcome = OUTCOME_EXITED, .start_usec = 1, .end_usec = 2 },
    };

    g_assert_cmpint(manager_worker_register(world->manager, 1, worker->token, PID_OF(1)), ==, 0);
    unsigned n_done = world->n_done;
    manager_worker_reports(world->manager, worker, &held, 1, results, 2, world_done, world);
    assert_log(world->task_log, "");
    g_assert_cmpuint(world->n_done, ==, n_done);
    fake_store_dispatch(&world->store);
    g_assert_cmpuint(world->n_done, ==, n_done + 1);
    assert_log(world->task_log, "1 succeeded w1 #1 exited");
    g_assert_cmpuint(world_fence(world, 2), ==, 1); /* it goes on holding it */
}

static void test_strangers(World *world, const void *unused)
{
    Worker *worker = restarted(world);
    HeldReport held[] = { { 1, 1, world->real }, { 2, 1, 0 }, { 99, 1, world->real } };

    come_back(world, worker, held, 3);
    assert_log(world->link_log, "cancel w1 99; thaw w1 1");
    assert_log(world->task_log, "");
}

static void test_missing(World *world, const void *unused)
{
    Worker *worker = restarted(world);

    come_back(world, worker, NULL, 0);
    g_autofree char *log = world_take(world->task_log);
    g_assert_nonnull(strstr(log, "1 queued w1 #1 lost"));
    g_assert_cmpuint(world_fence(world, 1), ==, 2);
    g_assert_cmpuint(world_fence(world, 2), ==, 2);
    g_assert_cmpuint(fake_store_task(&world->store, 1)->spec->lost, ==, 1);
    g_assert_cmpuint(fake_store_task(&world->store, 2)->spec->lost, ==, 0);
    g_assert_true(manager_find_active(world->manager, 1)->worker == worker);
}

static void test_cancelled(World *world, const void *unused)
{
    Worker *worker = restarted(world);
    HeldReport held[] = { { 1, 1, world->real }, { 2, 1, 0 } };

    manager_cancel(world->manager, world_filter_ids(1, 1), UID_ANYBODY, world_cancelled, world);
    world_restart(world); /* once more, before it came back */
    fake_store_dispatch(&world->store);
    worker = world_worker(world, 1);
    come_back(world, worker, held, 2);
    assert_log(world->link_log, "cancel w1 1; thaw w1 1");
    world_finish(world, worker, 1, OUTCOME_SIGNALLED, 0);
    fake_store_dispatch(&world->store);
    g_assert_cmpint(world_state(world, 1), ==, TASK_CANCELLED);
}

static void test_gone(World *world, const void *unused)
{
    restarted(world);
    world_forget_logs(world);
    world_gone(world, 1, "not found");
    fake_store_dispatch(&world->store);
    assert_log(world->worker_log, "w1 running→failed");
    g_assert_cmpint(world_state(world, 1), ==, TASK_QUEUED);
    g_assert_cmpuint(fake_store_task(&world->store, 1)->n_attempts, ==, 1);
    Worker *next = world_running_worker(world, 2);
    g_assert_cmpuint(next->number, ==, 2);
    g_assert_cmpuint(g_hash_table_size(next->tasks), ==, 2);
}

/* Tasks of a worker that nobody remembers are given out again. */
static void test_no_worker(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    world_submit(world, 1);
    world_started(world, worker, 1);
    fake_store_dispatch(&world->store);
    g_hash_table_remove(world->store.workers, GUINT_TO_POINTER(1));
    world_restart(world);
    fake_store_dispatch(&world->store);
    g_assert_cmpuint(manager_workers(world->manager)->len, ==, 0);
    g_assert_cmpint(world_state(world, 1), ==, TASK_QUEUED);
    world_running_worker(world, 1);
    g_assert_cmpuint(world_fence(world, 1), ==, 2);
}

/* Failed workers are forgotten, one that was starting has its time again. */
static void test_other_workers(World *world, const void *unused)
{
    world_running_worker(world, 1);
    world_gone(world, 1, "exited with status 1");
    g_assert_cmpint(world_add(world, world_spec(1), NULL), ==, ADMITTED);
    fake_store_dispatch(&world->store);
    world_engine_started(world, 2);
    world_advance(world, 29 * USEC_PER_SEC);
    world_restart(world);
    fake_store_dispatch(&world->store);
    assert_log(world->engine_log, "adopt w2 1002");
    g_assert_cmpuint(g_hash_table_size(world->store.workers), ==, 1);
    world_advance(world, 29 * USEC_PER_SEC);
    assert_log(world->engine_log, "");
    g_assert_cmpint(world_register(world, 2), ==, 0);
    g_assert_cmpint(world_worker(world, 2)->state, ==, WORKER_RUNNING);
}

static void test_queue(World *world, const void *unused)
{
    TaskSpec *spec = world_task(1000, 0);

    world_submit(world, 1);
    spec->has_fds = true;
    spec->fds = task_fds_new();
    world_submit_one(world, spec);
    manager_set_enabled(world->manager, false, world_done, world);
    world_restart(world);
    fake_store_dispatch(&world->store);
    g_assert_false(manager_is_enabled(world->manager));
    g_assert_cmpuint(manager_queue_length(world->manager), ==, 2);
    world_running_worker(world, 2);
    manager_set_enabled(world->manager, true, world_done, world);
    fake_store_dispatch(&world->store);
    assert_log(world->link_log, "run w1 1.1");
    assert_log(world->task_log, "2 failed"); /* its descriptors went with the daemon */
    g_assert_cmpint(world_state(world, 2), ==, TASK_FAILED);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    WORLD_TEST("/manager-restart/adopted", test_adopted);
    WORLD_TEST("/manager-restart/held", test_held);
    WORLD_TEST("/manager-restart/results", test_results);
    WORLD_TEST("/manager-restart/strangers", test_strangers);
    WORLD_TEST("/manager-restart/missing", test_missing);
    WORLD_TEST("/manager-restart/cancelled", test_cancelled);
    WORLD_TEST("/manager-restart/gone", test_gone);
    WORLD_TEST("/manager-restart/no-worker", test_no_worker);
    WORLD_TEST("/manager-restart/other-workers", test_other_workers);
    WORLD_TEST("/manager-restart/queue", test_queue);
    return g_test_run();
}
