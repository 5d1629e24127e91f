/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* manager-workers.c: a worker's way from being asked for to being forgotten. */
#include "fake-ports.h"

#include <string.h>

static void add(World *world)
{
    g_assert_cmpint(world_add(world, world_spec(3), NULL), ==, ADMITTED);
}

static void test_stored_first(World *world, const void *unused)
{
    add(world);
    assert_log(world->engine_log, "");
    assert_log(world->worker_log, "");
    fake_store_dispatch(&world->store);
    assert_log(world->engine_log, "start w1");
    assert_log(world->worker_log, "added w1");
    g_assert_true(g_hash_table_contains(world->store.workers, GUINT_TO_POINTER(1)));
    g_assert_cmpstr(world->launched->id, ==, "w1");
    g_assert_cmpuint(world->launched->slots, ==, 3);
    g_assert_true(world->launched->delegated);
    g_assert_cmpmem(world->launched->token, LAUNCH_TOKEN_BYTES, world_worker(world, 1)->token,
                    LAUNCH_TOKEN_BYTES);
    world->not_enforced = "CPUWeight is not enforced";
    world_engine_started(world, 1);
    g_assert_cmpstr(world_worker(world, 1)->not_enforced[0], ==, "CPUWeight is not enforced");
    g_assert_cmpuint(world->n_answers, ==, 0);
    g_assert_cmpint(world_register(world, 1), ==, 0);
    g_assert_cmpuint(world->n_answers, ==, 1);
    g_assert_cmpint(world->answer_r, ==, 0);
    assert_log(world->worker_log, "w1 starting→running");
}

static void test_not_recorded(World *world, const void *unused)
{
    world->store.fail = -ENOSPC;
    add(world);
    fake_store_dispatch(&world->store);
    g_assert_cmpuint(world->n_answers, ==, 1);
    g_assert_cmpint(world->answer_r, ==, -ENOSPC);
    g_assert_true(g_str_has_prefix(world->answer_reason, "it could not be recorded: "));
    assert_log(world->engine_log, "");
    assert_log(world->worker_log, "");
    g_assert_cmpuint(manager_workers(world->manager)->len, ==, 0);
}

static void test_engine_failure(World *world, const void *unused)
{
    EngineEvents events = manager_engine_events(world->manager);

    add(world);
    fake_store_dispatch(&world->store);
    events.started(1, -EIO, NULL, "systemd refused", events.userdata);
    g_assert_cmpuint(world->n_answers, ==, 1);
    g_assert_cmpint(world->answer_r, <, 0);
    g_assert_cmpstr(world->answer_reason, ==, "it could not be started: systemd refused");
    assert_log(world->worker_log, "added w1; w1 starting→failed");
    assert_log(world->engine_log, "start w1; release w1");
    g_assert_cmpuint(manager_n_live_workers(world->manager), ==, 0);
    events.started(7, -EIO, NULL, "nobody", events.userdata); /* of a worker that is forgotten */
}

static void test_start_timeout(World *world, const void *unused)
{
    world->settings.worker_start_timeout_usec = 10 * USEC_PER_SEC;
    manager_reload(world->manager, &world->settings);
    add(world);
    fake_store_dispatch(&world->store);
    world_engine_started(world, 1);
    world_forget_logs(world);
    world_advance(world, 10 * USEC_PER_SEC - 1);
    assert_log(world->engine_log, "");
    world_advance(world, 1);
    assert_log(world->engine_log, "kill w1");
    g_assert_cmpuint(world->n_answers, ==, 0); /* something of it lives yet */
    world_gone(world, 1, "killed by signal 9");
    g_assert_cmpuint(world->n_answers, ==, 1);
    g_assert_cmpint(world->answer_r, <, 0);
    g_assert_true(g_str_has_prefix(world->answer_reason, "it did not report within 10s"));
    assert_log(world->worker_log, "w1 starting→failed");
}

static void test_answer_in_time(World *world, const void *unused)
{
    add(world);
    fake_store_dispatch(&world->store);
    world_advance(world, 20 * USEC_PER_SEC - 1);
    g_assert_cmpuint(world->n_answers, ==, 0);
    world_advance(world, 1);
    g_assert_cmpuint(world->n_answers, ==, 1);
    g_assert_cmpint(world->answer_r, ==, 0);
    g_assert_cmpint(world_worker(world, 1)->state, ==, WORKER_STARTING);
    world_engine_started(world, 1);
    g_assert_cmpint(world_register(world, 1), ==, 0);
    g_assert_cmpuint(world->n_answers, ==, 1); /* once */
}

static void test_abort_starting(World *world, const void *unused)
{
    add(world);
    fake_store_dispatch(&world->store);
    world_engine_started(world, 1);
    world_forget_logs(world);
    Worker *worker = world_worker(world, 1);
    g_assert_cmpint(manager_abort(world->manager, worker), ==, 0);
    assert_log(world->engine_log, "kill w1");
    g_assert_cmpint(world_register(world, 1), ==, -EALREADY);
    world_gone(world, 1, "killed by signal 9");
    assert_log(world->worker_log, "w1 starting→dead; removed w1");
    g_assert_cmpint(world->answer_r, ==, -ECANCELED);
    fake_store_dispatch(&world->store);
    g_assert_cmpuint(g_hash_table_size(world->store.workers), ==, 0);
}

