/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* EnginePort over systemd: one transient scope for each worker, asked for once.
 *
 *   start ── launch_child ── scope-start.c ──► up ── checks ── launch_release ──► started
 *                │                  │                  │
 *                └──────── scope_worker_fail() ────────┘──► killed ──► started(r)
 *   kill, at any time ──► killed ──► gone            adopt ──► up, or what is left is killed ──► gone
 *
 * Nothing is announced from inside a call of the port, and a failed start or a gone only when nothing
 * lives any more. */
#include "engine/engine-systemd.h"
#include "engine/gpu-hiding.h"
#include "engine/proc-file.h"
#include "engine/scope-start.h"
#include "engine/systemd1.h"
#include "engine/worker-control.h"
#include "model/ids.h"
#include "util/sd-bus-util.h"

#include <string.h>

#define SYSTEMD_TIMEOUT_USEC (10 * USEC_PER_SEC)

typedef struct SystemdEngine {
    EnginePort port; /* first: the port is the engine */
    sd_event *event;
    EngineEvents events;
    Systemd1 *systemd;
    ScopeStarts *starts;
    GHashTable *workers; /* number → ScopeWorker */
    char *runtime_directory;
    char *slice;
    const Machine *machine;
    bool user_mode;
} SystemdEngine;

typedef struct ScopeWorker {
    SystemdEngine *engine;
    EngineWorker *base;
    char *unit;
    bool owns_unit;      /* the scope was made for it: a start that was refused may have met another's of that name */
    bool up;      /* started was announced, or it was adopted */
    bool killed;  /* the answer is gone, whatever it was doing */
    bool missing; /* was not found when it was to be adopted */
    int failure;  /* the start failed: announced when nothing lives */
    char *why;
    sd_bus_slot *lookup; /* of its control group */
    WorkerControl *control;
    WorkerLimits limits;  /* that its scope has, */
    bool knows_limits;    /* unless it was taken over */
    WorkerLimits setting; /* that systemd is to set */
    Placement placement;
    sd_bus_slot *set_call;
} ScopeWorker;

static SystemdEngine *engine_of(EnginePort *port)
{
    return (SystemdEngine *) port;
}

static ScopeWorker *find_worker(SystemdEngine *engine, uint32_t number)
{
    return g_hash_table_lookup(engine->workers, GUINT_TO_POINTER(number));
}

static void scope_worker_free(void *data)
{
    ScopeWorker *worker = data;

    sd_bus_slot_unref(worker->lookup);
    sd_bus_slot_unref(worker->set_call);
    worker_control_free(worker->control);
    worker_limits_done(&worker->limits);
    worker_limits_done(&worker->setting);
    placement_done(&worker->placement);
    engine_worker_free(worker->base);
    g_free(worker->unit);
    g_free(worker->why);
    g_free(worker);
}

/* ---- the end of a worker ---- */

static void announce_failure(ScopeWorker *worker)
{
    SystemdEngine *engine = worker->engine;
    uint32_t number = worker->base->number;
    g_autofree char *why = g_steal_pointer(&worker->why);
    int failure = worker->failure;

    if (!why) {
        g_autofree char *end = engine_worker_why(worker->base);
        why = g_strdup_printf("the worker's process ended before %s was ready: %s", worker->unit, end);
        failure = -ECHILD;
    }
    (void) unlink(worker->base->log_path);
    g_hash_table_remove(engine->workers, GUINT_TO_POINTER(number));
    engine->events.started(number, failure, NULL, why, engine->events.userdata);
}

static void on_worker_ended(EngineWorker *base, void *userdata)
{
    ScopeWorker *worker = userdata;
    SystemdEngine *engine = worker->engine;

    bool starting = scope_starts_abandon(engine->starts, base->number);
    if (!starting && worker->owns_unit)
        systemd1_stop_unit(engine->systemd, worker->unit); /* an empty scope may linger */
    if (!worker->up && !worker->killed) {
        announce_failure(worker);
        return;
    }
    g_autofree char *why =
        worker->missing ? g_strdup("not found after the restart of the daemon") : engine_worker_why(base);
    engine->events.gone(base->number, why, engine->events.userdata);
}

