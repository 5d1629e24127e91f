/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.parexec.Worker1: one object for each worker, below /org/parexec/worker. */
#include "bus/bus-internal.h"
#include "bus/options.h"
#include "bus/worker-methods.h"
#include "util/strv-blob.h"

#include <stddef.h>

typedef struct FreezeOptions {
    bool reclaim;
} FreezeOptions;

char *worker_bus_path(const Worker *worker)
{
    return g_strdup_printf(PAREXEC_WORKER_PATH "/%s", worker->id); /* ids are safe in paths */
}

static int find_worker(sd_bus *connection, const char *path, const char *interface, void *userdata,
                       void **ret, sd_bus_error *error)
{
    Bus *bus = userdata;
    uint32_t number;

    if (!g_str_has_prefix(path, PAREXEC_WORKER_PATH "/") ||
        worker_id_parse(path + strlen(PAREXEC_WORKER_PATH "/"), &number) < 0)
        return 0;
    Worker *worker = manager_find_worker(bus->manager, number);
    if (!worker)
        return 0;
    *ret = worker;
    return 1;
}

static int enumerate(sd_bus *connection, const char *prefix, void *userdata, char ***ret, sd_bus_error *error)
{
    Bus *bus = userdata;
    const GPtrArray *workers = manager_workers(bus->manager);
    char **paths = calloc(workers->len + 1, sizeof *paths); /* sd-bus frees them with free() */

    if (!paths)
        return -ENOMEM;
    for (guint i = 0; i < workers->len; i++) {
        const Worker *worker = workers->pdata[i];
        if (asprintf(&paths[i], PAREXEC_WORKER_PATH "/%s", worker->id) < 0)
            return -ENOMEM;
    }
    *ret = paths;
    return 0;
}

/* ---- methods */

static const Option freeze_options[] = {
    { "reclaim", "b", offsetof(FreezeOptions, reclaim) },
    { NULL },
};

/* The vtable's userdata is the worker: the bus is the one that the fallback slot belongs to. */
static Bus *bus_of(sd_bus_message *m)
{
    return sd_bus_slot_get_userdata(sd_bus_get_current_slot(sd_bus_message_get_bus(m)));
}

static int method_end(sd_bus_message *m, Worker *worker, int (*end)(Manager *, Worker *), sd_bus_error *error)
{
    Bus *bus = bus_of(m);
    Peer *peer;
    int r = bus_check(bus, m, PAREXEC_ACTION_MANAGE_WORKERS, &peer, error);

    if (r <= 0)
        return r < 0 ? r : 1;
    return worker_bus_end(bus, m, worker, end, error);
}

static int method_drain(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    return method_end(m, userdata, manager_drain, error);
}

static int method_abort(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    return method_end(m, userdata, manager_abort, error);
}

static int method_set_limits(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Bus *bus = bus_of(m);
    Peer *peer;
    int r = bus_check(bus, m, PAREXEC_ACTION_MANAGE_WORKERS, &peer, error);

    if (r <= 0)
        return r < 0 ? r : 1;
    return worker_bus_set_limits(bus, m, userdata, error);
}

static int method_freeze(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    FreezeOptions options = { 0 };
    Bus *bus = bus_of(m);
    Peer *peer;
    int r = options_read(m, freeze_options, &options, error);

    if (r >= 0)
        r = bus_check(bus, m, PAREXEC_ACTION_MANAGE_WORKERS, &peer, error);
    if (r <= 0)
        return r < 0 ? r : 1;
    return worker_bus_freeze(bus, m, userdata, true, options.reclaim, error);
}

static int method_thaw(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Bus *bus = bus_of(m);
    Peer *peer;
    int r = bus_check(bus, m, PAREXEC_ACTION_MANAGE_WORKERS, &peer, error);

    if (r <= 0)
        return r < 0 ? r : 1;
    return worker_bus_freeze(bus, m, userdata, false, false, error);
}

/* ---- properties */

#define GETTER(name, type, expression)                                                                       \
    static int property_##name(sd_bus *connection, const char *path, const char *interface,                  \
                               const char *property, sd_bus_message *reply, void *userdata,                  \
                               sd_bus_error *error)                                                          \
    {                                                                                                        \
        const Worker *worker = userdata;                                                                     \
        return sd_bus_message_append(reply, type, expression);                                               \
    }

static const char *text(const char *s)
{
    return s ? s : "";
}

GETTER(id, "s", worker->id)
GETTER(name, "s", worker->spec->name)
GETTER(state, "s", worker_state_to_string(worker->state))
GETTER(reason, "s", text(worker->reason))
GETTER(stalled, "b", (int) worker->stalled)
GETTER(pid, "u", (uint32_t) worker->process.pid)
GETTER(unit, "s", text(worker->process.unit))
GETTER(control_group, "s", text(worker->process.control_group))
GETTER(engine, "s", engine_kind_to_string(worker->spec->engine))
GETTER(user, "u", worker->spec->user)
GETTER(memory_max, "t", worker->spec->limits.memory_max_bytes)
GETTER(cpu_quota, "t", worker->spec->limits.cpu_quota_usec_per_sec)
GETTER(frozen, "b", (int) worker->frozen)
GETTER(forced, "b", (int) worker->spec->forced)
GETTER(allowed_cpus, "s", text(worker->spec->limits.allowed_cpus))
GETTER(gpus, "s", text(worker->spec->placement.gpu_list))
GETTER(slots, "u", worker->spec->slots)
GETTER(worker_class, "s", text(worker->spec->class))

static int property_exec(sd_bus *connection, const char *path, const char *interface, const char *property,
                         sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    GBytes *exec = ((Worker *) userdata)->spec->exec;
    size_t size = 0;
    const void *data = exec ? g_bytes_get_data(exec, &size) : NULL;
    g_autofree char **argv = strv_blob_pointers(data, size);

    return sd_bus_message_append_strv(reply, argv);
}

