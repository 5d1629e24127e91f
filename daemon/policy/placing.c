/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Placing: which cores, node, GPUs and resources a new worker gets. Everything is looked for first and written last, so that a
 * refusal leaves the request as it was. Of GPUs only those of one vendor are given out (the first that the machine lists: those
 * made for computing come first), since the numbers that programs are told count for each vendor anew. */
#include "policy/placing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/parse-util.h"

#define NUMBERS_MAX 8192U /* as cpu_list_valid() */

typedef struct Numbers {
    bool has[NUMBERS_MAX];
} Numbers;

/* What a node has left for the worker. */
typedef struct Site {
    int32_t node;
    uint64_t memory_bytes, whole_bytes; /* whole: with what it has promised to others */
    uint32_t units, gpus, workers;
} Site;

/* One request on its way to a verdict. A unit is a core, or with UseSMT= a hardware thread. */
typedef struct Work {
    const PlacingFacts *facts;
    const Machine *machine;
    const WorkerSpec *spec;
    Numbers allowed, pinned, gpus_taken; /* asked for; other workers' own */
    uint32_t units;                      /* wanted as its own; 0: it is not pinned */
    Site site;                           /* the best node; NUMA_NONE: there is none to prefer */
    bool bound;                          /* it must be that node */
    GArray *cpus, *gpus;                 /* uint32_t: the result */
} Work;

static void work_done(Work *work)
{
    g_array_unref(work->cpus);
    g_array_unref(work->gpus);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Work, work_done)

/* ------------------------------------------------------------------ lists of numbers */

/* A list that is well formed, or NULL. */
static void numbers_add(Numbers *numbers, const char *list)
{
    while (list && *list) {
        char *end;
        unsigned long first = strtoul(list, &end, 10), last = first;
        if (*end == '-')
            last = strtoul(end + 1, &end, 10);
        for (unsigned long i = first; i <= last && i < NUMBERS_MAX; i++)
            numbers->has[i] = true;
        list = *end == ',' ? end + 1 : NULL;
    }
}

static bool numbers_have(const Numbers *numbers, uint32_t number)
{
    return number < NUMBERS_MAX && numbers->has[number];
}

static int compare_numbers(gconstpointer a, gconstpointer b)
{
    uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;

    return (x > y) - (x < y);
}

static char *format_ranges(GArray *numbers)
{
    g_array_sort(numbers, compare_numbers);
    return machine_format_list((const uint32_t *) (const void *) numbers->data, numbers->len);
}

/* "0,1,2": what programs are told knows no ranges. */
static char *format_plain(GArray *numbers)
{
    GString *text = g_string_new(NULL);

    g_array_sort(numbers, compare_numbers);
    for (guint i = 0; i < numbers->len; i++)
        g_string_append_printf(text, "%s%u", i > 0 ? "," : "", g_array_index(numbers, uint32_t, i));
    return g_string_free(text, FALSE);
}

/* ------------------------------------------------------------------ cores */

static uint32_t core_units(const Work *work, const MachineCore *core, bool free_only)
{
    uint32_t n = 0, n_pinned = 0;

    for (uint32_t i = 0; i < core->n_cpus; i++) {
        bool pinned = numbers_have(&work->pinned, core->cpus[i]);
        n_pinned += pinned;
        n += numbers_have(&work->allowed, core->cpus[i]) && !(free_only && work->facts->use_smt && pinned);
    }
    if (work->facts->use_smt)
        return n;
    return n > 0 && !(free_only && n_pinned > 0);
}

/* Of a node, or of the machine (NUMA_NONE). */
static uint32_t count_units(const Work *work, int32_t node, bool free_only)
{
    uint32_t n = 0;

    for (size_t i = 0; i < work->machine->n_cores; i++)
        if (node == NUMA_NONE || work->machine->cores[i].node == node)
            n += core_units(work, &work->machine->cores[i], free_only);
    return n;
}

static uint32_t take_core(Work *work, const MachineCore *core, uint32_t most)
{
    uint32_t n = MIN(core_units(work, core, true), most), left = work->facts->use_smt ? n : core->n_cpus;

    for (uint32_t i = 0; n > 0 && left > 0 && i < core->n_cpus; i++) {
        if (!numbers_have(&work->allowed, core->cpus[i]) || numbers_have(&work->pinned, core->cpus[i]))
            continue;
        g_array_append_val(work->cpus, core->cpus[i]);
        left--;
    }
    return n;
}

static void take_units(Work *work, int32_t node)
{
    uint32_t left = work->units;

    for (size_t i = 0; left > 0 && i < work->machine->n_cores; i++)
        if (node == NUMA_NONE || work->machine->cores[i].node == node)
            left -= take_core(work, &work->machine->cores[i], left);
}

