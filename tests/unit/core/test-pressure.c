/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pressure.c: what is done rung by rung, and undone. When is a matter of policy/pressure-ladder. */
#include "fake-ports.h"

#define STEP (5 * USEC_PER_SEC)
#define RECOVER (10 * USEC_PER_SEC)

static void use_rungs(World *world, uint32_t rungs)
{
    world->settings.pressure = (PressureSettings){
        .enabled = true,
        .memory_percent = 20,
        .cpu_percent = 100,
        .io_percent = 100,
        .recover_factor = 0.5,
        .step_usec = STEP,
        .recover_usec = RECOVER,
        .rungs = rungs,
    };
    manager_reload(world->manager, &world->settings);
}

static void setup(World *world, const void *unused)
{
    world_setup(world, unused);
    world->usage.memory_bytes = 300 << 20;
    use_rungs(world, 1U << RUNG_CLOSED | 1U << RUNG_THROTTLE | 1U << RUNG_FREEZE | 1U << RUNG_REQUEUE | 1U << RUNG_KILL);
}

static void press(World *world)
{
    world->facts.memory_pressure_percent = 40;
    manager_pressure(world->manager, PRESSURE_MEMORY);
}

static void climb_to(World *world, PressureRung rung)
{
    press(world);
    while (manager_pressure_rung(world->manager) < rung)
        world_advance(world, STEP);
    g_assert_cmpint(manager_pressure_rung(world->manager), ==, rung);
}

static void relax(World *world)
{
    world->facts.memory_pressure_percent = 1;
    world_advance(world, 10 * RECOVER);
    g_assert_cmpint(manager_pressure_rung(world->manager), ==, RUNG_CALM);
    fake_store_dispatch(&world->store);
}

/* A task that runs, younger than those before it. */
static uint64_t run_one(World *world, Worker *worker, int32_t priority)
{
    uint64_t id = world_submit_one(world, world_task(1000, priority));

    world_advance(world, USEC_PER_SEC);
    world_started(world, worker, id);
    fake_store_dispatch(&world->store);
    world_forget_logs(world);
    return id;
}

/* ---- rung by rung */

static void test_closed(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    worker->mean_usec = USEC_PER_MSEC;
    world_submit(world, 3);
    world_started(world, worker, 1);
    world_forget_logs(world);
    press(world);
    assert_log(world->link_log, "recall w1 2 3");
    assert_log(world->news_log, "pressure closed");
    manager_tasks_given_back(world->manager, worker, (uint64_t[]){ 2, 3 }, 2);
    fake_store_dispatch(&world->store);
    world_end(world, worker, 1, OUTCOME_EXITED);
    world_submit(world, 1);
    assert_log(world->link_log, "");
    g_autofree char *why = world_explain(world, 2);
    g_assert_cmpstr(why, ==, "pressure: the machine is under pressure: nothing new starts until that ends");
    relax(world);
    g_autofree char *log = world_take(world->link_log);
    g_assert_true(g_str_has_prefix(log, "run w1 2.2"));
}

static void test_throttle(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);
    WorkerSpec *spec = world_spec(1);

    spec->limits.memory_high_bytes = 200 << 20;
    world_running_worker_with(world, spec);
    world_forget_logs(world);
    climb_to(world, RUNG_THROTTLE);
    assert_log(world->engine_log, "limits w1 1024 high 300; limits w2 1024 high 200");
    g_assert_true(worker->throttled);
    g_assert_cmpuint(worker->spec->limits.memory_high_bytes, ==, LIMIT_INFINITY); /* what is wished for stays */
    world_limits_set(world, 1, 0, NULL);
    relax(world);
    assert_log(world->engine_log, "limits w1 1024; limits w2 1024 high 200");
    g_assert_false(worker->throttled);
}

/* One that takes little is not held at less than 64 MiB; of one whose use is not known nothing is changed. */
static void test_throttle_least(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    world->usage.memory_bytes = 1 << 20;
    climb_to(world, RUNG_THROTTLE);
    assert_log(world->engine_log, "limits w1 1024 high 64");
    relax(world);
    world_forget_logs(world);
    world->usage.memory_bytes = UINT64_MAX;
    climb_to(world, RUNG_THROTTLE);
    assert_log(world->engine_log, "");
    g_assert_false(worker->throttled);
}

