/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parctl topology: what the machine is made of, and which worker has what of it. */

#include <inttypes.h>

#include "client/bus-dict.h"
#include "client/connection.h"
#include "client/json-output.h"
#include "client/output.h"
#include "client/table.h"
#include "client/verb.h"
#include "util/parse-util.h"

#define NO_NODE (-1)

typedef struct PlaceInfo {
    uint32_t number, package, count, taken;
    int32_t node;
    uint64_t memory_bytes;
    char *cpus, *worker, *vendor, *name, *bus;
} PlaceInfo;

/* One table for all four lists: each fills what it has. */
static const DictField place_fields[] = {
    DICT_FIELD("core", "u", PlaceInfo, number),         DICT_FIELD("index", "u", PlaceInfo, number),
    DICT_FIELD("package", "u", PlaceInfo, package),     DICT_FIELD("node", "i", PlaceInfo, node),
    DICT_FIELD("memory", "t", PlaceInfo, memory_bytes), DICT_FIELD("count", "u", PlaceInfo, count),
    DICT_FIELD("taken", "u", PlaceInfo, taken),         DICT_FIELD("cpus", "s", PlaceInfo, cpus),
    DICT_FIELD("worker", "s", PlaceInfo, worker),       DICT_FIELD("vendor", "s", PlaceInfo, vendor),
    DICT_FIELD("name", "s", PlaceInfo, name),           DICT_FIELD("bus", "s", PlaceInfo, bus),
};

typedef struct TopologyInfo {
    GPtrArray *cores, *nodes, *gpus, *resources; /* PlaceInfo */
} TopologyInfo;

static void place_free(void *place)
{
    dict_clear(place_fields, G_N_ELEMENTS(place_fields), place);
    g_free(place);
}

static int read_place(sd_bus_message *m, void *places)
{
    PlaceInfo *place = g_new0(PlaceInfo, 1);

    place->node = NO_NODE;
    g_ptr_array_add(places, place);
    return dict_read(m, place_fields, G_N_ELEMENTS(place_fields), place);
}

static int read_places(sd_bus_message *m, void *field)
{
    return dict_read_each(m, read_place, *(GPtrArray **) field);
}

static const DictField topology_fields[] = {
    DICT_FIELD_BY("cores", "aa{sv}", TopologyInfo, cores, read_places),
    DICT_FIELD_BY("nodes", "aa{sv}", TopologyInfo, nodes, read_places),
    DICT_FIELD_BY("gpus", "aa{sv}", TopologyInfo, gpus, read_places),
    DICT_FIELD_BY("resources", "aa{sv}", TopologyInfo, resources, read_places),
};

static void topology_init(TopologyInfo *topology)
{
    GPtrArray **lists[] = { &topology->cores, &topology->nodes, &topology->gpus, &topology->resources };

    for (size_t i = 0; i < G_N_ELEMENTS(lists); i++)
        *lists[i] = g_ptr_array_new_with_free_func(place_free);
}

