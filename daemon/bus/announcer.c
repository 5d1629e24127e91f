/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is told to the bus, and how often. Two gates, one for properties and one for tasks: what comes while a gate is shut
 * is gathered and goes out when it opens. */
#include "bus/announcer.h"

#include <systemd/sd-event.h>

#include "bus/bus-internal.h"
#include "bus/task-message.h"
#include "core/worker.h"
#include "util/log.h"

#define PROPERTIES_USEC (250 * USEC_PER_MSEC)
#define TASKS_USEC (100 * USEC_PER_MSEC)
#define CHANGES_MAX 50000U /* beyond, the oldest are dropped: such a subscriber reads the list again */

/* Open, or shut until its timer rings. */
typedef struct Gate {
    Announcer *announcer;
    sd_event_source *timer;
    uint64_t interval_usec;
    bool shut;
    bool (*flush)(Announcer *announcer); /* sends what has gathered; was there anything? */
} Gate;

struct Announcer {
    sd_bus *bus;
    Peers *peers;
    Gate properties, tasks;
    GHashTable *changed_workers; /* Worker*, weak: removed with the worker */
    bool queue_changed;
    GHashTable *changes; /* uint64_t* (in the copy) → TaskChange copy */
};

typedef struct ChangeCopy {
    TaskChange change;
    TaskResult result;
} ChangeCopy;

static int on_gate_opens(sd_event_source *source, uint64_t usec, void *userdata);

/* Lets through at once if the gate is open, and shuts it behind. */
static void gate_pass(Gate *gate)
{
    if (gate->shut || !gate->flush(gate->announcer))
        return;
    gate->shut = true;
    if (sd_event_source_set_time_relative(gate->timer, gate->interval_usec) < 0 ||
        sd_event_source_set_enabled(gate->timer, SD_EVENT_ONESHOT) < 0)
        gate->shut = false;
}

static int on_gate_opens(sd_event_source *source, uint64_t usec, void *userdata)
{
    Gate *gate = userdata;

    gate->shut = false;
    gate_pass(gate);
    return 0;
}

static int gate_init(Gate *gate, Announcer *announcer, uint64_t interval_usec, bool (*flush)(Announcer *))
{
    *gate = (Gate){ .announcer = announcer, .interval_usec = interval_usec, .flush = flush };
    int r = sd_event_add_time_relative(sd_bus_get_event(announcer->bus), &gate->timer, CLOCK_MONOTONIC,
                                       interval_usec, 0, on_gate_opens, gate);
    return r < 0 ? r : sd_event_source_set_enabled(gate->timer, SD_EVENT_OFF);
}

/* ---- properties */

static void emit_worker(Announcer *announcer, Worker *worker)
{
    static const char *const names[] = { "Stalled",     "LastHeartbeat", "CurrentTasks", "TasksDone",
                                         "TasksFailed", "Pid",           "ControlGroup", "NotEnforced",
                                         "MemoryMax",   "CPUQuota",      "Frozen",       "Forced",
                                         NULL };
    g_autofree char *path = worker_bus_path(worker);

    (void) sd_bus_emit_properties_changed_strv(announcer->bus, path, PAREXEC_WORKER_INTERFACE,
                                               (char **) names);
}

static bool flush_properties(Announcer *announcer)
{
    GHashTableIter iter;
    gpointer worker;
    bool any = announcer->queue_changed || g_hash_table_size(announcer->changed_workers) > 0;

    g_hash_table_iter_init(&iter, announcer->changed_workers);
    while (g_hash_table_iter_next(&iter, &worker, NULL))
        emit_worker(announcer, worker);
    g_hash_table_remove_all(announcer->changed_workers);
    if (announcer->queue_changed)
        (void) sd_bus_emit_properties_changed(announcer->bus, PAREXEC_PATH, PAREXEC_MANAGER_INTERFACE,
                                              "QueueLength", "RunningTasks", NULL);
    announcer->queue_changed = false;
    return any;
}

void announcer_worker_changed(Announcer *announcer, Worker *worker)
{
    g_hash_table_add(announcer->changed_workers, worker);
    gate_pass(&announcer->properties);
}

void announcer_queue_changed(Announcer *announcer)
{
    announcer->queue_changed = true;
    gate_pass(&announcer->properties);
}

void announcer_settings_changed(Announcer *announcer)
{
    (void) sd_bus_emit_properties_changed(announcer->bus, PAREXEC_PATH, PAREXEC_MANAGER_INTERFACE,
                                          "MaxWorkers", "Enabled", "Profile", "AutoScale", "ScaleTarget",
                                          NULL);
}

/* ---- capacity */

void announcer_task_unplaceable(Announcer *announcer, uint64_t task, const char *why)
{
    (void) sd_bus_emit_signal(announcer->bus, PAREXEC_PATH, PAREXEC_MANAGER_INTERFACE, "TaskUnplaceable",
                              "ts", task, why);
}

