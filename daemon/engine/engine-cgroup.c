/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* EnginePort without systemd: the worker in a plain cgroup "parexec/w1" below the daemon's own, or only a
 * process.
 *
 *   start ── launch_child ── groups, limits, attach ── launch_release ──► up: started, from the loop
 *   kill, at any time ──► killed ──► gone           adopt ──► up, or what is left is killed ──► gone
 *
 * All of starting is done at once, since only the kernel is asked; only the answer waits for the loop.
 * Where a worker is only a process, its tree is found through /proc: alive, it is the parent of all that
 * its tasks leave behind; when it dies by itself, that becomes the daemon's, which is made a subreaper for
 * it. */
#include "engine/engine-cgroup.h"
#include "engine/cgroup-base.h"
#include "engine/gpu-hiding.h"
#include "engine/limit-check.h"
#include "engine/proc-file.h"
#include "engine/worker-control.h"
#include "model/ids.h"

#include <string.h>
#include <sys/prctl.h>

typedef struct CgroupEngine {
    EnginePort port; /* first: the port is the engine */
    sd_event *event;
    EngineEvents events;
    GHashTable *workers; /* number → CgroupWorker */
    char *runtime_directory;
    CgroupBase base;
    const Machine *machine;
    bool prepared;
} CgroupEngine;

typedef struct CgroupWorker {
    CgroupEngine *engine;
    EngineWorker *base;
    WorkerControl *control;
    bool announced; /* started was called, or it was adopted */
    bool killed;
    bool missing; /* was not found when it was to be adopted */
    int failure;
    char *why;
} CgroupWorker;

static CgroupEngine *engine_of(EnginePort *port)
{
    return (CgroupEngine *) port;
}

static CgroupWorker *find_worker(CgroupEngine *engine, uint32_t number)
{
    return g_hash_table_lookup(engine->workers, GUINT_TO_POINTER(number));
}

static void cgroup_worker_free(void *data)
{
    CgroupWorker *worker = data;

    worker_control_free(worker->control);
    engine_worker_free(worker->base);
    g_free(worker->why);
    g_free(worker);
}

static char *marker_of(uint32_t number)
{
    char id[WORKER_ID_MAX];

    worker_id_format(id, number);
    return g_strconcat("/parexec/", id, NULL);
}

/* Whatever becomes a child of the daemon and is no worker was left behind by one that died. */
static void find_orphans(GArray *pids, void *userdata)
{
    proc_children(pids);
    for (guint i = pids->len; i-- > 0;) {
        int32_t pid = g_array_index(pids, int32_t, i);
        ProcStat stat;
        if (launch_is_child(pid) || proc_stat(pid, &stat) < 0 || stat.state == 'Z')
            g_array_remove_index_fast(pids, i);
    }
}

static void announce(CgroupWorker *worker)
{
    CgroupEngine *engine = worker->engine;
    EngineWorker *base = worker->base;

    if (worker->announced || worker->killed)
        return;
    worker->announced = true;
    if (!worker->why) {
        engine->events.started(base->number, 0, &base->process, NULL, engine->events.userdata);
        return;
    }
    uint32_t number = base->number;
    int failure = worker->failure;
    g_autofree char *why = g_steal_pointer(&worker->why);
    (void) unlink(base->log_path);
    g_hash_table_remove(engine->workers, GUINT_TO_POINTER(number));
    engine->events.started(number, failure, NULL, why, engine->events.userdata);
}

static void on_deferred(EngineWorker *base, void *userdata)
{
    announce(userdata);
}

static void on_worker_ended(EngineWorker *base, void *userdata)
{
    CgroupWorker *worker = userdata;
    CgroupEngine *engine = worker->engine;
    bool failed = worker->why != NULL;

    worker_group_remove(&base->group);
    announce(worker);
    if (failed && !worker->killed)
        return;
    g_autofree char *why =
        worker->missing ? g_strdup("not found after the restart of the daemon") : engine_worker_why(base);
    engine->events.gone(base->number, why, engine->events.userdata);
}

/* ---- starting ---- */

