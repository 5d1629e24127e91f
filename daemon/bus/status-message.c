/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one snapshot of everything, as a dictionary of dictionaries. Reads only what is in memory and, for each worker, three
 * small files of the kernel's. */
#include "bus/status-message.h"

#include "bus/worker-share.h"
#include "parexec-config.h"
#include "util/sd-bus-util.h"

typedef int (*Appender)(sd_bus_message *m, Manager *manager, const ManagerStatus *status);

static int append_variant(sd_bus_message *m, const char *key, const char *type, Appender append,
                          Manager *manager, const ManagerStatus *status)
{
    int r = sd_bus_message_open_container(m, 'e', "sv");

    if (r >= 0)
        r = sd_bus_message_append_basic(m, 's', key);
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'v', type);
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'a', type + 1);
    if (r >= 0)
        r = append(m, manager, status);
    for (int i = 0; r >= 0 && i < 3; i++)
        r = sd_bus_message_close_container(m);
    return r;
}

static int append_current_tasks(sd_bus_message *m, const Worker *worker)
{
    GHashTableIter iter;
    gpointer value;
    int r = sd_bus_message_open_container(m, 'e', "sv");

    if (r >= 0)
        r = sd_bus_message_append_basic(m, 's', "tasks");
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'v', "at");
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'a', "t");
    g_hash_table_iter_init(&iter, worker->tasks);
    while (r >= 0 && g_hash_table_iter_next(&iter, NULL, &value))
        if (((ActiveTask *) value)->state == TASK_RUNNING)
            r = sd_bus_message_append_basic(m, 't', &((ActiveTask *) value)->spec->id);
    for (int i = 0; r >= 0 && i < 3; i++)
        r = sd_bus_message_close_container(m);
    return r;
}

static int append_not_enforced(sd_bus_message *m, const Worker *worker)
{
    int r = sd_bus_message_open_container(m, 'e', "sv");

    if (r >= 0)
        r = sd_bus_message_append_basic(m, 's', "not-enforced");
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'v', "as");
    if (r >= 0)
        r = sd_bus_message_append_strv(m, worker->not_enforced);
    for (int i = 0; r >= 0 && i < 2; i++)
        r = sd_bus_message_close_container(m);
    return r;
}

static int append_worker_identity(sd_bus_message *m, const Worker *w)
{
    const char *unit = w->process.unit ? w->process.unit : "",
               *group = w->process.control_group ? w->process.control_group : "";

    return sd_bus_message_append(
        m, "{sv}{sv}{sv}{sv}{sv}{sv}{sv}{sv}{sv}{sv}{sv}{sv}{sv}", "id", "s", w->id, "name", "s",
        w->spec->name, "state", "s", worker_state_to_string(w->state), "stalled", "b", (int) w->stalled,
        "pid", "u", (uint32_t) w->process.pid, "unit", "s", unit, "control-group", "s", group, "engine", "s",
        engine_kind_to_string(w->spec->engine), "slots", "u", w->spec->slots, "user", "u", w->spec->user,
        "forced", "b", (int) w->spec->forced, "reason", "s", w->reason ? w->reason : "", "class", "s",
        w->spec->class ? w->spec->class : "");
}

static int append_worker_figures(sd_bus_message *m, Manager *manager, Worker *w)
{
    EngineUsage usage;

    manager_worker_usage(manager, w, &usage);
    return sd_bus_message_append(
        m, "{sv}{sv}{sv}{sv}{sv}{sv}{sv}{sv}{sv}", "memory", "t", usage.memory_bytes, "memory-peak", "t",
        usage.memory_peak_bytes, "memory-max", "t", w->spec->limits.memory_max_bytes, "cpu", "d",
        w->cpu_percent, "cpu-quota", "t", w->spec->limits.cpu_quota_usec_per_sec, "done", "t", w->tasks_done,
        "failed", "t", w->tasks_failed, "added", "t", w->added_usec, "heartbeat", "t", w->heartbeat_usec);
}

/* What of the machine is its own. */
static int append_worker_share(sd_bus_message *m, const Worker *w)
{
    const Placement *placement = &w->spec->placement;
    g_autofree char *resources = resources_format(placement->resources);
    const char *gpus = placement->gpu_list ? placement->gpu_list : "",
               *cores = placement->pin && w->spec->limits.allowed_cpus ? w->spec->limits.allowed_cpus : "";

    return sd_bus_message_append(m, "{sv}{sv}{sv}{sv}{sv}{sv}", "frozen", "b", (int) w->frozen,
                                 "memory-reserved", "t", worker_share_memory(w), "gpus", "s", gpus,
                                 "resources", "s", resources, "pinned", "s", cores, "node", "i",
                                 (int32_t) worker_share_node(w->spec));
}

static int append_workers(sd_bus_message *m, Manager *manager, const ManagerStatus *status)
{
    const GPtrArray *workers = manager_workers(manager);
    int r = 0;

    for (guint i = 0; r >= 0 && i < workers->len; i++) {
        Worker *worker = workers->pdata[i];
        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
            r = append_worker_identity(m, worker);
        if (r >= 0)
            r = append_worker_figures(m, manager, worker);
        if (r >= 0)
            r = append_worker_share(m, worker);
        if (r >= 0)
            r = append_current_tasks(m, worker);
        if (r >= 0)
            r = append_not_enforced(m, worker);
        if (r >= 0)
            r = sd_bus_message_close_container(m);
    }
    return r;
}

