/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* freezing.c: tasks and workers that stand still; whoever asked is answered, whatever happens in between. */
#include "fake-ports.h"

static void freeze(World *world, Worker *worker, bool frozen)
{
    g_assert_cmpint(manager_freeze_worker(world->manager, worker, frozen, false, world_changed, world), ==, 0);
}

static void freeze_task(World *world, uint64_t task, bool frozen)
{
    manager_freeze_tasks(world->manager, world_filter_ids(task, task), UID_ANYBODY, frozen, false, world_cancelled, world);
    fake_store_dispatch(&world->store);
}

static Worker *running(World *world, size_t n)
{
    Worker *worker = world_running_worker(world, (uint32_t) n);
    uint64_t first = world_submit(world, n);

    for (size_t i = 0; i < n; i++)
        world_started(world, worker, first + i);
    fake_store_dispatch(&world->store);
    world_forget_logs(world);
    world->n_done = 0;
    return worker;
}

static bool is_frozen(World *world, uint64_t task)
{
    return manager_find_active(world->manager, task)->frozen;
}

/* The connection breaks, and it registers anew. */
static void come_back(World *world, Worker *worker)
{
    g_autoptr(GArray) held = g_array_new(FALSE, FALSE, sizeof(HeldReport));
    g_autoptr(GArray) active = manager_active_tasks(world->manager);

    for (guint i = 0; i < active->len; i++) {
        const ActiveTask *task = manager_find_active(world->manager, g_array_index(active, uint64_t, i));
        HeldReport report = { task->spec->id, task->spec->fence, task->start_usec };
        if (task->worker == worker)
            g_array_append_val(held, report);
    }
    g_assert_cmpint(manager_worker_register(world->manager, worker->number, worker->token, PID_OF(worker->number)), ==, 0);
    manager_worker_reports(world->manager, worker, (HeldReport *) held->data, held->len, NULL, 0, world_done, world);
    fake_store_dispatch(&world->store);
}

/* ---- a worker */

static void test_worker(World *world, const void *unused)
{
    Worker *worker = running(world, 1);

    g_assert_cmpint(manager_freeze_worker(world->manager, worker, true, true, world_changed, world), ==, 0);
    assert_log(world->link_log, "freeze w1 1 reclaim");
    g_assert_cmpuint(world->n_done, ==, 0);
    g_assert_false(is_frozen(world, 1)); /* it has not said so */
    world_frozen(world, worker, 1, true, NULL);
    g_assert_cmpuint(world->n_done, ==, 1);
    g_assert_cmpint(world->done_r, ==, 0);
    g_assert_true(is_frozen(world, 1));
    world_submit(world, 1);
    assert_log(world->link_log, "");
    world_end(world, worker, 1, OUTCOME_SIGNALLED); /* killed where it stood */
    assert_log(world->link_log, "");
    freeze(world, worker, false);
    g_assert_cmpuint(world->n_done, >, 1);
    assert_log(world->link_log, "run w1 2.1");
}

static void test_of_the_dead(World *world, const void *unused)
{
    Worker *worker = running(world, 1);

    world_gone(world, 1, "killed by signal 9");
    g_assert_cmpint(manager_freeze_worker(world->manager, worker, true, false, world_changed, world), ==, -EALREADY);
    g_assert_cmpint(world_add(world, world_spec(1), NULL), ==, ADMITTED);
    g_assert_cmpint(manager_freeze_worker(world->manager, world_worker(world, 2), true, false, world_changed, world), ==,
                    -EALREADY);
    g_assert_cmpuint(world->n_done, ==, 0);
}

/* It could not be done: it stays as it was, and what stands still already goes on. */
static void test_failed(World *world, const void *unused)
{
    Worker *worker = running(world, 2);
    uint64_t done = 1;
    FrozenFailure failure = { 2, "there is no cgroup freezer for it" };

    freeze(world, worker, true);
    world_forget_logs(world);
    manager_tasks_frozen(world->manager, worker, &done, 1, true, &failure, 1);
    g_assert_cmpint(world->done_r, ==, -EOPNOTSUPP);
    g_assert_cmpstr(world->answer_reason, ==, "there is no cgroup freezer for it");
    g_assert_false(worker->frozen);
    g_autofree char *log = world_take(world->link_log);
    g_assert_true(g_str_equal(log, "thaw w1 1 2") || g_str_equal(log, "thaw w1 2 1"));
}

