/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fitting tasks into workers; the comparing itself is policy/fit. Stateless: what is taken is added up from what a worker
 * holds, and only for tasks that say what they take. */
#include "core/fitting.h"

#include <string.h>

#include "core/manager-internal.h"
#include "util/parse-util.h"

bool fitting_is_demanding(const TaskSpec *spec)
{
    const TaskDemand *demand = &spec->context->demand;

    return task_spec_memory(spec) != LIMIT_INFINITY || demand->memory_auto ||
           demand->cpu_quota_usec_per_sec != LIMIT_INFINITY || demand->tasks_max != LIMIT_INFINITY ||
           demand->gpus > 0 || demand->resources;
}

bool fitting_may_run(const Worker *worker, const TaskSpec *spec)
{
    return (worker->spec->user == UID_ANYBODY || worker->spec->user == spec->context->uid) &&
           g_strcmp0(worker->spec->class, spec->class) == 0;
}

bool fitting_is_alike(const TaskSpec *a, const TaskSpec *b)
{
    bool same = a->context == b->context || (a->context->id != 0 && a->context->id == b->context->id);

    if (!same || a->memory_max_bytes != b->memory_max_bytes)
        return false;
    return !a->context->demand.memory_auto || (strcmp(a->name, b->name) == 0 && g_bytes_equal(a->argv, b->argv));
}

/* LIMIT_INFINITY: it says nothing */
static uint64_t wanted_memory(Manager *manager, const TaskSpec *spec)
{
    if (!spec->context->demand.memory_auto || spec->memory_max_bytes == LIMIT_INFINITY)
        return task_spec_memory(spec);
    return MAX(spec->memory_max_bytes, MIN(manager_learned_memory(manager, spec), fitting_most_memory(manager, spec)));
}

static Room wanted_room(Manager *manager, const TaskSpec *spec)
{
    const TaskDemand *demand = &spec->context->demand;
    Room room = room_of_task(spec);

    if (demand->memory_auto && spec->memory_max_bytes != LIMIT_INFINITY)
        room.memory_bytes = wanted_memory(manager, spec);
    room.gpus = demand->gpus_optional ? 0 : demand->gpus; /* whatever it had the last time */
    return room;
}

/* ---- what is taken */

static void add_limited(uint64_t *sum, uint64_t value)
{
    if (value != UINT64_MAX)
        *sum = usec_add(*sum, value); /* saturating */
}

static void add_resources(GArray *sum, const GArray *resources)
{
    for (guint i = 0; resources && i < resources->len; i++) {
        const Resource *resource = &g_array_index(resources, Resource, i);
        guint k = 0;
        while (k < sum->len && strcmp(g_array_index(sum, Resource, k).name, resource->name) != 0)
            k++;
        if (k == sum->len) {
            Resource fresh = { g_strdup(resource->name), 0 };
            g_array_append_val(sum, fresh);
        }
        g_array_index(sum, Resource, k).count += resource->count;
    }
}

static uint32_t count_list(const char *list)
{
    uint32_t n = list && *list ? 1 : 0;

    for (const char *c = list; c && *c; c++)
        n += *c == ',';
    return n;
}

/* What it was given is known to the daemon that gave it only: after a restart it may have any of the worker's GPUs,
 * and as much memory as it would get now. */
static void add_unknown(Manager *manager, const Worker *worker, const TaskSpec *spec, Room *taken)
{
    if (spec->context->demand.gpus > 0 && !spec->gpus)
        taken->gpus = worker->spec->placement.gpus;
    if (spec->context->demand.memory_auto && spec->memory_max_bytes == 0)
        add_limited(&taken->memory_bytes, wanted_memory(manager, spec));
}

/* While it runs it may have been given other limits than it asked for. */
static Room room_of_active(const ActiveTask *task)
{
    Room room = room_of_task(task->spec);

    if (task->limits.set_cpu)
        room.cpu_quota_usec_per_sec = task->limits.cpu_quota_usec_per_sec;
    if (task->limits.set_tasks)
        room.tasks = task->limits.tasks_max;
    return room;
}

/* Resources: a new array. */
static Room taken_room(Manager *manager, const Worker *worker, GArray **ret_resources)
{
    GArray *resources = resources_new();
    Room taken = { 0 };
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, worker->tasks);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const TaskSpec *spec = ((const ActiveTask *) value)->spec;
        Room room = room_of_active(value);
        add_limited(&taken.memory_bytes, room.memory_bytes);
        add_limited(&taken.cpu_quota_usec_per_sec, room.cpu_quota_usec_per_sec);
        add_limited(&taken.tasks, room.tasks);
        if (spec->context->demand.gpus > 0)
            taken.gpus += count_list(spec->gpus);
        add_resources(resources, room.resources);
        add_unknown(manager, worker, spec, &taken);
    }
    taken.resources = resources;
    *ret_resources = resources;
    return taken;
}

FitVerdict fitting_judge(Manager *manager, const Worker *worker, const TaskSpec *spec, char **ret_why)
{
    g_autoptr(GArray) resources = NULL;
    Room whole = room_of_worker(worker->spec), taken = taken_room(manager, worker, &resources),
         wanted = wanted_room(manager, spec);

    return fit_judge(&whole, &taken, &wanted, ret_why);
}

