/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.parexec.Manager1. Every handler has one shape: read, validate, authorise, one call into the core, reply; what takes
 * time is replied to from a callback. */
#include <fcntl.h>

#include "bus/bus-internal.h"
#include "bus/options.h"
#include "bus/status-message.h"
#include "bus/submit-request.h"
#include "bus/task-message.h"
#include "bus/worker-request.h"
#include "model/output-path.h"
#include "parexec-config.h"
#include "util/parse-util.h"

/* What a callback needs to answer a call. */
typedef struct Answer {
    Bus *bus;
    sd_bus_message *m;
} Answer;

static Answer *answer_new(Bus *bus, sd_bus_message *m)
{
    Answer *answer = g_new(Answer, 1);

    *answer = (Answer){ bus, sd_bus_message_ref(m) };
    return answer;
}

/* The call is over; the message is the caller's to unref. */
static sd_bus_message *answer_end(Answer *answer)
{
    sd_bus_message *m = answer->m;

    call_done(answer->bus->calls, m);
    g_free(answer);
    return m;
}

/* ---- workers */

static void on_worker_added(int r, Worker *worker, void *userdata)
{
    g_autoptr(sd_bus_message) m = answer_end(userdata);

    if (r < 0) {
        (void) sd_bus_reply_method_errorf(
            m, r == -ENOSPC ? PAREXEC_ERROR_STORAGE_FULL : PAREXEC_ERROR_WORKER_START_FAILED,
            "Worker %s: %s.", worker->id, worker->reason ? worker->reason : "it was aborted");
        return;
    }
    g_autofree char *path = worker_bus_path(worker);
    (void) sd_bus_reply_method_return(m, "o", path);
}

static int method_add_worker(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    static const char *const refusals[] = {
        [REFUSED_TOO_MANY_WORKERS] = PAREXEC_ERROR_TOO_MANY_WORKERS,
        [REFUSED_MEMORY] = PAREXEC_ERROR_INSUFFICIENT_MEMORY,
    };
    Bus *bus = userdata;
    g_autoptr(WorkerSpec) spec = NULL;
    g_autofree char *why = NULL;
    Peer *peer;

    int r = worker_request_read(m, manager_settings(bus->manager), &spec, error);
    if (r < 0)
        return r;
    r = bus_check(bus, m, PAREXEC_ACTION_MANAGE_WORKERS, &peer, error);
    if (r <= 0)
        return r < 0 ? r : 1;
    if (!manager_has_engine(bus->manager, spec->engine)) {
        call_done(bus->calls, m);
        return sd_bus_error_setf(error, PAREXEC_ERROR_WORKER_START_FAILED,
                                 "The engine \"%s\" is not to be had here: there is no systemd on this bus.",
                                 engine_kind_to_string(spec->engine));
    }
    Answer *answer = answer_new(bus, m);
    AdmissionVerdict verdict =
        manager_add_worker(bus->manager, g_steal_pointer(&spec), on_worker_added, answer, &why);
    if (verdict == ADMITTED)
        return 1;
    sd_bus_message_unref(answer_end(answer));
    return sd_bus_error_setf(error, refusals[verdict], "No worker was added: %s.", why);
}

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

/* ---- tasks */

/* Remembers which batches a client has open, to drop them when it goes. */
static void note_batch(Bus *bus, sd_bus_message *m, uint64_t batch, bool open)
{
    Peer *peer;

    if (peers_identify(bus->peers, m, &peer) <= 0) { /* it has left the bus meanwhile */
        manager_discard_batch(bus->manager, batch);
        return;
    }
    for (guint i = 0; i < peer->open_batches->len; i++)
        if (g_array_index(peer->open_batches, uint64_t, i) == batch) {
            if (!open)
                g_array_remove_index_fast(peer->open_batches, i);
            return;
        }
    if (open)
        g_array_append_val(peer->open_batches, batch);
}

static void on_submitted(int r, uint64_t batch, uint64_t first, uint64_t count, bool open, void *userdata)
{
    Answer *answer = userdata;
    Bus *bus = answer->bus;
    g_autoptr(sd_bus_message) m = answer_end(answer);

    if (r < 0) {
        bus_error_reply(m, r, "submission");
        return;
    }
    note_batch(bus, m, batch, open);
    (void) sd_bus_reply_method_return(m, "ttu", batch, first, (uint32_t) count);
}