static void scope_worker_fail(ScopeWorker *worker, int r, char *why /* taken */)
{
    if (worker->why || worker->killed) {
        g_free(why);
        return;
    }
    worker->failure = r < 0 ? r : -EIO;
    worker->why = why;
    engine_worker_kill(worker->base);
}

/* ---- starting ---- */

/* The scope is up: does it hold the worker, and does that live? systemd also says "done" of a dead one. */
static int check_scope(ScopeWorker *worker, char **ret_why)
{
    EngineWorker *base = worker->base;
    g_autofree char *marker = g_strconcat("/", worker->unit, NULL);

    int r = worker_group_find(&base->group, base->process.pid, marker);
    if (proc_has_ended(base->launched.pidfd)) {
        *ret_why = NULL; /* its own end says more */
        return -ECHILD;
    }
    if (r < 0)
        *ret_why = g_strdup_printf("systemd says that %s is up, but the worker's process is not in it",
                                   worker->unit);
    return r;
}

static void scope_worker_go(ScopeWorker *worker)
{
    SystemdEngine *engine = worker->engine;
    EngineWorker *base = worker->base;
    char *why = NULL;

    int r = check_scope(worker, &why);
    if (r >= 0)
        gpu_hiding_apply(&base->group, engine->machine, &worker->placement);
    if (r >= 0)
        r = launch_release(&base->launched);
    if (r < 0 && why)
        scope_worker_fail(worker, r, why);
    if (r < 0)
        return; /* else its pidfd tells */
    base->process.unit = g_strdup(worker->unit);
    base->process.control_group = g_strdup(worker_group_path(&base->group));
    worker->up = true;
    engine->events.started(base->number, 0, &base->process, NULL, engine->events.userdata);
}

static void on_settled(uint32_t number, void *userdata)
{
    ScopeWorker *worker = find_worker(userdata, number);

    if (worker)
        engine_worker_reap(worker->base);
}

static void on_up(uint32_t number, const char *unit, void *userdata)
{
    SystemdEngine *engine = userdata;
    ScopeWorker *worker = find_worker(engine, number);

    if (!worker)
        return;
    g_free(worker->unit);
    worker->unit = g_strdup(unit);
    worker->owns_unit = true;
    if (worker->killed || worker->why)
        systemd1_stop_unit(engine->systemd, unit);
    else
        scope_worker_go(worker);
}

static void on_start_failed(uint32_t number, int r, const char *why, void *userdata)
{
    ScopeWorker *worker = find_worker(userdata, number);

    if (worker)
        scope_worker_fail(worker, r, g_strdup(why));
}

static ScopeWorker *scope_worker_new(SystemdEngine *engine, uint32_t number)
{
    ScopeWorker *worker = g_new0(ScopeWorker, 1);
    char id[WORKER_ID_MAX];

    g_assert(!find_worker(engine, number));
    worker_id_format(id, number);
    worker->engine = engine;
    worker->unit = g_strdup_printf("parexec-%s.scope", id);
    worker->base =
        engine_worker_new(engine->event, number, engine->runtime_directory, on_worker_ended, worker);
    worker->control = worker_control_new(engine->event, number, &engine->events);
    worker_limits_init(&worker->limits);
    worker_limits_init(&worker->setting);
    placement_init(&worker->placement);
    g_hash_table_insert(engine->workers, GUINT_TO_POINTER(number), worker);
    return worker;
}

static void on_launch_failed(EngineWorker *base, void *userdata)
{
    announce_failure(userdata);
}

static void engine_start(EnginePort *port, const EngineStart *request)
{
    SystemdEngine *engine = engine_of(port);
    ScopeWorker *worker = scope_worker_new(engine, request->number);

    worker->base->keep_zombie = true;
    int r = engine_worker_launch(worker->base, request->record);
    if (r < 0) {
        worker->failure = r;
        worker->why = g_strdup_printf("cannot make the worker's process: %s", g_strerror(-r));
        engine_worker_defer(worker->base, on_launch_failed);
        return;
    }
    g_autofree char *slice = worker_spec_slice(request->spec, engine->slice); /* systemd makes it, if there is none */
    worker_limits_copy(&worker->limits, &request->spec->limits);
    worker->knows_limits = true;
    placement_copy(&worker->placement, &request->spec->placement);
    scope_starts_add(engine->starts, request->number, worker->unit, slice, &worker->base->launched,
                     &request->spec->limits);
}

