/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* manager-tasks.c: a task's way from being submitted to its end. */
#include "fake-ports.h"

#include <string.h>

static void test_way(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    world_submit(world, 1);
    assert_log(world->link_log, "run w1 1.1");
    assert_log(world->task_log, "");
    world_started(world, worker, 1);
    world_started(world, worker, 1); /* told twice */
    assert_log(world->task_log, "1 running w1 #1");
    fake_store_dispatch(&world->store);
    g_assert_cmpint(world_state(world, 1), ==, TASK_RUNNING);
    unsigned n_done = world->n_done;
    world_finish(world, worker, 1, OUTCOME_EXITED, 0);
    assert_log(world->task_log, ""); /* not before it is on disk */
    g_assert_cmpuint(world->n_done, ==, n_done);
    fake_store_dispatch(&world->store);
    assert_log(world->task_log, "1 succeeded w1 #1 exited");
    g_assert_cmpuint(world->n_done, ==, n_done + 1);
    g_assert_cmpint(world_state(world, 1), ==, TASK_SUCCEEDED);
    g_assert_cmpuint(worker->tasks_done, ==, 1);
    g_assert_null(manager_find_active(world->manager, 1));
}

static void test_failure(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 3);

    world_submit(world, 3);
    for (uint64_t id = 1; id <= 3; id++)
        world_started(world, worker, id);
    world_forget_logs(world);
    world_finish(world, worker, 1, OUTCOME_EXITED, 3);
    world_finish(world, worker, 2, OUTCOME_OOM, 0);
    world_finish(world, worker, 3, OUTCOME_SPAWN_FAILED, 0);
    fake_store_dispatch(&world->store);
    assert_log(world->task_log, "1 failed w1 #1 exited; 2 failed w1 #1 oom; 3 failed w1 #1 spawn-failed");
    g_assert_cmpint(fake_store_task(&world->store, 1)->last.result.exit_status, ==, 3);
    g_assert_cmpuint(g_bytes_get_size(fake_store_task(&world->store, 1)->last.result.stderr_tail), ==, 4);
    g_assert_cmpuint(worker->tasks_failed, ==, 3);
    g_assert_cmpuint(worker->tasks_done, ==, 0);
}

static void report(World *world, Worker *worker, uint64_t task, uint64_t fence)
{
    TaskResult result = {
        .task = task, .fence = fence, .outcome = OUTCOME_EXITED, .start_usec = 1, .end_usec = 2
    };

    manager_tasks_finished(world->manager, worker, &result, 1, world_done, world);
}

/* What is not of the present assignment is answered, so that the worker forgets it, and otherwise ignored. */
static void test_fence(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1), *other = world_running_worker(world, 1);

    world_submit(world, 1);
    world_started(world, worker, 1);
    world_forget_logs(world);
    unsigned n_done = world->n_done;
    report(world, worker, 1, 2);
    report(world, other, 1, 1);
    report(world, worker, 77, 1);
    fake_store_dispatch(&world->store);
    g_assert_cmpuint(world->n_done, ==, n_done + 3);
    assert_log(world->task_log, "");
    g_assert_cmpint(world_state(world, 1), ==, TASK_RUNNING);
    g_assert_cmpuint(worker->tasks_done + other->tasks_done, ==, 0);
    HeldReport stale = { 1, 2, 5 };
    manager_tasks_started(world->manager, other, &stale, 1);
    manager_tasks_started(world->manager, worker, &stale, 1);
    assert_log(world->task_log, "");
}

static void test_once(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    world_submit(world, 1);
    world_started(world, worker, 1);
    unsigned n_done = world->n_done;
    report(world, worker, 1, 1);
    report(world, worker, 1, 1); /* before the disk has answered */
    fake_store_dispatch(&world->store);
    report(world, worker, 1, 1); /* and after */
    fake_store_dispatch(&world->store);
    assert_log(world->task_log, "1 running w1 #1; 1 succeeded w1 #1 exited");
    g_assert_cmpuint(world->n_done, ==, n_done + 3);
    g_assert_cmpuint(worker->tasks_done, ==, 1);
    g_assert_cmpuint(fake_store_task(&world->store, 1)->n_attempts, ==, 1);
}

static void test_abort(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 2);

    world_submit(world, 2);
    world_started(world, worker, 1);
    world_forget_logs(world);
    g_assert_cmpint(manager_abort(world->manager, worker), ==, 0);
    assert_log(world->engine_log, "kill w1");
    world_gone(world, 1, "killed by signal 9");
    fake_store_dispatch(&world->store);
    g_assert_cmpint(world_state(world, 1), ==, TASK_QUEUED);
    g_assert_cmpint(world_state(world, 2), ==, TASK_QUEUED);
    g_assert_cmpint(fake_store_task(&world->store, 1)->last.result.outcome, ==, OUTCOME_ABORTED);
    g_assert_cmpuint(fake_store_task(&world->store, 1)->n_attempts, ==, 1);
    g_assert_cmpuint(fake_store_task(&world->store, 2)->n_attempts, ==, 0); /* it had not started */
    g_assert_cmpuint(fake_store_task(&world->store, 2)->spec->lost, ==, 0);
    Worker *next = world_running_worker(world, 2);
    g_assert_cmpuint(world_fence(world, 1), ==, 2);
    g_assert_cmpuint(world_fence(world, 2), ==, 2);
    world_started(world, next, 1);
    assert_log(world->task_log, "1 running w2 #2");
}

