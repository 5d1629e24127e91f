/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.parexec.Manager1: its table and the service; the other methods are in worker-methods.c, task-methods.c, queue-bus.c,
 * scale-bus.c, capacity-bus.c and output-bus.c. Every handler has one shape: read, validate, authorise, one call into the core, reply; what takes time is
 * replied to from a callback. */
#include "bus/bus-internal.h"
#include "bus/manager-methods.h"
#include "bus/status-message.h"
#include "bus/worker-methods.h"
#include "util/parse-util.h"

/* ---- workers */

static int end_worker(sd_bus_message *m, Bus *bus, int (*end)(Manager *, Worker *), sd_bus_error *error)
{
    uint32_t number = 0;
    const char *id;
    Peer *peer;
    int r = sd_bus_message_read(m, "s", &id);

    if (r >= 0)
        r = bus_check(bus, m, PAREXEC_ACTION_MANAGE_WORKERS, &peer, error);
    if (r <= 0)
        return r < 0 ? r : 1;
    Worker *worker = worker_id_parse(id, &number) < 0 ? NULL : manager_find_worker(bus->manager, number);
    if (worker)
        return worker_bus_end(bus, m, worker, end, error);
    g_autofree char *shown = format_foreign(id), *subject = g_strdup_printf("worker \"%s\"", shown);
    call_done(bus->calls, m);
    return bus_error_set(error, -ESRCH, subject);
}

static int method_drain(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    return end_worker(m, userdata, manager_drain, error);
}

static int method_abort(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    return end_worker(m, userdata, manager_abort, error);
}

