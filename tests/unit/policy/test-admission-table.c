/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests to machines that do not exist, one after another, and the verdicts of admission and placing. "--print-table" prints
 * them as doc/admission.md shows them; the page must hold the very same. */
#include <math.h>
#include <string.h>

#include "machine-fixture.h"
#include "policy/admission.h"
#include "util/parse-util.h"

#define GIB (UINT64_C(1) << 30)

typedef enum Verdict {
    YES,
    NUMBER,
    CORES,
    MEMORY,
    NODE,
    PINNED,
    GPUS,
    RESOURCE,
} Verdict;

static const Verdict of_admission[] = { [ADMITTED] = YES,
                                        [REFUSED_TOO_MANY_WORKERS] = NUMBER,
                                        [REFUSED_USER_SHARE] = NUMBER,
                                        [REFUSED_CORES] = CORES,
                                        [REFUSED_MEMORY] = MEMORY };
static const Verdict of_placing[] = { [PLACED] = YES,
                                      [REFUSED_NO_SUCH_NODE] = NODE,
                                      [REFUSED_NODE_MEMORY] = MEMORY,
                                      [REFUSED_PINNED_CORES] = PINNED,
                                      [REFUSED_GPUS] = GPUS,
                                      [REFUSED_RESOURCE] = RESOURCE };

/* The same request so many times, or until it is refused; what was admitted stays. */
typedef struct Request {
    const char *words;
    uint32_t times, admitted;
    Verdict verdict; /* of the last one */
} Request;

typedef struct Script {
    const char *title;
    FakeMachine machine;
    bool use_smt;
    uint32_t max_workers;
    uint64_t available_bytes, reserve_bytes; /* UINT64_MAX available: not known */
    uint64_t group_free_bytes;               /* 0: no limit */
    double group_cpus;                       /* 0: no limit */
    const char *resources;
    Request requests[16]; /* closed by one without words */
} Script;

static const Script scripts[] = {
    { "64 cores of two threads, two nodes of 256G, 4 GPUs; 500G free; MaxWorkers=128 MemoryReserve=25G",
      MACHINE_BIG,
      false,
      128,
      500 * GIB,
      25 * GIB,
      0,
      0,
      "",
      { { "memory=2G", 100, 64, CORES },
        { "memory=2G force", 65, 64, NUMBER },
        { "memory=2G", 1, 0, NUMBER } } },
    { "The same machine, workers of 32G",
      MACHINE_BIG,
      false,
      128,
      500 * GIB,
      25 * GIB,
      0,
      0,
      "",
      { { "memory=32G", 64, 14, MEMORY },
        { "memory=27G", 1, 1, YES },
        { "memory=1M", 1, 0, MEMORY },
        { "memory=infinity", 1, 1, YES },
        { "memory=8G force", 1, 1, YES } } },
    { "The same machine with UseSMT=yes",
      MACHINE_BIG,
      true,
      256,
      500 * GIB,
      25 * GIB,
      0,
      0,
      "",
      { { "memory=1G cpus=4", 20, 20, YES },
        { "memory=1G cpus=0.5", 100, 96, CORES },
        { "memory=1G pin slots=2", 1, 0, CORES } } },
    { "The same machine, workers that ask for a place",
      MACHINE_BIG,
      false,
      64,
      500 * GIB,
      25 * GIB,
      0,
      0,
      "licence=3",
      { { "memory=8G cpus=4 pin gpus=1", 2, 2, YES },
        { "memory=100G cpus=8 numa=auto", 2, 2, YES },
        { "memory=8G cpus=4 pin numa=1 gpus=1", 1, 1, YES },
        { "memory=8G gpus=2", 1, 0, GPUS },
        { "memory=8G gpus=2?", 1, 1, YES },
        { "memory=8G gpus=1?", 1, 1, YES },
        { "memory=8G cpus=30 pin numa=0", 1, 0, PINNED },
        { "memory=8G numa=2", 1, 0, NODE },
        { "memory=160G numa=0", 1, 0, MEMORY },
        { "memory=1G resources=licence=2", 2, 1, RESOURCE },
        { "memory=1G cpus=34 pin", 1, 0, CORES },
        { "memory=1G cpus=34 pin force", 1, 1, YES } } },
    { "A desktop: 8 cores of two threads, 32G, one GPU for computing and one for the screen; 20G free; MemoryReserve=2G",
      MACHINE_DESKTOP,
      false,
      64,
      20 * GIB,
      2 * GIB,
      0,
      0,
      "",
      { { "memory=2G", 64, 8, CORES },
        { "memory=2G cpus=0.5 force", 1, 1, YES },
        { "memory=2G gpus=2 force", 1, 0, GPUS } } },
    { "The same desktop, workers of 8G",
      MACHINE_DESKTOP,
      false,
      64,
      20 * GIB,
      2 * GIB,
      0,
      0,
      "",
      { { "memory=8G gpus=1", 2, 1, GPUS }, { "memory=8G", 2, 1, MEMORY }, { "memory=2G", 1, 1, YES } } },
    { "One core, 2G; 1.5G free; MemoryReserve=512M",
      MACHINE_SINGLE,
      false,
      64,
      GIB + GIB / 2,
      GIB / 2,
      0,
      0,
      "",
      { { "memory=512M", 10, 1, CORES },
        { "memory=512M force", 1, 1, YES },
        { "memory=2G force", 1, 1, YES },
        { "memory=64M pin force", 2, 1, PINNED } } },
    { "Two nodes of 4 cores, the second without memory; a third with memory and no cores; 20G free; MemoryReserve=2G",
      MACHINE_MEMORYLESS,
      false,
      64,
      20 * GIB,
      2 * GIB,
      0,
      0,
      "",
      { { "memory=1G numa=1", 1, 0, NODE },
        { "memory=1G numa=2", 1, 0, NODE },
        { "memory=1G numa=auto pin cpus=3", 2, 1, PINNED },
        { "memory=1G pin cpus=5", 1, 1, YES } } },
    { "A container on the 64 cores: 2.5 CPUs and 8G allowed by its cgroup",
      MACHINE_BIG,
      false,
      64,
      500 * GIB,
      25 * GIB,
      8 * GIB,
      2.5,
      "",
      { { "memory=2G", 10, 2, CORES },
        { "memory=5G cpus=0.5", 1, 0, MEMORY },
        { "memory=4G cpus=0.5", 2, 1, CORES } } },
    { "A machine of which nothing is known",
      MACHINE_UNKNOWN,
      false,
      64,
      UINT64_MAX,
      0,
      0,
      0,
      "",
      { { "memory=2G cpus=4", 63, 63, YES },
        { "memory=2G pin", 1, 0, PINNED },
        { "memory=2G numa=0", 1, 0, NODE },
        { "memory=2G numa=auto gpus=1?", 2, 1, NUMBER } } },
};

