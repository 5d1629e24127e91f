/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* placing.c: scripts of requests to machines that do not exist; what is placed stays. */
#include "policy/placing.h"

#include <string.h>

#include "machine-fixture.h"

typedef struct Step {
    const char *request;
    const char *result; /* "cpus 0-3; nodes 0; gpus 0,1", or a refusal: "cores: needs …" */
} Step;

static const char *const refusals[] = {
    [REFUSED_NO_SUCH_NODE] = "node",
    [REFUSED_NODE_MEMORY] = "memory",
    [REFUSED_PINNED_CORES] = "cores",
    [REFUSED_GPUS] = "gpus",
    [REFUSED_RESOURCE] = "resource",
};

static char *result_of(PlacingVerdict verdict, const WorkerSpec *spec, const char *why)
{
    if (verdict != PLACED)
        return g_strdup_printf("%s: %s", refusals[verdict], why);
    g_assert_null(why);
    g_assert_true((spec->placement.gpus > 0) == (spec->placement.gpu_list != NULL));
    return g_strdup_printf("cpus %s; nodes %s; gpus %s",
                           spec->limits.allowed_cpus ? spec->limits.allowed_cpus : "-",
                           spec->limits.allowed_memory_nodes ? spec->limits.allowed_memory_nodes : "-",
                           spec->placement.gpu_list ? spec->placement.gpu_list : "-");
}

static char *shown(const WorkerSpec *spec)
{
    g_autofree char *placement = placement_to_text(&spec->placement);

    return g_strdup_printf("%s %s %s", spec->limits.allowed_cpus, spec->limits.allowed_memory_nodes,
                           placement);
}

static void run_machine(const Machine *machine, bool use_smt, const char *resources, const Step *steps)
{
    g_autoptr(GPtrArray) others = g_ptr_array_new();
    g_autoptr(GArray) there_are = NULL;
    g_autofree char *ignored = NULL;

    g_assert_cmpint(resources_parse(resources, &there_are, &ignored), ==, 0);
    PlacingFacts facts = { machine, use_smt, others, there_are };
    for (; steps->request; steps++) {
        g_autoptr(WorkerSpec) spec = fake_request(steps->request);
        g_autofree char *why = (char *) 1, *before = shown(spec);
        PlacingVerdict verdict = placing_decide(&facts, spec, &why);
        g_autofree char *result = result_of(verdict, spec, why), *after = shown(spec);
        g_test_message("%s", steps->request);
        g_assert_cmpstr(result, ==, steps->result);
        if (verdict == PLACED)
            g_ptr_array_add(others, g_steal_pointer(&spec));
        else
            g_assert_cmpstr(after, ==, before);
    }
    for (guint i = 0; i < others->len; i++)
        worker_spec_free(others->pdata[i]);
}

static void run(FakeMachine which, bool use_smt, const char *resources, const Step *steps)
{
    Machine machine;

    fake_machine(which, &machine);
    run_machine(&machine, use_smt, resources, steps);
    machine_done(&machine);
}

static void test_big(void)
{
    static const Step steps[] = {
        { "", "cpus -; nodes -; gpus -" },
        { "cpus=4", "cpus -; nodes -; gpus -" }, /* nothing asked for, nothing bound */
        { "pin cpus=4", "cpus 0-3,64-67; nodes -; gpus -" },
        { "pin slots=2", "cpus 4-5,68-69; nodes -; gpus -" },
        { "pin cpus=2 slots=9", "cpus 6-7,70-71; nodes -; gpus -" }, /* the quota counts, not the slots */
        { "pin cpus=1.5", "cpus 8-9,72-73; nodes -; gpus -" },
        { "pin cpus=28", "cpus 32-59,96-123; nodes -; gpus -" }, /* 22 are left on the first node */
        { "pin cpus=26",
          "cpus 10-31,60-63,74-95,124-127; nodes -; gpus -" }, /* no node has so many: across both */
        { "pin",
          "cores: needs 1 core of its own; of 64, 64 taken by other workers; UseSMT=yes would count 128 hardware threads" },
        { "numa=0", "cpus 0-31,64-95; nodes 0; gpus -" },
        { NULL },
    };

    run(MACHINE_BIG, false, "", steps);
}

