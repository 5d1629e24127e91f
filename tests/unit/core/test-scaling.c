/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* scaling.c: a target that somebody set, or a profile's, is reached and kept. */
#include "fake-ports.h"

#include <string.h>

#define GIB (UINT64_C(1) << 30)

static void scale(World *world, uint32_t target)
{
    g_assert_cmpint(manager_scale(world->manager, target, world_done, world), ==, 0);
    fake_store_dispatch(&world->store);
}

static unsigned n_in(World *world, WorkerState state)
{
    const GPtrArray *workers = manager_workers(world->manager);
    unsigned n = 0;

    for (guint i = 0; i < workers->len; i++)
        n += ((Worker *) workers->pdata[i])->state == state;
    return n;
}

/* So much time; workers that were started meanwhile come up. */
static void settle_down(World *world, uint64_t usec)
{
    for (uint64_t passed = 0; passed < usec; passed += 100 * USEC_PER_MSEC) {
        const GPtrArray *workers = manager_workers(world->manager);
        world_advance(world, 100 * USEC_PER_MSEC);
        fake_store_dispatch(&world->store);
        for (guint i = 0; i < workers->len; i++) {
            Worker *worker = workers->pdata[i];
            if (worker->state != WORKER_STARTING || worker->aborting)
                continue;
            world_engine_started(world, worker->number);
            g_assert_cmpint(world_register(world, worker->number), ==, 0);
        }
        fake_store_dispatch(&world->store);
    }
}

/* Those that were told to end do. */
static void bury(World *world)
{
    const GPtrArray *workers = manager_workers(world->manager);

    for (guint i = workers->len; i > 0; i--) {
        const Worker *worker = workers->pdata[i - 1];
        if (worker->aborting || (worker->state == WORKER_DRAINING && g_hash_table_size(worker->tasks) == 0))
            world_gone(world, worker->number, "exited with status 0");
    }
    fake_store_dispatch(&world->store);
}

/* ---- up */

static void test_one_by_one(World *world, const void *unused)
{
    world->n_done = 0;
    scale(world, 3);
    g_assert_cmpuint(world->n_done, ==, 1);
    g_assert_cmpuint(manager_scale_target(world->manager), ==, 3);
    assert_log(world->engine_log, "start w1");
    settle_down(world, 200 * USEC_PER_MSEC);
    assert_log(world->engine_log, "start w2");
    settle_down(world, USEC_PER_SEC);
    assert_log(world->engine_log, "start w3");
    settle_down(world, 10 * USEC_PER_SEC);
    assert_log(world->engine_log, "");
    g_assert_true(world_worker(world, 1)->spec->scaled);
    g_assert_cmpuint(world_worker(world, 1)->spec->limits.memory_max_bytes, ==, GIB);
}

/* Those that are there count; programs and private workers do not, nor does what ends. */
static void test_counts(World *world, const void *unused)
{
    WorkerSpec *spec = world_spec(1);

    spec->class = g_strdup("sim");
    spec->exec = g_bytes_new_static("sim", 4);
    world_running_worker_with(world, spec);
    world_running_worker_of(world, 1, 1000);
    world_running_worker(world, 1);
    Worker *worker = world_running_worker(world, 1);
    world_submit(world, 3);
    world_started(world, worker, 3);
    g_assert_cmpint(manager_drain(world->manager, worker), ==, 0);
    world_forget_logs(world);
    scale(world, 2);
    settle_down(world, 2 * USEC_PER_SEC);
    assert_log(world->engine_log, "start w5");
    scale(world, 0);
    settle_down(world, 2 * USEC_PER_SEC);
    g_assert_cmpint(world_worker(world, 1)->state, ==, WORKER_RUNNING);
    g_assert_cmpint(world_worker(world, 2)->state, ==, WORKER_RUNNING);
    bury(world);
    g_assert_cmpuint(n_in(world, WORKER_RUNNING), ==, 2);
}