static int method_status(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    g_autoptr(sd_bus_message) reply = NULL;
    int r = sd_bus_message_new_method_return(m, &reply);

    if (r >= 0)
        r = status_message_append(reply, ((Bus *) userdata)->manager);
    return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

/* ---- the service */

static int subscribe(sd_bus_message *m, Bus *bus, bool subscribed, sd_bus_error *error)
{
    Peer *peer;
    int r = bus_check(bus, m, NULL, &peer, error);

    if (r <= 0)
        return r < 0 ? r : 1;
    peers_set_subscribed(bus->peers, peer, subscribed);
    return sd_bus_reply_method_return(m, NULL);
}

static int method_subscribe(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    return subscribe(m, userdata, true, error);
}

static int method_unsubscribe(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    return subscribe(m, userdata, false, error);
}

static int method_reload(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Bus *bus = userdata;
    Peer *peer;
    int r = bus_check(bus, m, PAREXEC_ACTION_CONFIGURE, &peer, error);

    if (r <= 0)
        return r < 0 ? r : 1;
    bus->options.reload(bus->options.userdata);
    call_done(bus->calls, m);
    return sd_bus_reply_method_return(m, NULL);
}

#define UNPRIVILEGED SD_BUS_VTABLE_UNPRIVILEGED
#define CHANGES SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE

static const sd_bus_vtable manager_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD_WITH_ARGS("AddWorker", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("o", worker),
                            worker_method_add, UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Drain", SD_BUS_ARGS("s", worker), SD_BUS_NO_RESULT, method_drain, UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Abort", SD_BUS_ARGS("s", worker), SD_BUS_NO_RESULT, method_abort, UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Status", SD_BUS_NO_ARGS, SD_BUS_RESULT("a{sv}", status), method_status,
                            UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Submit", SD_BUS_ARGS("aa{sv}", tasks, "a{sv}", options),
                            SD_BUS_RESULT("t", batch, "t", first, "u", count), task_method_submit,
                            UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("ListTasks", SD_BUS_ARGS("a{sv}", filter),
                            SD_BUS_RESULT("aa{sv}", tasks, "t", cursor), task_method_list, UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Cancel", SD_BUS_ARGS("a{sv}", filter), SD_BUS_RESULT("u", count),
                            task_method_cancel, UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Hold", SD_BUS_ARGS("a{sv}", filter), SD_BUS_RESULT("u", count), task_method_hold,
                            UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Release", SD_BUS_ARGS("a{sv}", filter), SD_BUS_RESULT("u", count),
                            task_method_release, UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Retry", SD_BUS_ARGS("a{sv}", filter), SD_BUS_RESULT("u", count),
                            task_method_retry, UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Edit", SD_BUS_ARGS("a{sv}", filter, "a{sv}", changes), SD_BUS_RESULT("u", count),
                            task_method_edit, UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Explain", SD_BUS_ARGS("t", task), SD_BUS_RESULT("aa{sv}", conditions),
                            task_method_explain, UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("ListQueues", SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", queues), queue_method_list,
                            UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("SetQueue", SD_BUS_ARGS("s", name, "a{sv}", options), SD_BUS_NO_RESULT,
                            queue_method_set, UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("RemoveQueue", SD_BUS_ARGS("s", name), SD_BUS_NO_RESULT, queue_method_remove,
                            UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("SetTaskLimits", SD_BUS_ARGS("a{sv}", filter, "a{sv}", limits),
                            SD_BUS_RESULT("u", count), task_method_set_limits, UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Freeze", SD_BUS_ARGS("a{sv}", filter, "a{sv}", options),
                            SD_BUS_RESULT("u", count), task_method_freeze, UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Thaw", SD_BUS_ARGS("a{sv}", filter), SD_BUS_RESULT("u", count), task_method_thaw,
                            UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Scale", SD_BUS_ARGS("u", target), SD_BUS_NO_RESULT, scale_method_scale,
                            UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Unscale", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, scale_method_unscale, UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("ListProfiles", SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", profiles),
                            scale_method_list_profiles, UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Statistics", SD_BUS_ARGS("a{sv}", filter), SD_BUS_RESULT("aa{sv}", statistics),
                            capacity_method_statistics, UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Topology", SD_BUS_NO_ARGS, SD_BUS_RESULT("a{sv}", topology),
                            capacity_method_topology, UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("OpenOutput", SD_BUS_ARGS("t", task, "s", stream, "a{sv}", options),
                            SD_BUS_RESULT("h", fd), output_method_open, UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Subscribe", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_subscribe, UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Unsubscribe", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_unsubscribe,
                            UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_reload, UNPRIVILEGED),
    SD_BUS_SIGNAL_WITH_ARGS("WorkerAdded", SD_BUS_ARGS("s", id, "o", worker), 0),
    SD_BUS_SIGNAL_WITH_ARGS("WorkerRemoved", SD_BUS_ARGS("s", id, "o", worker), 0),
    SD_BUS_SIGNAL_WITH_ARGS("WorkerStateChanged", SD_BUS_ARGS("s", id, "s", old, "s", new), 0),
    SD_BUS_SIGNAL_WITH_ARGS("TasksChanged", SD_BUS_ARGS("a(tta{sv})", tasks), 0),
    SD_BUS_SIGNAL_WITH_ARGS("BatchFinished", SD_BUS_ARGS("t", batch, "a{sv}", result), 0),
    SD_BUS_SIGNAL_WITH_ARGS("TaskUnplaceable", SD_BUS_ARGS("t", task, "s", why), 0),
    SD_BUS_SIGNAL_WITH_ARGS("PressureChanged", SD_BUS_ARGS("s", rung, "s", why), 0),
    SD_BUS_PROPERTY("Version", "s", manager_property_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("Workers", "ao", manager_property_workers, 0, CHANGES),
    SD_BUS_WRITABLE_PROPERTY("MaxWorkers", "u", manager_property_max_workers, manager_property_refuse_set, 0,
                             CHANGES | UNPRIVILEGED),
    SD_BUS_WRITABLE_PROPERTY("Enabled", "b", manager_property_enabled, manager_property_refuse_set, 0,
                             CHANGES | UNPRIVILEGED),
    SD_BUS_WRITABLE_PROPERTY("Profile", "s", scale_property_profile, manager_property_refuse_set, 0,
                             CHANGES | UNPRIVILEGED),
    SD_BUS_WRITABLE_PROPERTY("AutoScale", "b", scale_property_autoscale, manager_property_refuse_set, 0,
                             CHANGES | UNPRIVILEGED),
    SD_BUS_PROPERTY("ScaleTarget", "u", scale_property_target, 0, CHANGES),
    SD_BUS_PROPERTY("QueueLength", "t", manager_property_queue_length, 0, CHANGES),
    SD_BUS_PROPERTY("RunningTasks", "t", manager_property_running_tasks, 0, CHANGES),
    SD_BUS_VTABLE_END,
};

int manager_bus_export(Bus *bus)
{
    int r = sd_bus_add_object(bus->connection, NULL, PAREXEC_PATH, manager_property_on_set, bus);

    return r < 0 ? r
                 : sd_bus_add_object_vtable(bus->connection, NULL, PAREXEC_PATH, PAREXEC_MANAGER_INTERFACE,
                                            manager_vtable, bus);
}