static void test_big_nodes(void)
{
    static const Step steps[] = {
        { "numa=auto memory=8G", "cpus 0-31,64-95; nodes 0; gpus -" },
        { "numa=auto memory=20G", "cpus 32-63,96-127; nodes 1; gpus -" }, /* it has more memory left */
        { "numa=auto memory=8G", "cpus 0-31,64-95; nodes 0; gpus -" },
        { "numa=auto memory=8G", "cpus 0-31,64-95; nodes 0; gpus -" }, /* 240G there, 236G here */
        { "numa=auto", "cpus 32-63,96-127; nodes 1; gpus -" },
        { "numa=1 pin cpus=20", "cpus 32-51,96-115; nodes 1; gpus -" },
        { "numa=1 pin cpus=20",
          "cores: needs 20 cores of its own; of 32 on NUMA node 1, 20 taken by other workers; UseSMT=yes would count 128 hardware "
          "threads" },
        { "numa=auto pin cpus=20", "cpus 0-19,64-83; nodes 0; gpus -" },
        { "numa=auto pin cpus=40",
          "cores: needs 40 cores of its own; of 32 on NUMA node 1, 20 taken by other workers; UseSMT=yes would count 128 hardware "
          "threads" },
        { "numa=2", "node: there is no NUMA node 2; there are 0-1" },
        { "numa=2147483647 pin gpus=9", "node: there is no NUMA node 2147483647; there are 0-1" },
        { "numa=1 allowed-cpus=0-31", "node: NUMA node 1 has none of the CPUs 0-31" },
        { "allowed-cpus=128-8000", "cores: there is none of the CPUs 128-8000; there are 0-127" },
        { "numa=7 pin allowed-cpus=128", "cores: there is none of the CPUs 128; there are 0-127" },
        { "allowed-cpus=127-8000", "cpus 127-8000; nodes -; gpus -" }, /* one is enough */
        { "numa=1 allowed-cpus=30-33,8000", "cpus 32-33; nodes 1; gpus -" },
        { NULL },
    };

    run(MACHINE_BIG, false, "", steps);
}

/* What a pinned worker has does not follow a quota that changes. */
static void test_own_cores(void)
{
    g_autoptr(WorkerSpec) spec = fake_request("pin cpus=2");
    PlacingFacts facts = { .use_smt = false };
    g_autofree char *why = NULL;
    Machine machine;

    fake_machine(MACHINE_BIG, &machine);
    facts.machine = &machine;
    g_assert_cmpuint(placing_units(spec), ==, 2);
    g_assert_cmpint(placing_decide(&facts, spec, &why), ==, PLACED);
    spec->limits.cpu_quota_usec_per_sec = 5 * USEC_PER_SEC;
    g_assert_cmpuint(placing_units(spec), ==, 2);
    g_assert_cmpstr(spec->limits.allowed_cpus, ==, "0-1,64-65");
    machine_done(&machine);
}

/* 256G a node: what is promised to those that keep to it. */
static void test_node_memory(void)
{
    static const Step steps[] = {
        { "numa=0 memory=100G", "cpus 0-31,64-95; nodes 0; gpus -" },
        { "numa=0 memory=100G", "cpus 0-31,64-95; nodes 0; gpus -" },
        { "memory=200G", "cpus -; nodes -; gpus -" }, /* keeps to none */
        { "numa=0 memory=57G",
          "memory: needs 57.0G of memory on NUMA node 0; of its 256.0G, 200.0G promised to the workers that keep to it" },
        { "numa=0 memory=56G", "cpus 0-31,64-95; nodes 0; gpus -" },
        { "numa=0 memory=infinity", "cpus 0-31,64-95; nodes 0; gpus -" }, /* nothing is promised to it */
        { "numa=0 memory=1G",
          "memory: needs 1.0G of memory on NUMA node 0; of its 256.0G, 256.0G promised to the workers that keep to it" },
        { "numa=0 memory=1G force", "cpus 0-31,64-95; nodes 0; gpus -" },
        { "numa=auto gpus=1 memory=257G",
          "memory: needs 257.0G of memory on NUMA node 1; of its 256.0G, 0B promised to the workers that keep to it" },
        { "numa=auto gpus=3 memory=200G", "cpus 32-63,96-127; nodes 1; gpus 0,2,3" }, /* memory before GPUs */
        { NULL },
    };

    run(MACHINE_BIG, false, "", steps);
}