static void test_gone_meanwhile(World *world, const void *unused)
{
    Worker *worker = running(world, 1);

    freeze(world, worker, true);
    world_gone(world, 1, "killed by signal 9");
    g_assert_cmpuint(world->n_done, ==, 1);
    g_assert_cmpint(world->done_r, <, 0);
    g_assert_nonnull(world->answer_reason);
    fake_store_dispatch(&world->store);
    g_assert_cmpint(world_state(world, 1), ==, TASK_QUEUED);
    world_frozen(world, worker, 1, true, NULL); /* late: of nobody */
    g_assert_cmpuint(world->n_done, ==, 1);
}

static void test_disconnected_meanwhile(World *world, const void *unused)
{
    Worker *worker = running(world, 1);

    freeze(world, worker, true);
    world_forget_logs(world);
    manager_worker_disconnected(world->manager, 1);
    g_assert_cmpuint(world->n_done, ==, 1);
    g_assert_cmpint(world->done_r, ==, -ENOTCONN);
    g_assert_false(worker->frozen);
    come_back(world, worker);
    assert_log(world->link_log, "thaw w1 1"); /* it may have heard the first */
}

/* The question cannot be put to it: the answer is no, not silence and not yes. */
static void test_while_disconnected(World *world, const void *unused)
{
    Worker *worker = running(world, 1);

    manager_worker_disconnected(world->manager, 1);
    freeze(world, worker, true);
    g_assert_cmpuint(world->n_done, ==, 1);
    g_assert_cmpint(world->done_r, ==, -ENOTCONN);
    g_assert_false(worker->frozen);
    freeze_task(world, 1, true);
    g_assert_cmpuint(world->n_done, ==, 2);
    g_assert_cmpint(world->done_r, ==, -ENOTCONN);
}

/* A frozen worker that comes back is frozen as before. */
static void test_comes_back_frozen(World *world, const void *unused)
{
    Worker *worker = running(world, 1);

    freeze(world, worker, true);
    world_frozen(world, worker, 1, true, NULL);
    freeze(world, worker, false);
    manager_worker_disconnected(world->manager, 1);
    g_assert_cmpint(world->done_r, ==, -ENOTCONN);
    g_assert_true(worker->frozen); /* as it was */
    world_forget_logs(world);
    come_back(world, worker);
    assert_log(world->link_log, "freeze w1 1");
}

/* Each answer is to the question it belongs to. */
static void test_two_at_once(World *world, const void *unused)
{
    Worker *worker = running(world, 1);

    freeze(world, worker, true);
    freeze(world, worker, false);
    freeze_task(world, 1, true);
    world_frozen(world, worker, 1, true, NULL);
    g_assert_cmpuint(world->n_done, ==, 1);
    world_frozen(world, worker, 1, false, NULL);
    g_assert_cmpuint(world->n_done, ==, 2);
    g_assert_false(is_frozen(world, 1));
    world_frozen(world, worker, 1, true, NULL);
    g_assert_cmpuint(world->n_done, ==, 3);
    g_assert_true(is_frozen(world, 1));
    g_assert_false(worker->frozen);
}

static void test_empty(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    world->n_done = 0;
    freeze(world, worker, true);
    g_assert_cmpuint(world->n_done, ==, 1);
    g_assert_cmpint(world->done_r, ==, 0);
    g_assert_true(worker->frozen);
}

/* On its way when the worker was frozen: it cannot be given back any more. */
static void test_starts_late(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    world_submit(world, 1);
    world_forget_logs(world);
    freeze(world, worker, true);
    assert_log(world->link_log, "recall w1 1");
    world_started(world, worker, 1);
    assert_log(world->link_log, "freeze w1 1");
    world_frozen(world, worker, 1, true, NULL);
    g_assert_true(is_frozen(world, 1));
}

/* One that is about to end is let. */
static void test_ending(World *world, const void *unused)
{
    Worker *worker = running(world, 2);

    manager_cancel(world->manager, world_filter_ids(1, 1), UID_ANYBODY, world_cancelled, world);
    fake_store_dispatch(&world->store);
    world_forget_logs(world);
    freeze(world, worker, true);
    assert_log(world->link_log, "freeze w1 2");
}