static int method_submit(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Bus *bus = userdata;
    g_autoptr(Submission) submission = NULL;
    Peer *peer;
    int r = bus_check(bus, m, PAREXEC_ACTION_SUBMIT, &peer, error);

    if (r <= 0)
        return r < 0 ? r : 1;
    r = submit_request_read(m, peer, &submission, error);
    if (r < 0) {
        call_done(bus->calls, m);
        return r;
    }
    uint64_t batch = submission->batch;
    Answer *answer = answer_new(bus, m);
    r = manager_submit(bus->manager, g_steal_pointer(&submission), on_submitted, answer);
    if (r >= 0)
        return 1;
    sd_bus_message_unref(answer_end(answer));
    g_autofree char *subject = g_strdup_printf("batch %" G_GUINT64_FORMAT, batch);
    return bus_error_set(error, -ENOKEY, subject);
}

static int reply_rows(Bus *bus, sd_bus_message *m, const Peer *peer, const GPtrArray *rows, uint64_t cursor)
{
    g_autoptr(sd_bus_message) reply = NULL;
    int r = sd_bus_message_new_method_return(m, &reply);

    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "a{sv}");
    for (guint i = 0; r >= 0 && i < rows->len; i++) {
        const TaskRow *row = rows->pdata[i];
        r = task_message_append_row(reply, row, peer->uid == 0 || peer->uid == row->spec->context->uid);
    }
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    if (r >= 0)
        r = sd_bus_message_append_basic(reply, 't', &cursor);
    return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static void on_listed(int r, GPtrArray *rows, uint64_t cursor, void *userdata)
{
    g_autoptr(GPtrArray) taken = rows;
    Answer *answer = userdata;
    Bus *bus = answer->bus;
    g_autoptr(sd_bus_message) m = answer_end(answer);
    Peer *peer;

    if (r >= 0 && peers_identify(bus->peers, m, &peer) > 0)
        r = reply_rows(bus, m, peer, rows, cursor);
    if (r < 0)
        bus_error_reply(m, r, "list");
}

static int method_list_tasks(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Bus *bus = userdata;
    g_autoptr(TaskFilter) filter = NULL;
    Peer *peer;
    int r = bus_check(bus, m, NULL, &peer, error);

    if (r <= 0)
        return r < 0 ? r : 1;
    r = task_message_read_filter(m, true, &filter, error);
    if (r < 0)
        return r;
    StorePort *store = manager_store(bus->manager);
    store->list(store, g_steal_pointer(&filter), on_listed, answer_new(bus, m));
    return 1;
}

static int method_cancel(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    g_autoptr(TaskFilter) filter = NULL;
    int r = sd_bus_message_rewind(m, true); /* it may be the second time */

    if (r >= 0)
        r = task_message_read_filter(m, false, &filter, error);
    if (r < 0)
        return r;
    if (task_filter_is_empty(filter))
        return sd_bus_error_set(
            error, PAREXEC_ERROR_INVALID_ARGUMENT,
            "An empty filter would cancel everything; name ids, a batch, states, a name, a tag or an owner.");
    return task_bus_cancel(userdata, m, g_steal_pointer(&filter), false, error);
}

/* ---- output */

typedef struct OutputRequest {
    uint64_t task;
    const char *stream;
    uint32_t attempt;
} OutputRequest;

static const Option output_options[] = {
    { "attempt", "u", offsetof(OutputRequest, attempt) },
    { NULL },
};

static int read_output_request(sd_bus_message *m, OutputRequest *ret, sd_bus_error *error)
{
    int r = sd_bus_message_rewind(m, true);

    if (r >= 0)
        r = sd_bus_message_read(m, "ts", &ret->task, &ret->stream);
    if (r >= 0)
        r = options_read(m, output_options, ret, error);
    if (r < 0)
        return r;
    if (strcmp(ret->stream, "stdout") != 0 && strcmp(ret->stream, "stderr") != 0)
        return sd_bus_error_set(error, PAREXEC_ERROR_INVALID_ARGUMENT,
                                "The stream is neither \"stdout\" nor \"stderr\".");
    return 0;
}

static void on_output_row(int r, TaskRow *row, void *userdata)
{
    Call *call = userdata;

    call->row = row;
    call->has_row = true;
    call->error = r == -ENOENT ? 0 : r;
    call_resume(call);
}

static int open_output(Bus *bus, sd_bus_message *m, const TaskRow *row, const OutputRequest *request,
                       sd_bus_error *error)
{
    uint32_t attempt = request->attempt > 0 ? request->attempt : MAX(row->attempt, 1);
    StdStream stream = (StdStream) std_stream_from_string(request->stream);
    g_autofree char *path = output_path(bus->output_directory, request->task, attempt, stream);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);

    if (fd < 0)
        return sd_bus_error_setf(
            error, PAREXEC_ERROR_NO_OUTPUT, "Attempt %u of task %" G_GUINT64_FORMAT " has no %s here: %s.",
            attempt, request->task, request->stream,
            errno != ENOENT                       ? g_strerror(errno)
            : row->spec->has_fds                  ? "it went to the submitter's own file"
            : row->state < TASK_RUNNING           ? "it has not started"
            : row->spec->context->streams[stream] ? "it went to a file that was named at submission"
                                                  : "nothing was written");
    return sd_bus_reply_method_return(m, "h", fd);
}

