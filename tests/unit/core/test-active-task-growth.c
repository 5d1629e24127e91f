/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How much memory an attempt gets after one that ran out of it, and which of its attempts count. */
#include "fake-ports.h"

static TaskSpec *growing(uint64_t memory_mib, const char *retry)
{
    TaskSpec *spec = world_limited_task(memory_mib);
    g_autofree char *why = NULL;

    g_assert_cmpint(task_demand_parse_retry_memory(retry, &spec->context->demand, &why), ==, 0);
    return spec;
}

static uint64_t memory_mib(World *world, uint64_t task)
{
    return task_spec_memory(manager_find_active(world->manager, task)->spec) >> 20;
}

static const FakeTask *stored(World *world, uint64_t task)
{
    return fake_store_task(&world->store, task);
}

static void test_factor(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    world_submit_one(world, growing(300, "2x"));
    g_assert_cmpuint(memory_mib(world, 1), ==, 300);
    world_oom(world, worker, 1, OOM_TASK);
    g_assert_cmpuint(memory_mib(world, 1), ==, 600);
    world_oom(world, worker, 1, OOM_TASK);
    g_assert_cmpuint(memory_mib(world, 1), ==, 1024); /* as much as the largest worker has */
    g_assert_cmpuint(stored(world, 1)->spec->spent, ==, 0); /* its retries are kept */
    g_assert_cmpuint(stored(world, 1)->spec->attempts, ==, 2);
    world_oom(world, worker, 1, OOM_TASK);
    g_assert_cmpint(world_state(world, 1), ==, TASK_FAILED);
    g_assert_cmpstr(stored(world, 1)->last.reason, ==,
                    "out of memory with 1.0G, and no worker has more to give (the largest has 1.0G)");
    g_assert_cmpuint(stored(world, 1)->spec->spent, ==, 1);
}

static void test_list(World *world, const void *unused)
{
    Worker *worker = world_running_worker_with(world, world_spec_with(1, 5000));

    world_submit_one(world, growing(1000, "2000M,4000M,16G"));
    world_oom(world, worker, 1, OOM_TASK);
    g_assert_cmpuint(memory_mib(world, 1), ==, 2000);
    world_oom(world, worker, 1, OOM_TASK);
    g_assert_cmpuint(memory_mib(world, 1), ==, 4000);
    world_oom(world, worker, 1, OOM_TASK);
    g_assert_cmpuint(memory_mib(world, 1), ==, 5000);
    world_oom(world, worker, 1, OOM_TASK);
    g_assert_cmpint(world_state(world, 1), ==, TASK_FAILED);
}

/* It waits for the larger worker, though the one where it ran out of memory is free. */
static void test_goes_to_larger(World *world, const void *unused)
{
    Worker *small = world_running_worker(world, 1);

    world_submit_one(world, growing(1000, "2x"));
    Worker *large = world_running_worker_with(world, world_spec_with(2, 2048));
    world_submit_limited(world, 500);
    g_assert_true(manager_find_active(world->manager, 2)->worker == large);
    world_oom(world, small, 1, OOM_TASK);
    g_assert_null(manager_find_active(world->manager, 1));
    world_end(world, large, 2, OUTCOME_EXITED);
    g_assert_true(manager_find_active(world->manager, 1)->worker == large);
    g_assert_cmpuint(memory_mib(world, 1), ==, 2000);
}

/* Attempts that are lost, or sent back, change nothing. */
static void test_keeps(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    world_submit_one(world, growing(300, "2x"));
    world_oom(world, worker, 1, OOM_TASK);
    world_started(world, worker, 1);
    world_gone(world, 1, "killed by signal 9");
    fake_store_dispatch(&world->store);
    worker = world_running_worker(world, 1);
    g_assert_cmpuint(memory_mib(world, 1), ==, 600);
    world_end(world, worker, 1, OUTCOME_ABORTED);
    g_assert_cmpuint(memory_mib(world, 1), ==, 600);
    g_assert_cmpuint(stored(world, 1)->spec->lost, ==, 2);
}

/* A retry by its policy keeps what it had, too. */
static void test_retry_keeps(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);
    TaskSpec *spec = growing(300, "2x");

    spec->context->policy.retries = 1;
    world_submit_one(world, spec);
    world_oom(world, worker, 1, OOM_TASK);
    world_end(world, worker, 1, OUTCOME_SIGNALLED);
    g_assert_cmpint(world_state(world, 1), ==, TASK_WAITING);
    world_advance(world, 3600 * USEC_PER_SEC);
    manager_wake(world->manager);
    fake_store_dispatch(&world->store);
    g_assert_cmpuint(stored(world, 1)->spec->spent, ==, 1);
    g_assert_cmpuint(memory_mib(world, 1), ==, 600);
}

/* Its own limit was not reached: the worker's was, and it had as much as there is below it. */
static void test_worker_limit(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);
    TaskSpec *spec = world_task(1000, 0);

    spec->context->demand.memory_factor = 2;
    world_submit_one(world, spec);
    world_submit_one(world, growing(600, "2x"));
    world_oom(world, worker, 1, OOM_WORKER);
    g_assert_cmpint(world_state(world, 1), ==, TASK_FAILED);
    g_assert_cmpstr(stored(world, 1)->last.reason, ==,
                    "out of memory with 1.0G, and no worker has more to give (the largest has 1.0G)");
    world_oom(world, worker, 2, OOM_WORKER);
    g_assert_cmpuint(memory_mib(world, 2), ==, 1024);
}

