/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fakes of every port but the store, and the small steps that the core's tests are made of. */
#include "fake-ports.h"

#include <math.h>
#include <string.h>

#define AT(port, member) ((World *) ((char *) (port) - offsetof(World, member)))

static void say(GString *log, const char *format, ...) _printf_(2, 3);
static void say(GString *log, const char *format, ...)
{
    va_list ap;

    if (log->len > 0)
        g_string_append(log, "; ");
    va_start(ap, format);
    g_string_append_vprintf(log, format, ap);
    va_end(ap);
}

char *world_take(GString *log)
{
    char *text = g_strdup(log->str);

    g_string_truncate(log, 0);
    return text;
}

void world_forget_logs(World *world)
{
    g_string_truncate(world->engine_log, 0);
    g_string_truncate(world->link_log, 0);
    g_string_truncate(world->worker_log, 0);
    g_string_truncate(world->task_log, 0);
    g_string_truncate(world->news_log, 0);
    g_string_truncate(world->notes_log, 0);
}

/* ---- engine */

static void engine_start(EnginePort *port, const EngineStart *start)
{
    World *world = AT(port, engine);
    size_t size;
    const void *data = g_bytes_get_data(start->record, &size);

    say(world->engine_log, "start w%u", start->number);
    if (start->spec->limits.allowed_cpus)
        g_string_append_printf(world->engine_log, " cpus %s", start->spec->limits.allowed_cpus);
    launch_record_free(g_steal_pointer(&world->launched));
    g_assert_cmpint(launch_record_parse(data, size, &world->launched), ==, 0);
}

static void engine_adopt(EnginePort *port, uint32_t number, const WorkerProcess *process)
{
    say(AT(port, engine)->engine_log, "adopt w%u %d", number, process->pid);
}

static void engine_kill(EnginePort *port, uint32_t number)
{
    say(AT(port, engine)->engine_log, "kill w%u", number);
}

static void engine_release(EnginePort *port, uint32_t number)
{
    say(AT(port, engine)->engine_log, "release w%u", number);
}

static bool engine_owns(EnginePort *port, uint32_t number, int32_t pid)
{
    return GPOINTER_TO_UINT(g_hash_table_lookup(AT(port, engine)->processes, GINT_TO_POINTER(pid))) == number;
}

static void engine_usage(EnginePort *port, uint32_t number, EngineUsage *ret)
{
    *ret = AT(port, engine)->usage;
}

static char **engine_not_enforced(EnginePort *port, uint32_t number, const WorkerSpec *spec)
{
    char **strv = g_new0(char *, 2);

    strv[0] = g_strdup(AT(port, engine)->not_enforced);
    return strv;
}

static void engine_set_limits(EnginePort *port, uint32_t number, const WorkerSpec *spec)
{
    say(AT(port, engine)->engine_log, "limits w%u %" G_GUINT64_FORMAT, number, spec->limits.memory_max_bytes >> 20);
    if (spec->limits.memory_high_bytes != LIMIT_INFINITY)
        g_string_append_printf(AT(port, engine)->engine_log, " high %" G_GUINT64_FORMAT, spec->limits.memory_high_bytes >> 20);
    if (spec->limits.allowed_cpus)
        g_string_append_printf(AT(port, engine)->engine_log, " cpus %s", spec->limits.allowed_cpus);
}

static bool engine_delegates(EnginePort *port)
{
    return AT(port, engine)->delegates;
}

/* ---- link */

static void link_run(LinkPort *port, uint32_t worker, TaskSpec *const *tasks, size_t n)
{
    World *world = AT(port, link);

    say(world->link_log, "run w%u", worker);
    for (size_t i = 0; i < n; i++) {
        g_string_append_printf(world->link_log, " %" G_GUINT64_FORMAT ".%" G_GUINT64_FORMAT, tasks[i]->id, tasks[i]->fence);
        if (tasks[i]->inputs)
            g_string_append_printf(world->link_log, "<%u", tasks[i]->inputs->len);
        world->link_fds_seen |= tasks[i]->fds != NULL;
    }
}

static void say_ids(World *world, const char *verb, uint32_t worker, const uint64_t *tasks, size_t n)
{
    say(world->link_log, "%s w%u", verb, worker);
    for (size_t i = 0; i < n; i++)
        g_string_append_printf(world->link_log, " %" G_GUINT64_FORMAT, tasks[i]);
}

static void link_recall(LinkPort *port, uint32_t worker, const uint64_t *tasks, size_t n)
{
    say_ids(AT(port, link), "recall", worker, tasks, n);
}

static void link_stop(LinkPort *port, uint32_t worker, const uint64_t *tasks, size_t n, Outcome outcome)
{
    g_assert_true(outcome == OUTCOME_ABORTED || outcome == OUTCOME_TIMEOUT);
    say_ids(AT(port, link), outcome == OUTCOME_ABORTED ? "cancel" : "timeout", worker, tasks, n);
}

