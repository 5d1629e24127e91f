/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.parexec.Task1: tasks are looked up on demand. A message to /org/parexec/task/… first goes through on_task_message(),
 * which asks the store and hands the message to the vtable when the row is there; find_task() finds the row by the message
 * that is being handled. Nothing blocks, and introspection and properties work as for any object. */
#include "bus/bus-internal.h"
#include "bus/task-message.h"
#include "util/parse-util.h"

static int parse_path(const char *path, uint64_t *ret)
{
    g_autofree char *id = NULL;

    if (sd_bus_path_decode(path, PAREXEC_TASK_PATH, &id) <= 0)
        return -EINVAL;
    return parse_uint64(id, ret);
}

static void on_row(int r, TaskRow *row, void *userdata)
{
    Call *call = userdata;

    call->row = row;
    call->has_row = true;
    call->error = r == -ENOENT ? 0 : r;
    call_resume(call);
}

/* Is it a method that the vtable here will have? Its handler ends the call. */
static bool is_deed(sd_bus_message *m)
{
    static const char *const members[] = { "Cancel", "Hold", "Release", "Retry" };

    for (size_t i = 0; i < G_N_ELEMENTS(members); i++)
        if (sd_bus_message_is_method_call(m, PAREXEC_TASK_INTERFACE, members[i]))
            return sd_bus_message_has_signature(m, "");
    return false;
}

static int on_task_message(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Bus *bus = userdata;
    uint64_t id;

    if (parse_path(sd_bus_message_get_path(m), &id) < 0)
        return 0;
    Call *call = call_find(bus->calls, m);
    if (call && call->has_row) { /* on to the vtable; only our own methods may want to come again */
        if (!call->row || !is_deed(m))
            call_done_later(call);
        return 0;
    }
    if (call)
        return 1;
    Peer *peer;
    int r = peers_identify(bus->peers, m, &peer);
    if (r <= 0)
        return r < 0 ? r : 1;
    manager_store(bus->manager)->get(manager_store(bus->manager), id, on_row, call_of(bus->calls, m));
    return 1;
}

static int find_task(sd_bus *connection, const char *path, const char *interface, void *userdata, void **ret,
                     sd_bus_error *error)
{
    Bus *bus = userdata;
    sd_bus_message *m = sd_bus_get_current_message(connection);
    Call *call = m ? call_find(bus->calls, m) : NULL;

    if (!call || !call->has_row)
        return 0;
    if (!call->row) {
        g_autofree char *subject = g_strdup_printf("task %s", strrchr(path, '/') + 1);
        int r = call->error < 0 ? call->error : -ENOENT;
        return bus_error_set(error, r, subject);
    }
    bus_complete_row(bus, call->row);
    *ret = call;
    return 1;
}

/* ---- methods */

static Bus *bus_of(sd_bus *connection)
{
    return sd_bus_slot_get_userdata(sd_bus_get_current_slot(connection));
}

static int act(sd_bus_message *m, const Call *call, TaskDeed deed, sd_bus_error *error)
{
    TaskFilter *filter = task_filter_new();

    filter->ids = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    g_array_append_val(filter->ids, call->row->spec->id);
    deed.one = true;
    return task_action_run(bus_of(sd_bus_message_get_bus(m)), m, filter, deed, error);
}

static int method_cancel(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    return act(m, userdata, (TaskDeed){ .kind = DEED_CANCEL }, error);
}

static int method_hold(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    return act(m, userdata, (TaskDeed){ .kind = DEED_MODIFY, .action = TASK_HOLD }, error);
}

static int method_release(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    return act(m, userdata, (TaskDeed){ .kind = DEED_MODIFY, .action = TASK_RELEASE }, error);
}

static int method_retry(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    return act(m, userdata, (TaskDeed){ .kind = DEED_MODIFY, .action = TASK_RETRY }, error);
}

/* ---- properties */

/* May the caller see what is run? */
static bool is_private(sd_bus *connection, const TaskRow *row)
{
    Bus *bus = bus_of(connection);
    Peer *peer;

    /* on_task_message() has identified the sender before any property is read */
    return peers_identify(bus->peers, sd_bus_get_current_message(connection), &peer) > 0 &&
           (peer->uid == 0 || peer->uid == row->spec->context->uid);
}