static void test_failures(World *world, const void *unused)
{
    const uint64_t pauses[] = { 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300 };

    world->settings.keep_failed_usec = 0;
    manager_reload(world->manager, &world->settings);
    scale(world, 1);
    for (uint32_t i = 0; i < G_N_ELEMENTS(pauses); i++) {
        g_autofree char *started = g_strdup_printf("start w%u", i + 1);
        assert_log(world->engine_log, started);
        world_gone(world, i + 1, "exited with status 1");
        fake_store_dispatch(&world->store);
        world_forget_logs(world);
        world_advance(world, pauses[i] * USEC_PER_SEC - 1);
        assert_log(world->engine_log, "");
        world_advance(world, 1);
        fake_store_dispatch(&world->store);
    }
    settle_down(world, 61 * USEC_PER_SEC); /* it lives */
    world_gone(world, 12, "killed by signal 9");
    world_forget_logs(world);
    world_advance(world, USEC_PER_SEC);
    fake_store_dispatch(&world->store);
    assert_log(world->engine_log, "start w13"); /* after the shortest pause again */
}

/* It says why there are too few, and when there may be more. */
static void test_failure_is_told(World *world, const void *unused)
{
    scale(world, 2);
    settle_down(world, USEC_PER_SEC);
    g_assert_cmpstr(manager_scale_reason(world->manager), ==, "");
    world_gone(world, 2, "exited with status 3");
    fake_store_dispatch(&world->store);
    g_assert_cmpstr(manager_scale_reason(world->manager), ==,
                    "1 of 2 workers: w2 failed: exited with status 3; the next attempt comes in 1s");
    world_advance(world, USEC_PER_SEC);
    fake_store_dispatch(&world->store);
    g_assert_cmpstr(manager_scale_reason(world->manager), ==,
                    "1 of 2 workers: w2 failed: exited with status 3; another one is being started");
    world_gone(world, 3, "exited with status 4"); /* before it has come up */
    fake_store_dispatch(&world->store);
    g_assert_cmpstr(manager_scale_reason(world->manager), ==,
                    "1 of 2 workers: w3 failed (2 in a row): exited with status 4; the next attempt comes in 2s");
    world_advance(world, USEC_PER_SEC / 2);
    g_assert_true(g_str_has_suffix(manager_scale_reason(world->manager), "in 2s"));
    world_advance(world, USEC_PER_SEC / 2 + 1);
    g_assert_true(g_str_has_suffix(manager_scale_reason(world->manager), "in 1s"));
    settle_down(world, 2 * USEC_PER_SEC);
    g_assert_cmpuint(n_in(world, WORKER_RUNNING), ==, 2);
    g_assert_cmpstr(manager_scale_reason(world->manager), ==, "");
    g_assert_cmpint(manager_drain(world->manager, world_worker(world, 1)), ==, 0);
    bury(world);
    g_assert_cmpstr(manager_scale_reason(world->manager), ==, ""); /* that is not why one is missing now */
}

/* Not that of the last time, but what is in the way now. */
static void test_failure_is_forgotten(World *world, const void *unused)
{
    scale(world, 1);
    world_gone(world, 1, "exited with status 3");
    fake_store_dispatch(&world->store);
    world->facts.memory_available_bytes = GIB;
    world_advance(world, 2 * USEC_PER_SEC);
    g_assert_true(g_str_has_prefix(manager_scale_reason(world->manager), "0 of 1 workers: needs 1.0G"));
    scale(world, SCALE_NONE);
    g_assert_cmpstr(manager_scale_reason(world->manager), ==, "");
}

/* What is alive of what the target is about. */
static void test_how_many_count(World *world, const void *unused)
{
    WorkerSpec *spec = world_spec(1);

    spec->class = g_strdup("sim");
    spec->exec = g_bytes_new_static("sim", 4);
    world_running_worker_with(world, spec);
    world_running_worker_of(world, 1, 1000);
    Worker *worker = world_running_worker(world, 1);
    world_running_worker(world, 1);
    world_submit(world, 3);
    g_assert_cmpint(manager_drain(world->manager, worker), ==, 0);
    g_assert_cmpuint(manager_n_live_workers(world->manager), ==, 4);
    g_assert_cmpuint(manager_n_scaled_workers(world->manager), ==, 2);
    world_gone(world, worker->number, "killed by signal 9");
    g_assert_cmpuint(manager_n_scaled_workers(world->manager), ==, 1);
}

/* What fails beside them is no reason to wait. */
static void test_failures_of_others(World *world, const void *unused)
{
    WorkerSpec *spec = world_spec(1);

    spec->class = g_strdup("sim");
    spec->exec = g_bytes_new_static("sim", 4);
    world_running_worker_with(world, spec);
    scale(world, 1);
    world_forget_logs(world);
    world_gone(world, 1, "killed by signal 9");
    world_gone(world, 2, "killed by signal 9");
    world_forget_logs(world);
    world_advance(world, USEC_PER_SEC);
    fake_store_dispatch(&world->store);
    assert_log(world->engine_log, "start w3");
}

