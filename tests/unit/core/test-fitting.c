/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fitting.c and dispatch.c: what tasks that say what they take get of the workers' room. */
#include "fake-ports.h"

#include <string.h>

static GArray *resources(const char *text)
{
    GArray *array = NULL;
    g_autofree char *why = NULL;

    g_assert_cmpint(resources_parse(text, &array, &why), ==, 0);
    return array;
}

static void set_enabled(World *world, bool enabled)
{
    manager_set_enabled(world->manager, enabled, world_done, world);
    fake_store_dispatch(&world->store);
}

/* ---- memory */

/* What is settled has left its room before the disk has answered. */
static void test_share(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 4);

    for (int i = 0; i < 4; i++)
        world_submit_limited(world, 400);
    assert_log(world->link_log, "run w1 1.1; run w1 2.1");
    world_started(world, worker, 1);
    world_finish(world, worker, 1, OUTCOME_EXITED, 0);
    assert_log(world->link_log, "run w1 3.1");
    fake_store_dispatch(&world->store);
    assert_log(world->link_log, "");
    g_autofree char *why = world_explain(world, 4);
    g_assert_cmpstr(why, ==,
                    "room: worker w1: needs 400.0M of memory; of the worker's 1.0G, 800.0M taken by its other tasks");
}

/* 600 and 600 do not fit; 300 behind them would, but it would hold the second 600 up. */
static void test_no_starving(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 4);

    world_submit_limited(world, 600);
    world_submit_limited(world, 600);
    world_submit_limited(world, 300);
    world_submit_limited(world, 300);
    assert_log(world->link_log, "run w1 1.1");
    world_end(world, worker, 1, OUTCOME_EXITED);
    assert_log(world->link_log, "run w1 2.1 3.1");
    world_end(world, worker, 2, OUTCOME_EXITED);
    assert_log(world->link_log, "run w1 4.1");
}

/* One worker is kept for the one that waits; the other goes on. */
static void test_others_go_on(World *world, const void *unused)
{
    Worker *one = world_running_worker(world, 4), *two = world_running_worker(world, 4);

    world_submit_limited(world, 600);
    world_submit_limited(world, 600);
    world_forget_logs(world);
    world_submit_limited(world, 900);
    for (int i = 0; i < 4; i++)
        world_submit_limited(world, 200);
    assert_log(world->link_log, "run w2 4.1; run w2 5.1");
    world_end(world, two, 2, OUTCOME_EXITED);
    assert_log(world->link_log, "run w2 6.1 7.1");
    world_end(world, one, 1, OUTCOME_EXITED);
    assert_log(world->link_log, "run w1 3.1");
}

/* A free worker elsewhere is taken at once, and none is kept. */
static void test_elsewhere(World *world, const void *unused)
{
    Worker *one = world_running_worker(world, 4);

    world_submit_limited(world, 600);
    world_started(world, one, 1);
    world_running_worker(world, 4);
    set_enabled(world, false);
    world_submit_limited(world, 900);
    world_submit_limited(world, 400);
    world_forget_logs(world);
    set_enabled(world, true);
    g_assert_cmpuint(manager_find_active(world->manager, 2)->worker_number, ==, 2);
    g_assert_true(manager_find_active(world->manager, 3)->worker == one);
}

/* One that fits the larger worker only keeps that, whatever comes after it and keeps the smaller one. */
static void test_older_waits_too(World *world, const void *unused)
{
    world_running_worker_with(world, world_spec_with(4, 1000));
    Worker *large = world_running_worker_with(world, world_spec_with(4, 2000));

    world_submit_limited(world, 900);
    world_submit_limited(world, 1400);
    world_forget_logs(world);
    world_submit_limited(world, 1600);
    world_submit_limited(world, 700);
    world_submit_limited(world, 300);
    world_submit_limited(world, 300);
    world_submit_limited(world, 300);
    assert_log(world->link_log, "");
    world_end(world, large, 2, OUTCOME_EXITED);
    g_assert_true(manager_find_active(world->manager, 3)->worker == large);
}

/* Those of a class, or of a private worker, do not starve because another queue has one that waits. */
static void test_each_class(World *world, const void *unused)
{
    WorkerSpec *spec = world_spec(4);

    spec->class = g_strdup("sim");
    spec->exec = g_bytes_new_static("sim", 4);
    world_running_worker(world, 4);
    Worker *sim = world_running_worker_with(world, spec);
    world_submit_limited(world, 600);
    world_submit_limited(world, 600); /* keeps w1 */
    for (int i = 0; i < 4; i++) {
        TaskSpec *task = world_limited_task(i == 1 ? 900 : 300);
        task->class = g_strdup("sim");
        world_submit_one(world, task);
    }
    assert_log(world->link_log, "run w1 1.1; run w2 3.1");
    world_end(world, sim, 3, OUTCOME_EXITED);
    assert_log(world->link_log, "run w2 4.1");
}