static void take_node(Work *work, int32_t node)
{
    for (size_t i = 0; i < work->machine->n_cores; i++) {
        const MachineCore *core = &work->machine->cores[i];
        for (uint32_t j = 0; core->node == node && j < core->n_cpus; j++)
            if (numbers_have(&work->allowed, core->cpus[j]))
                g_array_append_val(work->cpus, core->cpus[j]);
    }
}

uint32_t placing_units(const WorkerSpec *spec)
{
    uint64_t quota = spec->limits.cpu_quota_usec_per_sec;

    if (!spec->placement.pin || spec->placement.own_cores > 0)
        return spec->placement.own_cores;
    if (quota == LIMIT_INFINITY)
        return MAX(spec->slots, 1);
    return (uint32_t) CLAMP(ceil((double) quota / (double) USEC_PER_SEC), 1.0, (double) UINT32_MAX);
}

/* ------------------------------------------------------------------ GPUs */

static bool gpu_counts(const Work *work, const MachineGpu *gpu)
{
    return strcmp(gpu->vendor, work->machine->gpus[0].vendor) == 0;
}

static uint32_t count_gpus(const Work *work, int32_t node, bool free_only)
{
    uint32_t n = 0;

    for (size_t i = 0; i < work->machine->n_gpus; i++) {
        const MachineGpu *gpu = &work->machine->gpus[i];
        n += gpu_counts(work, gpu) && (node == NUMA_NONE || gpu->node == node) &&
             !(free_only && numbers_have(&work->gpus_taken, gpu->index));
    }
    return n;
}

/* Those of the node, then the others. */
static void take_gpus(Work *work, bool near)
{
    for (size_t i = 0; i < work->machine->n_gpus && work->gpus->len < work->spec->placement.gpus; i++) {
        const MachineGpu *gpu = &work->machine->gpus[i];
        if (gpu_counts(work, gpu) && (gpu->node == work->site.node) == near &&
            !numbers_have(&work->gpus_taken, gpu->index))
            g_array_append_val(work->gpus, gpu->index);
    }
}

static bool place_gpus(Work *work, char **ret_why)
{
    uint32_t wanted = work->spec->placement.gpus, n_free = count_gpus(work, NUMA_NONE, true);

    if (wanted > n_free && !work->spec->placement.gpus_optional) {
        uint32_t all = count_gpus(work, NUMA_NONE, false);
        *ret_why = g_strdup_printf("needs %u GPU%s; of %u, %u taken by other workers", wanted,
                                   wanted == 1 ? "" : "s", all, all - n_free);
        return false;
    }
    take_gpus(work, /* near= */ true);
    take_gpus(work, /* near= */ false);
    return true;
}

/* ------------------------------------------------------------------ nodes */

static void survey_site(const Work *work, const MachineNode *node, Site *ret)
{
    g_autofree char *name = g_strdup_printf("%d", node->number);

    *ret = (Site){ .node = node->number,
                   .memory_bytes = node->memory_bytes,
                   .whole_bytes = node->memory_bytes,
                   .units = count_units(work, node->number, true),
                   .gpus = count_gpus(work, node->number, true) };
    for (guint i = 0; work->facts->others && i < work->facts->others->len; i++) {
        const WorkerLimits *limits = &((const WorkerSpec *) work->facts->others->pdata[i])->limits;
        if (g_strcmp0(limits->allowed_memory_nodes, name) != 0)
            continue;
        ret->workers++;
        if (limits->memory_max_bytes != LIMIT_INFINITY)
            ret->memory_bytes -= MIN(ret->memory_bytes, limits->memory_max_bytes);
    }
}

static bool has_memory(const Work *work, const Site *site)
{
    uint64_t wanted = work->spec->limits.memory_max_bytes;

    return wanted == LIMIT_INFINITY || wanted <= site->memory_bytes;
}

static bool site_is_better(const Work *work, const Site *a, const Site *b)
{
    bool cores_a = a->units >= work->units, cores_b = b->units >= work->units;
    bool gpus_a = a->gpus >= work->spec->placement.gpus, gpus_b = b->gpus >= work->spec->placement.gpus;

    if (b->node == NUMA_NONE || cores_a != cores_b)
        return b->node == NUMA_NONE || cores_a;
    if (has_memory(work, a) != has_memory(work, b))
        return has_memory(work, a);
    if (gpus_a != gpus_b)
        return gpus_a;
    if (a->memory_bytes != b->memory_bytes)
        return a->memory_bytes > b->memory_bytes;
    return a->workers < b->workers;
}

static bool node_serves(const Work *work, const MachineNode *node)
{
    return node->memory_bytes > 0 && count_units(work, node->number, false) > 0;
}

static void find_site(Work *work)
{
    for (size_t i = 0; i < work->machine->n_nodes; i++) {
        Site site;
        if (!node_serves(work, &work->machine->nodes[i]))
            continue;
        survey_site(work, &work->machine->nodes[i], &site);
        if (site_is_better(work, &site, &work->site))
            work->site = site;
    }
}