static void prepare(CgroupEngine *engine)
{
    if (engine->prepared)
        return;
    engine->prepared = true;
    if (!engine->base.reason)
        cgroup_base_prepare(&engine->base);
    if (engine->base.reason)
        (void) prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static CgroupWorker *cgroup_worker_new(CgroupEngine *engine, uint32_t number)
{
    CgroupWorker *worker = g_new0(CgroupWorker, 1);

    g_assert(!find_worker(engine, number));
    worker->engine = engine;
    worker->base =
        engine_worker_new(engine->event, number, engine->runtime_directory, on_worker_ended, worker);
    worker->base->find_orphans = find_orphans;
    worker->control = worker_control_new(engine->event, number, &engine->events);
    g_hash_table_insert(engine->workers, GUINT_TO_POINTER(number), worker);
    return worker;
}

static void place(CgroupWorker *worker, const WorkerLimits *limits)
{
    EngineWorker *base = worker->base;
    char id[WORKER_ID_MAX];

    worker_id_format(id, base->number);
    int r = -ENOENT;
    if (!worker->engine->base.reason)
        r = cgroup_base_add_worker(&worker->engine->base, id, limits, base->process.pid, &base->group);
    base->only_process = r < 0;
    const char *path = worker_group_path(&base->group);
    base->process.unit = g_strdup("");
    base->process.control_group = g_strdup(path ? path : "");
}

static void engine_start(EnginePort *port, const EngineStart *request)
{
    CgroupEngine *engine = engine_of(port);
    CgroupWorker *worker = cgroup_worker_new(engine, request->number);

    prepare(engine);
    int r = engine_worker_launch(worker->base, request->record);
    if (r >= 0) {
        place(worker, &request->spec->limits);
        gpu_hiding_apply(&worker->base->group, engine->machine, &request->spec->placement);
        r = launch_release(&worker->base->launched);
    }
    if (r >= 0 || worker->base->launched.pid == 0)
        engine_worker_defer(worker->base, on_deferred);
    if (r >= 0)
        return;
    worker->failure = r;
    worker->why = g_strdup_printf("cannot make the worker's process: %s", g_strerror(-r));
    if (worker->base->launched.pid > 0)
        engine_worker_kill(worker->base);
}

/* ---- the rest of the port ---- */

static void announce_missing(EngineWorker *base, void *userdata)
{
    base->ended = true;
    on_worker_ended(base, userdata);
}

static void engine_adopt(EnginePort *port, uint32_t number, const WorkerProcess *process)
{
    CgroupWorker *worker = cgroup_worker_new(engine_of(port), number);
    EngineWorker *base = worker->base;
    g_autofree char *marker = marker_of(number);
    bool had_group = process->control_group && *process->control_group;

    prepare(worker->engine);
    worker->announced = true;
    int r = engine_worker_adopt(base, process);
    if (r >= 0 && had_group)
        r = worker_group_find(&base->group, process->pid, marker);
    if (r >= 0) {
        base->only_process = !had_group;
        return;
    }
    worker->missing = true;
    engine_worker_disown(base);
    if (had_group && worker_group_recall(&base->group, process->control_group, marker) >= 0)
        engine_worker_kill(base);
    else
        engine_worker_defer(base, announce_missing);
}

static void engine_kill(EnginePort *port, uint32_t number)
{
    CgroupWorker *worker = find_worker(engine_of(port), number);

    if (!worker || worker->base->ended)
        return;
    worker->killed = true;
    if (!worker->missing)
        engine_worker_kill(worker->base);
}

static void engine_release(EnginePort *port, uint32_t number)
{
    CgroupEngine *engine = engine_of(port);
    CgroupWorker *worker = find_worker(engine, number);

    if (!worker)
        return;
    (void) unlink(worker->base->log_path);
    g_hash_table_remove(engine->workers, GUINT_TO_POINTER(number));
}

static bool engine_owns(EnginePort *port, uint32_t number, int32_t pid)
{
    CgroupWorker *worker = find_worker(engine_of(port), number);

    return worker && !worker->missing && engine_worker_owns(worker->base, pid);
}

static void engine_usage(EnginePort *port, uint32_t number, EngineUsage *ret)
{
    CgroupWorker *worker = find_worker(engine_of(port), number);

    *ret = (EngineUsage) { UINT64_MAX, UINT64_MAX, UINT64_MAX };
    if (worker)
        worker_group_usage(&worker->base->group, ret);
}

static char **engine_not_enforced(EnginePort *port, uint32_t number, const WorkerSpec *spec)
{
    CgroupEngine *engine = engine_of(port);
    CgroupWorker *worker = find_worker(engine, number);

    if (!worker || worker->base->dead)
        return g_new0(char *, 1);
    EngineWorker *base = worker->base;
    const char *reason = engine->base.reason ? engine->base.reason : "no cgroup takes the process";
    char **sentences = base->only_process
                           ? limit_check_none(&spec->limits, reason)
                           : worker_group_not_enforced(&base->group, base->process.pid, &spec->limits);
    return gpu_hiding_add_check(sentences, &base->group, engine->machine, &spec->placement);
}

static void engine_set_limits(EnginePort *port, uint32_t number, const WorkerSpec *spec)
{
    CgroupWorker *worker = find_worker(engine_of(port), number);
    char *why = NULL;

    if (!worker)
        return;
    int r = worker_group_set_limits(&worker->base->group, &spec->limits, &why);
    worker_control_answer_limits(worker->control, r, why);
}

static bool engine_delegates(EnginePort *port)
{
    CgroupEngine *engine = engine_of(port);

    prepare(engine);
    return !engine->base.reason;
}

int engine_cgroup_new(sd_event *event, const EngineOptions *options, const EngineEvents *events,
                      EnginePort **ret)
{
    CgroupEngine *engine = g_new0(CgroupEngine, 1);

    engine->port = (EnginePort) {
        .start = engine_start,
        .adopt = engine_adopt,
        .kill = engine_kill,
        .release = engine_release,
        .owns = engine_owns,
        .usage = engine_usage,
        .not_enforced = engine_not_enforced,
        .set_limits = engine_set_limits,
        .delegates = engine_delegates,
    };
    engine->event = sd_event_ref(event);
    engine->events = *events;
    engine->workers = g_hash_table_new_full(NULL, NULL, NULL, cgroup_worker_free);
    engine->runtime_directory = g_strdup(options->runtime_directory);
    engine->machine = options->machine;
    if (options->processes_only)
        engine->base.reason = g_strdup("cgroups are not used");
    else if (cgroups_init() < 0)
        engine->base.reason = g_strdup("no cgroup hierarchy is mounted");
    *ret = &engine->port;
    return 0;
}

EnginePort *engine_cgroup_free(EnginePort *port)
{
    CgroupEngine *engine = engine_of(port);

    if (!engine)
        return NULL;
    g_hash_table_unref(engine->workers);
    cgroup_base_done(&engine->base);
    sd_event_unref(engine->event);
    g_free(engine->runtime_directory);
    g_free(engine);
    return NULL;
}