static void test_freeze(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 4);

    run_one(world, worker, 5);
    run_one(world, worker, 0);
    run_one(world, worker, 0);
    run_one(world, worker, 5);
    use_rungs(world, 1U << RUNG_CLOSED | 1U << RUNG_FREEZE);
    climb_to(world, RUNG_FREEZE);
    assert_log(world->link_log, "freeze w1 3"); /* the lowest priority, the youngest */
    world_frozen(world, worker, 3, true, NULL);
    world_advance(world, STEP);
    assert_log(world->link_log, "freeze w1 2");
    world_frozen(world, worker, 2, true, NULL);
    world_advance(world, STEP);
    assert_log(world->link_log, "freeze w1 4");
    world_frozen(world, worker, 4, true, NULL);
    world_end(world, worker, 2, OUTCOME_SIGNALLED); /* it ends while it stands still */
    world_forget_logs(world);
    relax(world);
    g_autofree char *log = world_take(world->link_log);
    g_assert_true(g_str_equal(log, "thaw w1 3 4") || g_str_equal(log, "thaw w1 4 3"));
}

/* What somebody has frozen stays so when the pressure ends; what somebody lets go on goes on. */
static void test_freeze_by_hand(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 2);

    run_one(world, worker, 5);
    run_one(world, worker, 0);
    manager_freeze_tasks(world->manager, world_filter_ids(2, 2), UID_ANYBODY, true, false, world_cancelled, world);
    fake_store_dispatch(&world->store);
    world_frozen(world, worker, 2, true, NULL);
    world_forget_logs(world);
    climb_to(world, RUNG_FREEZE);
    assert_log(world->link_log, "freeze w1 1"); /* 2 stands still already */
    world_frozen(world, worker, 1, true, NULL);
    manager_freeze_tasks(world->manager, world_filter_ids(1, 1), UID_ANYBODY, true, false, world_cancelled, world);
    fake_store_dispatch(&world->store);
    world_frozen(world, worker, 1, true, NULL);
    world_forget_logs(world);
    relax(world);
    assert_log(world->link_log, "");
}

/* The owner cannot undo what is done for the machine; an administrator can. */
static void test_thaw_by_owner(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    run_one(world, worker, 0);
    climb_to(world, RUNG_FREEZE);
    world_frozen(world, worker, 1, true, NULL);
    world_forget_logs(world);
    manager_freeze_tasks(world->manager, world_filter_ids(1, 1), 1000, false, false, world_cancelled, world);
    fake_store_dispatch(&world->store);
    g_assert_cmpint(world->done_r, ==, -EAGAIN);
    assert_log(world->link_log, "");
    manager_freeze_tasks(world->manager, world_filter_ids(1, 1), UID_ANYBODY, false, false, world_cancelled, world);
    fake_store_dispatch(&world->store);
    assert_log(world->link_log, "thaw w1 1");
}

static void test_requeue(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 2);

    run_one(world, worker, 5);
    run_one(world, worker, 0);
    climb_to(world, RUNG_FREEZE);
    world_frozen(world, worker, 2, true, NULL);
    world_forget_logs(world);
    world_advance(world, STEP);
    assert_log(world->link_log, "cancel w1 2");
    world_end(world, worker, 2, OUTCOME_ABORTED);
    const FakeTask *task = fake_store_task(&world->store, 2);
    g_assert_cmpint(task->state, ==, TASK_QUEUED);
    g_assert_cmpuint(task->spec->spent, ==, 0);
    g_assert_cmpuint(task->spec->lost, ==, 0);
    assert_log(world->link_log, ""); /* it waits for the end of the pressure */
    relax(world);
    g_assert_cmpuint(world_fence(world, 2), ==, 2);
}

/* It has ended by itself before it could be stopped, or somebody has cancelled it meanwhile. */
static void test_requeue_overtaken(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 2);

    run_one(world, worker, 0);
    run_one(world, worker, 0);
    climb_to(world, RUNG_REQUEUE);
    world_end(world, worker, 2, OUTCOME_EXITED);
    g_assert_cmpint(world_state(world, 2), ==, TASK_SUCCEEDED);
    world_advance(world, STEP);
    manager_cancel(world->manager, world_filter_ids(1, 1), UID_ANYBODY, world_cancelled, world);
    fake_store_dispatch(&world->store);
    world_end(world, worker, 1, OUTCOME_ABORTED);
    g_assert_cmpint(world_state(world, 1), ==, TASK_CANCELLED);
}

/* What cannot run a second time is not sent back. */
static void test_requeue_not_with_fds(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 2);

    use_rungs(world, 1U << RUNG_CLOSED | 1U << RUNG_REQUEUE);
    run_one(world, worker, 5);
    run_one(world, worker, 0);
    manager_find_active(world->manager, 2)->spec->has_fds = true;
    climb_to(world, RUNG_REQUEUE);
    assert_log(world->link_log, "cancel w1 1");
    manager_find_active(world->manager, 2)->spec->has_fds = false;
}