/* Told to go by hand: the target holds, and it is no failure. */
static void test_drained_by_hand(World *world, const void *unused)
{
    scale(world, 1);
    settle_down(world, USEC_PER_SEC);
    world_forget_logs(world);
    g_assert_cmpint(manager_drain(world->manager, world_worker(world, 1)), ==, 0);
    bury(world);
    settle_down(world, USEC_PER_SEC);
    g_autofree char *log = world_take(world->engine_log);
    g_assert_nonnull(strstr(log, "start w2"));
    g_assert_null(strstr(log, "start w3"));
}

/* The disk is full: it is tried again, later each time, and not forgotten. */
static void test_not_recorded(World *world, const void *unused)
{
    unsigned n = 0;

    scale(world, 0);
    g_assert_cmpint(manager_scale(world->manager, 1, world_done, world), ==, 0);
    for (int i = 0; i < 100; i++) {
        if (manager_workers(world->manager)->len > 0) {
            world->store.fail = -ENOSPC;
            n++;
        }
        fake_store_dispatch(&world->store);
        world->store.fail = 0;
        world_advance(world, 100 * USEC_PER_MSEC);
    }
    g_assert_cmpuint(n, >=, 3);
    g_assert_cmpuint(n, <=, 5); /* in ten seconds: at 0, 1, 3, 7 */
    g_assert_nonnull(strstr(manager_scale_reason(world->manager), "No space left on device"));
}

static void test_refused(World *world, const void *unused)
{
    world->facts.memory_available_bytes = 3 * GIB - (1 << 20); /* 1 kept, 1 for the first */
    world->usage.memory_bytes = UINT64_MAX;
    scale(world, 3);
    settle_down(world, 5 * USEC_PER_SEC);
    g_assert_cmpuint(n_in(world, WORKER_RUNNING), ==, 1);
    g_assert_nonnull(strstr(manager_scale_reason(world->manager), "1 of 3 workers: needs 1.0G; "));
    g_assert_cmpuint(manager_scale_target(world->manager), ==, 3);
    world->facts.memory_available_bytes = 32 * GIB;
    settle_down(world, 3 * USEC_PER_SEC);
    g_assert_cmpuint(n_in(world, WORKER_RUNNING), ==, 3);
    g_assert_cmpstr(manager_scale_reason(world->manager), ==, ""); /* it does not stay said */
}

static void test_range(World *world, const void *unused)
{
    world->n_done = 0;
    g_assert_cmpint(manager_scale(world->manager, 9, world_done, world), ==, -ERANGE);
    g_assert_cmpuint(world->n_done, ==, 0);
    g_assert_cmpuint(manager_scale_target(world->manager), ==, SCALE_NONE);
    scale(world, 8);
    settle_down(world, 3 * USEC_PER_SEC);
    manager_set_max_workers(world->manager, 4); /* those that run stay; one that goes is not replaced */
    world_gone(world, 1, "killed by signal 9");
    settle_down(world, 10 * USEC_PER_SEC);
    g_assert_cmpuint(n_in(world, WORKER_RUNNING), ==, 7);
    g_assert_nonnull(strstr(manager_scale_reason(world->manager), "7 of at most 4 workers run already"));
    manager_set_max_workers(world->manager, 8);
    settle_down(world, 10 * USEC_PER_SEC);
    g_assert_cmpuint(n_in(world, WORKER_RUNNING), ==, 8);
}

/* There is no engine of that kind: it says so and waits, without a busy loop (world_advance looks). */
static void test_no_engine(World *world, const void *unused)
{
    world->settings.engine = ENGINE_CGROUP;
    manager_reload(world->manager, &world->settings);
    scale(world, 1);
    settle_down(world, 5 * USEC_PER_SEC);
    g_assert_cmpuint(manager_workers(world->manager)->len, ==, 0);
    g_assert_cmpstr(manager_scale_reason(world->manager), !=, "");
}

/* ---- down */

