/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* limiting.c: new limits of tasks; what is counted while the worker has not answered, and what if it cannot. */
#include "fake-ports.h"

#define MIB (UINT64_C(1) << 20)

/* A worker of 1 GiB with these tasks, which run. */
static Worker *running(World *world, const uint64_t *memory_mib, size_t n)
{
    Worker *worker = world_running_worker(world, 8);

    for (size_t i = 0; i < n; i++)
        world_started(world, worker,
                      memory_mib[i] > 0 ? world_submit_limited(world, memory_mib[i]) : world_submit(world, 1));
    fake_store_dispatch(&world->store);
    world_forget_logs(world);
    return worker;
}

static void set_memory(World *world, uint64_t first, uint64_t last, uint64_t bytes)
{
    const TaskLimits limits = { .set_memory = true, .memory_max_bytes = bytes };

    world->n_done = 0;
    manager_set_task_limits(world->manager, world_filter_ids(first, last), UID_ANYBODY, &limits, world_limited, world);
    fake_store_dispatch(&world->store);
}

static bool runs(World *world, uint64_t task)
{
    return manager_find_active(world->manager, task);
}

static uint64_t memory_of(World *world, uint64_t task)
{
    return task_spec_memory(manager_find_active(world->manager, task)->spec);
}

/* What is given back is free when it is: not before. */
static void test_less(World *world, const void *unused)
{
    Worker *worker = running(world, (uint64_t[]){ 600 }, 1);
    uint64_t next = world_submit_limited(world, 800);

    set_memory(world, 1, 1, 100 * MIB);
    assert_log(world->link_log, "limit w1 1 memory 100");
    g_assert_cmpuint(world->n_done, ==, 0);
    g_assert_false(runs(world, next));
    g_assert_cmpuint(memory_of(world, 1), ==, 600 * MIB);
    manager_task_limited(world->manager, worker, 1, NULL);
    g_assert_cmpuint(world->n_done, ==, 1);
    g_assert_cmpuint(world->done_count, ==, 1);
    g_assert_null(world->answer_reason);
    g_assert_cmpuint(memory_of(world, 1), ==, 100 * MIB);
    g_assert_true(runs(world, next));
}

static void test_more(World *world, const void *unused)
{
    Worker *worker = running(world, (uint64_t[]){ 100 }, 1);

    set_memory(world, 1, 1, 800 * MIB);
    uint64_t next = world_submit_limited(world, 600);
    g_assert_false(runs(world, next));
    manager_task_limited(world->manager, worker, 1, "the moon is full");
    g_assert_cmpint(world->done_r, ==, 0);
    g_assert_cmpuint(world->done_count, ==, 0);
    g_assert_cmpstr(world->answer_reason, ==, "task 1 keeps the limits that it has: the moon is full");
    g_assert_cmpuint(memory_of(world, 1), ==, 100 * MIB);
    g_assert_true(runs(world, next)); /* it has not got it */
}

static void test_refused(World *world, const void *unused)
{
    Worker *worker = running(world, (uint64_t[]){ 600 }, 1);
    uint64_t next = world_submit_limited(world, 600);

    set_memory(world, 1, 1, 10 * MIB);
    manager_task_limited(world->manager, worker, 1, "more is in use");
    g_assert_false(runs(world, next));
    g_assert_cmpuint(memory_of(world, 1), ==, 600 * MIB);
}

/* No limit: it takes of the worker what is left, as one that was submitted without. */
static void test_none(World *world, const void *unused)
{
    Worker *worker = running(world, (uint64_t[]){ 600, 0 }, 2);

    set_memory(world, 1, 2, LIMIT_INFINITY);
    manager_task_limited(world->manager, worker, 2, NULL);
    manager_task_limited(world->manager, worker, 1, NULL);
    g_assert_cmpuint(world->done_count, ==, 2);
    g_assert_cmpuint(memory_of(world, 1), ==, LIMIT_INFINITY);
    g_assert_true(runs(world, world_submit_limited(world, 1000)));
    set_memory(world, 1, 1, 20 * MIB); /* there is no room for it, but it is less than it could take */
    manager_task_limited(world->manager, worker, 1, NULL);
    g_assert_cmpuint(memory_of(world, 1), ==, 20 * MIB);
}

/* More than its worker has is not counted, or nothing could start there any more. */
static void test_beyond_worker(World *world, const void *unused)
{
    Worker *worker = running(world, (uint64_t[]){ 100 }, 1);

    set_memory(world, 1, 1, 4096 * MIB);
    manager_task_limited(world->manager, worker, 1, NULL);
    g_assert_cmpuint(memory_of(world, 1), ==, 1024 * MIB);
}