static void test_kill(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 2);

    use_rungs(world, 1U << RUNG_CLOSED | 1U << RUNG_KILL);
    run_one(world, worker, 5);
    uint64_t second = run_one(world, worker, 0);
    fake_store_task(&world->store, second)->spec->context->policy.retries = 5;
    climb_to(world, RUNG_KILL);
    assert_log(world->link_log, "cancel w1 2");
    world_end(world, worker, 2, OUTCOME_ABORTED);
    const FakeTask *task = fake_store_task(&world->store, 2);
    g_assert_cmpint(task->state, ==, TASK_FAILED);
    g_assert_cmpstr(task->last.reason, ==, "killed, since the machine was under pressure");
    world_advance(world, STEP);
    assert_log(world->link_log, "cancel w1 1"); /* one by one */
}

/* ---- what comes in between */

static void test_nothing_runs(World *world, const void *unused)
{
    world_running_worker(world, 2);
    climb_to(world, RUNG_KILL);
    assert_log(world->link_log, "");
    relax(world);
    world_submit(world, 1);
    assert_log(world->link_log, "run w1 1.1");
}

/* A step that finds nobody is told once, and again when there is somebody. */
static void test_no_news(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    use_rungs(world, 1U << RUNG_CLOSED | 1U << RUNG_FREEZE | 1U << RUNG_KILL);
    climb_to(world, RUNG_KILL);
    assert_log(world->news_log, "pressure closed; pressure freeze; pressure kill");
    assert_log(world->notes_log, "");
    world_advance(world, 100 * STEP);
    assert_log(world->news_log, "");
    relax(world);
    run_one(world, worker, 0);
    climb_to(world, RUNG_FREEZE);
    world_frozen(world, worker, 1, true, NULL);
    world_forget_logs(world);
    world_advance(world, STEP);
    assert_log(world->news_log, "pressure kill");
    world_advance(world, 100 * STEP); /* it is told to end already */
    assert_log(world->news_log, "");
    world_end(world, worker, 1, OUTCOME_ABORTED);
    relax(world);
    run_one(world, worker, 0);
    climb_to(world, RUNG_CLOSED);
    use_rungs(world, 1U << RUNG_CLOSED | 1U << RUNG_KILL);
    climb_to(world, RUNG_KILL);
    world_forget_logs(world);
    world_end(world, worker, 2, OUTCOME_ABORTED);
    world_advance(world, 10 * STEP);
    assert_log(world->news_log, "");
}

/* One more each time is news each time. */
static void test_news(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 3);

    for (int i = 0; i < 3; i++)
        run_one(world, worker, 0);
    use_rungs(world, 1U << RUNG_CLOSED | 1U << RUNG_FREEZE);
    climb_to(world, RUNG_FREEZE);
    world_frozen(world, worker, 3, true, NULL);
    world_forget_logs(world);
    world_advance(world, STEP);
    assert_log(world->news_log, "pressure freeze");
    world_frozen(world, worker, 2, true, NULL);
    world_advance(world, STEP);
    assert_log(world->news_log, "pressure freeze");
    assert_log(world->notes_log, "Pressure: task 2 of w1 is to stand still; Pressure: task 1 of w1 is to stand still");
    world_frozen(world, worker, 1, true, NULL);
    world_advance(world, 10 * STEP);
    assert_log(world->news_log, "");
}

/* The journal is told to whom something is done. */
static void test_notes(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 2);

    run_one(world, worker, 5);
    run_one(world, worker, 0);
    climb_to(world, RUNG_THROTTLE);
    assert_log(world->notes_log, "Pressure: w1 is to keep to 300.0M of memory");
    world_advance(world, STEP);
    assert_log(world->notes_log, "Pressure: task 2 of w1 is to stand still");
    world_frozen(world, worker, 2, true, NULL);
    world_advance(world, STEP);
    assert_log(world->notes_log, "Pressure: task 2 of w1 is to go back to the queue");
    world_advance(world, STEP);
    assert_log(world->notes_log, "Pressure: task 1 of w1 is to be killed");
    world_end(world, worker, 2, OUTCOME_ABORTED);
    world_end(world, worker, 1, OUTCOME_ABORTED);
    relax(world);
    g_autofree char *after = world_take(world->notes_log);
    g_assert_cmpstr(after, ==, "Pressure: w1 is throttled no more");
    worker->spec->slots = 1;
    world_forget_logs(world);
    world_started(world, worker, 2);
    climb_to(world, RUNG_FREEZE);
    world_frozen(world, worker, 2, true, NULL);
    world_forget_logs(world);
    relax(world);
    assert_log(world->notes_log, "Pressure: task 2 of w1 may go on; Pressure: w1 is throttled no more");
}