static void link_limit(LinkPort *port, uint32_t worker, const TaskLimits *limits)
{
    say(AT(port, link)->link_log, "limit w%u %" G_GUINT64_FORMAT, worker, limits->task);
    if (limits->set_memory)
        g_string_append_printf(AT(port, link)->link_log, " memory %" G_GUINT64_FORMAT, limits->memory_max_bytes >> 20);
}

static void link_freeze(LinkPort *port, uint32_t worker, const uint64_t *tasks, size_t n, bool frozen, bool reclaim)
{
    say_ids(AT(port, link), frozen ? "freeze" : "thaw", worker, tasks, n);
    if (reclaim)
        g_string_append(AT(port, link)->link_log, " reclaim");
}

static void link_exit(LinkPort *port, uint32_t worker)
{
    say(AT(port, link)->link_log, "exit w%u", worker);
}

static void link_drop(LinkPort *port, uint32_t worker)
{
    say(AT(port, link)->link_log, "drop w%u", worker);
}

/* ---- host and clock */

static void host_facts(HostPort *port, HostFacts *ret)
{
    *ret = AT(port, host)->facts;
}

static void host_groups(HostPort *port, const WorkerSpec *spec, HostGroups *ret)
{
    World *world = AT(port, host);

    *ret = (HostGroups){ world->group, world->engine_groups[spec->engine], world->slices[spec->user != UID_ANYBODY] };
}

static const Machine *host_machine(HostPort *port)
{
    return &AT(port, host)->machine;
}

static uint64_t clock_monotonic(ClockPort *port)
{
    return AT(port, clock)->now;
}

static uint64_t clock_realtime(ClockPort *port)
{
    return AT(port, clock)->real;
}

static uint64_t clock_boot(ClockPort *port)
{
    return AT(port, clock)->boot;
}

static void clock_set_wake(ClockPort *port, uint64_t boot_usec, uint64_t realtime_usec)
{
    World *world = AT(port, clock);

    world->wake_boot = boot_usec;
    world->wake_real = realtime_usec;
}

static void clock_set_alarm(ClockPort *port, uint64_t usec)
{
    AT(port, clock)->alarm = usec;
}

void world_advance(World *world, uint64_t usec)
{
    uint64_t end = world->now + usec;

    while (world->alarm <= end) {
        uint64_t due = MAX(world->alarm, world->now);
        world->real += due - world->now;
        world->boot += due - world->now;
        world->now = due;
        world->alarm = UINT64_MAX;
        manager_tick(world->manager);
        g_assert_cmpuint(world->alarm, >, world->now); /* a busy loop */
    }
    world->real += end - world->now;
    world->boot += end - world->now;
    world->now = end;
}

/* ---- observer */

static void on_worker_added(ObserverPort *port, Worker *worker)
{
    say(AT(port, observer)->worker_log, "added %s", worker->id);
}

static void on_worker_state(ObserverPort *port, Worker *worker, WorkerState old)
{
    say(AT(port, observer)->worker_log, "%s %s→%s", worker->id, worker_state_to_string(old), worker_state_to_string(worker->state));
}

static void on_worker_changed(ObserverPort *port, Worker *worker)
{
    AT(port, observer)->n_worker_changes++;
}

static void on_worker_removed(ObserverPort *port, Worker *worker)
{
    say(AT(port, observer)->worker_log, "removed %s", worker->id);
}

static void on_task_changed(ObserverPort *port, const TaskChange *change)
{
    GString *log = AT(port, observer)->task_log;

    say(log, "%" G_GUINT64_FORMAT " %s", change->task, task_state_to_string(change->state));
    if (change->worker > 0)
        g_string_append_printf(log, " w%u", change->worker);
    if (change->attempt > 0)
        g_string_append_printf(log, " #%u", change->attempt);
    if (change->result)
        g_string_append_printf(log, " %s", outcome_to_string(change->result->outcome));
}

static void on_batch_ended(ObserverPort *port, const BatchEnd *end)
{
    AT(port, observer)->n_batches++;
}

static void on_queue_changed(ObserverPort *port)
{
    AT(port, observer)->n_queue_changes++;
}

static void on_settings_changed(ObserverPort *port)
{
    AT(port, observer)->n_settings_changes++;
}

static void on_task_unplaceable(ObserverPort *port, uint64_t task, const char *why)
{
    say(AT(port, observer)->news_log, "%" G_GUINT64_FORMAT " unplaceable: %s", task, why);
}

static void on_pressure_changed(ObserverPort *port, const char *rung, const char *why)
{
    g_assert_true(g_str_has_prefix(why, "in the last 10 s tasks waited "));
    say(AT(port, observer)->news_log, "pressure %s", rung);
}