/* Aborted before its record is on disk: it is never started. */
static void test_abort_unrecorded(World *world, const void *unused)
{
    add(world);
    g_assert_cmpint(manager_abort(world->manager, world_worker(world, 1)), ==, 0);
    fake_store_dispatch(&world->store);
    g_autofree char *log = world_take(world->engine_log);
    g_assert_null(strstr(log, "start"));
    g_assert_cmpuint(world->n_answers, ==, 1);
    g_assert_cmpint(world->answer_r, ==, -ECANCELED);
    g_assert_cmpuint(manager_workers(world->manager)->len, ==, 0);
    g_assert_cmpuint(g_hash_table_size(world->store.workers), ==, 0);
}

static void test_register(World *world, const void *unused)
{
    uint8_t token[LAUNCH_TOKEN_BYTES];

    world_running_worker(world, 1);
    add(world);
    fake_store_dispatch(&world->store);
    world_engine_started(world, 2);
    memcpy(token, world_worker(world, 2)->token, sizeof token);
    g_assert_cmpint(manager_worker_register(world->manager, 9, token, PID_OF(2)), ==, -ESRCH);
    g_assert_cmpint(manager_worker_register(world->manager, 2, token, PID_OF(1)), ==, -EACCES);
    g_assert_cmpint(manager_worker_register(world->manager, 2, token, 1), ==, -EACCES);
    g_assert_cmpint(manager_worker_register(world->manager, 1, token, PID_OF(1)), ==, -EACCES);
    token[LAUNCH_TOKEN_BYTES - 1] ^= 1;
    g_assert_cmpint(manager_worker_register(world->manager, 2, token, PID_OF(2)), ==, -EACCES);
    g_assert_cmpint(world_worker(world, 2)->state, ==, WORKER_STARTING);
    token[LAUNCH_TOKEN_BYTES - 1] ^= 1;
    g_assert_cmpint(manager_worker_register(world->manager, 2, token, PID_OF(2)), ==, 0);
    world_gone(world, 2, "exited with status 1");
    g_assert_cmpint(manager_worker_register(world->manager, 2, token, PID_OF(2)), ==, -EALREADY);
}

static void test_drain(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 2);

    world_submit(world, 1);
    world_started(world, worker, 1);
    world_forget_logs(world);
    g_assert_cmpint(manager_drain(world->manager, worker), ==, 0);
    g_assert_cmpint(manager_drain(world->manager, worker), ==, 0); /* it drains already */
    world_submit(world, 1);
    assert_log(world->link_log, "");
    world_finish(world, worker, 1, OUTCOME_EXITED, 0);
    assert_log(world->link_log, "exit w1");
    fake_store_dispatch(&world->store);
    world_gone(world, 1, "exited with status 0");
    assert_log(world->worker_log, "w1 running→draining; w1 draining→dead; removed w1");
    fake_store_dispatch(&world->store);
    g_assert_cmpint(world_state(world, 1), ==, TASK_SUCCEEDED);
    g_assert_cmpint(world_state(world, 2), ==, TASK_QUEUED);
}

static void test_drain_empty(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 2);

    g_assert_cmpint(manager_drain(world->manager, worker), ==, 0);
    assert_log(world->link_log, "exit w1");
}

static void test_failed(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    world_gone(world, 1, "exited with status 3");
    g_assert_cmpstr(worker->reason, ==, "exited with status 3");
    assert_log(world->worker_log, "w1 running→failed");
    g_assert_cmpint(manager_drain(world->manager, worker), ==, -EALREADY);
    g_assert_cmpint(manager_abort(world->manager, worker), ==, -EALREADY);
    world_gone(world, 1, "again");
    world_advance(world, 300 * USEC_PER_SEC - 1);
    assert_log(world->worker_log, "");
    world_advance(world, 1);
    assert_log(world->worker_log, "removed w1");
    fake_store_dispatch(&world->store);
    g_assert_cmpuint(g_hash_table_size(world->store.workers), ==, 0);
    g_assert_null(manager_find_worker(world->manager, 1));
    world_running_worker(world, 1);
    g_assert_nonnull(manager_find_worker(world->manager, 2)); /* a number does not come again */
    g_assert_null(manager_find_worker(world->manager, 1));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    WORLD_TEST("/manager-workers/stored-first", test_stored_first);
    WORLD_TEST("/manager-workers/not-recorded", test_not_recorded);
    WORLD_TEST("/manager-workers/engine-failure", test_engine_failure);
    WORLD_TEST("/manager-workers/start-timeout", test_start_timeout);
    WORLD_TEST("/manager-workers/answer-in-time", test_answer_in_time);
    WORLD_TEST("/manager-workers/abort-starting", test_abort_starting);
    WORLD_TEST("/manager-workers/abort-unrecorded", test_abort_unrecorded);
    WORLD_TEST("/manager-workers/register", test_register);
    WORLD_TEST("/manager-workers/drain", test_drain);
    WORLD_TEST("/manager-workers/drain-empty", test_drain_empty);
    WORLD_TEST("/manager-workers/failed", test_failed);
    return g_test_run();
}
