/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* dispatch.c: who gets what, in which order, how many ahead, and what is taken back. */
#include "fake-ports.h"

static guint n_held(const Worker *worker)
{
    return g_hash_table_size(worker->tasks);
}

static unsigned n_recalled(const Worker *worker)
{
    GHashTableIter iter;
    gpointer task;
    unsigned n = 0;

    g_hash_table_iter_init(&iter, worker->tasks);
    while (g_hash_table_iter_next(&iter, NULL, &task))
        n += ((ActiveTask *) task)->recalled;
    return n;
}

static void set_enabled(World *world, bool enabled)
{
    manager_set_enabled(world->manager, enabled, world_done, world);
    fake_store_dispatch(&world->store);
    g_assert_cmpint(world->done_r, ==, 0);
}

static void test_spread(World *world, const void *unused)
{
    const Worker *workers[3];

    for (size_t i = 0; i < 3; i++)
        workers[i] = world_running_worker(world, 4);
    world_submit(world, 3);
    for (size_t i = 0; i < 3; i++)
        g_assert_cmpuint(n_held(workers[i]), ==, 1);
    world_submit(world, 20);
    for (size_t i = 0; i < 3; i++)
        g_assert_cmpuint(n_held(workers[i]), ==, 4);
}

static void test_slots(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 2);

    world_submit(world, 4);
    assert_log(world->link_log, "run w1 1.1 2.1");
    world_started(world, worker, 1);
    world_started(world, worker, 2);
    world_finish(world, worker, 2, OUTCOME_EXITED, 0);
    assert_log(world->link_log, "run w1 3.1"); /* the slot is free before the disk has answered */
    fake_store_dispatch(&world->store);
    assert_log(world->link_log, "");
}

static void test_user(World *world, const void *unused)
{
    world_running_worker_of(world, 4, 1001);
    world_submit_one(world, world_task(1000, 100));
    assert_log(world->link_log, "");
    world_submit_one(world, world_task(1001, 0));
    assert_log(world->link_log, "run w1 2.1");
    const Worker *any = world_running_worker(world, 4);
    g_assert_cmpuint(n_held(any), ==, 1);
    g_assert_true(manager_find_active(world->manager, 1)->worker == any);
}

static void test_order(World *world, const void *unused)
{
    set_enabled(world, false);
    world_running_worker(world, 5);
    world_submit_one(world, world_task(1000, 0));
    world_submit_one(world, world_task(1000, 5));
    world_submit_one(world, world_task(1000, -1));
    world_submit_one(world, world_task(1001, 5));
    world_submit_one(world, world_task(1001, 0));
    assert_log(world->link_log, "");
    set_enabled(world, true);
    assert_log(world->link_log, "run w1 2.1 4.1 1.1 5.1 3.1");
}

static void test_disabled(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    worker_add_duration(worker, USEC_PER_MSEC);
    world_submit(world, 2);
    assert_log(world->link_log, "run w1 1.1 2.1");
    world_started(world, worker, 1);
    set_enabled(world, false);
    assert_log(world->link_log, "recall w1 2"); /* what runs goes on */
    manager_tasks_given_back(world->manager, worker, &(uint64_t){ 2 }, 1);
    fake_store_dispatch(&world->store);
    world_finish(world, worker, 1, OUTCOME_EXITED, 0);
    fake_store_dispatch(&world->store);
    assert_log(world->link_log, "");
    g_assert_cmpuint(fake_store_task(&world->store, 2)->n_attempts, ==, 0);
    set_enabled(world, true);
    assert_log(world->link_log, "run w1 2.2");
}

static void test_ahead(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    world_submit(world, 10); /* their length is not known */
    g_assert_cmpuint(n_held(worker), ==, 1);
    worker->mean_usec = 60 * USEC_PER_MSEC;
    world_submit(world, 1);
    g_assert_cmpuint(n_held(worker), ==, 1);
    worker->mean_usec = USEC_PER_MSEC;
    world_submit(world, 1);
    g_assert_cmpuint(n_held(worker), ==, 12);
    world_submit(world, 50);
    g_assert_cmpuint(n_held(worker), ==, 26); /* 25 ms of work, and the one that runs */
}