/* Who says nothing takes nothing, and leaves one slot to the one that waits. */
static void test_without_limits(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 4);

    world_submit_limited(world, 600);
    world_submit_limited(world, 600);
    world_forget_logs(world);
    world_submit(world, 3);
    assert_log(world->link_log, "run w1 3.1 4.1");
    world_end(world, worker, 1, OUTCOME_EXITED);
    assert_log(world->link_log, "run w1 2.1 5.1");
}

static void test_never_ahead(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    worker->mean_usec = USEC_PER_MSEC;
    world_submit_limited(world, 100);
    world_submit_limited(world, 100);
    world_submit(world, 2);
    assert_log(world->link_log, "run w1 1.1");
    world_end(world, worker, 1, OUTCOME_EXITED);
    assert_log(world->link_log, "run w1 2.1");
    worker->mean_usec = USEC_PER_MSEC;
    world_submit(world, 1);
    assert_log(world->link_log, "run w1 3.1 4.1 5.1");
}

/* ---- GPUs, resources, CPU time */

static WorkerSpec *gpu_spec(uint32_t slots)
{
    WorkerSpec *spec = world_spec(slots);

    spec->placement.gpu_list = g_strdup("0,2");
    spec->placement.gpus = 2;
    return spec;
}

static Worker *gpu_worker(World *world)
{
    static MachineGpu gpus[] = { { .index = 0, .vendor = (char *) "nvidia", .name = (char *) "", .node = -1 },
                                 { .index = 2, .vendor = (char *) "nvidia", .name = (char *) "", .node = -1 } };

    world->machine.gpus = gpus;
    world->machine.n_gpus = 2;
    return world_running_worker_with(world, gpu_spec(4));
}

static TaskSpec *gpu_task(uint32_t n, bool optional)
{
    TaskSpec *spec = world_task(1000, 0);

    spec->context->demand.gpus = n;
    spec->context->demand.gpus_optional = optional;
    return spec;
}

static const char *gpus_of(World *world, uint64_t task)
{
    return manager_find_active(world->manager, task)->spec->gpus;
}

static void test_gpus(World *world, const void *unused)
{
    Worker *worker = gpu_worker(world);

    g_assert_cmpstr(worker->spec->placement.gpu_list, ==, "0,2");
    for (int i = 0; i < 3; i++)
        world_submit_one(world, gpu_task(1, false));
    g_assert_cmpstr(gpus_of(world, 1), ==, "0");
    g_assert_cmpstr(gpus_of(world, 2), ==, "2");
    g_assert_null(manager_find_active(world->manager, 3));
    world_end(world, worker, 1, OUTCOME_EXITED);
    g_assert_cmpstr(gpus_of(world, 3), ==, "0");
    world_submit_one(world, gpu_task(3, false));
    assert_log(world->news_log, "4 unplaceable: needs 3 GPUs; the worker has 2");
}

static void test_optional_gpus(World *world, const void *unused)
{
    Worker *worker = gpu_worker(world);

    world_submit_one(world, gpu_task(1, true));
    world_submit_one(world, gpu_task(3, true));
    world_submit_one(world, gpu_task(1, true));
    g_assert_cmpstr(gpus_of(world, 1), ==, "0");
    g_assert_cmpstr(gpus_of(world, 2), ==, "2");
    g_assert_cmpstr(gpus_of(world, 3), ==, "");
    world_submit(world, 1);
    g_assert_cmpstr(gpus_of(world, 4), ==, "0,2"); /* it asks for none: it sees all */
    world_end(world, worker, 2, OUTCOME_EXITED);
    world_submit_one(world, gpu_task(2, false)); /* only one is free */
    g_assert_null(manager_find_active(world->manager, 5));
}