static void topology_done(TopologyInfo *topology)
{
    g_clear_pointer(&topology->cores, g_ptr_array_unref);
    g_clear_pointer(&topology->nodes, g_ptr_array_unref);
    g_clear_pointer(&topology->gpus, g_ptr_array_unref);
    g_clear_pointer(&topology->resources, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(TopologyInfo, topology_done)

static void add_node(Table *table, int32_t node)
{
    if (node == NO_NODE)
        table_add(table, COLOR_NONE, NULL);
    else
        table_add_format(table, COLOR_NONE, "%d", node);
}

static void print_cores(const GPtrArray *cores)
{
    static const TableColumn columns[] = {
        { .title = N_("CORE"), .right = true },
        { .title = N_("PACKAGE"), .right = true },
        { .title = N_("NODE"), .right = true },
        { .title = N_("CPUS") },
        { .title = N_("WORKER") },
    };
    g_autoptr(Table) table = table_new(columns, G_N_ELEMENTS(columns));

    for (guint i = 0; i < cores->len; i++) {
        const PlaceInfo *core = cores->pdata[i];
        table_add_format(table, COLOR_BOLD, "%u", core->number);
        table_add_format(table, COLOR_NONE, "%u", core->package);
        add_node(table, core->node);
        table_add(table, COLOR_NONE, g_strdup(core->cpus));
        table_add(table, COLOR_NONE, g_strdup(core->worker));
    }
    table_print(table);
}

static void print_nodes(const GPtrArray *nodes)
{
    static const TableColumn columns[] = {
        { .title = N_("NODE"), .right = true },
        { .title = N_("MEMORY"), .right = true },
    };
    g_autoptr(Table) table = table_new(columns, G_N_ELEMENTS(columns));

    for (guint i = 0; i < nodes->len; i++) {
        const PlaceInfo *node = nodes->pdata[i];
        table_add_format(table, COLOR_BOLD, "%d", node->node);
        table_add(table, COLOR_NONE,
                  node->memory_bytes > 0 ? format_bytes(node->memory_bytes) : g_strdup(_("none")));
    }
    table_print(table);
}

static void print_gpus(const GPtrArray *gpus)
{
    static const TableColumn columns[] = {
        { .title = N_("GPU"), .right = true },
        { .title = N_("VENDOR") },
        { .title = N_("NAME"), .cut = true },
        { .title = N_("BUS"), .expendable = 1 },
        { .title = N_("NODE"), .right = true, .expendable = 2 },
        { .title = N_("WORKER") },
    };
    g_autoptr(Table) table = table_new(columns, G_N_ELEMENTS(columns));

    for (guint i = 0; i < gpus->len; i++) {
        const PlaceInfo *gpu = gpus->pdata[i];
        table_add_format(table, COLOR_BOLD, "%u", gpu->number);
        table_add(table, COLOR_NONE, g_strdup(gpu->vendor));
        table_add(table, COLOR_NONE, g_strdup(gpu->name));
        table_add(table, COLOR_NONE, g_strdup(gpu->bus));
        add_node(table, gpu->node);
        table_add(table, COLOR_NONE, g_strdup(gpu->worker));
    }
    table_print(table);
}

static void print_resources(const GPtrArray *resources)
{
    static const TableColumn columns[] = {
        { .title = N_("RESOURCE") },
        { .title = N_("COUNT"), .right = true },
        { .title = N_("TAKEN"), .right = true },
    };
    g_autoptr(Table) table = table_new(columns, G_N_ELEMENTS(columns));

    for (guint i = 0; i < resources->len; i++) {
        const PlaceInfo *resource = resources->pdata[i];
        table_add(table, COLOR_BOLD, g_strdup(resource->name));
        table_add_format(table, COLOR_NONE, "%u", resource->count);
        table_add_format(table, COLOR_NONE, "%u", resource->taken);
    }
    table_print(table);
}

static void print_topology(const TopologyInfo *topology)
{
    const struct {
        const GPtrArray *places;
        void (*print)(const GPtrArray *places);
    } parts[] = {
        { topology->cores, print_cores },
        { topology->nodes, print_nodes },
        { topology->gpus, print_gpus },
        { topology->resources, print_resources },
    };
    bool first = true;

    for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
        if (parts[i].places->len == 0)
            continue;
        if (!first)
            printf("\n");
        parts[i].print(parts[i].places);
        first = false;
    }
}

static int run_topology(Client *client, const void *settings, char **argv)
{
    g_auto(TopologyInfo) topology = {};
    g_autoptr(sd_bus_message) reply = NULL;
    int r = connection_call_simple(client, "Topology", NULL, &reply);

    if (r < 0)
        return r;
    topology_init(&topology);
    if (client->json)
        r = json_output_print_message(reply);
    else
        r = dict_read(reply, topology_fields, G_N_ELEMENTS(topology_fields), &topology);
    if (r < 0)
        return connection_report_message(client, r);
    if (!client->json && !client->quiet)
        print_topology(&topology);
    return 0;
}

const Verb verb_topology = {
    .name = "topology",
    .arguments = "",
    .run = run_topology,
    .summary = N_("Show cores, NUMA nodes, GPUs and named resources, and which worker has them."),
    .details = N_("A core without a worker is free for pinning (parctl add-worker --pin)."),
};