/* ---- adopting ---- */

static void announce_missing(EngineWorker *base, void *userdata)
{
    base->ended = true;
    on_worker_ended(base, userdata);
}

/* The worker's process is not there: what is left in its scope goes. */
static void kill_remains(ScopeWorker *worker, const char *control_group)
{
    g_autofree char *marker = g_strconcat("/", worker->unit, NULL);

    if (worker_group_recall(&worker->base->group, control_group, marker) < 0)
        engine_worker_defer(worker->base, announce_missing);
    else
        engine_worker_kill(worker->base);
}

static void on_control_group(const Systemd1Reply *reply, void *userdata)
{
    kill_remains(userdata, reply->value);
}

static void engine_adopt(EnginePort *port, uint32_t number, const WorkerProcess *process)
{
    SystemdEngine *engine = engine_of(port);
    ScopeWorker *worker = scope_worker_new(engine, number);

    worker->up = worker->owns_unit = true;
    if (process->unit && *process->unit) {
        g_free(worker->unit);
        worker->unit = g_strdup(process->unit);
    }
    g_autofree char *marker = g_strconcat("/", worker->unit, NULL);
    int r = engine_worker_adopt(worker->base, process);
    if (r >= 0)
        r = worker_group_find(&worker->base->group, process->pid, marker);
    if (r >= 0)
        return;
    worker->missing = true;
    engine_worker_disown(worker->base);
    if (process->control_group && *process->control_group)
        kill_remains(worker, process->control_group);
    else if (systemd1_get_control_group(engine->systemd, worker->unit, on_control_group, worker,
                                        &worker->lookup) < 0)
        kill_remains(worker, NULL);
}

/* ---- limits of what runs ---- */

/* systemd says it has done it, but logs only what the kernel refuses: then the scope gets its old limits again. */
static int check_limits_set(ScopeWorker *worker, char **ret_why)
{
    int r = worker_group_check_memory(&worker->base->group, &worker->setting, ret_why);

    if (r < 0 && worker->knows_limits)
        (void) !systemd1_set_limits(worker->engine->systemd, worker->unit, &worker->limits, &worker->setting, NULL, NULL, NULL);
    return r;
}

static void on_limits_set(const Systemd1Reply *reply, void *userdata)
{
    ScopeWorker *worker = userdata;
    char *why = NULL;
    int r = reply->r;

    worker->set_call = sd_bus_slot_unref(worker->set_call);
    if (r < 0)
        why = g_strdup_printf("systemd refused to set the limits of %s: %s", worker->unit, reply->why);
    else
        r = check_limits_set(worker, &why);
    if (r >= 0) {
        worker_limits_copy(&worker->limits, &worker->setting);
        worker->knows_limits = true;
    }
    worker_control_answer_limits(worker->control, r, why);
}

static void engine_set_limits(EnginePort *port, uint32_t number, const WorkerSpec *spec)
{
    SystemdEngine *engine = engine_of(port);
    ScopeWorker *worker = find_worker(engine, number);

    if (!worker)
        return;
    /* what is under way may be done or not */
    bool knows = worker->knows_limits && !worker->set_call;
    worker->set_call = sd_bus_slot_unref(worker->set_call);
    worker_limits_copy(&worker->setting, &spec->limits);
    int r = systemd1_set_limits(engine->systemd, worker->unit, &spec->limits, knows ? &worker->limits : NULL,
                                on_limits_set, worker, &worker->set_call);
    if (r < 0)
        worker_control_answer_limits(worker->control, r,
                                     g_strdup_printf("cannot ask systemd to set the limits of %s: %s", worker->unit,
                                                     g_strerror(-r)));
}

/* ---- the rest of the port ---- */

static void engine_kill(EnginePort *port, uint32_t number)
{
    SystemdEngine *engine = engine_of(port);
    ScopeWorker *worker = find_worker(engine, number);

    if (!worker || worker->base->ended)
        return;
    worker->killed = true;
    if (worker->missing)
        return; /* is being killed, or looked for */
    engine_worker_kill(worker->base);
    if (!worker->up)
        return; /* once the job is done, the scope is stopped */
    /* Through the kernel it is faster, and needs no PID 1 that answers; this is for where the kernel
     * cannot. */
    systemd1_kill_unit(engine->systemd, worker->unit);
    systemd1_stop_unit(engine->systemd, worker->unit);
}

