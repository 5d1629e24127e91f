/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Submitting tasks. A message is sent when the next task would make it too large, so the last one always
 * has a task to carry the "commit" that lets the batch run; if anything fails before, the daemon drops the
 * batch with our connection. */

#include "client/submission.h"

#include "client/bus-dict.h"
#include "client/connection.h"
#include "client/error-report.h"
#include "client/output.h"
#include "dbus/parexec-dbus.h"
#include "util/parse-util.h"

bool submit_message_has_room(const SubmitMessage *message, size_t task_bytes)
{
    return message->tasks < PAREXEC_TASKS_PER_CALL_MAX &&
           message->bytes + task_bytes <= SUBMIT_MESSAGE_BYTES_MAX;
}

static int message_begin(SubmitMessage *message, Client *client, const TaskTemplate *template)
{
    int r = connection_new_call(client, "Submit", &message->m);

    if (r < 0)
        return r;
    message->bytes = template->bytes;
    r = sd_bus_message_open_container(message->m, 'a', "a{sv}");
    return r < 0 ? connection_report_message(client, r) : 0;
}

int submit_message_add(SubmitMessage *message, Client *client, const TaskTemplate *template,
                       const TaskEntry *entry)
{
    size_t bytes = task_template_task_bytes(template, entry);
    int r = 0;

    if (template->bytes + bytes > SUBMIT_MESSAGE_BYTES_MAX) {
        g_autofree char *has = format_bytes(template->bytes + bytes),
                        *may = format_bytes(SUBMIT_MESSAGE_BYTES_MAX);
        return output_failure(
            client, E2BIG, _("a task of %s (arguments and environment) is more than a message carries: %s"),
            has, may);
    }
    if (!message->m)
        r = message_begin(message, client, template);
    if (r < 0)
        return r;
    r = task_template_append(template, message->m, entry);
    if (r < 0)
        return connection_report_message(client, r);
    message->tasks++;
    message->elements += task_template_task_count(template, entry);
    message->bytes += bytes;
    return 0;
}

static int append_defaults(sd_bus_message *m, const TaskTemplate *template)
{
    int r = sd_bus_message_open_container(m, 'e', "sv");

    if (r >= 0)
        r = sd_bus_message_append_basic(m, 's', "defaults");
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'v', "a{sv}");
    if (r >= 0)
        r = task_template_append_defaults(template, m);
    if (r >= 0)
        r = sd_bus_message_close_container(m);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_options(sd_bus_message *m, const TaskTemplate *template, uint64_t batch, bool commit)
{
    int r = sd_bus_message_close_container(m);

    if (r >= 0)
        r = sd_bus_message_open_container(m, 'a', "{sv}");
    if (r >= 0 && batch > 0)
        r = dict_append(m, "batch", "t", batch);
    if (r >= 0)
        r = dict_append(m, "commit", "b", (int) commit);
    if (r >= 0 && batch == 0 && template->key)
        r = dict_append(m, "key", "s", template->key);
    if (r >= 0 && commit)
        r = batch_limits_append(&template->limits, m);
    if (r >= 0)
        r = append_defaults(m, template);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

int submit_message_finish(SubmitMessage *message, Client *client, const TaskTemplate *template,
                          uint64_t batch, bool commit)
{
    int r = append_options(message->m, template, batch, commit);

    return r < 0 ? connection_report_message(client, r) : 0;
}

void submit_message_done(SubmitMessage *message)
{
    g_clear_pointer(&message->m, sd_bus_message_unref);
    message->tasks = 0;
    message->elements = 0;
    message->bytes = 0;
}

int submit_reply_read(Client *client, sd_bus_message *m, SubmitReply *ret)
{
    SubmitReply reply;
    int r = sd_bus_message_read(m, "ttu", &reply.batch, &reply.first, &reply.count);

    if (r < 0)
        return connection_report_message(client, r);
    *ret = reply;
    return 0;
}

void submitter_init(Submitter *submitter, Client *client, const TaskTemplate *template)
{
    *submitter = (Submitter){ .client = client,
                              .template = template,
                              .replies = g_array_new(FALSE, FALSE, sizeof(SubmitReply)) };
}

void submitter_done(Submitter *submitter)
{
    submit_message_done(&submitter->message);
    g_clear_pointer(&submitter->replies, g_array_unref);
}

uint64_t submitter_id(const Submitter *submitter, uint64_t position)
{
    for (guint i = 0; i < submitter->replies->len; i++) {
        const SubmitReply *reply = &g_array_index(submitter->replies, SubmitReply, i);
        if (position < reply->count)
            return reply->first + position;
        position -= reply->count;
    }
    return 0;
}

static void take_reply(Submitter *submitter, const SubmitReply *reply)
{
    if (submitter->count == 0)
        submitter->first = reply->first;
    submitter->batch = reply->batch;
    submitter->last = reply->first + MAX(reply->count, 1U) - 1;
    submitter->count += reply->count;
    g_array_append_val(submitter->replies, *reply);
}

static int submitter_send(Submitter *submitter, bool commit)
{
    g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
    g_autoptr(sd_bus_message) answer = NULL;
    const char *key = submitter->template->key;
    uint64_t sent = submitter->message.elements;
    SubmitReply reply;
    int r = submit_message_finish(&submitter->message, submitter->client, submitter->template,
                                  submitter->batch, commit);

    if (r < 0)
        return r;
    r = connection_try_call(submitter->client, submitter->message.m, &error, &answer);
    submit_message_done(&submitter->message);
    /* a batch that is complete already: it is the one of then, and has as many tasks as our first call */
    if (r < 0 && key && submitter->count > 0 && sd_bus_error_has_name(&error, PAREXEC_ERROR_INVALID_STATE)) {
        submitter->known = true;
        return 0;
    }
    if (r < 0)
        return error_report(submitter->client, &error, r);
    r = submit_reply_read(submitter->client, answer, &reply);
    if (r < 0)
        return r;
    submitter->known = key && reply.count != sent;
    take_reply(submitter, &reply);
    return 0;
}

int submitter_add(Submitter *submitter, const TaskEntry *entry)
{
    size_t bytes = task_template_task_bytes(submitter->template, entry);
    int r = 0;

    if (submitter->message.m && !submit_message_has_room(&submitter->message, bytes))
        r = submitter_send(submitter, /* commit= */ false);
    if (r < 0 || submitter->known)
        return r;
    return submit_message_add(&submitter->message, submitter->client, submitter->template, entry);
}

int submitter_commit(Submitter *submitter)
{
    return submitter->known ? 0 : submitter_send(submitter, /* commit= */ true);
}