static int method_open_output(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Bus *bus = userdata;
    OutputRequest request = { 0 };
    Peer *peer;
    int r = read_output_request(m, &request, error);

    if (r >= 0)
        r = bus_check(bus, m, NULL, &peer, error);
    if (r <= 0)
        return r < 0 ? r : 1;
    Call *call = call_of(bus->calls, m);
    if (!call->has_row) {
        StorePort *store = manager_store(bus->manager);
        store->get(store, request.task, on_output_row, call);
        return 1;
    }
    if (!call->row) {
        g_autofree char *subject = g_strdup_printf("task %" G_GUINT64_FORMAT, request.task);
        r = bus_error_set(error, call->error < 0 ? call->error : -ENOENT, subject);
    } else if (peer->uid == call->row->spec->context->uid)
        r = 1;
    else
        r = authorize(bus->calls, m, peer, PAREXEC_ACTION_MANAGE_TASKS, bus->options.user_mode, error);
    if (r == 0)
        return 1;
    if (r > 0)
        r = open_output(bus, m, call->row, &request, error);
    call_done(bus->calls, m);
    return r < 0 ? r : 1;
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

/* ---- properties */

static int property_version(sd_bus *connection, const char *path, const char *interface, const char *property,
                            sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    return sd_bus_message_append(reply, "s", PAREXEC_VERSION);
}

static int property_workers(sd_bus *connection, const char *path, const char *interface, const char *property,
                            sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    const GPtrArray *workers = manager_workers(((Bus *) userdata)->manager);
    int r = sd_bus_message_open_container(reply, 'a', "o");

    for (guint i = 0; r >= 0 && i < workers->len; i++) {
        g_autofree char *worker = worker_bus_path(workers->pdata[i]);
        r = sd_bus_message_append_basic(reply, 'o', worker);
    }
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int property_max_workers(sd_bus *connection, const char *path, const char *interface,
                                const char *property, sd_bus_message *reply, void *userdata,
                                sd_bus_error *error)
{
    return sd_bus_message_append(reply, "u", manager_max_workers(((Bus *) userdata)->manager));
}

static int property_enabled(sd_bus *connection, const char *path, const char *interface, const char *property,
                            sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    return sd_bus_message_append(reply, "b", (int) manager_is_enabled(((Bus *) userdata)->manager));
}

static int property_queue_length(sd_bus *connection, const char *path, const char *interface,
                                 const char *property, sd_bus_message *reply, void *userdata,
                                 sd_bus_error *error)
{
    return sd_bus_message_append(reply, "t", manager_queue_length(((Bus *) userdata)->manager));
}

static int property_running_tasks(sd_bus *connection, const char *path, const char *interface,
                                  const char *property, sd_bus_message *reply, void *userdata,
                                  sd_bus_error *error)
{
    return sd_bus_message_append(reply, "t", manager_n_running(((Bus *) userdata)->manager));
}

/* Properties.Set is sd-bus's own handler and answers when the setter returns: it can wait for nobody. So it is caught before
 * it gets there, and done here as a call like any other. */
static void on_enabled(int r, void *userdata)
{
    g_autoptr(sd_bus_message) m = answer_end(userdata);

    if (r < 0)
        bus_error_reply(m, r, "setting");
    else
        (void) sd_bus_reply_method_return(m, NULL);
}

static int set_enabled(Bus *bus, sd_bus_message *m, sd_bus_error *error)
{
    int enabled, r = sd_bus_message_read(m, "v", "b", &enabled);

    if (r < 0)
        return sd_bus_error_set(error, PAREXEC_ERROR_INVALID_ARGUMENT, "Enabled takes a boolean.");
    manager_set_enabled(bus->manager, enabled, on_enabled, answer_new(bus, m));
    return 1;
}

static int set_max_workers(Bus *bus, sd_bus_message *m, sd_bus_error *error)
{
    uint32_t max;
    int r = sd_bus_message_read(m, "v", "u", &max);

    if (r < 0)
        return sd_bus_error_set(error, PAREXEC_ERROR_INVALID_ARGUMENT,
                                "MaxWorkers takes an unsigned 32-bit number.");
    if (max > WORKER_SLOTS_MAX)
        return sd_bus_error_setf(error, PAREXEC_ERROR_INVALID_ARGUMENT,
                                 "MaxWorkers is %u; it may be at most %u.", max, WORKER_SLOTS_MAX);
    manager_set_max_workers(bus->manager, max);
    call_done(bus->calls, m);
    return sd_bus_reply_method_return(m, NULL);
}

static int on_set(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    static const struct {
        const char *property;
        int (*set)(Bus *bus, sd_bus_message *m, sd_bus_error *error);
    } setters[] = { { "Enabled", set_enabled }, { "MaxWorkers", set_max_workers } };
    Bus *bus = userdata;
    const char *interface, *property;
    Peer *peer;

    if (!sd_bus_message_is_method_call(m, "org.freedesktop.DBus.Properties", "Set") ||
        !sd_bus_message_has_signature(m, "ssv"))
        return 0;
    int r = sd_bus_message_rewind(m, true);
    if (r >= 0)
        r = sd_bus_message_read(m, "ss", &interface, &property);
    for (size_t i = 0; r >= 0 && i < G_N_ELEMENTS(setters); i++) {
        if (strcmp(interface, PAREXEC_MANAGER_INTERFACE) != 0 || strcmp(property, setters[i].property) != 0)
            continue;
        r = bus_check(bus, m, PAREXEC_ACTION_CONFIGURE, &peer, error);
        if (r <= 0)
            return r < 0 ? r : 1;
        return setters[i].set(bus, m, error);
    }
    return r < 0 ? r : sd_bus_message_rewind(m, true) < 0 ? -EIO : 0;
}

static int refuse_set(sd_bus *connection, const char *path, const char *interface, const char *property,
                      sd_bus_message *value, void *userdata, sd_bus_error *error)
{
    return -EOPNOTSUPP; /* never reached: on_set() is before it; there so that the properties are shown as writable */
}

#define UNPRIVILEGED SD_BUS_VTABLE_UNPRIVILEGED
#define CHANGES SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE

static const sd_bus_vtable manager_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD_WITH_ARGS("AddWorker", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("o", worker),
                            method_add_worker, UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Drain", SD_BUS_ARGS("s", worker), SD_BUS_NO_RESULT, method_drain, UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Abort", SD_BUS_ARGS("s", worker), SD_BUS_NO_RESULT, method_abort, UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Status", SD_BUS_NO_ARGS, SD_BUS_RESULT("a{sv}", status), method_status,
                            UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Submit", SD_BUS_ARGS("aa{sv}", tasks, "a{sv}", options),
                            SD_BUS_RESULT("t", batch, "t", first, "u", count), method_submit, UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("ListTasks", SD_BUS_ARGS("a{sv}", filter),
                            SD_BUS_RESULT("aa{sv}", tasks, "t", cursor), method_list_tasks, UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Cancel", SD_BUS_ARGS("a{sv}", filter), SD_BUS_RESULT("u", count), method_cancel,
                            UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("OpenOutput", SD_BUS_ARGS("t", task, "s", stream, "a{sv}", options),
                            SD_BUS_RESULT("h", fd), method_open_output, UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Subscribe", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_subscribe, UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Unsubscribe", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_unsubscribe,
                            UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_reload, UNPRIVILEGED),
    SD_BUS_SIGNAL_WITH_ARGS("WorkerAdded", SD_BUS_ARGS("s", id, "o", worker), 0),
    SD_BUS_SIGNAL_WITH_ARGS("WorkerRemoved", SD_BUS_ARGS("s", id, "o", worker), 0),
    SD_BUS_SIGNAL_WITH_ARGS("WorkerStateChanged", SD_BUS_ARGS("s", id, "s", old, "s", new), 0),
    SD_BUS_SIGNAL_WITH_ARGS("TasksChanged", SD_BUS_ARGS("a(tta{sv})", tasks), 0),
    SD_BUS_SIGNAL_WITH_ARGS("BatchFinished", SD_BUS_ARGS("t", batch, "a{sv}", result), 0),
    SD_BUS_PROPERTY("Version", "s", property_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("Workers", "ao", property_workers, 0, CHANGES),
    SD_BUS_WRITABLE_PROPERTY("MaxWorkers", "u", property_max_workers, refuse_set, 0, CHANGES | UNPRIVILEGED),
    SD_BUS_WRITABLE_PROPERTY("Enabled", "b", property_enabled, refuse_set, 0, CHANGES | UNPRIVILEGED),
    SD_BUS_PROPERTY("QueueLength", "t", property_queue_length, 0, CHANGES),
    SD_BUS_PROPERTY("RunningTasks", "t", property_running_tasks, 0, CHANGES),
    SD_BUS_VTABLE_END,
};

int manager_bus_export(Bus *bus)
{
    int r = sd_bus_add_object(bus->connection, NULL, PAREXEC_PATH, on_set, bus);

    return r < 0 ? r
                 : sd_bus_add_object_vtable(bus->connection, NULL, PAREXEC_PATH, PAREXEC_MANAGER_INTERFACE,
                                            manager_vtable, bus);
}