/* More tasks than a window holds are read on as they are handed out, none twice and none left. */
static void test_refill(World *world, const void *unused)
{
    unsigned loaded = world->store.n_windows_loaded;

    world_submit_array(world, 2500);
    for (size_t i = 0; i < 3; i++)
        world_running_worker(world, WORKER_SLOTS_MAX);
    for (uint64_t id = 1; id <= 2500; id++)
        g_assert_cmpuint(world_fence(world, id), ==, 1);
    g_assert_cmpuint(world->store.n_windows_loaded, >=, loaded + 2);
    g_assert_cmpuint(world->store.n_windows_loaded, <=, loaded + 6);
}

/* Comes back with everything that it was given. */
static void come_back(World *world, Worker *worker)
{
    g_autoptr(GArray) held = g_array_new(FALSE, FALSE, sizeof(HeldReport));
    GHashTableIter iter;
    gpointer value;

    int r = manager_worker_register(world->manager, worker->number, worker->token, PID_OF(worker->number));
    g_assert_cmpint(r, ==, 0);
    g_hash_table_iter_init(&iter, worker->tasks);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const ActiveTask *task = value;
        g_array_append_val(held, ((HeldReport){ task->spec->id, task->spec->fence, 0 }));
    }
    manager_worker_reports(world->manager, worker, (HeldReport *) held->data, held->len, NULL, 0, world_done,
                           world);
    fake_store_dispatch(&world->store);
}

static void test_rebalance(World *world, const void *unused)
{
    Worker *poor = world_running_worker(world, 1), *rich = world_running_worker(world, 1);

    worker_add_duration(poor, USEC_PER_MSEC);
    worker_add_duration(rich, USEC_PER_MSEC);
    manager_worker_disconnected(world->manager, rich->number);
    world_submit(world, 3);
    manager_worker_disconnected(world->manager, poor->number);
    come_back(world, rich);
    world_submit(world, 9);
    come_back(world, poor);
    g_assert_cmpuint(n_held(poor), ==, 3);
    g_assert_cmpuint(n_held(rich), ==, 9);
    g_assert_cmpuint(n_recalled(rich), ==, 0); /* nobody idles */

    const Worker *idle = world_running_worker(world, 1);
    g_assert_cmpuint(n_recalled(poor), ==, 0);
    g_assert_cmpuint(n_recalled(rich), ==, 4);
    for (uint64_t id = 4; id <= 12; id++)
        if (manager_find_active(world->manager, id)->recalled) {
            manager_tasks_given_back(world->manager, rich, &id, 1);
            fake_store_dispatch(&world->store);
            g_assert_true(manager_find_active(world->manager, id)->worker == idle);
            break;
        }
}

static void test_urgent(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    worker_add_duration(worker, USEC_PER_MSEC);
    world_submit(world, 2);
    world_started(world, worker, 1);
    world_forget_logs(world);
    world_submit_one(world, world_task(1000, 0)); /* as urgent as what it has */
    assert_log(world->link_log, "");
    manager_cancel(world->manager, world_filter_ids(3, 3), UID_ANYBODY, world_cancelled, world);
    fake_store_dispatch(&world->store);
    world_submit_one(world, world_task(1000, 10));
    assert_log(world->link_log, "recall w1 2");
    manager_tasks_given_back(world->manager, worker, &(uint64_t){ 2 }, 1);
    world_finish(world, worker, 1, OUTCOME_EXITED, 0);
    g_autofree char *log = world_take(world->link_log);
    g_assert_true(g_str_has_prefix(log, "run w1 4.1"));
}

/* One's own worker goes first, whichever was added first. */
static void test_private_first(World *world, const void *unused)
{
    world_running_worker(world, 2);
    world_running_worker_of(world, 1, 1000);
    for (int i = 0; i < 2; i++)
        world_submit_one(world, world_task(1000, 0));
    assert_log(world->link_log, "run w2 1.1; run w1 2.1");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    WORLD_TEST("/dispatch/private-first", test_private_first);
    WORLD_TEST("/dispatch/spread", test_spread);
    WORLD_TEST("/dispatch/slots", test_slots);
    WORLD_TEST("/dispatch/user", test_user);
    WORLD_TEST("/dispatch/order", test_order);
    WORLD_TEST("/dispatch/disabled", test_disabled);
    WORLD_TEST("/dispatch/ahead", test_ahead);
    WORLD_TEST("/dispatch/refill", test_refill);
    WORLD_TEST("/dispatch/rebalance", test_rebalance);
    WORLD_TEST("/dispatch/urgent", test_urgent);
    return g_test_run();
}