static void on_noted(ObserverPort *port, const char *sentence)
{
    say(AT(port, observer)->notes_log, "%s", sentence);
}

/* ---- life */

static void fill_ports(World *world)
{
    world->engine = (EnginePort){ .start = engine_start, .adopt = engine_adopt, .kill = engine_kill, .release = engine_release,
                                  .owns = engine_owns, .usage = engine_usage, .not_enforced = engine_not_enforced,
                                  .delegates = engine_delegates, .set_limits = engine_set_limits };
    world->link = (LinkPort){ .run = link_run, .recall = link_recall, .stop = link_stop, .limit = link_limit, .freeze = link_freeze, .exit = link_exit, .drop = link_drop };
    world->host = (HostPort){ .facts = host_facts, .groups = host_groups, .machine = host_machine };
    world->clock = (ClockPort){ clock_monotonic, clock_realtime, clock_boot, clock_set_alarm, clock_set_wake };
    world->observer = (ObserverPort){ on_worker_added, on_worker_state, on_worker_changed, on_worker_removed, on_task_changed, on_batch_ended,
                                      on_queue_changed, on_settings_changed, on_task_unplaceable, on_pressure_changed, on_noted };
}

static void begin(World *world)
{
    static ObserverPort deaf; /* any member may be NULL */
    ManagerPorts ports = {
        .store = &world->store.port,
        .engines = { [ENGINE_SYSTEMD] = &world->engine },
        .link = &world->link,
        .host = &world->host,
        .clock = &world->clock,
        .socket_path = "/run/parexec/worker.sock",
        .output_directory = "/var/lib/parexec/output",
        .spool_directory = "/var/lib/parexec/spool",
    };

    world->manager = manager_new(&world->settings);
    world->store.events = manager_store_events(world->manager);
    manager_add_observer(world->manager, &deaf);
    manager_add_observer(world->manager, &world->observer);
    manager_start(world->manager, &ports, fake_store_snapshot(&world->store));
}

void world_setup(World *world, const void *unused)
{
    *world = (World){
        .settings = {
            .max_workers = 8,
            .memory_reserve_bytes = UINT64_C(1) << 30,
            .worker_start_timeout_usec = 30 * USEC_PER_SEC,
            .heartbeat_usec = 30 * USEC_PER_SEC,
            .stalled_after_usec = 180 * USEC_PER_SEC,
            .keep_failed_usec = 300 * USEC_PER_SEC,
            .orphan_timeout_usec = 600 * USEC_PER_SEC,
            .slots = 1,
            .max_user_workers = UINT32_MAX,
            .max_user_memory_bytes = LIMIT_INFINITY,
            .memory_default_bytes = UINT64_C(256) << 20,
            .keep_output_usec = UINT64_MAX,
            .keep_history_usec = UINT64_MAX,
            .output_quota_bytes = UINT64_MAX,
        },
        .facts = { .memory_total_bytes = UINT64_C(64) << 30,
                   .memory_available_bytes = UINT64_C(32) << 30,
                   .memory_pressure_percent = 0.5,
                   .cpu_percent = 10.0,
                   .cpus = 8,
                   .cores = 8 },
        .group = { UINT64_MAX, INFINITY },
        .engine_groups = { { UINT64_MAX, INFINITY }, { UINT64_MAX, INFINITY } },
        .slices = { { UINT64_MAX, INFINITY }, { UINT64_MAX, INFINITY } },
        .usage = { 1 << 20, 2 << 20, 0 },
        .delegates = true,
        .now = 1000 * USEC_PER_SEC,
        .real = UINT64_C(1700000000) * USEC_PER_SEC,
        .boot = 5000 * USEC_PER_SEC,
        .alarm = UINT64_MAX,
        .wake_boot = UINT64_MAX,
        .wake_real = UINT64_MAX,
    };
    task_policy_init(&world->settings.policy);
    worker_limits_init(&world->settings.limits);
    world->settings.limits.memory_max_bytes = UINT64_C(1) << 30;
    fake_store_init(&world->store);
    world->engine_log = g_string_new(NULL);
    world->link_log = g_string_new(NULL);
    world->worker_log = g_string_new(NULL);
    world->task_log = g_string_new(NULL);
    world->news_log = g_string_new(NULL);
    world->notes_log = g_string_new(NULL);
    world->processes = g_hash_table_new(NULL, NULL);
    fill_ports(world);
    begin(world);
    fake_store_dispatch(&world->store);
}