static void engine_release(EnginePort *port, uint32_t number)
{
    SystemdEngine *engine = engine_of(port);
    ScopeWorker *worker = find_worker(engine, number);

    if (!worker)
        return;
    (void) unlink(worker->base->log_path);
    (void) scope_starts_abandon(engine->starts, number);
    g_hash_table_remove(engine->workers, GUINT_TO_POINTER(number));
}

static bool engine_owns(EnginePort *port, uint32_t number, int32_t pid)
{
    ScopeWorker *worker = find_worker(engine_of(port), number);

    return worker && worker->up && engine_worker_owns(worker->base, pid);
}

static void engine_usage(EnginePort *port, uint32_t number, EngineUsage *ret)
{
    ScopeWorker *worker = find_worker(engine_of(port), number);

    *ret = (EngineUsage) { UINT64_MAX, UINT64_MAX, UINT64_MAX };
    if (worker)
        worker_group_usage(&worker->base->group, ret);
}

static char **engine_not_enforced(EnginePort *port, uint32_t number, const WorkerSpec *spec)
{
    ScopeWorker *worker = find_worker(engine_of(port), number);

    if (!worker || !worker->up || worker->base->dead)
        return g_new0(char *, 1);
    EngineWorker *base = worker->base;
    char **sentences = worker_group_not_enforced(&base->group, base->process.pid, &spec->limits);
    return gpu_hiding_add_check(sentences, &base->group, worker->engine->machine, &spec->placement);
}

/* A user's own systemd can delegate on v2 only. */
static bool engine_delegates(EnginePort *port)
{
    return !engine_of(port)->user_mode || cgroup_hierarchy_unified() >= 0;
}

static void on_job_removed(const char *job, const char *unit, const char *result, void *userdata)
{
    SystemdEngine *engine = userdata;

    scope_starts_job_removed(engine->starts, job, unit, result);
}

static void on_systemd_restarted(void *userdata)
{
    SystemdEngine *engine = userdata;

    scope_starts_systemd_restarted(engine->starts);
}

static int engine_connect(SystemdEngine *engine, sd_bus *bus, const EngineOptions *options)
{
    uint64_t timeout_usec = options->timeout_usec > 0 ? options->timeout_usec : SYSTEMD_TIMEOUT_USEC;
    Systemd1Events systemd_events = {
        .job_removed = on_job_removed,
        .restarted = on_systemd_restarted,
        .userdata = engine,
    };
    ScopeStartsEvents starts_events = {
        .settled = on_settled,
        .up = on_up,
        .failed = on_start_failed,
        .userdata = engine,
    };

    int r = cgroups_init();
    if (r >= 0)
        r = systemd1_new(bus, timeout_usec, &systemd_events, &engine->systemd);
    if (r >= 0)
        engine->starts = scope_starts_new(engine->event, engine->systemd, timeout_usec, &starts_events);
    return r;
}

int engine_systemd_new(sd_bus *bus, sd_event *event, const EngineOptions *options, const EngineEvents *events,
                       EnginePort **ret)
{
    SystemdEngine *engine = g_new0(SystemdEngine, 1);

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
    engine->workers = g_hash_table_new_full(NULL, NULL, NULL, scope_worker_free);
    engine->runtime_directory = g_strdup(options->runtime_directory);
    engine->slice = g_strdup(options->slice);
    engine->machine = options->machine;
    engine->user_mode = options->user_mode;
    int r = engine_connect(engine, bus, options);
    if (r < 0) {
        engine_systemd_free(&engine->port);
        return r;
    }
    *ret = &engine->port;
    return 0;
}

EnginePort *engine_systemd_free(EnginePort *port)
{
    SystemdEngine *engine = engine_of(port);

    if (!engine)
        return NULL;
    g_hash_table_unref(engine->workers);
    scope_starts_free(engine->starts);
    systemd1_free(engine->systemd);
    sd_event_unref(engine->event);
    g_free(engine->runtime_directory);
    g_free(engine->slice);
    g_free(engine);
    return NULL;
}
