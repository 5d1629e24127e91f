/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The machine's parts, through hwloc: cores with the hardware threads that this process may run on, memory nodes, GPUs. Memory
 * totals are /proc/meminfo's where hwloc describes this machine and there is one node: in virtual machines and containers the
 * node's own figure is not to be trusted. */
#include "host/topology.h"
#include "host/gpus.h"
#include "host/meminfo.h"
#include "util/log.h"
#include "util/parse-util.h"

#include <hwloc.h>
#include <sched.h>
#include <string.h>

/* What asks drivers instead of files: slow, and in a daemon as root out of place. */
static const char *const unwanted_components[] = { "opencl", "cuda", "nvml", "rsmi", "levelzero", "gl" };

/* ---- cores ---- */

static uint32_t *cpus_of(hwloc_const_bitmap_t set, uint32_t *ret_n)
{
    GArray *cpus = g_array_new(FALSE, FALSE, sizeof(uint32_t));

    for (int cpu = hwloc_bitmap_first(set); cpu >= 0; cpu = hwloc_bitmap_next(set, cpu)) {
        uint32_t number = (uint32_t) cpu;
        g_array_append_val(cpus, number);
    }
    *ret_n = cpus->len;
    return (uint32_t *) (void *) g_array_free(cpus, FALSE);
}

static bool node_has_memory(const Machine *machine, int32_t number)
{
    for (size_t i = 0; i < machine->n_nodes; i++)
        if (machine->nodes[i].number == number)
            return machine->nodes[i].memory_bytes > 0;
    return false;
}

/* Of the nodes that are near, the first that has memory. */
static int32_t node_of(hwloc_const_nodeset_t nodes, const Machine *machine)
{
    if (machine->n_nodes == 0 || !nodes)
        return -1;
    for (int node = hwloc_bitmap_first(nodes); node >= 0; node = hwloc_bitmap_next(nodes, node))
        if (node_has_memory(machine, node))
            return node;
    return hwloc_bitmap_first(nodes);
}

static uint32_t package_of(hwloc_topology_t topology, hwloc_obj_t obj)
{
    hwloc_obj_t package = hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_PACKAGE, obj);

    return package ? package->logical_index : 0;
}

/* A core that is allowed in part counts too: one of its threads is enough to work. */
static void read_cores(hwloc_topology_t topology, hwloc_const_cpuset_t mine, Machine *machine)
{
    GArray *cores = g_array_new(FALSE, FALSE, sizeof(MachineCore));
    hwloc_bitmap_t usable = hwloc_bitmap_alloc();
    bool has_cores = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE) > 0;
    hwloc_obj_t obj = NULL;

    while ((obj = hwloc_get_next_obj_by_type(topology, has_cores ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU, obj))) {
        MachineCore core = { .package = package_of(topology, obj), .node = node_of(obj->nodeset, machine) };
        (void) hwloc_bitmap_and(usable, obj->cpuset, mine);
        if (hwloc_bitmap_iszero(usable))
            continue;
        core.cpus = cpus_of(usable, &core.n_cpus);
        g_array_append_val(cores, core);
    }
    hwloc_bitmap_free(usable);
    machine->n_cores = cores->len;
    machine->cores = (MachineCore *) (void *) g_array_free(cores, cores->len == 0);
}

/* ---- memory ---- */

static gint compare_nodes(gconstpointer a, gconstpointer b)
{
    const MachineNode *x = a, *y = b;

    return (x->number > y->number) - (x->number < y->number);
}

/* hwloc makes one up where the machine tells none. */
static bool tells_nodes(hwloc_topology_t topology, const GArray *nodes)
{
    if (!hwloc_topology_get_support(topology)->discovery->numa)
        return false;
    return nodes->len > 1 || (nodes->len == 1 && g_array_index(nodes, MachineNode, 0).memory_bytes > 0);
}