static void test_big_gpus(void)
{
    static const Step steps[] = {
        { "gpus=5", "gpus: needs 5 GPUs; of 4, 0 taken by other workers" },
        { "gpus=1 numa=1", "cpus 32-63,96-127; nodes 1; gpus 2" },
        { "gpus=2 pin cpus=2", "cpus 0-1,64-65; nodes -; gpus 0,1" }, /* near them */
        { "gpus=2", "gpus: needs 2 GPUs; of 4, 3 taken by other workers" },
        { "gpus=2?", "cpus -; nodes -; gpus 3" },
        { "gpus=2?", "cpus -; nodes -; gpus -" },
        { "gpus=1", "gpus: needs 1 GPU; of 4, 4 taken by other workers" },
        { NULL },
    };
    static const Step spread[] = {
        { "gpus=3 pin cpus=2", "cpus 0-1,64-65; nodes -; gpus 0,1,2" }, /* more than a node has */
        { "gpus=1 pin cpus=1", "cpus 32,96; nodes -; gpus 3" },
        { NULL },
    };
    static const Step full_node[] = {
        { "pin cpus=32", "cpus 0-31,64-95; nodes -; gpus -" },
        { "gpus=2 pin cpus=1", "cpus 32,96; nodes -; gpus 2,3" }, /* where both are */
        { "gpus=1 pin cpus=1", "cpus 33,97; nodes -; gpus 0" },
        { NULL },
    };

    run(MACHINE_BIG, false, "", steps);
    run(MACHINE_BIG, false, "", spread);
    run(MACHINE_BIG, false, "", full_node);
}

static void test_desktop(void)
{
    static const Step cores[] = {
        { "pin cpus=3 allowed-cpus=2-5,13",
          "cpus 2-4; nodes -; gpus -" }, /* core 5 by both of its threads, were it taken */
        { "pin cpus=2 allowed-cpus=2-5,13",
          "cores: needs 2 cores of its own; of 4 within the CPUs 2-5,13, 3 taken by other workers; UseSMT=yes would count 16 "
          "hardware threads" },
        { "pin allowed-cpus=2-5,13", "cpus 5,13; nodes -; gpus -" },
        { "pin cpus=8",
          "cores: needs 8 cores of its own; of 8, 4 taken by other workers; UseSMT=yes would count 16 hardware threads" },
        { "pin cpus=4 numa=auto", "cpus 0-1,6-9,14-15; nodes 0; gpus -" },
        { NULL },
    };
    static const Step threads[] = {
        { "pin cpus=3", "cpus 0-1,8; nodes -; gpus -" }, /* two of the first core, one of the next */
        { "pin cpus=2", "cpus 2,9; nodes -; gpus -" },
        { "pin cpus=12", "cores: needs 12 hardware threads of its own; of 16, 5 taken by other workers" },
        { "pin cpus=11", "cpus 3-7,10-15; nodes -; gpus -" },
        { "pin", "cores: needs 1 hardware thread of its own; of 16, 16 taken by other workers" },
        { NULL },
    };
    static const Step gpus[] = {
        { "gpus=2",
          "gpus: needs 2 GPUs; of 1, 0 taken by other workers" }, /* the screen's is of another vendor */
        { "gpus=4?", "cpus -; nodes -; gpus 0" },
        { "gpus=1?", "cpus -; nodes -; gpus -" },
        { NULL },
    };

    run(MACHINE_DESKTOP, false, "", cores);
    run(MACHINE_DESKTOP, true, "", threads);
    run(MACHINE_DESKTOP, false, "", gpus);
}

static void test_small(void)
{
    static const Step single[] = {
        { "pin", "cpus 0; nodes -; gpus -" },
        { "pin", "cores: needs 1 core of its own; of 1, 1 taken by other workers" },
        { "numa=auto", "cpus 0; nodes 0; gpus -" },
        { "numa=1", "node: there is no NUMA node 1; there are 0" },
        { "gpus=1", "gpus: needs 1 GPU; of 0, 0 taken by other workers" },
        { "gpus=1?", "cpus -; nodes -; gpus -" },
        { NULL },
    };
    static const Step memoryless[] = {
        { "numa=1", "node: NUMA node 1 has no memory" },
        { "numa=2", "node: NUMA node 2 has no cores" },
        { "numa=auto", "cpus 0-3; nodes 0; gpus -" },
        { "numa=auto", "cpus 0-3; nodes 0; gpus -" }, /* there is no other */
        { "pin cpus=6", "cpus 0-5; nodes -; gpus -" },
        { "numa=auto pin", "cores: needs 1 core of its own; of 4 on NUMA node 0, 4 taken by other workers" },
        { "numa=auto allowed-cpus=4-7",
          "node: none of 3 NUMA nodes has both memory and cores that the worker may use" },
        { NULL },
    };
    static const Step unknown[] = {
        { "", "cpus -; nodes -; gpus -" },
        { "numa=auto", "cpus -; nodes -; gpus -" }, /* one memory for all */
        { "numa=0", "node: there is no NUMA node 0; this machine tells of none" },
        { "pin", "cores: needs 1 core of its own; of 0, 0 taken by other workers" },
        { "pin slots=0", "cores: needs 1 core of its own; of 0, 0 taken by other workers" },
        { "gpus=2?", "cpus -; nodes -; gpus -" },
        { "gpus=4294967295", "gpus: needs 4294967295 GPUs; of 0, 0 taken by other workers" },
        { NULL },
    };

    run(MACHINE_SINGLE, false, "", single);
    run(MACHINE_MEMORYLESS, false, "", memoryless);
    run(MACHINE_UNKNOWN, false, "", unknown);
    run_machine(NULL, true, "", (const Step[]){ { "numa=auto", "cpus -; nodes -; gpus -" }, { NULL } });
}