static char *list_nodes(const Work *work)
{
    g_autoptr(GArray) numbers = g_array_new(FALSE, FALSE, sizeof(uint32_t));

    for (size_t i = 0; i < work->machine->n_nodes; i++) {
        uint32_t number = (uint32_t) work->machine->nodes[i].number;
        g_array_append_val(numbers, number);
    }
    return format_ranges(numbers);
}

/* The node that was asked for. */
static bool find_named_site(Work *work, char **ret_why)
{
    int number = work->spec->placement.numa;
    const MachineNode *node = NULL;

    for (size_t i = 0; i < work->machine->n_nodes; i++)
        if (work->machine->nodes[i].number == number)
            node = &work->machine->nodes[i];
    if (node && node_serves(work, node)) {
        survey_site(work, node, &work->site);
        return true;
    }
    if (!node && work->machine->n_nodes == 0) {
        *ret_why = g_strdup_printf("there is no NUMA node %d; this machine tells of none", number);
    } else if (!node) {
        g_autofree char *nodes = list_nodes(work);
        *ret_why = g_strdup_printf("there is no NUMA node %d; there are %s", number, nodes);
    } else if (node->memory_bytes == 0) {
        *ret_why = g_strdup_printf("NUMA node %d has no memory", number);
    } else if (work->spec->limits.allowed_cpus) {
        *ret_why =
            g_strdup_printf("NUMA node %d has none of the CPUs %s", number, work->spec->limits.allowed_cpus);
    } else {
        *ret_why = g_strdup_printf("NUMA node %d has no cores", number);
    }
    return false;
}

static bool place_on_node(Work *work, char **ret_why)
{
    int numa = work->spec->placement.numa;

    if (numa >= 0) {
        work->bound = true;
        return find_named_site(work, ret_why);
    }
    find_site(work);
    /* a machine that tells of no nodes is one: there is nothing to keep to */
    work->bound = numa == NUMA_AUTO && work->machine->n_nodes > 0;
    if (!work->bound || work->site.node != NUMA_NONE)
        return true;
    *ret_why = g_strdup_printf("none of %zu NUMA nodes has both memory and cores that the worker may use",
                               work->machine->n_nodes);
    return false;
}

/* The machine may have more; but whoever keeps to a node has that node's. */
static bool place_memory(Work *work, char **ret_why)
{
    const Site *site = &work->site;

    if (!work->bound || work->spec->forced || has_memory(work, site))
        return true;
    g_autofree char *wanted = format_bytes(work->spec->limits.memory_max_bytes), *whole = format_bytes(site->whole_bytes),
                    *taken = format_bytes(site->whole_bytes - site->memory_bytes);
    *ret_why = g_strdup_printf("needs %s of memory on NUMA node %d; of its %s, %s promised to the workers that keep to it",
                               wanted, site->node, whole, taken);
    return false;
}

/* ------------------------------------------------------------------ CPUs that were asked for */

/* Of CPUs that a machine has not the kernel would take none, and the worker would run anywhere. */
static bool place_within(Work *work, char **ret_why)
{
    const char *wanted = work->spec->limits.allowed_cpus;

    if (!wanted || work->machine->n_cores == 0 || count_units(work, NUMA_NONE, false) > 0)
        return true;
    g_autofree char *there_are = machine_list_cpus(work->machine);
    *ret_why = g_strdup_printf("there is none of the CPUs %s; there are %s", wanted, there_are);
    return false;
}

/* ------------------------------------------------------------------ own cores */

static char *cores_sentence(const Work *work)
{
    int32_t node = work->bound ? work->site.node : NUMA_NONE;
    uint32_t all = count_units(work, node, false), threads = machine_n_cpus(work->machine);
    bool smt = work->facts->use_smt;
    GString *text = g_string_new(NULL);

    g_string_printf(text, "needs %u %s%s of its own; of %u", work->units, smt ? "hardware thread" : "core",
                    work->units == 1 ? "" : "s", all);
    if (work->bound)
        g_string_append_printf(text, " on NUMA node %d", node);
    if (work->spec->limits.allowed_cpus)
        g_string_append_printf(text, " within the CPUs %s", work->spec->limits.allowed_cpus);
    g_string_append_printf(text, ", %u taken by other workers", all - count_units(work, node, true));
    if (!smt && threads > work->machine->n_cores)
        g_string_append_printf(text, "; UseSMT=yes would count %u hardware threads", threads);
    return g_string_free(text, FALSE);
}