/* Of a worker that an earlier daemon may have throttled nothing is said. */
static void test_no_notes_after_restart(World *world, const void *unused)
{
    world_running_worker(world, 1);
    world_restart(world);
    g_assert_cmpint(world_register(world, 1), ==, 0);
    fake_store_dispatch(&world->store);
    assert_log(world->engine_log, "adopt w1 1001; limits w1 1024");
    assert_log(world->notes_log, "");
}

static void test_worker_vanishes(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    run_one(world, worker, 0);
    climb_to(world, RUNG_FREEZE);
    world_gone(world, 1, "killed by signal 9");
    fake_store_dispatch(&world->store);
    g_assert_cmpint(world_state(world, 1), ==, TASK_QUEUED);
    world_advance(world, 3 * STEP);
    world_forget_logs(world);
    relax(world);
    assert_log(world->link_log, "");
    world_running_worker(world, 1);
    g_assert_false(manager_find_active(world->manager, 1)->frozen_by_pressure);
}

/* The pressure ends while the connection is broken: the task goes on when it is back. */
static void test_thaw_while_away(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    run_one(world, worker, 0);
    climb_to(world, RUNG_FREEZE);
    world_frozen(world, worker, 1, true, NULL);
    manager_worker_disconnected(world->manager, 1);
    world_forget_logs(world);
    relax(world);
    assert_log(world->link_log, "");
    HeldReport held = { 1, 1, world->real };
    g_assert_cmpint(manager_worker_register(world->manager, 1, worker->token, PID_OF(1)), ==, 0);
    manager_worker_reports(world->manager, worker, &held, 1, NULL, 0, world_done, world);
    fake_store_dispatch(&world->store);
    assert_log(world->link_log, "thaw w1 1");
}

/* It has not been heard: it is told again. */
static void test_freeze_lost(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);
    HeldReport held = { 1, 1, world->real };

    run_one(world, worker, 0);
    climb_to(world, RUNG_FREEZE);
    manager_worker_disconnected(world->manager, 1);
    world_forget_logs(world);
    g_assert_cmpint(manager_worker_register(world->manager, 1, worker->token, PID_OF(1)), ==, 0);
    manager_worker_reports(world->manager, worker, &held, 1, NULL, 0, world_done, world);
    fake_store_dispatch(&world->store);
    assert_log(world->link_log, "freeze w1 1");
    relax(world);
    g_autofree char *log = world_take(world->link_log);
    g_assert_true(g_str_has_prefix(log, "cancel w1 1") || g_str_has_suffix(log, "thaw w1 1"));
}

/* The same with a daemon that has died: its successor knows of no pressure. */
static void test_restart_under_pressure(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    run_one(world, worker, 0);
    climb_to(world, RUNG_FREEZE);
    world_frozen(world, worker, 1, true, NULL);
    world->facts.memory_pressure_percent = 1;
    world_restart(world);
    worker = world_worker(world, 1);
    HeldReport held = { 1, 1, world->real };
    g_assert_cmpint(manager_worker_register(world->manager, 1, worker->token, PID_OF(1)), ==, 0);
    manager_worker_reports(world->manager, worker, &held, 1, NULL, 0, world_done, world);
    fake_store_dispatch(&world->store);
    assert_log(world->link_log, "thaw w1 1");
}

/* Nor is a worker to be throttled for ever because the daemon that did it is gone. */
static void test_restart_throttled(World *world, const void *unused)
{
    world_running_worker(world, 1);
    climb_to(world, RUNG_THROTTLE);
    world->facts.memory_pressure_percent = 1;
    world_restart(world);
    world_forget_logs(world);
    g_assert_cmpint(world_register(world, 1), ==, 0);
    fake_store_dispatch(&world->store);
    assert_log(world->engine_log, "limits w1 1024");
    g_assert_false(world_worker(world, 1)->throttled);
}

/* One that comes up meanwhile is no exception. */
static void test_throttle_newcomer(World *world, const void *unused)
{
    climb_to(world, RUNG_THROTTLE);
    const Worker *worker = world_running_worker(world, 1);
    g_assert_true(worker->throttled);
    relax(world);
    assert_log(world->engine_log, "limits w1 1024");
}