/* A program is told of its worker's GPUs when it starts, whichever task that is for. */
static void test_gpus_of_program(World *world, const void *unused)
{
    Worker *worker = gpu_worker(world);

    worker->spec->class = g_strdup("sim");
    worker->spec->exec = g_bytes_new_static("sim", 4);
    for (int i = 0; i < 2; i++) {
        TaskSpec *task = gpu_task(1, false);
        task->class = g_strdup("sim");
        world_submit_one(world, task);
    }
    g_assert_cmpstr(gpus_of(world, 1), ==, "0,2");
    g_assert_null(manager_find_active(world->manager, 2)); /* they are all taken */
    world_end(world, worker, 1, OUTCOME_EXITED);
    g_assert_cmpstr(gpus_of(world, 2), ==, "0,2");
}

/* One that had a GPU and comes back to the queue does not insist on it. */
static void test_optional_gpu_once_had(World *world, const void *unused)
{
    Worker *worker = gpu_worker(world);

    world_submit_one(world, gpu_task(1, true));
    world_started(world, worker, 1);
    g_assert_cmpstr(gpus_of(world, 1), ==, "0");
    g_assert_cmpint(manager_abort(world->manager, worker), ==, 0);
    world_gone(world, worker->number, "killed by signal 9");
    fake_store_dispatch(&world->store);
    world_running_worker(world, 1);
    assert_log(world->news_log, "");
    g_assert_cmpstr(gpus_of(world, 1), ==, "");
}

/* The successor of a daemon does not know which GPUs a task has: it gives none of that worker's out until it has ended. */
static void test_gpus_after_restart(World *world, const void *unused)
{
    Worker *worker = gpu_worker(world);

    world_submit_one(world, gpu_task(1, false));
    world_started(world, worker, 1);
    HeldReport held = { 1, 1, world->real };
    world_restart(world);
    worker = world_worker(world, 1);
    g_assert_cmpint(manager_worker_register(world->manager, 1, worker->token, PID_OF(1)), ==, 0);
    manager_worker_reports(world->manager, worker, &held, 1, NULL, 0, world_done, world);
    fake_store_dispatch(&world->store);
    world_submit_one(world, gpu_task(1, false));
    g_assert_null(manager_find_active(world->manager, 2));
    world_end(world, worker, 1, OUTCOME_EXITED);
    g_assert_cmpstr(gpus_of(world, 2), ==, "0");
}

static TaskSpec *licensed_task(const char *text)
{
    TaskSpec *spec = world_task(1000, 0);

    spec->context->demand.resources = resources(text);
    return spec;
}

static void test_resources(World *world, const void *unused)
{
    WorkerSpec *spec = world_spec(4);

    world->settings.resources = resources("licence=3,tape=1");
    manager_reload(world->manager, &world->settings);
    spec->placement.resources = resources("licence=3,tape=1");
    Worker *worker = world_running_worker_with(world, spec);
    world_submit_one(world, licensed_task("licence=2"));
    world_submit_one(world, licensed_task("licence=1,tape=1"));
    world_submit_one(world, licensed_task("licence=1"));
    assert_log(world->link_log, "run w1 1.1; run w1 2.1");
    world_end(world, worker, 2, OUTCOME_EXITED);
    assert_log(world->link_log, "run w1 3.1");
    world_submit_one(world, licensed_task("tape=2"));
    world_submit_one(world, licensed_task("scanner=1"));
    assert_log(world->news_log, "4 unplaceable: needs 2 of tape; the worker has 1; "
                                "5 unplaceable: needs 1 of scanner; the worker has 0");
}

static void test_cpu_and_processes(World *world, const void *unused)
{
    WorkerSpec *spec = world_spec(4);

    spec->limits.cpu_quota_usec_per_sec = 2 * USEC_PER_SEC;
    spec->limits.tasks_max = 100;
    world_running_worker_with(world, spec);
    for (int i = 0; i < 2; i++) {
        TaskSpec *task = world_task(1000, 0);
        task->context->demand.cpu_quota_usec_per_sec = 1200000;
        world_submit_one(world, task);
    }
    assert_log(world->link_log, "run w1 1.1");
    TaskSpec *task = world_task(1000, 5);
    task->context->demand.tasks_max = 101;
    world_submit_one(world, task);
    assert_log(world->news_log, "3 unplaceable: needs 101 processes; the worker has 100");
}

/* ---- rooms that leak */

static void test_given_back(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 2);

    world_submit_limited(world, 800);
    g_assert_cmpint(manager_freeze_worker(world->manager, worker, true, false, world_changed, world), ==, 0);
    assert_log(world->link_log, "run w1 1.1; recall w1 1");
    manager_tasks_given_back(world->manager, worker, &(uint64_t){ 1 }, 1);
    fake_store_dispatch(&world->store);
    g_assert_cmpint(manager_freeze_worker(world->manager, worker, false, false, world_changed, world), ==, 0);
    assert_log(world->link_log, "run w1 1.2");
}

