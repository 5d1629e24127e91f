/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Limits of workers that live already: they are changed by the engine. See limiting.c for those of tasks. */
#include <math.h>

#include "core/manager-internal.h"
#include "util/parse-util.h"

/* ---- workers */

/* What is already counted as the worker's. Without a limit that is nothing but what it takes: else a first step to no limit
 * would open the way to any. */
static uint64_t counted_bytes(Manager *manager, Worker *worker)
{
    uint64_t limit = worker->spec->limits.memory_max_bytes;
    EngineUsage usage;

    if (limit != LIMIT_INFINITY)
        return limit;
    manager_worker_usage(manager, worker, &usage);
    return usage.memory_bytes == UINT64_MAX ? 0 : usage.memory_bytes;
}

/* What the private workers of its user were promised beside it. */
static uint64_t promised_to_others(Manager *manager, const Worker *worker)
{
    uint64_t sum = 0;

    for (guint i = 0; i < manager->workers->len; i++) {
        const Worker *other = manager->workers->pdata[i];
        if (other != worker && worker_state_is_live(other->state) && other->spec->user == worker->spec->user)
            sum = usec_add(sum, other->spec->limits.memory_max_bytes); /* saturating */
    }
    return sum;
}

/* More memory has to be there, also of one that was forced before; what it has already is no question. How fast it may be is
 * none either: CPU time is shared, whatever was promised. */
static AdmissionVerdict judge_growth(Manager *manager, Worker *worker, const WorkerLimits *limits, char **ret_why)
{
    uint64_t old = counted_bytes(manager, worker), wanted = limits->memory_max_bytes;
    AdmissionFacts facts;
    HostFacts host;

    if (wanted == worker->spec->limits.memory_max_bytes || wanted <= old)
        return ADMITTED;
    manager->ports.host->facts(manager->ports.host, &host);
    manager_admission_facts(manager, worker->spec, &host, &facts);
    facts.max_workers = facts.user_max = UINT32_MAX;
    facts.cores = 0;
    facts.group_cpus = INFINITY;
    facts.user_committed_bytes = usec_add(promised_to_others(manager, worker), old);
    facts.memory_max_bytes = wanted == LIMIT_INFINITY ? LIMIT_INFINITY : wanted - old;
    facts.force = false;
    return admission_decide(&facts, ret_why);
}

static void answer_limits(Worker *worker, int r, const char *why)
{
    ManagerWorkerDone done = worker->limiting.done;

    worker->limiting.done = NULL;
    if (done)
        done(r, why, worker->limiting.userdata);
}

int manager_set_worker_limits(Manager *manager, Worker *worker, const WorkerLimits *limits, bool force,
                              ManagerWorkerDone done, void *userdata, char **ret_why)
{
    g_autofree char *why = NULL;

    if (!worker_state_is_live(worker->state) || worker->state == WORKER_STARTING)
        return -EALREADY;
    if (worker->limiting.done)
        return -EBUSY;
    AdmissionVerdict verdict = judge_growth(manager, worker, limits, &why);
    if (verdict != ADMITTED && !(force && verdict == REFUSED_MEMORY)) {
        *ret_why = g_steal_pointer(&why);
        return -EPERM;
    }
    worker->limiting.forced = verdict != ADMITTED;
    worker_limits_copy(&worker->limiting.before, &worker->spec->limits);
    worker_limits_copy(&worker->spec->limits, limits);
    worker->limiting.done = done;
    worker->limiting.userdata = userdata;
    manager_put_in_force(manager, worker);
    return 0;
}

void manager_worker_limits_set(uint32_t number, int r, const char *why, void *userdata)
{
    Manager *manager = userdata;
    Worker *worker = manager_find_worker(manager, number);
    EnginePort *engine;

    if (!worker)
        return;
    if (!worker->limiting.done) /* it was throttled, or let go */
        return;
    if (r < 0)
        worker_limits_copy(&worker->spec->limits, &worker->limiting.before);
    else
        worker->spec->forced |= worker->limiting.forced;
    engine = manager_engine(manager, worker);
    g_strfreev(worker->not_enforced);
    worker->not_enforced = engine->not_enforced(engine, number, worker->spec);
    manager_save_worker(manager, worker);
    NOTIFY(manager, worker_changed, worker);
    answer_limits(worker, r, why);
    manager_throttle_follow(manager, worker);
    parking_room_changed(manager, worker);
    dispatch(manager);
}

void manager_forget_worker_limits(Worker *worker)
{
    answer_limits(worker, -ECANCELED, "the worker has ended");
}