/* ------------------------------------------------------------------ the machine in motion */

typedef struct World {
    const Script *script;
    Machine machine;
    GPtrArray *workers; /* WorkerSpec: those that were admitted, none of which uses anything yet */
    GArray *resources;
    double cores_taken;
    uint64_t committed_bytes;
} World;

static void world_init(World *world, const Script *script)
{
    g_autofree char *why = NULL;

    *world = (World){ .script = script, .workers = g_ptr_array_new() };
    fake_machine(script->machine, &world->machine);
    g_assert_cmpint(resources_parse(script->resources, &world->resources, &why), ==, 0);
}

static void world_done(World *world)
{
    for (guint i = 0; i < world->workers->len; i++)
        worker_spec_free(world->workers->pdata[i]);
    g_ptr_array_unref(world->workers);
    g_array_unref(world->resources);
    machine_done(&world->machine);
}

static AdmissionFacts facts_for(const World *world, const WorkerSpec *spec)
{
    const Script *script = world->script;

    return (AdmissionFacts){
        .active = world->workers->len,
        .max_workers = script->max_workers,
        .user_max = UINT32_MAX,
        .user_max_bytes = UINT64_MAX,
        .cores = script->use_smt ? machine_n_cpus(&world->machine) : world->machine.n_cores,
        .use_smt = script->use_smt,
        .threads = machine_n_cpus(&world->machine),
        .cores_taken = world->cores_taken,
        .group_cpus = script->group_cpus > 0 ? script->group_cpus : INFINITY,
        .available_bytes = script->available_bytes,
        .reserve_bytes = script->reserve_bytes,
        .committed_bytes = world->committed_bytes,
        .group_free_bytes = script->group_free_bytes > 0 ? script->group_free_bytes : UINT64_MAX,
        .worker_cores = admission_cores(spec->limits.cpu_quota_usec_per_sec),
        .memory_max_bytes = spec->limits.memory_max_bytes,
        .force = spec->forced,
    };
}