static int append_limits(sd_bus_message *m, Manager *manager, const ManagerStatus *status)
{
    const AdmissionFacts *next = &status->admission;

    return sd_bus_message_append(m, "{sv}{sv}{sv}{sv}{sv}{sv}{sv}{sv}{sv}", "admissible", "u",
                                 status->admissible, "active", "u", status->active, "can_add", "b",
                                 (int) (status->active < status->admissible), "reason", "s", status->binding,
                                 "cores", "d", next->cores, "cores-taken", "d", next->cores_taken,
                                 "committed", "t", next->committed_bytes, "reserve", "t", next->reserve_bytes,
                                 "worker-memory", "t", next->memory_max_bytes);
}

static int append_scale(sd_bus_message *m, Manager *manager, const ManagerStatus *status)
{
    const AutoScaleSettings *settings = &manager_settings(manager)->autoscale;
    uint32_t target = manager_scale_target(manager);
    int r = target == SCALE_NONE ? 0 : sd_bus_message_append(m, "{sv}", "target", "u", target);

    return r < 0 ? r
                 : sd_bus_message_append(m, "{sv}{sv}{sv}{sv}{sv}{sv}", "alive", "u",
                                         manager_n_scaled_workers(manager), "auto", "b",
                                         (int) manager_autoscales(manager), "min", "u", settings->min, "max",
                                         "u", settings->max, "reason", "s", manager_scale_reason(manager),
                                         "profile", "s", manager_profile(manager));
}

static int append_pressure(sd_bus_message *m, Manager *manager, const ManagerStatus *status)
{
    const HostFacts *host = &status->host;

    return sd_bus_message_append(m, "{sv}{sv}{sv}{sv}", "memory", "d", host->memory_pressure_percent, "cpu",
                                 "d", host->cpu_pressure_percent, "io", "d", host->io_pressure_percent,
                                 "rung", "s", pressure_rung_to_string(manager_pressure_rung(manager)));
}

static int append_memory(sd_bus_message *m, Manager *manager, const ManagerStatus *status)
{
    uint64_t total = status->host.memory_total_bytes, available = status->host.memory_available_bytes;
    double percent =
        total > 0 && available <= total ? 100.0 * (double) (total - available) / (double) total : 0;

    return sd_bus_message_append(m, "{sv}{sv}{sv}{sv}{sv}", "total", "t", total, "available", "t", available,
                                 "percent", "d", percent, "reserve", "t",
                                 manager_settings(manager)->memory_reserve_bytes, "pressure", "d",
                                 status->host.memory_pressure_percent);
}

static int append_cpu(sd_bus_message *m, Manager *manager, const ManagerStatus *status)
{
    return sd_bus_message_append(m, "{sv}{sv}", "count", "u", status->host.cpus, "percent", "d",
                                 status->host.cpu_percent);
}

static int append_queue(sd_bus_message *m, Manager *manager, const ManagerStatus *status)
{
    int r = 0;

    for (TaskState state = 0; r >= 0 && state < _TASK_STATE_MAX; state++)
        r = sd_bus_message_append(m, "{sv}", task_state_to_string(state), "t",
                                  status->counts.by_state[state]);
    if (r >= 0)
        r = sd_bus_message_append(m, "{sv}", "throughput", "d", status->throughput_per_minute);
    uint64_t left = manager_time_left(manager), frozen = worker_share_frozen(manager_workers(manager));
    if (r >= 0 && frozen > 0)
        r = sd_bus_message_append(m, "{sv}", "frozen", "t", frozen);
    return r < 0 || left == UINT64_MAX ? r : sd_bus_message_append(m, "{sv}", "time-left", "t", left);
}

static int append_service(sd_bus_message *m, Manager *manager, const ManagerStatus *status)
{
    int r = sd_bus_message_append(m, "{sv}{sv}{sv}", "version", "s", PAREXEC_VERSION, "started", "t",
                                  status->started_usec, "enabled", "b", (int) manager_is_enabled(manager));

    if (r >= 0 && status->store_error < 0)
        r = sd_bus_message_append(m, "{sv}", "storage-error", "s", g_strerror(-status->store_error));
    return r;
}

int status_message_append(sd_bus_message *m, Manager *manager)
{
    static const struct {
        const char *key, *type;
        Appender append;
    } parts[] = {
        { "workers", "aa{sv}", append_workers }, { "limits", "a{sv}", append_limits },
        { "scale", "a{sv}", append_scale },      { "pressure", "a{sv}", append_pressure },
        { "memory", "a{sv}", append_memory },    { "cpu", "a{sv}", append_cpu },
        { "queue", "a{sv}", append_queue },
    };
    ManagerStatus status;

    manager_status(manager, &status);
    int r = sd_bus_message_open_container(m, 'a', "{sv}");
    if (r >= 0)
        r = append_service(m, manager, &status);
    for (size_t i = 0; r >= 0 && i < G_N_ELEMENTS(parts); i++)
        r = append_variant(m, parts[i].key, parts[i].type, parts[i].append, manager, &status);
    return r < 0 ? r : sd_bus_message_close_container(m);
}