/* Time stands still for it, too: what it may take is counted without. */
static void test_relative_timeout(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);
    TaskSpec *spec = world_task(1000, 0);

    spec->array_index = 0;
    spec->array_count = 5;
    spec->context->policy.timeout_percent = 1000; /* of a second */
    world_submit_one(world, spec);
    for (uint64_t id = 1; id <= 4; id++)
        world_end(world, worker, id, OUTCOME_EXITED);
    world_started(world, worker, 5);
    world_advance(world, 4 * USEC_PER_SEC);
    freeze(world, worker, true);
    world_frozen(world, worker, 5, true, NULL);
    world_forget_logs(world);
    world_advance(world, 100 * USEC_PER_SEC);
    freeze(world, worker, false);
    world_frozen(world, worker, 5, false, NULL);
    world_advance(world, 6 * USEC_PER_SEC - 1);
    assert_log(world->link_log, "thaw w1 5");
    world_advance(world, 1);
    assert_log(world->link_log, "timeout w1 5");
}

/* ---- drain, abort */

static void test_drain(World *world, const void *unused)
{
    Worker *worker = running(world, 1);

    freeze(world, worker, true);
    world_frozen(world, worker, 1, true, NULL);
    world_forget_logs(world);
    g_assert_cmpint(manager_drain(world->manager, worker), ==, 0);
    assert_log(world->link_log, "thaw w1 1");
    g_assert_false(worker->frozen);
    world_frozen(world, worker, 1, false, NULL);
    world_end(world, worker, 1, OUTCOME_EXITED);
    assert_log(world->link_log, "exit w1");
}

/* A worker that is frozen while it drains goes on when it is drained again. */
static void test_drain_again(World *world, const void *unused)
{
    Worker *worker = running(world, 1);

    g_assert_cmpint(manager_drain(world->manager, worker), ==, 0);
    freeze(world, worker, true);
    assert_log(world->link_log, "freeze w1 1");
    world_frozen(world, worker, 1, true, NULL);
    g_assert_cmpint(manager_drain(world->manager, worker), ==, 0);
    assert_log(world->link_log, "thaw w1 1");
    g_assert_false(worker->frozen);
}

static void test_drain_of_frozen_task(World *world, const void *unused)
{
    Worker *worker = running(world, 1);

    freeze_task(world, 1, true);
    world_frozen(world, worker, 1, true, NULL);
    world_forget_logs(world);
    g_assert_cmpint(manager_drain(world->manager, worker), ==, 0);
    assert_log(world->link_log, "thaw w1 1");
}

static void test_drained_while_away(World *world, const void *unused)
{
    Worker *worker = running(world, 1);

    freeze(world, worker, true);
    world_frozen(world, worker, 1, true, NULL);
    manager_worker_disconnected(world->manager, 1);
    g_assert_cmpint(manager_drain(world->manager, worker), ==, 0);
    world_forget_logs(world);
    come_back(world, worker);
    assert_log(world->link_log, "thaw w1 1");
}

static void test_abort(World *world, const void *unused)
{
    Worker *worker = running(world, 1);

    freeze(world, worker, true);
    g_assert_cmpint(manager_abort(world->manager, worker), ==, 0);
    world_gone(world, 1, "killed by signal 9");
    g_assert_cmpuint(world->n_done, ==, 1);
    g_assert_cmpint(world->done_r, <, 0);
    fake_store_dispatch(&world->store);
    g_assert_cmpint(world_state(world, 1), ==, TASK_QUEUED);
}

static void test_still_alive(World *world, const void *unused)
{
    Worker *worker = running(world, 1);

    freeze(world, worker, true);
    world_frozen(world, worker, 1, true, NULL);
    world_advance(world, 179 * USEC_PER_SEC);
    manager_worker_heartbeat(world->manager, worker); /* its program is not frozen */
    world_advance(world, 179 * USEC_PER_SEC);
    g_assert_false(worker->stalled);
    world_advance(world, 2 * USEC_PER_SEC);
    g_assert_true(worker->stalled);
}

/* ---- tasks */

static void test_tasks(World *world, const void *unused)
{
    Worker *one = running(world, 1), *two = running(world, 2);

    world_submit(world, 1);
    manager_freeze_tasks(world->manager, world_filter_ids(1, 4), UID_ANYBODY, true, false, world_cancelled, world);
    world->n_done = 0;
    fake_store_dispatch(&world->store);
    world_frozen(world, one, 1, true, NULL);
    g_assert_cmpuint(world->n_done, ==, 0);
    uint64_t done = 2;
    FrozenFailure failure = { 3, "it is about to end" };
    manager_tasks_frozen(world->manager, two, &done, 1, true, &failure, 1);
    g_assert_cmpuint(world->n_done, ==, 1);
    g_assert_cmpint(world->done_r, ==, 0);
    g_assert_cmpuint(world->done_count, ==, 2);
    g_assert_true(is_frozen(world, 1) && is_frozen(world, 2) && !is_frozen(world, 3));
    g_assert_false(one->frozen || two->frozen);
}