#define GETTER(name, type, expression)                                                                       \
    static int property_##name(sd_bus *connection, const char *path, const char *interface,                  \
                               const char *property, sd_bus_message *reply, void *userdata,                  \
                               sd_bus_error *error)                                                          \
    {                                                                                                        \
        const TaskRow *row = ((Call *) userdata)->row;                                                       \
        return sd_bus_message_append(reply, type, expression);                                               \
    }

GETTER(id, "t", row->spec->id)
GETTER(batch, "t", row->spec->batch)
GETTER(name, "s", row->spec->name)
GETTER(state, "s", task_state_to_string(row->state))
GETTER(priority, "i", row->spec->priority)
GETTER(owner, "u", row->spec->context->uid)
GETTER(array_index, "t", row->spec->array_index)
GETTER(memory_max, "t", task_spec_memory(row->spec))
GETTER(submitted, "t", row->submitted_usec)
GETTER(attempt, "u", row->attempt)
GETTER(started, "t", row->start_usec)
GETTER(finished, "t", row->result.end_usec)
GETTER(outcome, "s", outcome_to_string(row->result.outcome))
GETTER(exit_status, "i", row->result.exit_status)
GETTER(signal, "i", row->result.signal)
GETTER(errno, "i", row->result.error)
GETTER(reason, "s", row->reason ? row->reason : "")
GETTER(cpu_usage, "t", row->result.cpu_nsec)
GETTER(after, "s", row->after ? row->after : "")
GETTER(not_before, "t", row->not_before_usec)
GETTER(queue, "s", row->queue ? row->queue : "")
GETTER(worker_class, "s", row->spec->class ? row->spec->class : "")
GETTER(memory_peak, "t", row->result.outcome == OUTCOME_NONE ? MEMORY_UNKNOWN : row->result.memory_peak_bytes)

static int property_worker(sd_bus *connection, const char *path, const char *interface, const char *property,
                           sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    const TaskRow *row = ((Call *) userdata)->row;
    char id[WORKER_ID_MAX] = "";

    if (row->worker > 0)
        worker_id_format(id, row->worker);
    return sd_bus_message_append(reply, "s", id);
}

static int property_tags(sd_bus *connection, const char *path, const char *interface, const char *property,
                         sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    const TaskRow *row = ((Call *) userdata)->row;
    g_auto(GStrv) tags = g_strsplit(row->spec->tags ? row->spec->tags : "", "\n", -1);

    return sd_bus_message_append_strv(reply, tags);
}

static int property_argv(sd_bus *connection, const char *path, const char *interface, const char *property,
                         sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    const TaskRow *row = ((Call *) userdata)->row;

    return task_message_append_blob(reply, is_private(connection, row) ? row->spec->argv : NULL);
}

static int property_environment(sd_bus *connection, const char *path, const char *interface,
                                const char *property, sd_bus_message *reply, void *userdata,
                                sd_bus_error *error)
{
    const TaskRow *row = ((Call *) userdata)->row;

    return task_message_append_blob(reply,
                                    is_private(connection, row) ? row->spec->context->environment : NULL);
}

static int property_cwd(sd_bus *connection, const char *path, const char *interface, const char *property,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    const TaskRow *row = ((Call *) userdata)->row;

    return task_message_append_string(reply, is_private(connection, row) ? row->spec->context->cwd : NULL);
}

static int property_policy(sd_bus *connection, const char *path, const char *interface, const char *property,
                           sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    const TaskRow *row = ((Call *) userdata)->row;
    g_autofree char *text = task_context_terms(row->spec->context);

    return sd_bus_message_append(reply, "s", text);
}

static int property_stderr_tail(sd_bus *connection, const char *path, const char *interface,
                                const char *property, sd_bus_message *reply, void *userdata,
                                sd_bus_error *error)
{
    const TaskRow *row = ((Call *) userdata)->row;
    bool shown = is_private(connection, row) && !task_result_is_success(&row->result);

    return task_message_append_bytes(reply, shown ? row->result.stderr_tail : NULL);
}

