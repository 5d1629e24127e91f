/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The methods of org.parexec.Manager1 that are about tasks. */
#include <stddef.h>

#include "bus/bus-internal.h"
#include "bus/demand-request.h"
#include "bus/manager-methods.h"
#include "bus/options.h"
#include "bus/submit-request.h"
#include "bus/task-message.h"
#include "model/ids.h"

/* ---- Submit */

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

static void refuse_submission(sd_bus_message *m, int r, const Submission *submission)
{
    static const struct {
        int error;
        const char *name;
    } refusals[] = {
        { EDOM, PAREXEC_ERROR_INVALID_DEPENDENCY },
        { ENOENT, PAREXEC_ERROR_NO_SUCH_TASK },
        { ENOKEY, PAREXEC_ERROR_NO_SUCH_QUEUE },
    };

    for (size_t i = 0; submission && submission->refusal && i < G_N_ELEMENTS(refusals); i++)
        if (refusals[i].error == -r) {
            (void) sd_bus_reply_method_errorf(m, refusals[i].name, "%s", submission->refusal);
            return;
        }
    bus_error_reply(m, r, "submission");
}

static void on_submitted(int r, const Submission *submission, bool open, void *userdata)
{
    Answer *answer = userdata;
    Bus *bus = answer->bus;
    g_autoptr(sd_bus_message) m = answer_end(answer);

    if (r < 0) {
        refuse_submission(m, r, submission);
        return;
    }
    if (!submission->known)
        note_batch(bus, m, submission->batch, open);
    (void) sd_bus_reply_method_return(m, "ttu", submission->batch, submission->first,
                                      (uint32_t) MIN(submission->count, UINT32_MAX));
}

