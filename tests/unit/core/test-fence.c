/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fence.c: who keeps off the CPUs of pinned workers, and from when to when. */
#include "fake-ports.h"

/* Four cores of one thread, two on each of two nodes. */
static void four_cores(World *world)
{
    static uint32_t cpus[] = { 0, 1, 2, 3 };
    static MachineCore cores[] = { { 0, 0, cpus, 1 }, { 0, 0, cpus + 1, 1 }, { 0, 1, cpus + 2, 1 }, { 0, 1, cpus + 3, 1 } };
    static MachineNode nodes[] = { { 0, UINT64_C(8) << 30 }, { 1, UINT64_C(8) << 30 } };

    world->machine = (Machine){ .n_packages = 1, .cores = cores, .n_cores = 4, .nodes = nodes, .n_nodes = 2 };
    world->facts.cores = world->facts.cpus = 64;
}

static WorkerSpec *pinned(uint32_t n)
{
    WorkerSpec *spec = world_spec(n);

    spec->placement.pin = true;
    return spec;
}

/* What the engine is told. */
static char *start(World *world, WorkerSpec *spec)
{
    world_forget_logs(world);
    g_assert_cmpint(world_add(world, spec, NULL), ==, ADMITTED);
    fake_store_dispatch(&world->store);
    char *log = world_take(world->engine_log);
    const GPtrArray *workers = manager_workers(world->manager);
    uint32_t number = ((Worker *) workers->pdata[workers->len - 1])->number;
    world_engine_started(world, number);
    g_assert_cmpint(world_register(world, number), ==, 0);
    fake_store_dispatch(&world->store);
    assert_log(world->engine_log, ""); /* it is as it should be */
    return log;
}

#define assert_starts(world, spec, expected)                                                                    \
    do {                                                                                                        \
        g_autofree char *log_ = start(world, spec);                                                             \
        g_assert_cmpstr(log_, ==, expected);                                                                    \
    } while (0)

static void end(World *world, uint32_t number)
{
    world_gone(world, number, NULL);
    fake_store_dispatch(&world->store);
}

static void test_comes_and_goes(World *world, const void *unused)
{
    four_cores(world);
    assert_starts(world, world_spec(1), "start w1");
    assert_starts(world, pinned(1), "limits w1 1024 cpus 1-3; start w2 cpus 0");
    assert_starts(world, world_spec(1), "start w3 cpus 1-3");
    assert_starts(world, pinned(2), "limits w1 1024 cpus 1; limits w3 1024 cpus 1; start w4 cpus 2-3");
    /* nothing is left: then they may go anywhere again */
    assert_starts(world, pinned(1), "limits w1 1024 cpus 0-3; limits w3 1024 cpus 0-3; start w5 cpus 1");
    end(world, 5);
    assert_log(world->engine_log, "release w5; limits w1 1024 cpus 1; limits w3 1024 cpus 1");
    end(world, 2);
    assert_log(world->engine_log, "release w2; limits w1 1024 cpus 0-1; limits w3 1024 cpus 0-1");
    end(world, 4);
    assert_log(world->engine_log, "release w4; limits w1 1024 cpus 0-3; limits w3 1024 cpus 0-3");
}

/* Who was told which CPUs to use uses them; who keeps to a node, those of it that are left. */
static void test_told(World *world, const void *unused)
{
    WorkerSpec *told = world_spec(1), *near = world_spec(1);

    four_cores(world);
    told->limits.allowed_cpus = g_strdup("0-1");
    near->placement.numa = 0;
    assert_starts(world, told, "start w1 cpus 0-1");
    assert_starts(world, near, "start w2 cpus 0-1");
    WorkerSpec *spec = pinned(1);
    spec->limits.allowed_cpus = g_strdup("0");
    assert_starts(world, spec, "limits w2 1024 cpus 1; start w3 cpus 0");
}

/* Limits and pressure do not take it away. */
static void test_stays(World *world, const void *unused)
{
    g_autofree char *why = NULL;

    four_cores(world);
    Worker *worker = world_running_worker(world, 1);
    world_running_worker_with(world, pinned(1));
    world_forget_logs(world);
    WorkerLimits limits = worker->spec->limits;
    limits.memory_max_bytes /= 2;
    g_assert_cmpint(manager_set_worker_limits(world->manager, worker, &limits, false, world_changed, world, &why), ==, 0);
    assert_log(world->engine_log, "limits w1 512 cpus 1-3");
    world_limits_set(world, 1, 0, NULL);
    g_assert_null(worker->spec->limits.allowed_cpus); /* it is not part of what it was asked to be */
}

/* The pinned one ends while there is no service. */
static void test_restart(World *world, const void *unused)
{
    four_cores(world);
    world_running_worker(world, 1);
    world_running_worker_with(world, pinned(1));
    world_forget_logs(world);
    world_restart(world);
    assert_log(world->engine_log, "adopt w1 1001; adopt w2 1002"); /* they are as they were */
    end(world, 2);
    g_autofree char *log = world_take(world->engine_log);
    g_assert_cmpstr(log, ==, "release w2; limits w1 1024 cpus 0-3");
    world_restart(world);
    g_autofree char *after = world_take(world->engine_log);
    g_assert_null(strstr(after, "limits"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    WORLD_TEST("/fence/comes-and-goes", test_comes_and_goes);
    WORLD_TEST("/fence/told", test_told);
    WORLD_TEST("/fence/stays", test_stays);
    WORLD_TEST("/fence/restart", test_restart);
    return g_test_run();
}