static void test_lost(World *world, const void *unused)
{
    world_submit(world, 1);
    for (unsigned i = 1; i <= TASK_LOST_MAX + 1; i++) {
        Worker *worker = world_running_worker(world, 1);
        g_assert_cmpint(world_state(world, 1), ==, TASK_QUEUED);
        world_started(world, worker, 1);
        world_gone(world, worker->number, "killed by signal 11");
        fake_store_dispatch(&world->store);
        g_assert_cmpuint(fake_store_task(&world->store, 1)->spec->lost, ==, i);
    }
    const FakeTask *task = fake_store_task(&world->store, 1);
    g_assert_cmpint(task->state, ==, TASK_FAILED);
    g_assert_cmpint(task->last.result.outcome, ==, OUTCOME_LOST);
    g_assert_cmpstr(task->last.reason, ==, "6 workers ended under it");
    g_assert_cmpuint(task->n_attempts, ==, TASK_LOST_MAX + 1);
}

static uint64_t submit_with_fds(World *world)
{
    TaskSpec *spec = world_task(1000, 0);

    spec->has_fds = true;
    spec->fds = task_fds_new();
    return world_submit_one(world, spec);
}

static void test_fds(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 2);

    submit_with_fds(world);
    submit_with_fds(world);
    g_assert_true(world->link_fds_seen);
    g_assert_null(manager_find_active(world->manager, 1)->spec->fds); /* the worker has its own now */
    world_started(world, worker, 1);
    world_gone(world, 1, "killed by signal 11");
    fake_store_dispatch(&world->store);
    for (uint64_t id = 1; id <= 2; id++) {
        g_assert_cmpint(world_state(world, id), ==, TASK_FAILED);
        g_assert_nonnull(strstr(fake_store_task(&world->store, id)->last.reason, "descriptors"));
    }
}

static void test_given_back(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 2);

    world_submit(world, 2);
    world_started(world, worker, 1);
    world_forget_logs(world);
    manager_tasks_given_back(world->manager, worker, (uint64_t[]){ 1, 2, 99 }, 3);
    assert_log(world->link_log, "");
    fake_store_dispatch(&world->store);
    assert_log(world->task_log, "2 queued w1");
    assert_log(world->link_log, "run w1 2.2");
    g_assert_cmpint(world_state(world, 1), ==, TASK_RUNNING); /* what runs is not given back */
}

static void spec_free(gpointer spec)
{
    task_spec_free(spec);
}

static int submit(World *world, uint64_t batch, uint32_t uid, bool commit)
{
    Submission *submission = g_new0(Submission, 1);

    submission->tasks = g_ptr_array_new_with_free_func(spec_free);
    g_ptr_array_add(submission->tasks, world_task(uid, 0));
    submission->uid = uid;
    submission->batch = batch;
    submission->commit = commit;
    int r = manager_submit(world->manager, submission, world_submitted, world);
    fake_store_dispatch(&world->store);
    return r;
}

static void test_open_batch(World *world, const void *unused)
{
    world_running_worker(world, 8);
    g_assert_cmpint(submit(world, 77, 1000, false), ==, -ESRCH);
    g_assert_cmpint(submit(world, 0, 1000, false), ==, 0);
    uint64_t batch = world->done_batch;
    g_assert_cmpint(submit(world, batch, 1001, true), ==, -ESRCH); /* another user's */
    g_assert_cmpint(submit(world, batch, 1000, false), ==, 0);
    assert_log(world->link_log, "");
    g_assert_cmpint(submit(world, batch, 1000, true), ==, 0);
    assert_log(world->link_log, "run w1 1.1 2.1 3.1");
    g_assert_cmpint(submit(world, batch, 1000, true), ==, -ESRCH); /* it is closed */
    g_assert_cmpint(submit(world, 0, 1000, false), ==, 0);
    manager_discard_batch(world->manager, world->done_batch);
    fake_store_dispatch(&world->store);
    g_assert_cmpint(submit(world, world->done_batch, 1000, true), ==, -ESRCH);
    g_assert_cmpint(g_tree_nnodes(world->store.tasks), ==, 3);
}

static void test_submit_fails(World *world, const void *unused)
{
    world_running_worker(world, 1);
    world->store.fail = -ENOSPC;
    g_assert_cmpint(submit(world, 0, 1000, true), ==, 0);
    g_assert_cmpint(world->done_r, ==, -ENOSPC);
    assert_log(world->link_log, "");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    WORLD_TEST("/manager-tasks/way", test_way);
    WORLD_TEST("/manager-tasks/failure", test_failure);
    WORLD_TEST("/manager-tasks/fence", test_fence);
    WORLD_TEST("/manager-tasks/once", test_once);
    WORLD_TEST("/manager-tasks/abort", test_abort);
    WORLD_TEST("/manager-tasks/lost", test_lost);
    WORLD_TEST("/manager-tasks/fds", test_fds);
    WORLD_TEST("/manager-tasks/given-back", test_given_back);
    WORLD_TEST("/manager-tasks/open-batch", test_open_batch);
    WORLD_TEST("/manager-tasks/submit-fails", test_submit_fails);
    return g_test_run();
}