static int property_resources(sd_bus *connection, const char *path, const char *interface,
                              const char *property, sd_bus_message *reply, void *userdata,
                              sd_bus_error *error)
{
    g_autofree char *resources = resources_format(((Worker *) userdata)->spec->placement.resources);

    return sd_bus_message_append(reply, "s", resources);
}

static int property_not_enforced(sd_bus *connection, const char *path, const char *interface,
                                 const char *property, sd_bus_message *reply, void *userdata,
                                 sd_bus_error *error)
{
    return sd_bus_message_append_strv(reply, ((Worker *) userdata)->not_enforced);
}

static int property_usage(sd_bus *connection, const char *path, const char *interface, const char *property,
                          sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    Bus *bus = sd_bus_slot_get_userdata(sd_bus_get_current_slot(connection));
    EngineUsage usage;

    manager_worker_usage(bus->manager, userdata, &usage);
    if (strcmp(property, "MemoryCurrent") == 0)
        return sd_bus_message_append(reply, "t", usage.memory_bytes);
    if (strcmp(property, "MemoryPeak") == 0)
        return sd_bus_message_append(reply, "t", usage.memory_peak_bytes);
    return sd_bus_message_append(reply, "t", usage.cpu_nsec);
}

static int property_current_tasks(sd_bus *connection, const char *path, const char *interface,
                                  const char *property, sd_bus_message *reply, void *userdata,
                                  sd_bus_error *error)
{
    Worker *worker = userdata;
    GHashTableIter iter;
    gpointer value;
    int r = sd_bus_message_open_container(reply, 'a', "t");

    g_hash_table_iter_init(&iter, worker->tasks);
    while (r >= 0 && g_hash_table_iter_next(&iter, NULL, &value)) {
        const ActiveTask *task = value;
        if (task->state == TASK_RUNNING)
            r = sd_bus_message_append_basic(reply, 't', &task->spec->id);
    }
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

#define CONST SD_BUS_VTABLE_PROPERTY_CONST
#define CHANGES SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE

static const sd_bus_vtable worker_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("Drain", NULL, NULL, method_drain, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Abort", NULL, NULL, method_abort, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Freeze", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, method_freeze,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Thaw", NULL, NULL, method_thaw, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("SetLimits", SD_BUS_ARGS("a{sv}", limits), SD_BUS_NO_RESULT, method_set_limits,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_PROPERTY("Id", "s", property_id, 0, CONST),
    SD_BUS_PROPERTY("Name", "s", property_name, 0, CONST),
    SD_BUS_PROPERTY("State", "s", property_state, 0, CHANGES),
    SD_BUS_PROPERTY("Reason", "s", property_reason, 0, CHANGES),
    SD_BUS_PROPERTY("Stalled", "b", property_stalled, 0, CHANGES),
    SD_BUS_PROPERTY("Pid", "u", property_pid, 0, CHANGES),
    SD_BUS_PROPERTY("Unit", "s", property_unit, 0, CONST),
    SD_BUS_PROPERTY("ControlGroup", "s", property_control_group, 0, CHANGES),
    SD_BUS_PROPERTY("Engine", "s", property_engine, 0, CONST),
    SD_BUS_PROPERTY("User", "u", property_user, 0, CONST),
    SD_BUS_PROPERTY("MemoryMax", "t", property_memory_max, 0, CHANGES),
    SD_BUS_PROPERTY("CPUQuota", "t", property_cpu_quota, 0, CHANGES),
    SD_BUS_PROPERTY("Frozen", "b", property_frozen, 0, CHANGES),
    SD_BUS_PROPERTY("Forced", "b", property_forced, 0, CHANGES),
    SD_BUS_PROPERTY("AllowedCPUs", "s", property_allowed_cpus, 0, CONST),
    SD_BUS_PROPERTY("GPUs", "s", property_gpus, 0, CONST),
    SD_BUS_PROPERTY("Resources", "s", property_resources, 0, CONST),
    SD_BUS_PROPERTY("NotEnforced", "as", property_not_enforced, 0, CHANGES),
    SD_BUS_PROPERTY("MemoryCurrent", "t", property_usage, 0, 0),
    SD_BUS_PROPERTY("MemoryPeak", "t", property_usage, 0, 0),
    SD_BUS_PROPERTY("CPUUsageNSec", "t", property_usage, 0, 0),
    SD_BUS_PROPERTY("LastHeartbeat", "t", NULL, offsetof(Worker, heartbeat_usec), CHANGES),
    SD_BUS_PROPERTY("Slots", "u", property_slots, 0, CONST),
    SD_BUS_PROPERTY("WorkerClass", "s", property_worker_class, 0, CONST),
    SD_BUS_PROPERTY("Exec", "as", property_exec, 0, CONST),
    SD_BUS_PROPERTY("CurrentTasks", "at", property_current_tasks, 0, CHANGES),
    SD_BUS_PROPERTY("TasksDone", "t", NULL, offsetof(Worker, tasks_done), CHANGES),
    SD_BUS_PROPERTY("TasksFailed", "t", NULL, offsetof(Worker, tasks_failed), CHANGES),
    SD_BUS_VTABLE_END,
};

int worker_bus_export(Bus *bus)
{
    int r = sd_bus_add_fallback_vtable(bus->connection, NULL, PAREXEC_WORKER_PATH, PAREXEC_WORKER_INTERFACE,
                                       worker_vtable, find_worker, bus);

    return r < 0 ? r : sd_bus_add_node_enumerator(bus->connection, NULL, PAREXEC_WORKER_PATH, enumerate, bus);
}