bool fitting_exceeds(Manager *manager, const Room *whole, const TaskSpec *spec)
{
    const Room nothing = { 0 };
    Room wanted;

    if (!fitting_is_demanding(spec))
        return false;
    wanted = wanted_room(manager, spec);
    return fit_judge(whole, &nothing, &wanted, NULL) == FITS_NEVER;
}

bool fitting_is_too_large(Manager *manager, const Worker *worker, const TaskSpec *spec)
{
    Room whole = room_of_worker(worker->spec);

    return fitting_exceeds(manager, &whole, spec);
}

/* ---- among all workers */

static bool is_staying(const Worker *worker)
{
    return worker_state_is_live(worker->state) && worker->state != WORKER_DRAINING && !worker->aborting;
}

static bool counts(const Worker *worker, const TaskSpec *spec)
{
    return is_staying(worker) && fitting_may_run(worker, spec);
}

bool fitting_is_hopeless(Manager *manager, const TaskSpec *spec, char **ret_why)
{
    bool any = false;

    for (guint i = 0; i < manager->workers->len; i++) {
        const Worker *worker = manager->workers->pdata[i];
        g_autofree char *why = NULL;
        if (!counts(worker, spec))
            continue;
        any = true;
        if (!fitting_is_too_large(manager, worker, spec)) {
            if (ret_why)
                g_clear_pointer(ret_why, g_free);
            return false;
        }
        if (ret_why)
            (void) fitting_judge(manager, worker, spec, &why);
        if (ret_why && !*ret_why)
            *ret_why = g_steal_pointer(&why);
    }
    return any;
}

/* One that starts, or whose limits are being changed, has still to be looked at itself. */
static bool has_settled(const Worker *worker)
{
    return is_staying(worker) && worker->state == WORKER_RUNNING && !worker->limiting.done;
}

bool fitting_is_covered(Manager *manager, const Worker *worker)
{
    Room room = room_of_worker(worker->spec);

    for (guint i = 0; i < manager->workers->len; i++) {
        const Worker *other = manager->workers->pdata[i];
        if (other == worker || !has_settled(other) || other->spec->user != worker->spec->user ||
            g_strcmp0(other->spec->class, worker->spec->class) != 0)
            continue;
        Room others = room_of_worker(other->spec);
        if (room_covers(&others, &room))
            return true;
    }
    return false;
}

bool fitting_fits_elsewhere(Manager *manager, const Worker *except, const TaskSpec *spec)
{
    for (guint i = 0; i < manager->workers->len; i++) {
        const Worker *worker = manager->workers->pdata[i];
        if (worker != except && worker_is_ready(worker) && fitting_may_run(worker, spec) &&
            g_hash_table_size(worker->tasks) < worker->spec->slots &&
            fitting_judge(manager, worker, spec, NULL) == FITS)
            return true;
    }
    return false;
}

/* 0: there is no such worker */
static uint64_t largest_worker(Manager *manager, const TaskSpec *spec, bool (*is_one)(const Worker *, const TaskSpec *))
{
    uint64_t most = 0;

    for (guint i = 0; i < manager->workers->len; i++) {
        const Worker *worker = manager->workers->pdata[i];
        if (is_one(worker, spec))
            most = MAX(most, worker->spec->limits.memory_max_bytes);
    }
    return most;
}

/* If all of them end, others like them may come. */
uint64_t fitting_most_memory(Manager *manager, const TaskSpec *spec)
{
    uint64_t most = largest_worker(manager, spec, counts), reserve = manager->settings.memory_reserve_bytes;

    if (most == 0)
        most = largest_worker(manager, spec, fitting_may_run);
    if (most != LIMIT_INFINITY)
        return most;
    return manager->memory_total_bytes > reserve ? manager->memory_total_bytes - reserve : most;
}

/* ---- handing out */

static bool is_in_list(const char *list, const char *word)
{
    g_auto(GStrv) words = g_strsplit(list ? list : "", ",", -1);

    return g_strv_contains((const char *const *) words, word);
}

static bool gpu_is_taken(const Worker *worker, const char *gpu)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, worker->tasks);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const TaskSpec *spec = ((const ActiveTask *) value)->spec;
        if (spec->context->demand.gpus > 0 && is_in_list(spec->gpus, gpu))
            return true;
    }
    return false;
}

/* A task that asks for GPUs gets its own of the worker's; one that does not sees all of them. */
static char *choose_gpus(const Worker *worker, uint32_t wanted)
{
    g_auto(GStrv) gpus = g_strsplit(worker->spec->placement.gpu_list, ",", -1);
    GString *chosen = g_string_new(NULL);
    uint32_t n = 0;

    for (char **gpu = gpus; *gpu && n < wanted; gpu++) {
        if (gpu_is_taken(worker, *gpu))
            continue;
        g_string_append_printf(chosen, "%s%s", n > 0 ? "," : "", *gpu);
        n++;
    }
    return g_string_free(chosen, FALSE);
}

void fitting_hand_out(Manager *manager, const Worker *worker, TaskSpec *spec)
{
    const TaskDemand *demand = &spec->context->demand;

    if (demand->memory_auto)
        spec->memory_max_bytes = wanted_memory(manager, spec);
    g_clear_pointer(&spec->gpus, g_free);
    if (demand->gpus > 0 && !worker->spec->exec) /* a program is told of them once, for all tasks that it does */
        spec->gpus = worker->spec->placement.gpu_list ? choose_gpus(worker, demand->gpus) : g_strdup("");
    else
        spec->gpus = g_strdup(worker->spec->placement.gpu_list);
}