/* CPU time and processes likewise. */
static void test_others(World *world, const void *unused)
{
    Worker *worker = running(world, (uint64_t[]){ 100 }, 1);
    const ActiveTask *task = manager_find_active(world->manager, 1);
    TaskLimits limits = { .set_cpu = true, .cpu_quota_usec_per_sec = 500000, .set_tasks = true, .tasks_max = 20,
                          .set_io = true, .io_weight = 7 };

    manager_set_task_limits(world->manager, world_filter_ids(1, 1), UID_ANYBODY, &limits, world_limited, world);
    fake_store_dispatch(&world->store);
    g_assert_true(task->limits.set_cpu && task->limits.set_tasks); /* it had none */
    g_assert_false(task->limits.set_io);
    manager_task_limited(world->manager, worker, 1, NULL);
    g_assert_true(task->limits.set_io && task->limits.io_weight == 7);
    limits.cpu_quota_usec_per_sec = 250000;
    limits.tasks_max = LIMIT_INFINITY;
    manager_set_task_limits(world->manager, world_filter_ids(1, 1), UID_ANYBODY, &limits, world_limited, world);
    fake_store_dispatch(&world->store);
    g_assert_cmpuint(task->limits.cpu_quota_usec_per_sec, ==, 500000);
    g_assert_cmpuint(task->limits.tasks_max, ==, 20);
    manager_task_limited(world->manager, worker, 1, NULL);
    g_assert_cmpuint(task->limits.cpu_quota_usec_per_sec, ==, 250000);
    g_assert_cmpuint(task->limits.tasks_max, ==, LIMIT_INFINITY);
}

/* Of three one waits, one fails. */
static void test_several(World *world, const void *unused)
{
    Worker *worker = running(world, (uint64_t[]){ 400, 400 }, 2);

    world_submit_limited(world, 400);
    set_memory(world, 1, 3, 500 * MIB);
    g_assert_cmpuint(world->n_done, ==, 0);
    manager_task_limited(world->manager, worker, 2, "no");
    manager_task_limited(world->manager, worker, 99, NULL); /* was not asked */
    manager_task_limited(world->manager, worker, 2, NULL);  /* has been answered */
    g_assert_cmpuint(world->n_done, ==, 0);
    manager_task_limited(world->manager, worker, 1, NULL);
    g_assert_cmpuint(world->n_done, ==, 1);
    g_assert_cmpuint(world->done_count, ==, 2);
    g_assert_cmpstr(world->answer_reason, ==, "task 2 keeps the limits that it has: no");
}

static void test_gone(World *world, const void *unused)
{
    Worker *worker = running(world, (uint64_t[]){ 100, 100 }, 2);

    set_memory(world, 1, 1, 200 * MIB);
    manager_worker_disconnected(world->manager, worker->number);
    g_assert_cmpuint(world->n_done, ==, 1);
    g_assert_cmpstr(world->answer_reason, ==,
                    "task 1 keeps the limits that it has: its worker has ended, or lost its connection");
    set_memory(world, 2, 2, 200 * MIB);
    g_assert_cmpuint(world->n_done, ==, 1);
    g_assert_cmpuint(world->done_count, ==, 0);
    g_assert_cmpstr(world->answer_reason, ==,
                    "task 2 keeps the limits that it has: its worker has no connection at present");
    set_memory(world, 7, 9, MIB); /* there are none */
    g_assert_cmpuint(world->n_done, ==, 1);
    g_assert_null(world->answer_reason);
}

static void test_overlapping(World *world, const void *unused)
{
    Worker *worker = running(world, (uint64_t[]){ 100 }, 1);

    set_memory(world, 1, 1, 200 * MIB);
    set_memory(world, 1, 1, 300 * MIB);
    g_assert_cmpuint(world->n_done, ==, 1);
    g_assert_cmpstr(world->answer_reason, ==,
                    "task 1 keeps the limits that it has: they are being changed already; try again");
    manager_task_limited(world->manager, worker, 1, "no");
    g_assert_cmpuint(memory_of(world, 1), ==, 100 * MIB);
}

/* It ends before the worker has answered, or the service does. */
static void test_ends(World *world, const void *unused)
{
    Worker *worker = running(world, (uint64_t[]){ 100, 100 }, 2);

    set_memory(world, 1, 1, 200 * MIB);
    world_finish(world, worker, 1, OUTCOME_EXITED, 0);
    fake_store_dispatch(&world->store);
    manager_task_limited(world->manager, worker, 1, NULL);
    g_assert_cmpuint(world->done_count, ==, 1);
    set_memory(world, 2, 2, 200 * MIB);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    WORLD_TEST("/limiting/less", test_less);
    WORLD_TEST("/limiting/more", test_more);
    WORLD_TEST("/limiting/refused", test_refused);
    WORLD_TEST("/limiting/none", test_none);
    WORLD_TEST("/limiting/beyond-worker", test_beyond_worker);
    WORLD_TEST("/limiting/others", test_others);
    WORLD_TEST("/limiting/several", test_several);
    WORLD_TEST("/limiting/gone", test_gone);
    WORLD_TEST("/limiting/overlapping", test_overlapping);
    WORLD_TEST("/limiting/ends", test_ends);
    return g_test_run();
}