static void test_awaits_inputs(World *world, const void *unused)
{
    TaskSpec *spec = world_limited_task(800);

    world_running_worker(world, 2);
    spec->has_inputs = true;
    world_submit_one(world, spec);
    assert_log(world->link_log, "run w1 1.1<1");
    world_submit_limited(world, 800);
    assert_log(world->link_log, "");
    manager_cancel(world->manager, world_filter_ids(1, 1), UID_ANYBODY, world_cancelled, world);
    fake_store_dispatch(&world->store);
    assert_log(world->link_log, "cancel w1 1");
    world_end(world, world_worker(world, 1), 1, OUTCOME_ABORTED);
    assert_log(world->link_log, "run w1 2.1");
}

/* A window full of tasks that wait for room does not make every event slow. */
static void test_many_waiting(World *world, const void *unused)
{
    TaskSpec *spec = world_limited_task(400);
    Worker *worker = NULL;

    world->facts.cores = world->facts.cpus = 64;
    manager_set_max_workers(world->manager, 64);
    for (int i = 0; i < 31; i++)
        worker = world_running_worker(world, 8);
    spec->array_index = 0;
    spec->array_count = 2000;
    spec->context->demand.memory_auto = true;
    world_submit_one(world, spec);
    uint64_t begin = (uint64_t) g_get_monotonic_time();
    GHashTableIter iter;
    gpointer key;
    for (int i = 0; i < 20; i++) {
        g_hash_table_iter_init(&iter, worker->tasks);
        g_assert_true(g_hash_table_iter_next(&iter, &key, NULL));
        world_end(world, worker, *(uint64_t *) key, OUTCOME_EXITED);
    }
    /* some 5 ms each; with sanitizers on a busy machine twenty times as long, and it was seconds once */
    g_assert_cmpuint((uint64_t) g_get_monotonic_time() - begin, <, 20 * 500 * USEC_PER_MSEC);
}

/* Forty kinds that are too large for the small worker: what comes after them and fits goes there all the same. */
static void test_behind_large_ones(World *world, const void *unused)
{
    Worker *small = world_running_worker(world, 1), *large = world_running_worker(world, 1);

    small->spec->limits.memory_max_bytes = UINT64_C(64) << 20;
    large->spec->limits.memory_max_bytes = UINT64_C(512) << 20;
    for (uint64_t i = 0; i < 41; i++) {
        TaskSpec *spec = world_task(1000, 0);
        spec->context->memory_max_bytes = (200 + i) << 20;
        world_submit_one(world, spec);
    }
    TaskSpec *little = world_task(1001, 0);
    little->context->memory_max_bytes = UINT64_C(16) << 20;
    uint64_t id = world_submit_one(world, little);
    g_assert_nonnull(manager_find_active(world->manager, id));
    g_assert_true(manager_find_active(world->manager, id)->worker == small);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    WORLD_TEST("/fitting/behind-large-ones", test_behind_large_ones);
    WORLD_TEST("/fitting/share", test_share);
    WORLD_TEST("/fitting/no-starving", test_no_starving);
    WORLD_TEST("/fitting/others-go-on", test_others_go_on);
    WORLD_TEST("/fitting/elsewhere", test_elsewhere);
    WORLD_TEST("/fitting/older-waits-too", test_older_waits_too);
    WORLD_TEST("/fitting/each-class", test_each_class);
    WORLD_TEST("/fitting/without-limits", test_without_limits);
    WORLD_TEST("/fitting/never-ahead", test_never_ahead);
    WORLD_TEST("/fitting/gpus", test_gpus);
    WORLD_TEST("/fitting/gpus-of-program", test_gpus_of_program);
    WORLD_TEST("/fitting/optional-gpus", test_optional_gpus);
    WORLD_TEST("/fitting/optional-gpu-once-had", test_optional_gpu_once_had);
    WORLD_TEST("/fitting/gpus-after-restart", test_gpus_after_restart);
    WORLD_TEST("/fitting/resources", test_resources);
    WORLD_TEST("/fitting/cpu-and-processes", test_cpu_and_processes);
    WORLD_TEST("/fitting/given-back", test_given_back);
    WORLD_TEST("/fitting/awaits-inputs", test_awaits_inputs);
    WORLD_TEST("/fitting/many-waiting", test_many_waiting);
    return g_test_run();
}
