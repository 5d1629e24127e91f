/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Setting up the public face, and passing on what the core tells its observers. The interfaces themselves are in
 * manager-bus.c, worker-bus.c and task-bus.c. */
#include "bus/bus-internal.h"
#include "util/log.h"

static void on_peer_gone(Peer *peer, void *userdata)
{
    Bus *bus = userdata;

    for (guint i = 0; i < peer->open_batches->len; i++)
        manager_discard_batch(bus->manager, g_array_index(peer->open_batches, uint64_t, i));
}

/* ---- the core's observer */

static void observe_worker_added(ObserverPort *port, Worker *worker)
{
    announcer_worker_added(((Bus *) port)->announcer, worker);
}

static void observe_worker_removed(ObserverPort *port, Worker *worker)
{
    announcer_worker_removed(((Bus *) port)->announcer, worker);
}

static void observe_worker_state_changed(ObserverPort *port, Worker *worker, WorkerState old)
{
    announcer_worker_state_changed(((Bus *) port)->announcer, worker, old);
}

static void observe_worker_changed(ObserverPort *port, Worker *worker)
{
    announcer_worker_changed(((Bus *) port)->announcer, worker);
}

static void observe_task_changed(ObserverPort *port, const TaskChange *change)
{
    announcer_task_changed(((Bus *) port)->announcer, change);
}

static void observe_batch_ended(ObserverPort *port, const BatchEnd *end)
{
    announcer_batch_ended(((Bus *) port)->announcer, end);
}

static void observe_queue_changed(ObserverPort *port)
{
    announcer_queue_changed(((Bus *) port)->announcer);
}

static void observe_settings_changed(ObserverPort *port)
{
    announcer_settings_changed(((Bus *) port)->announcer);
}

static void observe_task_unplaceable(ObserverPort *port, uint64_t task, const char *why)
{
    announcer_task_unplaceable(((Bus *) port)->announcer, task, why);
}

static void observe_pressure_changed(ObserverPort *port, const char *rung, const char *why)
{
    announcer_pressure_changed(((Bus *) port)->announcer, rung, why);
}

ObserverPort *bus_port(Bus *bus)
{
    return &bus->port;
}

/* ---- what handlers share */

int bus_check(Bus *bus, sd_bus_message *m, const char *action, Peer **ret_peer, sd_bus_error *error)
{
    Peer *peer;
    int r = peers_identify(bus->peers, m, &peer);

    if (r > 0 && action)
        r = authorize(bus->calls, m, peer, action, bus->options.user_mode, error);
    if (r > 0)
        *ret_peer = peer;
    if (r < 0)
        call_done(bus->calls, m);
    return r;
}

/* What was changed while it runs, in the place of what it was submitted with. Others share that. */
static void complete_demand(TaskSpec *spec, const TaskLimits *limits)
{
    TaskContext *context = task_context_copy(spec->context);
    TaskDemand *demand = &context->demand;

    if (limits->set_cpu)
        demand->cpu_quota_usec_per_sec = limits->cpu_quota_usec_per_sec;
    if (limits->set_tasks)
        demand->tasks_max = limits->tasks_max;
    if (limits->set_io)
        demand->io_weight = limits->io_weight;
    task_context_unref(spec->context);
    spec->context = context;
}

void bus_complete_row(Bus *bus, TaskRow *row)
{
    const ActiveTask *task = manager_find_active(bus->manager, row->spec->id);

    if (!task)
        return;
    if (task->spec->memory_max_bytes > 0)
        row->spec->memory_max_bytes = task->spec->memory_max_bytes;
    if (row->state == TASK_RUNNING && (task->limits.set_cpu || task->limits.set_tasks || task->limits.set_io))
        complete_demand(row->spec, &task->limits);
}

Answer *answer_new(Bus *bus, sd_bus_message *m)
{
    Answer *answer = g_new(Answer, 1);

    *answer = (Answer){ bus, sd_bus_message_ref(m) };
    return answer;
}

sd_bus_message *answer_end(Answer *answer)
{
    sd_bus_message *m = answer->m;

    call_done(answer->bus->calls, m);
    g_free(answer);
    return m;
}

/* ---- life */

int bus_new(sd_bus *connection, Manager *manager, const BusOptions *options, Bus **ret)
{
    Bus *bus = g_new0(Bus, 1);

    bus->port = (ObserverPort){
        .worker_added = observe_worker_added,
        .worker_state_changed = observe_worker_state_changed,
        .worker_changed = observe_worker_changed,
        .worker_removed = observe_worker_removed,
        .task_changed = observe_task_changed,
        .batch_ended = observe_batch_ended,
        .queue_changed = observe_queue_changed,
        .settings_changed = observe_settings_changed,
        .task_unplaceable = observe_task_unplaceable,
        .pressure_changed = observe_pressure_changed,
    };
    bus->connection = sd_bus_ref(connection);
    bus->manager = manager;
    bus->options = *options;
    bus->output_directory = g_strdup(options->output_directory);
    bus->calls = calls_new(connection);
    int r = peers_new(connection, on_peer_gone, bus, &bus->peers);
    if (r >= 0)
        r = announcer_new(connection, bus->peers, &bus->announcer);
    if (r >= 0)
        r = manager_bus_export(bus);
    if (r >= 0)
        r = worker_bus_export(bus);
    if (r >= 0)
        r = task_bus_export(bus);
    if (r >= 0)
        r = sd_bus_add_object_manager(connection, NULL, PAREXEC_PATH);
    if (r < 0) {
        bus_free(bus);
        return r;
    }
    *ret = bus;
    return 0;
}

static int on_name(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    uint32_t answer = 0;

    if (!sd_bus_message_is_method_error(m, NULL) && sd_bus_message_read(m, "u", &answer) >= 0 && answer == 1)
        return 0;
    log_error("The bus does not give the name " PAREXEC_BUS_NAME ": %s",
              sd_bus_message_is_method_error(m, NULL) ? sd_bus_message_get_error(m)->message
                                                      : "another process has it");
    return sd_event_exit(sd_bus_get_event(sd_bus_message_get_bus(m)), EXIT_FAILURE);
}

int bus_publish(Bus *bus)
{
    return sd_bus_request_name_async(bus->connection, NULL, PAREXEC_BUS_NAME, 0, on_name, bus);
}

Bus *bus_free(Bus *bus)
{
    if (!bus)
        return NULL;
    announcer_free(bus->announcer);
    peers_free(bus->peers);
    calls_free(bus->calls);
    sd_bus_unref(bus->connection);
    g_free(bus->output_directory);
    g_free(bus);
    return NULL;
}