void announcer_pressure_changed(Announcer *announcer, const char *rung, const char *why)
{
    (void) sd_bus_emit_signal(announcer->bus, PAREXEC_PATH, PAREXEC_MANAGER_INTERFACE, "PressureChanged",
                              "ss", rung, why);
}

/* ---- workers */

static void emit_worker_signal(Announcer *announcer, const char *member, const Worker *worker)
{
    g_autofree char *path = worker_bus_path(worker);

    (void) sd_bus_emit_signal(announcer->bus, PAREXEC_PATH, PAREXEC_MANAGER_INTERFACE, member, "so",
                              worker->id, path);
}

void announcer_worker_added(Announcer *announcer, Worker *worker)
{
    g_autofree char *path = worker_bus_path(worker);

    (void) sd_bus_emit_object_added(announcer->bus, path);
    emit_worker_signal(announcer, "WorkerAdded", worker);
    (void) sd_bus_emit_properties_changed(announcer->bus, PAREXEC_PATH, PAREXEC_MANAGER_INTERFACE, "Workers",
                                          NULL);
}

void announcer_worker_removed(Announcer *announcer, Worker *worker)
{
    g_autofree char *path = worker_bus_path(worker);

    g_hash_table_remove(announcer->changed_workers, worker);
    (void) sd_bus_emit_object_removed(announcer->bus, path);
    emit_worker_signal(announcer, "WorkerRemoved", worker);
    (void) sd_bus_emit_properties_changed(announcer->bus, PAREXEC_PATH, PAREXEC_MANAGER_INTERFACE, "Workers",
                                          NULL);
}

void announcer_worker_state_changed(Announcer *announcer, Worker *worker, WorkerState old)
{
    g_autofree char *path = worker_bus_path(worker);

    (void) sd_bus_emit_properties_changed(announcer->bus, path, PAREXEC_WORKER_INTERFACE, "State", "Reason",
                                          "Pid", NULL);
    (void) sd_bus_emit_signal(announcer->bus, PAREXEC_PATH, PAREXEC_MANAGER_INTERFACE, "WorkerStateChanged",
                              "sss", worker->id, worker_state_to_string(old),
                              worker_state_to_string(worker->state));
}

/* ---- tasks */

static int fill_changes(sd_bus_message *m, void *userdata)
{
    Announcer *announcer = userdata;
    GHashTableIter iter;
    gpointer copy;
    int r = sd_bus_message_open_container(m, 'a', "(tta{sv})");

    g_hash_table_iter_init(&iter, announcer->changes);
    while (r >= 0 && g_hash_table_iter_next(&iter, NULL, &copy))
        r = task_message_append_change(m, &((ChangeCopy *) copy)->change);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static bool flush_tasks(Announcer *announcer)
{
    if (g_hash_table_size(announcer->changes) == 0)
        return false;
    peers_broadcast(announcer->peers, PAREXEC_MANAGER_INTERFACE, "TasksChanged", fill_changes, announcer);
    g_hash_table_remove_all(announcer->changes);
    return true;
}

void announcer_task_changed(Announcer *announcer, const TaskChange *change)
{
    if (!peers_any_subscribed(announcer->peers))
        return;
    ChangeCopy *copy = g_new0(ChangeCopy, 1);
    copy->change = *change;
    if (change->result) {
        copy->result = *change->result;
        copy->result.stderr_tail = NULL;
        copy->change.result = &copy->result;
    }
    if (g_hash_table_size(announcer->changes) >= CHANGES_MAX)
        g_hash_table_remove_all(announcer->changes);
    g_hash_table_replace(announcer->changes, &copy->change.task, copy);
    gate_pass(&announcer->tasks);
}

static int fill_batch_end(sd_bus_message *m, void *userdata)
{
    return task_message_append_batch_end(m, userdata);
}

void announcer_batch_ended(Announcer *announcer, const BatchEnd *end)
{
    (void) flush_tasks(announcer); /* who hears that all have ended has heard of each before */
    peers_broadcast(announcer->peers, PAREXEC_MANAGER_INTERFACE, "BatchFinished", fill_batch_end,
                    (void *) end);
}

/* ---- life */

int announcer_new(sd_bus *bus, Peers *peers, Announcer **ret)
{
    g_autoptr(Announcer) announcer = g_new0(Announcer, 1);

    announcer->bus = bus;
    announcer->peers = peers;
    announcer->changed_workers = g_hash_table_new(NULL, NULL);
    announcer->changes = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
    int r = gate_init(&announcer->properties, announcer, PROPERTIES_USEC, flush_properties);
    if (r >= 0)
        r = gate_init(&announcer->tasks, announcer, TASKS_USEC, flush_tasks);
    if (r < 0)
        return r;
    *ret = g_steal_pointer(&announcer);
    return 0;
}

Announcer *announcer_free(Announcer *announcer)
{
    if (!announcer)
        return NULL;
    sd_event_source_disable_unref(announcer->properties.timer);
    sd_event_source_disable_unref(announcer->tasks.timer);
    g_hash_table_unref(announcer->changed_workers);
    g_hash_table_unref(announcer->changes);
    g_free(announcer);
    return NULL;
}
