/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* manager-tasks.c: cancelling what waits, what a worker holds, and what is somebody else's. */
#include "fake-ports.h"

static uint64_t cancel(World *world, uint64_t first, uint64_t last, uint32_t only_uid)
{
    manager_cancel(world->manager, world_filter_ids(first, last), only_uid, world_cancelled, world);
    fake_store_dispatch(&world->store);
    g_assert_cmpint(world->done_r, ==, 0);
    return world->done_count;
}

static void test_queued(World *world, const void *unused)
{
    world_submit(world, 3);
    g_assert_cmpuint(cancel(world, 1, 2, UID_ANYBODY), ==, 2);
    assert_log(world->task_log, "1 cancelled; 2 cancelled");
    g_assert_cmpint(world_state(world, 1), ==, TASK_CANCELLED);
    world_running_worker(world, 8);
    g_assert_null(manager_find_active(world->manager, 1));
    g_assert_null(manager_find_active(world->manager, 2));
    g_assert_nonnull(manager_find_active(world->manager, 3));
    g_assert_cmpuint(cancel(world, 1, 2, UID_ANYBODY), ==, 0); /* they have ended */
}

/* It is cancelled when its worker says that it has ended. */
static void test_running(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    world_submit(world, 1);
    world_started(world, worker, 1);
    world_forget_logs(world);
    g_assert_cmpuint(cancel(world, 1, 1, UID_ANYBODY), ==, 1);
    assert_log(world->link_log, "cancel w1 1");
    assert_log(world->task_log, "");
    g_assert_cmpint(world_state(world, 1), ==, TASK_RUNNING);
    world_finish(world, worker, 1, OUTCOME_SIGNALLED, 0);
    fake_store_dispatch(&world->store);
    assert_log(world->task_log, "1 cancelled w1 #1 signalled");
    g_assert_cmpint(world_state(world, 1), ==, TASK_CANCELLED);
    g_assert_cmpuint(worker->tasks_failed, ==, 0);
}

/* It is handed out after the question and before the answer: stored as cancelled, it must not run on. */
static void test_overtaken(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    world_submit(world, 2);
    manager_cancel(world->manager, world_filter_ids(2, 2), UID_ANYBODY, world_cancelled, world);
    world_finish(world, worker, 1, OUTCOME_EXITED, 0);
    g_assert_nonnull(manager_find_active(world->manager, 2));
    world_forget_logs(world);
    fake_store_dispatch(&world->store);
    assert_log(world->link_log, "cancel w1 2");
    g_assert_cmpint(world_state(world, 2), ==, TASK_CANCELLED);
}

static void test_too_late(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    world_submit(world, 1);
    world_started(world, worker, 1);
    cancel(world, 1, 1, UID_ANYBODY);
    world_finish(world, worker, 1, OUTCOME_EXITED, 0); /* it was faster */
    fake_store_dispatch(&world->store);
    g_assert_cmpint(world_state(world, 1), ==, TASK_SUCCEEDED);
    g_assert_cmpuint(worker->tasks_done, ==, 1);
}

static void test_ahead(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    world_submit(world, 1);
    cancel(world, 1, 1, UID_ANYBODY);
    world_forget_logs(world);
    manager_tasks_given_back(world->manager, worker, &(uint64_t){ 1 }, 1);
    fake_store_dispatch(&world->store);
    assert_log(world->task_log, "1 cancelled w1");
    assert_log(world->link_log, "");
    g_assert_cmpint(world_state(world, 1), ==, TASK_CANCELLED);
}

static void test_worker_lost(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    world_submit(world, 1);
    world_started(world, worker, 1);
    cancel(world, 1, 1, UID_ANYBODY);
    world_gone(world, 1, "killed by signal 9");
    fake_store_dispatch(&world->store);
    g_assert_cmpint(world_state(world, 1), ==, TASK_CANCELLED);
    world_running_worker(world, 1);
    g_assert_null(manager_find_active(world->manager, 1));
}

/* Many are counted all, told one by one up to a limit. */
static void test_many(World *world, const void *unused)
{
    unsigned n = 1;

    world_submit_array(world, 3000);
    g_assert_cmpuint(cancel(world, 1, 2500, UID_ANYBODY), ==, 2500);
    g_autofree char *log = world_take(world->task_log);
    for (const char *p = log; *p; p++)
        n += *p == ';';
    g_assert_cmpuint(n, ==, 1000);
    world_running_worker(world, WORKER_SLOTS_MAX);
    for (uint64_t id = 1; id <= 3000; id++)
        g_assert_cmpint(manager_find_active(world->manager, id) != NULL, ==, id > 2500);
}

static void test_several_workers(World *world, const void *unused)
{
    world_running_worker(world, 1);
    Worker *second = world_running_worker(world, 1);
    world_submit(world, 3);
    uint64_t held = manager_find_active(world->manager, 1)->worker == second ? 1 : 2;
    world_forget_logs(world);
    g_assert_cmpuint(cancel(world, held, 3, UID_ANYBODY), ==, 4 - held);
    assert_log(world->link_log, held == 1 ? "cancel w1 2; cancel w2 1" : "cancel w2 2");
    assert_log(world->task_log, "3 cancelled");
}

static void test_foreign(World *world, const void *unused)
{
    world_running_worker(world, 1);
    world_submit_one(world, world_task(1000, 0));
    world_submit_one(world, world_task(1000, 0));
    world_submit_one(world, world_task(1001, 0));
    world_forget_logs(world);
    g_assert_cmpuint(cancel(world, 1, 3, 1001), ==, 1);
    assert_log(world->link_log, "");
    assert_log(world->task_log, "3 cancelled");
    g_assert_cmpint(world_state(world, 2), ==, TASK_QUEUED);
    g_assert_false(manager_find_active(world->manager, 1)->cancelled);
}

static void test_store_fails(World *world, const void *unused)
{
    world_submit(world, 1);
    world->store.fail = -ENOSPC;
    manager_cancel(world->manager, world_filter_ids(1, 1), UID_ANYBODY, world_cancelled, world);
    fake_store_dispatch(&world->store);
    g_assert_cmpint(world->done_r, ==, -ENOSPC);
    assert_log(world->task_log, "");
    world_running_worker(world, 1);
    g_assert_nonnull(manager_find_active(world->manager, 1));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    WORLD_TEST("/manager-cancel/queued", test_queued);
    WORLD_TEST("/manager-cancel/running", test_running);
    WORLD_TEST("/manager-cancel/overtaken", test_overtaken);
    WORLD_TEST("/manager-cancel/too-late", test_too_late);
    WORLD_TEST("/manager-cancel/ahead", test_ahead);
    WORLD_TEST("/manager-cancel/worker-lost", test_worker_lost);
    WORLD_TEST("/manager-cancel/many", test_many);
    WORLD_TEST("/manager-cancel/several-workers", test_several_workers);
    WORLD_TEST("/manager-cancel/foreign", test_foreign);
    WORLD_TEST("/manager-cancel/store-fails", test_store_fails);
    return g_test_run();
}
