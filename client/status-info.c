/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon's snapshot as a struct. Owned by the verb that asked. */

#include "client/status-info.h"

#include <string.h>

#include "client/bus-dict.h"
#include "client/connection.h"
#include "client/output.h"
#include "model/worker-spec.h"

#define WARN_USEC (5 * USEC_PER_SEC) /* workers often go together: one word for all of them */

static const DictField worker_fields[] = {
    DICT_FIELD("id", "s", WorkerInfo, id),
    DICT_FIELD("name", "s", WorkerInfo, name),
    DICT_FIELD("state", "s", WorkerInfo, state_word),
    DICT_FIELD("stalled", "b", WorkerInfo, stalled),
    DICT_FIELD("pid", "u", WorkerInfo, pid),
    DICT_FIELD("unit", "s", WorkerInfo, unit),
    DICT_FIELD("control-group", "s", WorkerInfo, control_group),
    DICT_FIELD("engine", "s", WorkerInfo, engine),
    DICT_FIELD("slots", "u", WorkerInfo, slots),
    DICT_FIELD("user", "u", WorkerInfo, user),
    DICT_FIELD("memory", "t", WorkerInfo, memory_bytes),
    DICT_FIELD("memory-max", "t", WorkerInfo, memory_max_bytes),
    DICT_FIELD("memory-peak", "t", WorkerInfo, memory_peak_bytes),
    DICT_FIELD("cpu", "d", WorkerInfo, cpu_percent),
    DICT_FIELD("cpu-quota", "t", WorkerInfo, cpu_quota_usec_per_sec),
    DICT_FIELD("tasks", "at", WorkerInfo, tasks),
    DICT_FIELD("done", "t", WorkerInfo, done),
    DICT_FIELD("failed", "t", WorkerInfo, failed),
    DICT_FIELD("added", "t", WorkerInfo, added_usec),
    DICT_FIELD("heartbeat", "t", WorkerInfo, heartbeat_usec),
    DICT_FIELD("forced", "b", WorkerInfo, forced),
    DICT_FIELD("not-enforced", "as", WorkerInfo, not_enforced),
    DICT_FIELD("reason", "s", WorkerInfo, reason),
    DICT_FIELD("class", "s", WorkerInfo, class),
    DICT_FIELD("frozen", "b", WorkerInfo, frozen),
    DICT_FIELD("memory-reserved", "t", WorkerInfo, memory_reserved_bytes),
    DICT_FIELD("gpus", "s", WorkerInfo, gpus),
    DICT_FIELD("resources", "s", WorkerInfo, resources),
    DICT_FIELD("pinned", "s", WorkerInfo, pinned_cpus),
    DICT_FIELD("node", "i", WorkerInfo, node),
};

/* The same, as properties of Worker1. */
static const DictField worker_properties[] = {
    DICT_FIELD("Id", "s", WorkerInfo, id),
    DICT_FIELD("Name", "s", WorkerInfo, name),
    DICT_FIELD("State", "s", WorkerInfo, state_word),
    DICT_FIELD("Reason", "s", WorkerInfo, reason),
    DICT_FIELD("Stalled", "b", WorkerInfo, stalled),
    DICT_FIELD("Pid", "u", WorkerInfo, pid),
    DICT_FIELD("Unit", "s", WorkerInfo, unit),
    DICT_FIELD("ControlGroup", "s", WorkerInfo, control_group),
    DICT_FIELD("Engine", "s", WorkerInfo, engine),
    DICT_FIELD("User", "u", WorkerInfo, user),
    DICT_FIELD("WorkerClass", "s", WorkerInfo, class),
    DICT_FIELD("Exec", "as", WorkerInfo, exec),
    DICT_FIELD("MemoryMax", "t", WorkerInfo, memory_max_bytes),
    DICT_FIELD("CPUQuota", "t", WorkerInfo, cpu_quota_usec_per_sec),
    DICT_FIELD("NotEnforced", "as", WorkerInfo, not_enforced),
    DICT_FIELD("MemoryCurrent", "t", WorkerInfo, memory_bytes),
    DICT_FIELD("MemoryPeak", "t", WorkerInfo, memory_peak_bytes),
    DICT_FIELD("LastHeartbeat", "t", WorkerInfo, heartbeat_usec),
    DICT_FIELD("Slots", "u", WorkerInfo, slots),
    DICT_FIELD("CurrentTasks", "at", WorkerInfo, tasks),
    DICT_FIELD("TasksDone", "t", WorkerInfo, done),
    DICT_FIELD("TasksFailed", "t", WorkerInfo, failed),
    DICT_FIELD("Frozen", "b", WorkerInfo, frozen),
    DICT_FIELD("Forced", "b", WorkerInfo, forced),
    DICT_FIELD("AllowedCPUs", "s", WorkerInfo, pinned_cpus),
    DICT_FIELD("GPUs", "s", WorkerInfo, gpus),
    DICT_FIELD("Resources", "s", WorkerInfo, resources),
};