/* Neither the machine's want of memory nor a kill by systemd-oomd is the task's: more would make it worse. */
static void test_not_of_the_host(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    world_submit_one(world, growing(300, "2x"));
    world_submit_one(world, growing(300, "2x"));
    world_oom(world, worker, 1, OOM_HOST);
    world_oom(world, worker, 2, OOM_OOMD);
    for (uint64_t id = 1; id <= 2; id++) {
        g_assert_cmpint(world_state(world, id), ==, TASK_FAILED);
        g_assert_cmpuint(stored(world, id)->last.memory_max_bytes, ==, 0);
        g_assert_null(stored(world, id)->last.reason);
    }
}

static void test_not_without_asking(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    world_submit_limited(world, 300);
    world_oom(world, worker, 1, OOM_TASK);
    g_assert_cmpint(world_state(world, 1), ==, TASK_FAILED);
    g_assert_null(stored(world, 1)->last.reason);
}

static void test_held(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    world_submit_one(world, growing(300, "2x"));
    manager_modify(world->manager, world_filter_ids(1, 1), UID_ANYBODY, TASK_HOLD, NULL, world_cancelled, world);
    fake_store_dispatch(&world->store);
    world_oom(world, worker, 1, OOM_TASK); /* it had started already */
    g_assert_cmpint(world_state(world, 1), ==, TASK_HELD);
    g_assert_cmpuint(stored(world, 1)->last.memory_max_bytes, ==, 600 << 20);
}

static void test_cancelled(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    world_submit_one(world, growing(300, "2x"));
    manager_cancel(world->manager, world_filter_ids(1, 1), UID_ANYBODY, world_cancelled, world);
    fake_store_dispatch(&world->store);
    world_oom(world, worker, 1, OOM_TASK);
    g_assert_cmpint(world_state(world, 1), ==, TASK_CANCELLED);
}

/* The only worker is told to go: the task waits for another, it does not fail for want of one. */
static void test_while_draining(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    world_submit_one(world, growing(300, "2x"));
    g_assert_cmpint(manager_drain(world->manager, worker), ==, 0);
    world_oom(world, worker, 1, OOM_TASK);
    g_assert_cmpint(world_state(world, 1), ==, TASK_QUEUED);
    world_running_worker(world, 1);
    g_assert_cmpuint(memory_mib(world, 1), ==, 600);
}

/* Set while it runs: the next attempt grows from there. */
static void test_after_set(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);
    const TaskLimits limits = { .set_memory = true, .memory_max_bytes = 400 << 20 };

    world_submit_one(world, growing(300, "2x"));
    world_started(world, worker, 1);
    fake_store_dispatch(&world->store);
    manager_set_task_limits(world->manager, world_filter_ids(1, 1), UID_ANYBODY, &limits, world_limited, world);
    fake_store_dispatch(&world->store);
    TaskResult result = { .task = 1, .fence = 1, .outcome = OUTCOME_OOM, .start_usec = 1, .end_usec = 2,
                          .memory_peak_bytes = MEMORY_UNKNOWN };
    manager_tasks_finished(world->manager, worker, &result, 1, world_done, world);
    fake_store_dispatch(&world->store);
    g_assert_cmpuint(memory_mib(world, 1), ==, 800);
}

/* Workers without a limit: the machine is what there is. */
static void test_unlimited_worker(World *world, const void *unused)
{
    WorkerSpec *spec = world_spec(1);

    spec->limits.memory_max_bytes = LIMIT_INFINITY;
    world->facts.memory_total_bytes = UINT64_C(3) << 30;
    world_restart(world);
    Worker *worker = world_running_worker_with(world, spec);
    world_submit_one(world, growing(1024, "16x"));
    world_oom(world, worker, 1, OOM_TASK);
    g_assert_cmpuint(memory_mib(world, 1), ==, 2048); /* 1 GiB is kept for the system */
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    WORLD_TEST("/active-task-growth/factor", test_factor);
    WORLD_TEST("/active-task-growth/list", test_list);
    WORLD_TEST("/active-task-growth/goes-to-larger", test_goes_to_larger);
    WORLD_TEST("/active-task-growth/keeps", test_keeps);
    WORLD_TEST("/active-task-growth/retry-keeps", test_retry_keeps);
    WORLD_TEST("/active-task-growth/worker-limit", test_worker_limit);
    WORLD_TEST("/active-task-growth/not-of-the-host", test_not_of_the_host);
    WORLD_TEST("/active-task-growth/not-without-asking", test_not_without_asking);
    WORLD_TEST("/active-task-growth/held", test_held);
    WORLD_TEST("/active-task-growth/cancelled", test_cancelled);
    WORLD_TEST("/active-task-growth/while-draining", test_while_draining);
    WORLD_TEST("/active-task-growth/after-set", test_after_set);
    WORLD_TEST("/active-task-growth/unlimited-worker", test_unlimited_worker);
    return g_test_run();
}