static void test_down(World *world, const void *unused)
{
    Worker *by_hand = world_running_worker(world, 1);

    scale(world, 4);
    settle_down(world, 3 * USEC_PER_SEC);
    world_submit(world, 2); /* w1 and w2 have something to do */
    g_assert_cmpuint(g_hash_table_size(world_worker(world, 2)->tasks), ==, 1);
    scale(world, 3);
    g_assert_cmpint(world_worker(world, 4)->state, ==, WORKER_DRAINING); /* the youngest idle one */
    bury(world);
    scale(world, 2);
    g_assert_cmpint(world_worker(world, 3)->state, ==, WORKER_DRAINING);
    bury(world);
    scale(world, 1);
    g_assert_cmpint(world_worker(world, 2)->state, ==, WORKER_DRAINING);
    g_assert_cmpint(by_hand->state, ==, WORKER_RUNNING);
    settle_down(world, 5 * USEC_PER_SEC); /* it drains yet: nothing else is done */
    g_assert_cmpint(by_hand->state, ==, WORKER_RUNNING);
    g_assert_cmpuint(g_hash_table_size(world_worker(world, 2)->tasks), ==, 1);
    scale(world, 0);
    settle_down(world, USEC_PER_SEC);
    g_assert_cmpint(by_hand->state, ==, WORKER_DRAINING);
    g_assert_cmpuint(n_in(world, WORKER_STARTING), ==, 0);
}

/* What somebody added by hand goes last, even if it has nothing to do. */
static void test_by_hand_last(World *world, const void *unused)
{
    scale(world, 1);
    settle_down(world, USEC_PER_SEC);
    world_submit(world, 1);
    Worker *by_hand = world_running_worker(world, 1);
    settle_down(world, USEC_PER_SEC);
    g_assert_cmpint(by_hand->state, ==, WORKER_RUNNING);
    g_assert_cmpint(world_worker(world, 1)->state, ==, WORKER_DRAINING);
}

/* One that has not come up yet goes first of all. */
static void test_down_starting(World *world, const void *unused)
{
    scale(world, 2);
    settle_down(world, USEC_PER_SEC);
    scale(world, 3);
    world_forget_logs(world);
    scale(world, 2);
    assert_log(world->engine_log, "kill w3");
    bury(world);
    settle_down(world, 2 * USEC_PER_SEC);
    g_assert_cmpuint(n_in(world, WORKER_RUNNING), ==, 2);
}

static void test_none(World *world, const void *unused)
{
    scale(world, 2);
    settle_down(world, USEC_PER_SEC);
    scale(world, SCALE_NONE);
    world_gone(world, 1, "killed by signal 9");
    world_forget_logs(world);
    settle_down(world, 10 * USEC_PER_SEC);
    assert_log(world->engine_log, "");
    g_assert_null(g_hash_table_lookup(world->store.wishes, "target"));
}

/* ---- profiles */

static int use_profile(World *world, const char *name)
{
    int r = manager_set_profile(world->manager, name, world_done, world);

    fake_store_dispatch(&world->store);
    return r;
}

static void test_profiles(World *world, const void *unused)
{
    g_assert_cmpint(use_profile(world, "none of these"), ==, -ENOENT);
    g_assert_cmpstr(manager_profile(world->manager), ==, "");
    g_assert_cmpint(use_profile(world, "conservative"), ==, 0);
    g_assert_cmpuint(manager_scale_target(world->manager), ==, 2);
    settle_down(world, 2 * USEC_PER_SEC);
    g_assert_cmpuint(world_worker(world, 1)->spec->limits.memory_max_bytes, ==, GIB / 4);
    g_assert_cmpint(use_profile(world, "balanced"), ==, 0);
    g_assert_cmpuint(manager_scale_target(world->manager), ==, 4);
    settle_down(world, 2 * USEC_PER_SEC);
    g_assert_cmpuint(world_worker(world, 4)->spec->limits.memory_max_bytes, ==, GIB / 2);
    g_assert_cmpint(use_profile(world, "maximum"), ==, 0);
    g_assert_cmpuint(manager_scale_target(world->manager), ==, 8); /* 16, but for MaxWorkers */
    g_assert_cmpint(use_profile(world, ""), ==, 0);
    g_assert_cmpstr(manager_profile(world->manager), ==, "");
}

/* ---- restart */

static void come_back(World *world, uint32_t number)
{
    g_assert_cmpint(world_register(world, number), ==, 0);
    fake_store_dispatch(&world->store);
}