void worker_info_free(WorkerInfo *worker)
{
    if (!worker)
        return;
    dict_clear(worker_fields, G_N_ELEMENTS(worker_fields), worker);
    g_strfreev(worker->exec);
    g_free(worker);
}

static WorkerInfo *worker_info_new(void)
{
    WorkerInfo *worker = g_new(WorkerInfo, 1);

    *worker = (WorkerInfo){
        .user = UID_ANYBODY,
        .memory_bytes = UINT64_MAX,
        .memory_max_bytes = UINT64_MAX,
        .memory_peak_bytes = UINT64_MAX,
        .cpu_quota_usec_per_sec = UINT64_MAX,
        .cpu_percent = -1,
        .node = -1,
    };
    return worker;
}

/* Fields that nobody reads blank are made so; a state of a newer daemon counts as failed, its word is
 * shown. */
static void worker_info_complete(WorkerInfo *worker)
{
    char **words[] = { &worker->id,     &worker->name,   &worker->unit,      &worker->control_group,
                       &worker->engine, &worker->reason, &worker->state_word };

    for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
        if (!*words[i])
            *words[i] = g_strdup("");
    int state = worker_state_from_string(worker->state_word);
    worker->state = state < 0 ? WORKER_FAILED : (WorkerState) state;
    if (!worker->tasks)
        worker->tasks = g_array_new(FALSE, FALSE, sizeof(uint64_t));
}

static int read_one_worker(sd_bus_message *m, void *userdata)
{
    g_autoptr(WorkerInfo) worker = worker_info_new();
    int r = dict_read(m, worker_fields, G_N_ELEMENTS(worker_fields), worker);

    if (r < 0)
        return r;
    worker_info_complete(worker);
    g_ptr_array_add(userdata, g_steal_pointer(&worker));
    return 0;
}

int worker_info_read_properties(sd_bus_message *m, WorkerInfo **ret)
{
    g_autoptr(WorkerInfo) worker = worker_info_new();
    int r = dict_read(m, worker_properties, G_N_ELEMENTS(worker_properties), worker);

    if (r < 0)
        return r;
    worker_info_complete(worker);
    *ret = g_steal_pointer(&worker);
    return 0;
}

static int read_workers(sd_bus_message *m, void *field)
{
    return dict_read_each(m, read_one_worker, *(GPtrArray **) field);
}

