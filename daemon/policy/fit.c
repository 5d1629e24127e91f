/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether a task fits into a worker: each thing that is counted against what there is of it. */
#include "policy/fit.h"

#include <inttypes.h>
#include <string.h>

#include "util/parse-util.h"

Room room_of_worker(const WorkerSpec *spec)
{
    return (Room){
        .memory_bytes = spec->limits.memory_max_bytes,
        .cpu_quota_usec_per_sec = spec->limits.cpu_quota_usec_per_sec,
        .tasks = spec->limits.tasks_max,
        .gpus = spec->placement.gpus,
        .resources = spec->placement.resources,
    };
}

Room *room_copy(const Room *room)
{
    Room *copy = g_memdup2(room, sizeof *room);

    if (copy->resources)
        g_array_ref((GArray *) copy->resources);
    return copy;
}

void room_free(Room *room)
{
    if (room && room->resources)
        g_array_unref((GArray *) room->resources);
    g_free(room);
}

bool room_equal(const Room *a, const Room *b)
{
    g_autofree char *resources_a = NULL, *resources_b = NULL;

    if (a->memory_bytes != b->memory_bytes || a->cpu_quota_usec_per_sec != b->cpu_quota_usec_per_sec ||
        a->tasks != b->tasks || a->gpus != b->gpus)
        return false;
    if (a->resources == b->resources)
        return true;
    resources_a = resources_format(a->resources);
    resources_b = resources_format(b->resources);
    return strcmp(resources_a, resources_b) == 0;
}

bool room_covers(const Room *outer, const Room *inner)
{
    if (inner->memory_bytes > outer->memory_bytes ||
        inner->cpu_quota_usec_per_sec > outer->cpu_quota_usec_per_sec || inner->tasks > outer->tasks ||
        inner->gpus > outer->gpus)
        return false;
    for (guint i = 0; inner->resources && i < inner->resources->len; i++) {
        const Resource *resource = &g_array_index(inner->resources, Resource, i);
        if (resource->count > resources_count(outer->resources, resource->name))
            return false;
    }
    return true;
}

static uint64_t amount(uint64_t value)
{
    return value == LIMIT_INFINITY ? 0 : value;
}

/* Of optional GPUs it takes those that it was given: none are enough. */
static uint32_t gpus_given(const TaskSpec *spec)
{
    uint32_t n = spec->gpus && *spec->gpus;

    for (const char *s = spec->gpus; s && *s; s++)
        n += *s == ',';
    return n;
}

Room room_of_task(const TaskSpec *spec)
{
    const TaskDemand *demand = &spec->context->demand;

    return (Room){
        .memory_bytes = amount(task_spec_memory(spec)),
        .cpu_quota_usec_per_sec = amount(demand->cpu_quota_usec_per_sec),
        .tasks = amount(demand->tasks_max),
        .gpus = demand->gpus_optional ? gpus_given(spec) : demand->gpus,
        .resources = demand->resources,
    };
}

/* ------------------------------------------------------------------ one thing */

static char *show_cpus(uint64_t usec_per_sec)
{
    return g_strdup_printf("%.3g", (double) usec_per_sec / (double) USEC_PER_SEC);
}

static char *show_number(uint64_t number)
{
    return g_strdup_printf("%" PRIu64, number);
}

typedef struct Thing {
    uint64_t whole, taken, wanted;
    const char *name, *plural; /* "needs 1 GPU", "needs 2 GPUs"; plural NULL: "needs 1G of memory" */
    char *(*show)(uint64_t amount);
} Thing;

static FitVerdict judge(const Thing *thing)
{
    if (thing->wanted == 0 || thing->whole == UINT64_MAX)
        return FITS;
    if (thing->wanted > thing->whole)
        return FITS_NEVER;
    return thing->taken > thing->whole - thing->wanted ? FITS_LATER : FITS;
}

/* Half a CPU, two CPUs: what is shown as "1" is one. */
static char *needs(const Thing *thing)
{
    g_autofree char *wanted = thing->show(thing->wanted);

    if (!thing->plural)
        return g_strdup_printf("needs %s of %s", wanted, thing->name);
    return g_strdup_printf("needs %s %s", wanted, strcmp(wanted, "1") == 0 ? thing->name : thing->plural);
}

static char *sentence(const Thing *thing)
{
    g_autofree char *wanted = needs(thing), *whole = thing->show(thing->whole), *taken = thing->show(thing->taken);

    if (judge(thing) == FITS_NEVER)
        return g_strdup_printf("%s; the worker has %s", wanted, whole);
    return g_strdup_printf("%s; of the worker's %s, %s taken by its other tasks", wanted, whole, taken);
}

/* ------------------------------------------------------------------ all of them */

static GArray *things_of(const Room *whole, const Room *taken, const Room *wanted)
{
    const Thing plain[] = {
        { whole->memory_bytes, taken->memory_bytes, wanted->memory_bytes, "memory", NULL, format_bytes },
        { whole->cpu_quota_usec_per_sec, taken->cpu_quota_usec_per_sec, wanted->cpu_quota_usec_per_sec, "CPU",
          "CPUs", show_cpus },
        { whole->tasks, taken->tasks, wanted->tasks, "process", "processes", show_number },
        { whole->gpus, taken->gpus, wanted->gpus, "GPU", "GPUs", show_number },
    };
    GArray *things = g_array_new(FALSE, FALSE, sizeof(Thing));

    g_array_append_vals(things, plain, G_N_ELEMENTS(plain));
    for (guint i = 0; wanted->resources && i < wanted->resources->len; i++) {
        const Resource *resource = &g_array_index(wanted->resources, Resource, i);
        Thing thing = { resources_count(whole->resources, resource->name),
                        resources_count(taken->resources, resource->name),
                        resource->count,
                        resource->name,
                        NULL,
                        show_number };
        g_array_append_val(things, thing);
    }
    return things;
}

FitVerdict fit_judge(const Room *whole, const Room *taken, const Room *wanted, char **ret_why)
{
    g_autoptr(GArray) things = things_of(whole, taken, wanted);
    const Thing *worst = NULL;
    FitVerdict verdict = FITS;

    for (guint i = 0; i < things->len; i++) {
        const Thing *thing = &g_array_index(things, Thing, i);
        if (judge(thing) <= verdict)
            continue;
        worst = thing;
        verdict = judge(thing);
    }
    if (worst && ret_why)
        *ret_why = sentence(worst);
    return verdict;
}