int task_method_submit(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Bus *bus = userdata;
    g_autoptr(Submission) submission = NULL;
    Peer *peer;
    int r = bus_check(bus, m, PAREXEC_ACTION_SUBMIT, &peer, error);

    if (r <= 0)
        return r < 0 ? r : 1;
    r = submit_request_read(m, peer, &manager_settings(bus->manager)->policy, &submission, error);
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

/* ---- ListTasks */

static int reply_rows(sd_bus_message *m, Bus *bus, const Peer *peer, const GPtrArray *rows, uint64_t cursor)
{
    g_autoptr(sd_bus_message) reply = NULL;
    int r = sd_bus_message_new_method_return(m, &reply);

    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "a{sv}");
    for (guint i = 0; r >= 0 && i < rows->len; i++) {
        TaskRow *row = rows->pdata[i];
        bus_complete_row(bus, row);
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

    for (guint i = 0; r >= 0 && i < rows->len; i++)
        manager_complete_row(bus->manager, rows->pdata[i]);
    if (r >= 0 && peers_identify(bus->peers, m, &peer) > 0)
        r = reply_rows(m, bus, peer, rows, cursor);
    if (r < 0)
        bus_error_reply(m, r, "list");
}

int task_method_list(sd_bus_message *m, void *userdata, sd_bus_error *error)
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

/* ---- what is done to the tasks of a filter */

static int act(sd_bus_message *m, Bus *bus, const char *what, TaskDeed deed, sd_bus_error *error)
{
    TaskFilter *filter;
    int r = task_message_read_some(m, what, &filter, error);

    return r < 0 ? r : task_action_run(bus, m, filter, deed, error);
}

int task_method_cancel(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    return act(m, userdata, "cancel", (TaskDeed){ .kind = DEED_CANCEL }, error);
}

int task_method_hold(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    return act(m, userdata, "hold", (TaskDeed){ .kind = DEED_MODIFY, .action = TASK_HOLD }, error);
}

int task_method_release(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    return act(m, userdata, "release", (TaskDeed){ .kind = DEED_MODIFY, .action = TASK_RELEASE }, error);
}

int task_method_retry(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    return act(m, userdata, "retry", (TaskDeed){ .kind = DEED_MODIFY, .action = TASK_RETRY }, error);
}

/* ---- Edit */

static int read_edit_priority(sd_bus_message *m, const char *option, void *target, sd_bus_error *error)
{
    TaskEdit *edit = target;

    edit->set_priority = true;
    return sd_bus_message_read_basic(m, 'i', &edit->priority);
}

static int read_edit_argv(sd_bus_message *m, const char *option, void *target, sd_bus_error *error)
{
    TaskEdit *edit = target;
    int r = options_read_byte_strv(m, option, &edit->argv, error);

    if (r >= 0 && g_bytes_get_size(edit->argv) == 0)
        return options_invalid(error, "argv is empty: there would be nothing to run.");
    if (r >= 0 && *(const char *) g_bytes_get_data(edit->argv, NULL) == '\0')
        return options_invalid(error, "The first element of argv, the program, is empty.");
    return r;
}

static int read_edit_limit(sd_bus_message *m, const char *option, void *target, sd_bus_error *error)
{
    return demand_request_read_limit(m, option, &((TaskEdit *) target)->limits, error);
}

static int read_edit_queue(sd_bus_message *m, const char *option, void *target, sd_bus_error *error)
{
    TaskEdit *edit = target;
    const char *queue;
    int r = sd_bus_message_read_basic(m, 's', &queue);

    if (r < 0)
        return r;
    if (!name_is_valid(queue))
        return options_invalid(error, "queue: the name of a queue has at most %u bytes on one line.",
                               PAREXEC_NAME_BYTES_MAX);
    g_free(edit->queue);
    edit->queue = g_strdup(queue);
    return r;
}

static const Option edit_options[] = {
    { "priority", "i", .read = read_edit_priority }, { "argv", "aay", .read = read_edit_argv },
    { "memory-max", "t", .read = read_edit_limit },  { "cpu-quota", "t", .read = read_edit_limit },
    { "tasks-max", "t", .read = read_edit_limit },   { "io-weight", "t", .read = read_edit_limit },
    { "queue", "s", .read = read_edit_queue },       { NULL },
};

int task_method_edit(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    g_autoptr(TaskFilter) filter = NULL;
    g_autoptr(TaskEdit) edit = g_new0(TaskEdit, 1);
    int r = task_message_read_some(m, "change", &filter, error);

    if (r >= 0)
        r = options_read_changes(m, edit_options, edit, error);
    if (r >= 0)
        r = demand_request_check_limits(&edit->limits, error);
    if (r < 0)
        return r;
    return task_action_run(
        userdata, m, g_steal_pointer(&filter),
        (TaskDeed){ .kind = DEED_MODIFY, .action = TASK_EDIT, .edit = g_steal_pointer(&edit) }, error);
}

/* ---- Explain */

static int reply_conditions(sd_bus_message *m, const GPtrArray *conditions)
{
    g_autoptr(sd_bus_message) reply = NULL;
    int r = sd_bus_message_new_method_return(m, &reply);

    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "a{sv}");
    for (guint i = 0; r >= 0 && i < conditions->len; i++) {
        const Condition *condition = conditions->pdata[i];
        r = sd_bus_message_append(reply, "a{sv}", 2, "condition", "s", condition->kind, "text", "s",
                                  condition->text);
    }
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

typedef struct Explaining {
    Answer *answer;
    uint64_t task;
} Explaining;

static void on_explained(int r, TaskRow *row, GPtrArray *conditions, void *userdata)
{
    g_autoptr(TaskRow) taken = row;
    g_autoptr(GPtrArray) known = conditions;
    g_autofree Explaining *explaining = userdata;
    g_autoptr(sd_bus_message) m = answer_end(explaining->answer);

    if (r >= 0)
        r = reply_conditions(m, conditions);
    if (r < 0) {
        g_autofree char *subject = g_strdup_printf("task %" G_GUINT64_FORMAT, explaining->task);
        bus_error_reply(m, r, subject);
    }
}

int task_method_explain(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Bus *bus = userdata;
    uint64_t task;
    int r = sd_bus_message_read(m, "t", &task);

    if (r < 0)
        return r;
    Explaining *explaining = g_new(Explaining, 1);
    *explaining = (Explaining){ answer_new(bus, m), task };
    manager_explain(bus->manager, task, on_explained, explaining);
    return 1;
}
