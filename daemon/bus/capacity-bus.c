/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Statistics and Topology: what tasks took before, and what of the machine is whose. Reads only. */
#include <stddef.h>

#include "bus/bus-internal.h"
#include "bus/manager-methods.h"
#include "bus/options.h"
#include "bus/worker-share.h"

/* ---- Statistics */

typedef struct StatisticsOptions {
    char *name;
    bool all;
    uint64_t before;
    uint32_t limit;
} StatisticsOptions;

static void statistics_options_done(StatisticsOptions *options)
{
    g_free(options->name);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(StatisticsOptions, statistics_options_done)

static const Option statistics_options[] = {
    { "name", "s", offsetof(StatisticsOptions, name) },
    { "all", "b", offsetof(StatisticsOptions, all) },
    { "before", "t", offsetof(StatisticsOptions, before) },
    { "limit", "u", offsetof(StatisticsOptions, limit) },
    { NULL },
};

static int append_statistics(sd_bus_message *m, const StatisticsRow *row)
{
    const LearnedFigures *figures = &row->figures;

    return sd_bus_message_append(m, "a{sv}", 11, "class", "s", row->class, "owner", "u", row->owner, "count",
                                 "t", figures->count, "memory-median", "t", figures->memory_median_bytes,
                                 "memory-p95", "t", figures->memory_p95_bytes, "memory-max", "t",
                                 figures->memory_max_bytes, "time-median", "t", figures->time_median_usec,
                                 "time-p95", "t", figures->time_p95_usec, "time-max", "t",
                                 figures->time_max_usec, "next-memory", "t", row->next_memory_bytes, "order", "t",
                                 row->order);
}

static int reply_statistics(sd_bus_message *m, const GPtrArray *rows)
{
    g_autoptr(sd_bus_message) reply = NULL;
    int r = sd_bus_message_new_method_return(m, &reply);

    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "a{sv}");
    for (guint i = 0; r >= 0 && i < rows->len; i++)
        r = append_statistics(reply, rows->pdata[i]);
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

/* One call has so many rows at most: working them all out would take a quarter of a second, in which nothing else is done. */
static int read_statistics_options(sd_bus_message *m, StatisticsOptions *ret, sd_bus_error *error)
{
    *ret = (StatisticsOptions){ .before = UINT64_MAX, .limit = PAREXEC_STATISTICS_ROWS_MAX };
    int r = options_read(m, statistics_options, ret, error);

    if (r >= 0 && (ret->limit == 0 || ret->limit > PAREXEC_STATISTICS_ROWS_MAX))
        return options_invalid(error, "limit is %u; one call answers from 1 to %u classes.", ret->limit,
                               PAREXEC_STATISTICS_ROWS_MAX);
    return r;
}

int capacity_method_statistics(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    g_auto(StatisticsOptions) options = { 0 };
    Bus *bus = userdata;
    Peer *peer;
    int r = read_statistics_options(m, &options, error);

    if (r >= 0)
        r = bus_check(bus, m, options.all ? PAREXEC_ACTION_MANAGE_TASKS : NULL, &peer, error);
    if (r <= 0)
        return r < 0 ? r : 1;
    const StatisticsFilter filter = {
        .only_uid = options.all || peer->uid == 0 ? UID_ANYBODY : peer->uid,
        .class = options.name,
        .before = options.before,
        .limit = options.limit,
    };
    g_autoptr(GPtrArray) rows = manager_statistics(bus->manager, &filter);
    call_done(bus->calls, m);
    return reply_statistics(m, rows);
}

/* ---- Topology */

static int append_cores(sd_bus_message *m, Manager *manager, const Machine *machine)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < machine->n_cores; i++) {
        const MachineCore *core = &machine->cores[i];
        g_autofree char *cpus = machine_format_list(core->cpus, core->n_cpus);
        r = sd_bus_message_append(m, "a{sv}", 5, "core", "u", (uint32_t) i, "package", "u", core->package,
                                  "node", "i", core->node, "cpus", "s", cpus, "worker", "s",
                                  worker_share_of_core(manager_workers(manager), core));
    }
    return r;
}

static int append_nodes(sd_bus_message *m, Manager *manager, const Machine *machine)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < machine->n_nodes; i++)
        r = sd_bus_message_append(m, "a{sv}", 2, "node", "i", machine->nodes[i].number, "memory", "t",
                                  machine->nodes[i].memory_bytes);
    return r;
}

/* Only those of the first one's vendor are given to workers: their numbers are among those of one vendor. */
static const char *gpu_worker(Manager *manager, const Machine *machine, const MachineGpu *gpu)
{
    bool counts = strcmp(gpu->vendor, machine->gpus[0].vendor) == 0;

    return counts ? worker_share_of_gpu(manager_workers(manager), gpu->index) : "";
}

static int append_gpus(sd_bus_message *m, Manager *manager, const Machine *machine)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < machine->n_gpus; i++) {
        const MachineGpu *gpu = &machine->gpus[i];
        r = sd_bus_message_append(m, "a{sv}", 6, "index", "u", gpu->index, "vendor", "s", gpu->vendor, "name",
                                  "s", gpu->name, "bus", "s", gpu->bus, "node", "i", gpu->node, "worker", "s",
                                  gpu_worker(manager, machine, gpu));
    }
    return r;
}

static int append_resources(sd_bus_message *m, Manager *manager, const Machine *machine)
{
    const GArray *resources = manager_settings(manager)->resources;
    int r = 0;

    for (guint i = 0; r >= 0 && resources && i < resources->len; i++) {
        const Resource *resource = &g_array_index(resources, Resource, i);
        r = sd_bus_message_append(m, "a{sv}", 3, "name", "s", resource->name, "count", "u", resource->count,
                                  "taken", "u", worker_share_taken(manager_workers(manager), resource->name));
    }
    return r;
}

int capacity_method_topology(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    static const struct {
        const char *key;
        int (*append)(sd_bus_message *m, Manager *manager, const Machine *machine);
    } parts[] = {
        { "cores", append_cores },
        { "nodes", append_nodes },
        { "gpus", append_gpus },
        { "resources", append_resources },
    };
    g_autoptr(sd_bus_message) reply = NULL;
    Manager *manager = ((Bus *) userdata)->manager;
    int r = sd_bus_message_new_method_return(m, &reply);

    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "{sv}");
    for (size_t i = 0; r >= 0 && i < G_N_ELEMENTS(parts); i++) {
        r = sd_bus_message_open_container(reply, 'e', "sv");
        if (r >= 0)
            r = sd_bus_message_append_basic(reply, 's', parts[i].key);
        if (r >= 0)
            r = sd_bus_message_open_container(reply, 'v', "aa{sv}");
        if (r >= 0)
            r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        if (r >= 0)
            r = parts[i].append(reply, manager, manager_machine(manager));
        for (int j = 0; r >= 0 && j < 3; j++)
            r = sd_bus_message_close_container(reply);
    }
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}