/* Nobody can be told: another is taken. */
static void test_disconnected_is_passed_over(World *world, const void *unused)
{
    Worker *one = world_running_worker(world, 1);

    run_one(world, one, 5);
    Worker *two = world_running_worker(world, 1);
    run_one(world, two, 0);
    manager_worker_disconnected(world->manager, 2);
    climb_to(world, RUNG_FREEZE);
    assert_log(world->link_log, "freeze w1 1");
}

static void test_set_limits_while_throttled(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);
    g_autofree char *why = NULL;
    WorkerLimits limits = worker->spec->limits;

    climb_to(world, RUNG_THROTTLE);
    world_forget_logs(world);
    limits.memory_max_bytes = UINT64_C(2) << 30;
    g_assert_cmpint(manager_set_worker_limits(world->manager, worker, &limits, false, world_changed, world, &why), ==, 0);
    assert_log(world->engine_log, "limits w1 2048 high 300"); /* the pressure has not ended */
    world_limits_set(world, 1, 0, NULL);
    assert_log(world->engine_log, "");
    g_assert_true(worker->throttled);
    relax(world);
    assert_log(world->engine_log, "limits w1 2048");
    g_assert_false(worker->throttled);
}

/* The pressure ends before the engine has answered. */
static void test_set_limits_over_the_end(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);
    g_autofree char *why = NULL;
    WorkerLimits limits = worker->spec->limits;

    climb_to(world, RUNG_THROTTLE);
    limits.memory_max_bytes = UINT64_C(2) << 30;
    g_assert_cmpint(manager_set_worker_limits(world->manager, worker, &limits, false, world_changed, world, &why), ==, 0);
    relax(world);
    world_forget_logs(world);
    world_limits_set(world, 1, -EIO, "systemd refused");
    g_assert_cmpint(world->done_r, ==, -EIO);
    assert_log(world->engine_log, "limits w1 1024"); /* the throttle is taken off all the same */
    g_assert_false(worker->throttled);
    climb_to(world, RUNG_THROTTLE);
    g_assert_true(worker->throttled);
}

static void test_switched_off(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    run_one(world, worker, 0);
    climb_to(world, RUNG_FREEZE);
    world_frozen(world, worker, 1, true, NULL);
    world_forget_logs(world);
    world->settings.pressure.enabled = false;
    manager_reload(world->manager, &world->settings);
    world_advance(world, STEP);
    g_assert_cmpint(manager_pressure_rung(world->manager), ==, RUNG_CALM);
    assert_log(world->link_log, "thaw w1 1");
    assert_log(world->engine_log, "limits w1 1024");
    world_advance(world, 100 * STEP);
    assert_log(world->news_log, "pressure calm");
}

#define TEST(path, function) g_test_add(path, World, NULL, setup, function, world_teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    TEST("/pressure/closed", test_closed);
    TEST("/pressure/throttle", test_throttle);
    TEST("/pressure/throttle-least", test_throttle_least);
    TEST("/pressure/freeze", test_freeze);
    TEST("/pressure/freeze-by-hand", test_freeze_by_hand);
    TEST("/pressure/thaw-by-owner", test_thaw_by_owner);
    TEST("/pressure/requeue", test_requeue);
    TEST("/pressure/requeue-overtaken", test_requeue_overtaken);
    TEST("/pressure/requeue-not-with-fds", test_requeue_not_with_fds);
    TEST("/pressure/kill", test_kill);
    TEST("/pressure/nothing-runs", test_nothing_runs);
    TEST("/pressure/no-news", test_no_news);
    TEST("/pressure/news", test_news);
    TEST("/pressure/notes", test_notes);
    TEST("/pressure/no-notes-after-restart", test_no_notes_after_restart);
    TEST("/pressure/worker-vanishes", test_worker_vanishes);
    TEST("/pressure/thaw-while-away", test_thaw_while_away);
    TEST("/pressure/freeze-lost", test_freeze_lost);
    TEST("/pressure/restart-under-pressure", test_restart_under_pressure);
    TEST("/pressure/restart-throttled", test_restart_throttled);
    TEST("/pressure/throttle-newcomer", test_throttle_newcomer);
    TEST("/pressure/disconnected-is-passed-over", test_disconnected_is_passed_over);
    TEST("/pressure/set-limits-while-throttled", test_set_limits_while_throttled);
    TEST("/pressure/set-limits-over-the-end", test_set_limits_over_the_end);
    TEST("/pressure/switched-off", test_switched_off);
    return g_test_run();
}