void world_teardown(World *world, const void *unused)
{
    fake_store_dispatch(&world->store); /* nobody waits for ever, nothing leaks */
    manager_free(world->manager);
    fake_store_done(&world->store);
    g_string_free(world->engine_log, TRUE);
    g_string_free(world->link_log, TRUE);
    g_string_free(world->worker_log, TRUE);
    g_string_free(world->task_log, TRUE);
    g_string_free(world->news_log, TRUE);
    g_string_free(world->notes_log, TRUE);
    g_hash_table_unref(world->processes);
    launch_record_free(world->launched);
    settings_done(&world->settings);
    g_free(world->answer_reason);
}

void world_restart(World *world)
{
    fake_store_dispatch(&world->store);
    manager_free(world->manager);
    world->alarm = world->wake_boot = world->wake_real = UINT64_MAX;
    world_forget_logs(world);
    begin(world);
}

/* ---- workers */

WorkerSpec *world_spec(uint32_t slots)
{
    WorkerSpec *spec = worker_spec_new();

    spec->slots = slots;
    spec->limits.memory_max_bytes = UINT64_C(1) << 30;
    return spec;
}

static void on_answer(int r, Worker *worker, void *userdata)
{
    World *world = userdata;

    world->n_answers++;
    world->answer_r = r;
    world->answer_worker = worker->number;
    g_free(world->answer_reason);
    world->answer_reason = g_strdup(worker->reason);
}

AdmissionVerdict world_add(World *world, WorkerSpec *spec, char **ret_why)
{
    AddVerdict verdict = { 0 };
    int r = manager_add_worker(world->manager, spec, on_answer, world, &verdict);
    AdmissionVerdict admission = verdict.admission;

    g_assert_cmpint(r, ==, verdict.why ? -EPERM : 0);
    if (ret_why)
        *ret_why = g_steal_pointer(&verdict.why);
    add_verdict_done(&verdict);
    return admission;
}

void world_engine_started(World *world, uint32_t number)
{
    g_autofree char *unit = g_strdup_printf("parexec-w%u.scope", number), *group = g_strdup_printf("/parexec.slice/%s", unit);
    WorkerProcess process = { PID_OF(number), 12345 + number, unit, group };
    EngineEvents events = manager_engine_events(world->manager);

    g_hash_table_insert(world->processes, GINT_TO_POINTER(PID_OF(number)), GUINT_TO_POINTER(number));
    events.started(number, 0, &process, NULL, events.userdata);
}

Worker *world_worker(World *world, uint32_t number)
{
    Worker *worker = manager_find_worker(world->manager, number);

    if (!worker)
        g_error("there is no worker w%u", number);
    return worker;
}

int world_register(World *world, uint32_t number)
{
    Worker *worker = world_worker(world, number);
    int r = manager_worker_register(world->manager, number, worker->token, PID_OF(number));

    if (r >= 0)
        manager_worker_reports(world->manager, worker, NULL, 0, NULL, 0, world_done, world);
    return r;
}

Worker *world_running_worker_with(World *world, WorkerSpec *spec)
{
    g_assert_cmpint(world_add(world, spec, NULL), ==, ADMITTED);
    const GPtrArray *workers = manager_workers(world->manager);
    uint32_t number = ((Worker *) workers->pdata[workers->len - 1])->number;
    fake_store_dispatch(&world->store);
    world_engine_started(world, number);
    g_assert_cmpint(world_register(world, number), ==, 0);
    world_forget_logs(world);
    fake_store_dispatch(&world->store);
    return world_worker(world, number);
}

WorkerSpec *world_spec_with(uint32_t slots, uint64_t memory_mib)
{
    WorkerSpec *spec = world_spec(slots);

    spec->limits.memory_max_bytes = memory_mib << 20;
    return spec;
}

Worker *world_running_worker_of(World *world, uint32_t slots, uint32_t user)
{
    WorkerSpec *spec = world_spec(slots);

    spec->user = user;
    Worker *worker = world_running_worker_with(world, spec);
    world_forget_logs(world);
    return worker;
}

Worker *world_running_worker(World *world, uint32_t slots)
{
    return world_running_worker_of(world, slots, UID_ANYBODY);
}

void world_gone(World *world, uint32_t number, const char *why)
{
    EngineEvents events = manager_engine_events(world->manager);

    events.gone(number, why, events.userdata);
}

void world_limits_set(World *world, uint32_t number, int r, const char *why)
{
    EngineEvents events = manager_engine_events(world->manager);

    events.limits_set(number, r, why, events.userdata);
}

void world_frozen(World *world, Worker *worker, uint64_t task, bool frozen, const char *why)
{
    FrozenFailure failure = { task, why };

    manager_tasks_frozen(world->manager, worker, &task, task > 0 && !why, frozen, &failure, why ? 1 : 0);
}

void world_changed(int r, const char *why, void *userdata)
{
    World *world = userdata;

    world_done(r, world);
    g_free(world->answer_reason);
    world->answer_reason = g_strdup(why);
}