static bool place_cores(Work *work, char **ret_why)
{
    if (work->units == 0) {
        if (work->bound)
            take_node(work, work->site.node);
        return true;
    }
    bool near = work->site.node != NUMA_NONE && work->site.units >= work->units;
    if (!near && (work->bound || count_units(work, NUMA_NONE, true) < work->units)) {
        *ret_why = cores_sentence(work);
        return false;
    }
    take_units(work, near ? work->site.node : NUMA_NONE);
    return true;
}

/* ------------------------------------------------------------------ resources */

static bool place_resources(const Work *work, char **ret_why)
{
    const GArray *wanted = work->spec->placement.resources;

    for (guint i = 0; wanted && i < wanted->len; i++) {
        const Resource *resource = &g_array_index(wanted, Resource, i);
        uint64_t all = resources_count(work->facts->resources, resource->name), taken = 0;
        for (guint j = 0; work->facts->others && j < work->facts->others->len; j++)
            taken += resources_count(
                ((const WorkerSpec *) work->facts->others->pdata[j])->placement.resources, resource->name);
        if (resource->count + taken <= all)
            continue;
        *ret_why = g_strdup_printf("needs %u of %s; of %" G_GUINT64_FORMAT ", %" G_GUINT64_FORMAT
                                   " taken by other workers",
                                   resource->count, resource->name, all, taken);
        return false;
    }
    return true;
}

/* ------------------------------------------------------------------ the verdict */

static void survey(Work *work, const PlacingFacts *facts, const WorkerSpec *spec)
{
    static const Machine unknown = { 0 };

    work->facts = facts;
    work->machine = facts->machine ? facts->machine : &unknown;
    work->spec = spec;
    work->site.node = NUMA_NONE;
    work->units = placing_units(spec);
    work->cpus = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    work->gpus = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    if (spec->limits.allowed_cpus)
        numbers_add(&work->allowed, spec->limits.allowed_cpus);
    else
        memset(work->allowed.has, true, sizeof work->allowed.has);
    for (guint i = 0; facts->others && i < facts->others->len; i++) {
        const WorkerSpec *other = facts->others->pdata[i];
        if (other->placement.pin)
            numbers_add(&work->pinned, other->limits.allowed_cpus);
        numbers_add(&work->gpus_taken, other->placement.gpu_list);
    }
}

static void write_down(Work *work, WorkerSpec *spec)
{
    if (work->cpus->len > 0) {
        g_free(spec->limits.allowed_cpus);
        spec->limits.allowed_cpus = format_ranges(work->cpus);
    }
    spec->placement.own_cores = work->units;
    if (work->bound) {
        g_free(spec->limits.allowed_memory_nodes);
        spec->limits.allowed_memory_nodes = g_strdup_printf("%d", work->site.node);
    }
    g_free(spec->placement.gpu_list);
    spec->placement.gpu_list = work->gpus->len > 0 ? format_plain(work->gpus) : NULL;
    spec->placement.gpus = work->gpus->len;
}

PlacingVerdict placing_decide(const PlacingFacts *facts, WorkerSpec *spec, char **ret_why)
{
    static const struct {
        bool (*place)(Work *work, char **ret_why);
        PlacingVerdict refused;
    } parts[] = {
        { place_within, REFUSED_PINNED_CORES },
        { place_on_node, REFUSED_NO_SUCH_NODE },
        { place_memory, REFUSED_NODE_MEMORY },
        { place_cores, REFUSED_PINNED_CORES },
        { place_gpus, REFUSED_GPUS },
    };
    g_auto(Work) work = { 0 };

    *ret_why = NULL;
    survey(&work, facts, spec);
    for (size_t i = 0; i < G_N_ELEMENTS(parts); i++)
        if (!parts[i].place(&work, ret_why))
            return parts[i].refused;
    if (!place_resources(&work, ret_why))
        return REFUSED_RESOURCE;
    write_down(&work, spec);
    return PLACED;
}

/* ------------------------------------------------------------------ what pinned workers leave */

char *placing_left_over(const Machine *machine, const GPtrArray *workers, const WorkerSpec *spec)
{
    g_autoptr(GArray) cpus = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    PlacingFacts facts = { .machine = machine, .others = (GPtrArray *) workers };
    bool told = spec->limits.allowed_cpus && spec->placement.numa == NUMA_NONE, taken = false;
    g_auto(Work) work = { 0 };

    survey(&work, &facts, spec);
    if (spec->placement.pin || told)
        return NULL;
    for (size_t i = 0; i < work.machine->n_cores; i++)
        for (uint32_t j = 0; j < work.machine->cores[i].n_cpus; j++) {
            uint32_t cpu = work.machine->cores[i].cpus[j];
            if (!numbers_have(&work.allowed, cpu))
                continue;
            if (numbers_have(&work.pinned, cpu))
                taken = true;
            else
                g_array_append_val(cpus, cpu);
        }
    return taken && cpus->len > 0 ? format_ranges(cpus) : NULL;
}