/* A part of the status is a dictionary of its own, read into the same struct. */
#define PART_READER(part)                                                                                    \
    static int read_##part(sd_bus_message *m, void *field)                                                   \
    {                                                                                                        \
        return dict_read(m, part##_fields, G_N_ELEMENTS(part##_fields), field);                              \
    }

static const DictField limits_fields[] = {
    DICT_FIELD("admissible", "u", StatusInfo, admissible),
    DICT_FIELD("active", "u", StatusInfo, active),
    DICT_FIELD("can_add", "b", StatusInfo, can_add),
    DICT_FIELD("reason", "s", StatusInfo, binding),
    DICT_FIELD("cores", "d", StatusInfo, cores),
    DICT_FIELD("cores-taken", "d", StatusInfo, cores_taken),
    DICT_FIELD("committed", "t", StatusInfo, committed_bytes),
    DICT_FIELD("worker-memory", "t", StatusInfo, next_memory_bytes),
};
PART_READER(limits)

static const DictField scale_fields[] = {
    DICT_FIELD("target", "u", StatusInfo, scale.target),
    DICT_FIELD("alive", "u", StatusInfo, scale.alive),
    DICT_FIELD("auto", "b", StatusInfo, scale.automatic),
    DICT_FIELD("min", "u", StatusInfo, scale.min),
    DICT_FIELD("max", "u", StatusInfo, scale.max),
    DICT_FIELD("reason", "s", StatusInfo, scale.reason),
    DICT_FIELD("profile", "s", StatusInfo, scale.profile),
};
PART_READER(scale)

static const DictField pressure_fields[] = {
    DICT_FIELD("cpu", "d", StatusInfo, cpu_pressure),
    DICT_FIELD("io", "d", StatusInfo, io_pressure),
    DICT_FIELD("rung", "s", StatusInfo, rung),
};
PART_READER(pressure)

static const DictField memory_fields[] = {
    DICT_FIELD("total", "t", StatusInfo, memory_total_bytes),
    DICT_FIELD("available", "t", StatusInfo, memory_available_bytes),
    DICT_FIELD("reserve", "t", StatusInfo, memory_reserve_bytes),
    DICT_FIELD("percent", "d", StatusInfo, memory_percent),
    DICT_FIELD("pressure", "d", StatusInfo, memory_pressure),
};
PART_READER(memory)

static const DictField cpu_fields[] = {
    DICT_FIELD("count", "u", StatusInfo, cpus),
    DICT_FIELD("percent", "d", StatusInfo, cpu_percent),
};
PART_READER(cpu)

static const DictField queue_fields[] = {
    DICT_FIELD("held", "t", StatusInfo, queue[TASK_HELD]),
    DICT_FIELD("blocked", "t", StatusInfo, queue[TASK_BLOCKED]),
    DICT_FIELD("queued", "t", StatusInfo, queue[TASK_QUEUED]),
    DICT_FIELD("running", "t", StatusInfo, queue[TASK_RUNNING]),
    DICT_FIELD("waiting", "t", StatusInfo, queue[TASK_WAITING]),
    DICT_FIELD("succeeded", "t", StatusInfo, queue[TASK_SUCCEEDED]),
    DICT_FIELD("failed", "t", StatusInfo, queue[TASK_FAILED]),
    DICT_FIELD("cancelled", "t", StatusInfo, queue[TASK_CANCELLED]),
    DICT_FIELD("skipped", "t", StatusInfo, queue[TASK_SKIPPED]),
    DICT_FIELD("throughput", "d", StatusInfo, per_minute),
    DICT_FIELD("time-left", "t", StatusInfo, time_left_usec),
    DICT_FIELD("frozen", "t", StatusInfo, frozen_tasks),
};
PART_READER(queue)

#define WHOLE .offset = 0 /* the reader gets the struct itself */

static const DictField status_fields[] = {
    DICT_FIELD("version", "s", StatusInfo, version),
    DICT_FIELD("storage-error", "s", StatusInfo, storage_error),
    DICT_FIELD("started", "t", StatusInfo, started_usec),
    DICT_FIELD("enabled", "b", StatusInfo, enabled),
    DICT_FIELD_BY("workers", "aa{sv}", StatusInfo, workers, read_workers),
    { .key = "limits", .type = "a{sv}", .read = read_limits, WHOLE },
    { .key = "scale", .type = "a{sv}", .read = read_scale, WHOLE },
    { .key = "pressure", .type = "a{sv}", .read = read_pressure, WHOLE },
    { .key = "memory", .type = "a{sv}", .read = read_memory, WHOLE },
    { .key = "cpu", .type = "a{sv}", .read = read_cpu, WHOLE },
    { .key = "queue", .type = "a{sv}", .read = read_queue, WHOLE },
};

StatusInfo *status_info_free(StatusInfo *status)
{
    if (!status)
        return NULL;
    dict_clear(status_fields, G_N_ELEMENTS(status_fields), status);
    dict_clear(limits_fields, G_N_ELEMENTS(limits_fields), status);
    dict_clear(scale_fields, G_N_ELEMENTS(scale_fields), status);
    dict_clear(pressure_fields, G_N_ELEMENTS(pressure_fields), status);
    g_ptr_array_unref(status->workers);
    g_free(status);
    return NULL;
}

int status_info_read(sd_bus_message *m, StatusInfo **ret)
{
    g_autoptr(StatusInfo) status = g_new0(StatusInfo, 1);

    status->enabled = true;
    status->cpu_percent = status->memory_pressure = status->cpu_pressure = status->io_pressure = -1;
    status->scale.target = SCALE_TARGET_NONE;
    status->next_memory_bytes = UINT64_MAX;
    status->workers = g_ptr_array_new_with_free_func((GDestroyNotify) worker_info_free);
    int r = dict_read(m, status_fields, G_N_ELEMENTS(status_fields), status);
    if (r < 0)
        return r;
    *ret = g_steal_pointer(&status);
    return 0;
}

int status_info_get(Client *client, StatusInfo **ret, sd_bus_message **ret_reply)
{
    g_autoptr(sd_bus_message) reply = NULL;
    int r = connection_call_simple(client, "Status", NULL, &reply);

    if (r < 0)
        return r;
    r = status_info_read(reply, ret);
    if (r >= 0 && ret_reply)
        r = sd_bus_message_rewind(reply, /* complete= */ true);
    if (r < 0)
        return connection_report_message(client, r);
    if (ret_reply)
        *ret_reply = g_steal_pointer(&reply);
    return 0;
}

const WorkerInfo *status_info_worker(const StatusInfo *status, const char *id)
{
    for (guint i = 0; i < status->workers->len; i++) {
        const WorkerInfo *worker = status->workers->pdata[i];
        if (strcmp(worker->id, id) == 0)
            return worker;
    }
    return NULL;
}

uint64_t status_info_waiting(const StatusInfo *status)
{
    return status->queue[TASK_QUEUED] + status->queue[TASK_BLOCKED] + status->queue[TASK_WAITING];
}

static bool has_worker_for(const StatusInfo *status, uint32_t uid)
{
    for (guint i = 0; i < status->workers->len; i++) {
        const WorkerInfo *worker = status->workers->pdata[i];
        if ((worker->state == WORKER_RUNNING || worker->state == WORKER_STARTING) &&
            (worker->user == UID_ANYBODY || worker->user == uid))
            return true;
    }
    return false;
}

void status_warn_if_nothing_runs(Client *client)
{
    g_autoptr(StatusInfo) status = NULL;
    uint64_t now = (uint64_t) g_get_monotonic_time();

    if (client->quiet || (client->warned_usec > 0 && now < client->warned_usec + WARN_USEC) ||
        status_info_get(client, &status, NULL) < 0)
        return;
    if (!status->enabled) {
        output_note(client, _("nothing starts now: giving out tasks is disabled"));
        output_hint(_("To go on: parctl enable"));
    } else if (!has_worker_for(status, getuid())) {
        output_note(client, _("nothing runs yet: there is no worker for it"));
        output_hint(_("To start one: parctl add-worker --memory 2G"));
    } else
        return;
    client->warned_usec = now;
}
