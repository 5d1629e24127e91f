/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "machine-fixture.h"

#include <string.h>

#include "util/parse-util.h"

#define GIB (UINT64_C(1) << 30)

typedef struct Shape {
    uint32_t packages, nodes, cores_per_node,
        threads; /* as of Linux: the second threads come after all the first ones */
    uint64_t memory[4];
    uint32_t memory_only; /* nodes beside them, without cores */
    const char *gpus;     /* "nvidia:0 intel:-1": vendor and node */
} Shape;

static const Shape shapes[_MACHINE_MAX] = {
    [MACHINE_BIG] = { 2, 2, 32, 2, { 256 * GIB, 256 * GIB }, 0, "nvidia:0 nvidia:0 nvidia:1 nvidia:1" },
    [MACHINE_DESKTOP] = { 1, 1, 8, 2, { 32 * GIB }, 0, "nvidia:0 intel:-1" },
    [MACHINE_SINGLE] = { 1, 1, 1, 1, { 2 * GIB }, 0, "" },
    [MACHINE_MEMORYLESS] = { 2, 2, 4, 1, { 16 * GIB, 0, 8 * GIB }, 1, "" },
    [MACHINE_UNKNOWN] = { .gpus = "" },
};

static void make_cores(const Shape *shape, Machine *ret)
{
    uint32_t n = shape->nodes * shape->cores_per_node;

    ret->n_cores = n;
    ret->cores = g_new0(MachineCore, n);
    for (uint32_t i = 0; i < n; i++) {
        MachineCore *core = &ret->cores[i];
        core->node = (int32_t) (i / shape->cores_per_node);
        core->package = (uint32_t) core->node % shape->packages;
        core->n_cpus = shape->threads;
        core->cpus = g_new(uint32_t, shape->threads);
        for (uint32_t j = 0; j < shape->threads; j++)
            core->cpus[j] = i + j * n;
    }
}

static void make_gpus(const Shape *shape, Machine *ret)
{
    g_auto(GStrv) words = g_strsplit_set(shape->gpus, " :", -1);
    size_t n = *words ? g_strv_length(words) / 2 : 0;

    ret->n_gpus = n;
    ret->gpus = g_new0(MachineGpu, n);
    for (size_t i = 0; i < n; i++) {
        bool same = i > 0 && strcmp(ret->gpus[i - 1].vendor, words[2 * i]) == 0;
        ret->gpus[i] = (MachineGpu){ .index = same ? ret->gpus[i - 1].index + 1 : 0,
                                     .vendor = g_strdup(words[2 * i]),
                                     .name = g_strdup(""),
                                     .bus = g_strdup_printf("0000:%02zx:00.0", i + 1),
                                     .node = (int32_t) g_ascii_strtoll(words[2 * i + 1], NULL, 10) };
    }
}

void fake_machine(FakeMachine which, Machine *ret)
{
    const Shape *shape = &shapes[which];

    *ret = (Machine){ .n_packages = shape->packages, .n_nodes = shape->nodes + shape->memory_only };
    ret->nodes = g_new0(MachineNode, ret->n_nodes);
    for (size_t i = 0; i < ret->n_nodes; i++)
        ret->nodes[i] = (MachineNode){ (int32_t) i, shape->memory[i] };
    make_cores(shape, ret);
    make_gpus(shape, ret);
}

/* ------------------------------------------------------------------ requests */

static void read_cpus(WorkerSpec *spec, const char *value)
{
    g_assert_cmpint(parse_cpus(value, &spec->limits.cpu_quota_usec_per_sec), ==, 0);
}

static void read_memory(WorkerSpec *spec, const char *value)
{
    g_assert_cmpint(parse_bytes(value, &spec->limits.memory_max_bytes), ==, 0);
}

static void read_slots(WorkerSpec *spec, const char *value)
{
    spec->slots = (uint32_t) g_ascii_strtoull(value, NULL, 10);
}

static void read_allowed_cpus(WorkerSpec *spec, const char *value)
{
    g_free(spec->limits.allowed_cpus);
    spec->limits.allowed_cpus = g_strdup(value);
}

WorkerSpec *fake_request(const char *words)
{
    static const struct {
        const char *key;
        void (*read)(WorkerSpec *spec, const char *value);
    } keys[] = {
        { "cpus=", read_cpus },
        { "memory=", read_memory },
        { "slots=", read_slots },
        { "allowed-cpus=", read_allowed_cpus },
    };
    WorkerSpec *spec = worker_spec_new();
    g_auto(GStrv) split = g_strsplit(words, " ", -1);

    g_assert_cmpint(placement_from_text(words, &spec->placement), ==, 0);
    for (char **word = split; *word; word++) {
        spec->placement.pin |= strcmp(*word, "pin") == 0;
        spec->forced |= strcmp(*word, "force") == 0;
        for (size_t i = 0; i < G_N_ELEMENTS(keys); i++)
            if (g_str_has_prefix(*word, keys[i].key))
                keys[i].read(spec, *word + strlen(keys[i].key));
    }
    return spec;
}