static void test_restart(World *world, const void *unused)
{
    g_assert_cmpint(use_profile(world, "conservative"), ==, 0);
    scale(world, 3);
    settle_down(world, 2 * USEC_PER_SEC);
    world_restart(world);
    g_assert_cmpuint(manager_scale_target(world->manager), ==, 3);
    g_assert_cmpstr(manager_profile(world->manager), ==, "conservative");
    g_assert_false(manager_autoscales(world->manager));
    g_assert_true(world_worker(world, 1)->spec->scaled);
    for (uint32_t number = 1; number <= 3; number++)
        come_back(world, number);
    world_forget_logs(world);
    settle_down(world, 5 * USEC_PER_SEC);
    assert_log(world->engine_log, "");
}

/* Nothing is added while workers may still come back; then, what is missing is. */
static void test_recovering(World *world, const void *unused)
{
    scale(world, 3);
    settle_down(world, 2 * USEC_PER_SEC);
    g_hash_table_remove(world->store.workers, GUINT_TO_POINTER(3));
    world_restart(world);
    come_back(world, 1);
    world_forget_logs(world);
    world_advance(world, 3 * USEC_PER_SEC - 1);
    fake_store_dispatch(&world->store);
    assert_log(world->engine_log, "");
    world_advance(world, USEC_PER_SEC);
    fake_store_dispatch(&world->store);
    assert_log(world->engine_log, "start w3");
}

/* The last of them is back: no need to wait for the time to pass. */
static void test_recovered(World *world, const void *unused)
{
    scale(world, 2);
    settle_down(world, 2 * USEC_PER_SEC);
    g_hash_table_remove(world->store.workers, GUINT_TO_POINTER(2));
    world_restart(world);
    world_advance(world, USEC_PER_SEC);
    world_forget_logs(world);
    come_back(world, 1);
    assert_log(world->engine_log, "limits w1 1024; start w2");
}

static void test_configured(World *world, const void *unused)
{
    world->settings.profile = g_strdup("conservative");
    world_restart(world);
    g_assert_cmpstr(manager_profile(world->manager), ==, "conservative");
    g_assert_cmpuint(manager_scale_target(world->manager), ==, 2);
    g_assert_cmpint(use_profile(world, ""), ==, 0); /* none, whatever is configured */
    world_restart(world);
    g_assert_cmpstr(manager_profile(world->manager), ==, "");
}

static void test_rubbish(World *world, const void *unused)
{
    g_hash_table_insert(world->store.wishes, g_strdup("target"), g_strdup("4294967295"));
    g_hash_table_insert(world->store.wishes, g_strdup("profile"), g_strdup("no more there"));
    g_hash_table_insert(world->store.wishes, g_strdup("autoscale"), g_strdup("perhaps"));
    world_restart(world);
    g_assert_cmpuint(manager_scale_target(world->manager), ==, SCALE_NONE);
    g_assert_cmpstr(manager_profile(world->manager), ==, "");
    g_assert_false(manager_autoscales(world->manager));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    WORLD_TEST("/scaling/one-by-one", test_one_by_one);
    WORLD_TEST("/scaling/counts", test_counts);
    WORLD_TEST("/scaling/failures", test_failures);
    WORLD_TEST("/scaling/failure-is-told", test_failure_is_told);
    WORLD_TEST("/scaling/failure-is-forgotten", test_failure_is_forgotten);
    WORLD_TEST("/scaling/how-many-count", test_how_many_count);
    WORLD_TEST("/scaling/failures-of-others", test_failures_of_others);
    WORLD_TEST("/scaling/drained-by-hand", test_drained_by_hand);
    WORLD_TEST("/scaling/not-recorded", test_not_recorded);
    WORLD_TEST("/scaling/refused", test_refused);
    WORLD_TEST("/scaling/range", test_range);
    WORLD_TEST("/scaling/no-engine", test_no_engine);
    WORLD_TEST("/scaling/down", test_down);
    WORLD_TEST("/scaling/by-hand-last", test_by_hand_last);
    WORLD_TEST("/scaling/down-starting", test_down_starting);
    WORLD_TEST("/scaling/none", test_none);
    WORLD_TEST("/scaling/profiles", test_profiles);
    WORLD_TEST("/scaling/restart", test_restart);
    WORLD_TEST("/scaling/recovering", test_recovering);
    WORLD_TEST("/scaling/recovered", test_recovered);
    WORLD_TEST("/scaling/configured", test_configured);
    WORLD_TEST("/scaling/rubbish", test_rubbish);
    return g_test_run();
}