static Verdict ask(World *world, WorkerSpec *spec, char **ret_why)
{
    AdmissionFacts facts = facts_for(world, spec);
    PlacingFacts placing = { &world->machine, world->script->use_smt, world->workers, world->resources };
    Verdict verdict = of_admission[admission_decide(&facts, ret_why)];

    if (verdict == YES)
        verdict = of_placing[placing_decide(&placing, spec, ret_why)];
    if (verdict != YES)
        return verdict;
    world->cores_taken += facts.worker_cores;
    if (spec->limits.memory_max_bytes != LIMIT_INFINITY)
        world->committed_bytes += spec->limits.memory_max_bytes;
    g_ptr_array_add(world->workers, spec);
    return YES;
}

/* ------------------------------------------------------------------ the table */

static char *describe_place(const WorkerSpec *spec)
{
    GString *text = g_string_new(NULL);

    if (spec->limits.allowed_cpus)
        g_string_append_printf(text, "; CPUs %s", spec->limits.allowed_cpus);
    if (spec->limits.allowed_memory_nodes)
        g_string_append_printf(text, "; memory of node %s", spec->limits.allowed_memory_nodes);
    if (spec->placement.gpu_list)
        g_string_append_printf(text, "; GPUs %s", spec->placement.gpu_list);
    if (text->len > 0)
        g_string_erase(text, 0, 2);
    return g_string_free(text, FALSE);
}

/* "memory=2G pin" → "--memory 2G --pin" */
static char *as_options(const char *words)
{
    g_auto(GStrv) split = g_strsplit(words, " ", -1);
    GString *text = g_string_new(NULL);

    for (char **word = split; *word; word++) {
        char *equals = strchr(*word, '=');
        if (equals)
            *equals = ' ';
        g_string_append_printf(text, "%s--%s", text->len > 0 ? " " : "",
                               g_str_has_prefix(*word, "resources ") ? "resource " : *word);
        if (g_str_has_prefix(*word, "resources "))
            g_string_append(text, *word + strlen("resources "));
    }
    return g_string_free(text, FALSE);
}

/* The last verdict, with the reason; of those that were admitted, where they are. */
static void run_request(World *world, const Request *request, GString *table)
{
    g_autoptr(GString) places = g_string_new(NULL);
    g_autofree char *why = NULL, *options = as_options(request->words);
    Verdict verdict = YES;
    uint32_t admitted = 0;

    for (uint32_t i = 0; i < request->times && verdict == YES; i++) {
        WorkerSpec *spec = fake_request(request->words);
        verdict = ask(world, spec, &why);
        if (verdict != YES) {
            worker_spec_free(spec);
            continue;
        }
        g_autofree char *place = describe_place(spec);
        if (*place)
            g_string_append_printf(places, "%s%s", places->len > 0 ? "<br>" : "", place);
        admitted++;
    }
    if (g_test_initialized())
        g_test_message("%s", request->words);
    g_assert_cmpuint(admitted, ==, request->admitted);
    g_assert_cmpint(verdict, ==, request->verdict);
    g_string_append_printf(table, "| `%s` | %u | %u | %s%s%s |\n", options, request->times, admitted,
                           places->str, places->len > 0 && why ? "<br>" : "", why ? why : "");
}

static char *make_table(void)
{
    GString *table = g_string_new(NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(scripts); i++) {
        World world;
        world_init(&world, &scripts[i]);
        g_string_append_printf(
            table, "%s### %s\n\n| asked for | times | admitted | where; why no more |\n|---|---|---|---|\n",
            i > 0 ? "\n" : "", scripts[i].title);
        for (const Request *request = scripts[i].requests; request->words; request++)
            run_request(&world, request, table);
        world_done(&world);
    }
    return g_string_free(table, FALSE);
}

static void test_verdicts(void)
{
    g_autofree char *table = make_table();

    g_assert_nonnull(strstr(table, "--memory 32G"));
}

/* If this fails, put what "test-admission-table --print-table" prints between the two marks. */
static void test_page(void)
{
    g_autofree char *page = NULL, *table = make_table();

    g_assert_true(g_file_get_contents(TOP "/doc/admission.md", &page, NULL, NULL));
    char *begin = strstr(page, "<!-- tables -->\n"), *end = strstr(page, "<!-- end of tables -->\n");
    g_assert_true(begin && end && begin < end);
    *end = '\0';
    g_assert_cmpstr(begin + strlen("<!-- tables -->\n"), ==, table);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--print-table") == 0) {
        g_autofree char *table = make_table();
        g_print("%s", table);
        return 0;
    }
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/admission-table/verdicts", test_verdicts);
    g_test_add_func("/admission-table/page", test_page);
    return g_test_run();
}
