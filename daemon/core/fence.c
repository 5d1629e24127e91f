/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What pinned workers have is theirs: the others keep off their CPUs, as long as some are left and nobody has said which CPUs
 * they are to use. That is not part of what a worker was asked to be: it comes and goes with its neighbours.
 *
 * Invariant: worker->fence is what its engine was told last. It is remembered, as a wish, for the next service: that takes the
 * workers over as they are. */
#include "core/manager-internal.h"

#define WISH "fence"

/* NULL: it may use whatever it was given. */
static char *cpus_left_to(Manager *manager, const WorkerSpec *spec)
{
    g_autoptr(GPtrArray) live = manager_live_specs(manager);

    return placing_left_over(manager->ports.host->machine(manager->ports.host), live, spec);
}

WorkerSpec *manager_spec_in_force(Manager *manager, Worker *worker)
{
    WorkerSpec *spec = worker_spec_copy(worker->spec);
    g_autofree char *before = g_steal_pointer(&worker->fence);

    worker->fence = cpus_left_to(manager, worker->spec);
    if (worker->fence) {
        g_free(spec->limits.allowed_cpus);
        spec->limits.allowed_cpus = g_strdup(worker->fence);
    } else if (before && !spec->limits.allowed_cpus) /* systemd takes a list from a unit, but not from its cgroup */
        spec->limits.allowed_cpus = machine_list_cpus(manager->ports.host->machine(manager->ports.host));
    if (worker->throttled)
        spec->limits.memory_high_bytes = MIN(spec->limits.memory_high_bytes, worker->throttle_bytes);
    return spec;
}

void manager_put_in_force(Manager *manager, Worker *worker)
{
    EnginePort *engine = manager_engine(manager, worker);
    g_autoptr(WorkerSpec) spec = manager_spec_in_force(manager, worker);

    engine->set_limits(engine, worker->number, spec);
}

/* Of any worker: they differ with the node that they keep to, which hardly matters for whether it is to be put right. */
static void remember(Manager *manager)
{
    const char *fence = NULL;

    for (guint i = 0; i < manager->workers->len && !fence; i++)
        fence = ((const Worker *) manager->workers->pdata[i])->fence;
    manager_keep_wish(manager, WISH, fence, &manager->fence_wish);
}

static bool may_be_told(const Worker *worker)
{
    return worker->state == WORKER_RUNNING || worker->state == WORKER_DRAINING;
}

static bool any_is_pinned(const Manager *manager)
{
    for (guint i = 0; i < manager->workers->len; i++)
        if (((const Worker *) manager->workers->pdata[i])->spec->placement.pin)
            return true;
    return false;
}

void manager_move_fences(Manager *manager)
{
    if (!manager->fence_wish && !any_is_pinned(manager))
        return;
    for (guint i = 0; i < manager->workers->len; i++) {
        Worker *worker = manager->workers->pdata[i];
        if (!may_be_told(worker))
            continue;
        g_autofree char *fence = cpus_left_to(manager, worker->spec);
        if (g_strcmp0(fence, worker->fence) != 0)
            manager_put_in_force(manager, worker);
    }
    remember(manager);
}

void manager_recall_fences(Manager *manager, const char *wish)
{
    manager->fence_wish = g_strdup(wish);
    for (guint i = 0; i < manager->workers->len; i++) {
        Worker *worker = manager->workers->pdata[i];
        if (!worker->spec->placement.pin)
            worker->fence = g_strdup(wish);
    }
    manager_move_fences(manager);
}