static void test_no_such_tasks(World *world, const void *unused)
{
    world->n_done = 0;
    freeze_task(world, 99, true);
    g_assert_cmpuint(world->n_done, ==, 1);
    g_assert_cmpuint(world->done_count, ==, 0);
    world->store.fail = -EIO;
    freeze_task(world, 99, true);
    g_assert_cmpint(world->done_r, ==, -EIO);
}

/* It has ended between the question to the store and the answer. */
static void test_ended_meanwhile(World *world, const void *unused)
{
    Worker *worker = running(world, 1);

    manager_freeze_tasks(world->manager, world_filter_ids(1, 1), UID_ANYBODY, true, false, world_cancelled, world);
    world_finish(world, worker, 1, OUTCOME_EXITED, 0);
    world->n_done = 0;
    world_forget_logs(world);
    fake_store_dispatch(&world->store);
    g_assert_cmpuint(world->n_done, >=, 1);
    g_assert_cmpuint(world->done_count, ==, 0);
    assert_log(world->link_log, "");
}

/* The service ends while somebody waits: nothing leaks (the sanitizer looks). */
static void test_never_answered(World *world, const void *unused)
{
    freeze(world, running(world, 1), true);
    running(world, 1);
    freeze_task(world, 2, true);
}

static void thaw_as(World *world, uint32_t uid)
{
    world->n_done = 0;
    world_forget_logs(world);
    manager_freeze_tasks(world->manager, world_filter_ids(1, 1), uid, false, false, world_cancelled, world);
    fake_store_dispatch(&world->store);
}

/* Whose task it is need not be an administrator, and may not undo what was done to the worker. */
static void test_thaw_on_frozen_worker(World *world, const void *unused)
{
    Worker *worker = running(world, 1);

    freeze(world, worker, true);
    world_frozen(world, worker, 1, true, NULL);
    thaw_as(world, 1000);
    g_assert_cmpuint(world->n_done, ==, 1);
    g_assert_cmpint(world->done_r, ==, -EBUSY);
    assert_log(world->link_log, "");
    g_autofree char *why = world_explain(world, 1);
    g_assert_nonnull(strstr(why, "since worker w1 does"));
    freeze(world, worker, false);
    world_frozen(world, worker, 1, false, NULL);
    g_assert_false(is_frozen(world, 1));
    g_autofree char *running_again = world_explain(world, 1);
    g_assert_null(strstr(running_again, "stands still"));
}

static void test_explain_frozen_task(World *world, const void *unused)
{
    Worker *worker = running(world, 1);

    freeze_task(world, 1, true);
    world_frozen(world, worker, 1, true, NULL);
    g_autofree char *why = world_explain(world, 1);
    g_assert_nonnull(strstr(why, "parctl thaw 1"));
    thaw_as(world, 1000);
    assert_log(world->link_log, "thaw w1 1");
}

/* A frozen task that somebody has frozen stays so over a break of the connection. */
static void test_task_stays_frozen(World *world, const void *unused)
{
    Worker *worker = running(world, 2);

    freeze_task(world, 1, true);
    world_frozen(world, worker, 1, true, NULL);
    freeze_task(world, 2, true);
    manager_worker_disconnected(world->manager, 1);
    world_forget_logs(world);
    come_back(world, worker);
    assert_log(world->link_log, "thaw w1 2");
}

/* ---- over a restart of the service */

static Worker *restarted(World *world)
{
    fake_store_dispatch(&world->store);
    world_restart(world);
    world_forget_logs(world);
    return manager_find_worker(world->manager, 1);
}