static int property_result(sd_bus *connection, const char *path, const char *interface, const char *property,
                           sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    const TaskRow *row = ((Call *) userdata)->row;

    return task_message_append_bytes(reply, is_private(connection, row) ? row->result.data : NULL);
}

static int property_attempts(sd_bus *connection, const char *path, const char *interface,
                             const char *property, sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    const TaskRow *row = ((Call *) userdata)->row;

    return task_message_append_attempts(reply, row, is_private(connection, row));
}

#define CONST SD_BUS_VTABLE_PROPERTY_CONST

static const sd_bus_vtable task_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("Cancel", NULL, NULL, method_cancel, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Hold", NULL, NULL, method_hold, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Release", NULL, NULL, method_release, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Retry", NULL, NULL, method_retry, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_PROPERTY("Id", "t", property_id, 0, CONST),
    SD_BUS_PROPERTY("Batch", "t", property_batch, 0, CONST),
    SD_BUS_PROPERTY("Name", "s", property_name, 0, CONST),
    SD_BUS_PROPERTY("Tags", "as", property_tags, 0, CONST),
    SD_BUS_PROPERTY("State", "s", property_state, 0, 0),
    SD_BUS_PROPERTY("Priority", "i", property_priority, 0, 0),
    SD_BUS_PROPERTY("Owner", "u", property_owner, 0, CONST),
    SD_BUS_PROPERTY("Argv", "aay", property_argv, 0, CONST),
    SD_BUS_PROPERTY("WorkingDirectory", "ay", property_cwd, 0, CONST),
    SD_BUS_PROPERTY("Environment", "aay", property_environment, 0, CONST),
    SD_BUS_PROPERTY("ArrayIndex", "t", property_array_index, 0, CONST),
    SD_BUS_PROPERTY("MemoryMax", "t", property_memory_max, 0, 0),
    SD_BUS_PROPERTY("SubmitTimestamp", "t", property_submitted, 0, CONST),
    SD_BUS_PROPERTY("Attempt", "u", property_attempt, 0, 0),
    SD_BUS_PROPERTY("Worker", "s", property_worker, 0, 0),
    SD_BUS_PROPERTY("StartTimestamp", "t", property_started, 0, 0),
    SD_BUS_PROPERTY("FinishTimestamp", "t", property_finished, 0, 0),
    SD_BUS_PROPERTY("Outcome", "s", property_outcome, 0, 0),
    SD_BUS_PROPERTY("ExitStatus", "i", property_exit_status, 0, 0),
    SD_BUS_PROPERTY("Signal", "i", property_signal, 0, 0),
    SD_BUS_PROPERTY("Errno", "i", property_errno, 0, 0),
    SD_BUS_PROPERTY("Reason", "s", property_reason, 0, 0),
    SD_BUS_PROPERTY("CPUUsageNSec", "t", property_cpu_usage, 0, 0),
    SD_BUS_PROPERTY("MemoryPeak", "t", property_memory_peak, 0, 0),
    SD_BUS_PROPERTY("After", "s", property_after, 0, 0),
    SD_BUS_PROPERTY("NotBefore", "t", property_not_before, 0, 0),
    SD_BUS_PROPERTY("Queue", "s", property_queue, 0, 0),
    SD_BUS_PROPERTY("WorkerClass", "s", property_worker_class, 0, CONST),
    SD_BUS_PROPERTY("Policy", "s", property_policy, 0, CONST),
    SD_BUS_PROPERTY("StderrTail", "ay", property_stderr_tail, 0, 0),
    SD_BUS_PROPERTY("Result", "ay", property_result, 0, 0),
    SD_BUS_PROPERTY("Attempts", "aa{sv}", property_attempts, 0, 0),
    SD_BUS_VTABLE_END,
};

int task_bus_export(Bus *bus)
{
    int r = sd_bus_add_fallback(bus->connection, NULL, PAREXEC_TASK_PATH, on_task_message, bus);

    return r < 0 ? r
                 : sd_bus_add_fallback_vtable(bus->connection, NULL, PAREXEC_TASK_PATH,
                                              PAREXEC_TASK_INTERFACE, task_vtable, find_task, bus);
}