static void read_nodes(hwloc_topology_t topology, Machine *machine)
{
    GArray *nodes = g_array_new(FALSE, FALSE, sizeof(MachineNode));
    hwloc_obj_t obj = NULL;
    Meminfo memory;

    while ((obj = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE, obj))) {
        MachineNode node = { .number = (int32_t) obj->os_index, .memory_bytes = obj->attr->numanode.local_memory };
        g_array_append_val(nodes, node);
    }
    if (!tells_nodes(topology, nodes))
        g_array_set_size(nodes, 0);
    if (nodes->len == 1 && hwloc_topology_is_thissystem(topology) && meminfo_read(&memory) >= 0)
        g_array_index(nodes, MachineNode, 0).memory_bytes = memory.total_bytes;
    g_array_sort(nodes, compare_nodes);
    machine->n_nodes = nodes->len;
    machine->nodes = (MachineNode *) (void *) g_array_free(nodes, nodes->len == 0);
}

/* ---- all ---- */

static bool load(hwloc_topology_t topology)
{
    for (size_t i = 0; i < G_N_ELEMENTS(unwanted_components); i++)
        (void) hwloc_topology_set_components(topology, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, unwanted_components[i]);
    (void) hwloc_topology_set_io_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_IMPORTANT);
    return hwloc_topology_load(topology) == 0;
}

/* By these hwloc can be told of a machine; of what it cannot use it says nothing, and looks at the one that is there. */
static const struct {
    const char *variable;
    int (*set)(hwloc_topology_t topology, const char *value);
} descriptions[] = {
    { "HWLOC_XMLFILE", hwloc_topology_set_xml },
    { "HWLOC_SYNTHETIC", hwloc_topology_set_synthetic },
};

static void check_descriptions(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(descriptions); i++) {
        const char *value = g_getenv(descriptions[i].variable);
        hwloc_topology_t topology;
        if (!value || !*value || hwloc_topology_init(&topology) < 0)
            continue;
        if (descriptions[i].set(topology, value) < 0 || !load(topology)) {
            g_autofree char *shown = format_foreign(value);
            log_warning("%s=%s describes no machine that hwloc could read: it is ignored.", descriptions[i].variable, shown);
        }
        hwloc_topology_destroy(topology);
    }
}

/* What this process may run on; of another machine, all of it. */
static void usable_cpus(hwloc_topology_t topology, hwloc_bitmap_t ret)
{
    hwloc_const_cpuset_t allowed = hwloc_topology_get_allowed_cpuset(topology);

    if (!hwloc_topology_is_thissystem(topology) || hwloc_get_cpubind(topology, ret, HWLOC_CPUBIND_PROCESS) < 0)
        (void) hwloc_bitmap_copy(ret, allowed);
    (void) hwloc_bitmap_and(ret, ret, allowed);
}

static bool read_hwloc(Machine *machine)
{
    hwloc_topology_t topology;

    if (hwloc_topology_init(&topology) < 0)
        return false;
    bool loaded = load(topology);
    if (loaded) {
        hwloc_bitmap_t mine = hwloc_bitmap_alloc();
        usable_cpus(topology, mine);
        read_nodes(topology, machine);
        read_cores(topology, mine, machine);
        gpus_read(topology, hwloc_topology_is_thissystem(topology) ? "" : NULL, machine);
        machine->n_packages = (uint32_t) MAX(1, hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PACKAGE));
        hwloc_bitmap_free(mine);
    }
    hwloc_topology_destroy(topology);
    return loaded && machine->n_cores > 0;
}

/* The scheduler still knows the CPUs, though not which of them share a core. */
static void read_affinity(Machine *machine)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) < 0 || CPU_COUNT(&set) == 0) {
        CPU_ZERO(&set);
        CPU_SET(0, &set);
    }
    machine->n_packages = 1;
    machine->cores = g_new0(MachineCore, CPU_COUNT(&set));
    for (uint32_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &set))
            continue;
        MachineCore *core = &machine->cores[machine->n_cores++];
        *core = (MachineCore){ .node = -1, .cpus = g_new(uint32_t, 1), .n_cpus = 1 };
        core->cpus[0] = cpu;
    }
}

void topology_read(Machine *ret)
{
    Machine machine = { 0 };

    check_descriptions();
    if (!read_hwloc(&machine)) {
        machine_done(&machine);
        read_affinity(&machine);
        log_warning("hwloc does not tell what this machine has: each of its %zu CPUs counts as a core.", machine.n_cores);
    }
    *ret = machine;
}
