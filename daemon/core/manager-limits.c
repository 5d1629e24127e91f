/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Limits of what lives already: a worker's are changed by its engine, a running task's by its worker, and what waits is
 * changed in the store. */
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

/* More memory has to be there; what the worker has already is no question. */
static bool may_grow(Manager *manager, Worker *worker, const WorkerLimits *limits, char **ret_why)
{
    uint64_t old = counted_bytes(manager, worker), wanted = limits->memory_max_bytes;
    AdmissionFacts facts;
    HostFacts host;

    if (wanted == LIMIT_INFINITY || wanted == worker->spec->limits.memory_max_bytes || wanted <= old)
        return true;
    manager->ports.host->facts(manager->ports.host, &host);
    manager_admission_facts(manager, worker->spec, &host, &facts);
    facts.max_workers = facts.user_max = UINT32_MAX;
    facts.cores = 0;
    facts.group_cpus = INFINITY;
    facts.memory_max_bytes = wanted - old;
    facts.force = worker->spec->forced;
    return admission_decide(&facts, ret_why) == ADMITTED;
}

static void answer_limits(Worker *worker, int r, const char *why)
{
    ManagerWorkerDone done = worker->limiting.done;

    worker->limiting.done = NULL;
    if (done)
        done(r, why, worker->limiting.userdata);
}

int manager_set_worker_limits(Manager *manager, Worker *worker, const WorkerLimits *limits, ManagerWorkerDone done,
                              void *userdata, char **ret_why)
{
    EnginePort *engine = manager_engine(manager, worker);

    if (!worker_state_is_live(worker->state) || worker->state == WORKER_STARTING)
        return -EALREADY;
    if (worker->limiting.done)
        return -EBUSY;
    if (!may_grow(manager, worker, limits, ret_why))
        return -EPERM;
    worker_limits_copy(&worker->limiting.before, &worker->spec->limits);
    worker_limits_copy(&worker->spec->limits, limits);
    worker->limiting.done = done;
    worker->limiting.userdata = userdata;
    engine->set_limits(engine, worker->number, worker->spec);
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
    engine = manager_engine(manager, worker);
    g_strfreev(worker->not_enforced);
    worker->not_enforced = engine->not_enforced(engine, number, worker->spec);
    manager_save_worker(manager, worker);
    NOTIFY(manager, worker_changed, worker);
    answer_limits(worker, r, why);
    manager_throttle_follow(manager, worker, r >= 0);
    parking_room_changed(manager, worker);
    dispatch(manager);
}

void manager_forget_worker_limits(Worker *worker)
{
    answer_limits(worker, -ECANCELED, "the worker has ended");
}

/* ---- tasks */

typedef struct Limiting {
    Manager *manager;
    TaskLimits limits;
    ManagerModified done;
    void *userdata;
} Limiting;

/* For what is counted of it, and shown. */
static void note_limits(ActiveTask *task, const TaskLimits *limits)
{
    if (limits->set_memory) /* more than its worker has it cannot take, and others are not to be kept out by it */
        task->spec->memory_max_bytes = MIN(limits->memory_max_bytes, task->worker->spec->limits.memory_max_bytes);
    if (limits->set_cpu) {
        task->limits.set_cpu = true;
        task->limits.cpu_quota_usec_per_sec = limits->cpu_quota_usec_per_sec;
    }
    if (limits->set_tasks) {
        task->limits.set_tasks = true;
        task->limits.tasks_max = limits->tasks_max;
    }
    if (limits->set_io) {
        task->limits.set_io = true;
        task->limits.io_weight = limits->io_weight;
    }
}

static void limit_started(const Limiting *limiting, const GArray *started)
{
    Manager *manager = limiting->manager;
    TaskLimits limits = limiting->limits;

    for (guint i = 0; i < started->len; i++) {
        ActiveTask *task = manager_find_active(manager, g_array_index(started, uint64_t, i));
        if (!task || !task->worker || task->settling)
            continue;
        limits.task = task->spec->id;
        note_limits(task, &limits);
        manager->ports.link->limit(manager->ports.link, task->worker_number, &limits);
    }
}

static void on_limited(int r, const Modified *modified, void *userdata)
{
    g_autofree Limiting *limiting = userdata;

    if (r >= 0) {
        manager_apply_modified(limiting->manager, modified, TASK_EDIT);
        limit_started(limiting, modified->started);
    }
    limiting->done(r, r >= 0 ? modified->count : 0, limiting->userdata);
    dispatch(limiting->manager); /* one that has less now leaves room */
}

void manager_set_task_limits(Manager *manager, TaskFilter *filter, uint32_t only_uid, const TaskLimits *limits,
                             ManagerModified done, void *userdata)
{
    Limiting *limiting = g_new(Limiting, 1);
    TaskEdit *edit = g_new0(TaskEdit, 1);

    *limiting = (Limiting){ manager, *limits, done, userdata };
    edit->limits = *limits;
    manager->ports.store->modify(manager->ports.store, filter, only_uid, TASK_LIMIT, edit, on_limited, limiting);
}