static void test_resources(void)
{
    static const Step steps[] = {
        { "resources=licence=2", "cpus -; nodes -; gpus -" },
        { "resources=licence=2", "resource: needs 2 of licence; of 3, 2 taken by other workers" },
        { "resources=tape=1,licence=1", "cpus -; nodes -; gpus -" },
        { "resources=tape=1", "resource: needs 1 of tape; of 1, 1 taken by other workers" },
        { "resources=robot=1", "resource: needs 1 of robot; of 0, 0 taken by other workers" },
        { "resources=licence=4294967295",
          "resource: needs 4294967295 of licence; of 3, 3 taken by other workers" },
        /* the first part that cannot be had is told, and nothing of the others is taken */
        { "pin cpus=2 gpus=1? numa=0 resources=robot=1",
          "resource: needs 1 of robot; of 0, 0 taken by other workers" },
        { "pin cpus=8", "cpus 0-15; nodes -; gpus -" },
        { NULL },
    };

    run(MACHINE_DESKTOP, false, "licence=3,tape=1", steps);
}

/* Whatever is asked for, no core and no GPU is two workers' own. */
static void test_disjoint(void)
{
    static const char *const requests[] = {
        "pin cpus=3 gpus=1?", "pin numa=auto cpus=2",          "pin slots=5 gpus=2?",
        "pin numa=1 cpus=7",  "pin allowed-cpus=10-40 cpus=2",
    };
    g_autoptr(GPtrArray) others = g_ptr_array_new();
    bool cpu_taken[128] = { false }, gpu_taken[4] = { false };
    Machine machine;
    guint n_cpus = 0;

    fake_machine(MACHINE_BIG, &machine);
    PlacingFacts facts = { &machine, false, others, NULL };
    for (guint i = 0; i < 60; i++) {
        WorkerSpec *spec = fake_request(requests[i % G_N_ELEMENTS(requests)]);
        g_autofree char *why = NULL;
        if (placing_decide(&facts, spec, &why) != PLACED) {
            worker_spec_free(spec);
            continue;
        }
        g_ptr_array_add(others, spec);
        g_auto(GStrv) gpus = g_strsplit(spec->placement.gpu_list ? spec->placement.gpu_list : "", ",", -1);
        for (char **gpu = gpus; *gpu; gpu++) {
            g_assert_false(gpu_taken[g_ascii_strtoull(*gpu, NULL, 10)]);
            gpu_taken[g_ascii_strtoull(*gpu, NULL, 10)] = true;
        }
        g_auto(GStrv) ranges = g_strsplit(spec->limits.allowed_cpus, ",", -1);
        for (char **range = ranges; *range; range++) {
            char *dash = strchr(*range, '-');
            guint64 last = g_ascii_strtoull(dash ? dash + 1 : *range, NULL, 10);
            for (guint64 cpu = g_ascii_strtoull(*range, NULL, 10); cpu <= last; cpu++, n_cpus++) {
                g_assert_false(cpu_taken[cpu]);
                cpu_taken[cpu] = true;
            }
        }
    }
    g_assert_true(gpu_taken[0] && gpu_taken[1] && gpu_taken[2] && gpu_taken[3]);
    g_assert_cmpuint(n_cpus, >=, 120); /* what is left over is less than anyone asks for */
    for (guint i = 0; i < others->len; i++)
        worker_spec_free(others->pdata[i]);
    machine_done(&machine);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/placing/big", test_big);
    g_test_add_func("/placing/big-nodes", test_big_nodes);
    g_test_add_func("/placing/own-cores", test_own_cores);
    g_test_add_func("/placing/node-memory", test_node_memory);
    g_test_add_func("/placing/big-gpus", test_big_gpus);
    g_test_add_func("/placing/desktop", test_desktop);
    g_test_add_func("/placing/small", test_small);
    g_test_add_func("/placing/resources", test_resources);
    g_test_add_func("/placing/disjoint", test_disjoint);
    return g_test_run();
}