/* One task of three stands still, and does so after the restart; it is let go, and does not stand still after the next. */
static void test_task_after_restart(World *world, const void *unused)
{
    Worker *worker = running(world, 3);

    freeze_task(world, 2, true);
    world_frozen(world, worker, 2, true, NULL);
    worker = restarted(world);
    come_back(world, worker);
    assert_log(world->link_log, "thaw w1 1 3"); /* whoever may have frozen them */
    world_frozen(world, worker, 1, false, NULL);
    g_assert_true(is_frozen(world, 2));
    g_assert_false(is_frozen(world, 1));
    freeze_task(world, 2, false);
    assert_log(world->link_log, "thaw w1 2");
    world_frozen(world, worker, 2, false, NULL);
    worker = restarted(world);
    g_assert_false(is_frozen(world, 2));
}

/* It ended while the service was away, and is tried again: that attempt goes on. */
static void test_next_attempt_after_restart(World *world, const void *unused)
{
    Worker *worker = running(world, 1);

    freeze_task(world, 1, true);
    world_frozen(world, worker, 1, true, NULL);
    fake_store_dispatch(&world->store);
    g_assert_cmpuint(world_fence(world, 1), ==, 1);
    g_hash_table_insert(world->store.wishes, g_strdup("frozen"), g_strdup("1.2 99.1 w77 w99999999999 x .5 7 . w"));
    worker = restarted(world);
    g_assert_false(is_frozen(world, 1));
    g_assert_false(worker->frozen);
}

static void test_worker_after_restart(World *world, const void *unused)
{
    Worker *worker = running(world, 1);

    freeze(world, worker, true);
    world_frozen(world, worker, 1, true, NULL);
    worker = restarted(world);
    g_assert_true(worker->frozen);
    come_back(world, worker);
    assert_log(world->link_log, "freeze w1 1");
    world_frozen(world, worker, 1, true, NULL);
    freeze(world, worker, false);
    world_frozen(world, worker, 1, false, NULL);
    g_assert_false(restarted(world)->frozen);
}

/* It is let go by the drain. */
static void test_drained_before_restart(World *world, const void *unused)
{
    Worker *worker = running(world, 1);

    freeze(world, worker, true);
    world_frozen(world, worker, 1, true, NULL);
    g_assert_cmpint(manager_drain(world->manager, worker), ==, 0);
    worker = restarted(world);
    g_assert_false(worker->frozen);
    g_assert_false(is_frozen(world, 1));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    WORLD_TEST("/freezing/worker", test_worker);
    WORLD_TEST("/freezing/of-the-dead", test_of_the_dead);
    WORLD_TEST("/freezing/failed", test_failed);
    WORLD_TEST("/freezing/gone-meanwhile", test_gone_meanwhile);
    WORLD_TEST("/freezing/disconnected-meanwhile", test_disconnected_meanwhile);
    WORLD_TEST("/freezing/while-disconnected", test_while_disconnected);
    WORLD_TEST("/freezing/comes-back-frozen", test_comes_back_frozen);
    WORLD_TEST("/freezing/two-at-once", test_two_at_once);
    WORLD_TEST("/freezing/empty", test_empty);
    WORLD_TEST("/freezing/starts-late", test_starts_late);
    WORLD_TEST("/freezing/ending", test_ending);
    WORLD_TEST("/freezing/relative-timeout", test_relative_timeout);
    WORLD_TEST("/freezing/drain", test_drain);
    WORLD_TEST("/freezing/drain-again", test_drain_again);
    WORLD_TEST("/freezing/drain-of-frozen-task", test_drain_of_frozen_task);
    WORLD_TEST("/freezing/drained-while-away", test_drained_while_away);
    WORLD_TEST("/freezing/abort", test_abort);
    WORLD_TEST("/freezing/still-alive", test_still_alive);
    WORLD_TEST("/freezing/tasks", test_tasks);
    WORLD_TEST("/freezing/no-such-tasks", test_no_such_tasks);
    WORLD_TEST("/freezing/ended-meanwhile", test_ended_meanwhile);
    WORLD_TEST("/freezing/never-answered", test_never_answered);
    WORLD_TEST("/freezing/thaw-on-frozen-worker", test_thaw_on_frozen_worker);
    WORLD_TEST("/freezing/explain-frozen-task", test_explain_frozen_task);
    WORLD_TEST("/freezing/task-stays-frozen", test_task_stays_frozen);
    WORLD_TEST("/freezing/task-after-restart", test_task_after_restart);
    WORLD_TEST("/freezing/next-attempt-after-restart", test_next_attempt_after_restart);
    WORLD_TEST("/freezing/worker-after-restart", test_worker_after_restart);
    WORLD_TEST("/freezing/drained-before-restart", test_drained_before_restart);
    return g_test_run();
}
