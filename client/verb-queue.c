/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parctl queue: named queues, each with a limit of its own on how many of its tasks run at once. */

#include <inttypes.h>
#include <string.h>

#include "client/bus-dict.h"
#include "client/connection.h"
#include "client/json-output.h"
#include "client/output.h"
#include "client/table.h"
#include "client/verb.h"
#include "model/ids.h"

typedef struct QueueSettings {
    Given parallel;
} QueueSettings;

static const VerbOption queue_options[] = {
    VERB_OPTION("parallel", 'j', OPTION_NUMBER, QueueSettings, parallel, N_("N"),
                N_("so many of its tasks at once; 0: any number")),
    {},
};

typedef struct QueueInfo {
    char *name;
    uint32_t parallel;
    uint64_t active, queued;
} QueueInfo;

static const DictField queue_fields[] = {
    DICT_FIELD("name", "s", QueueInfo, name),
    DICT_FIELD("parallel", "u", QueueInfo, parallel),
    DICT_FIELD("active", "t", QueueInfo, active),
    DICT_FIELD("queued", "t", QueueInfo, queued),
};

static void queue_free(void *data)
{
    dict_clear(queue_fields, G_N_ELEMENTS(queue_fields), data);
    g_free(data);
}

static int read_queue(sd_bus_message *m, void *userdata)
{
    QueueInfo *queue = g_new0(QueueInfo, 1);

    g_ptr_array_add(userdata, queue);
    return dict_read(m, queue_fields, G_N_ELEMENTS(queue_fields), queue);
}

static int list_queues(Client *client, GPtrArray *queues)
{
    g_autoptr(sd_bus_message) reply = NULL;
    int r = connection_call_simple(client, "ListQueues", NULL, &reply);

    if (r < 0)
        return r;
    r = dict_read_each(reply, read_queue, queues);
    return r < 0 ? connection_report_message(client, r) : 0;
}

static int print_json(Client *client)
{
    g_autoptr(sd_bus_message) reply = NULL;
    int r = connection_call_simple(client, "ListQueues", NULL, &reply);

    if (r < 0)
        return r;
    r = json_output_print_message(reply);
    return r < 0 ? connection_report_message(client, r) : 0;
}

static void print_table(const GPtrArray *queues)
{
    static const TableColumn columns[] = {
        { .title = N_("QUEUE"), .cut = true },
        { .title = N_("PARALLEL"), .right = true },
        { .title = N_("ACTIVE"), .right = true },
        { .title = N_("QUEUED"), .right = true },
    };
    g_autoptr(Table) table = table_new(columns, G_N_ELEMENTS(columns));

    for (guint i = 0; i < queues->len; i++) {
        const QueueInfo *queue = queues->pdata[i];
        table_add(table, COLOR_BOLD, g_strdup(queue->name));
        if (queue->parallel == 0)
            table_add(table, COLOR_NONE, g_strdup(_("any")));
        else
            table_add_format(table, COLOR_NONE, "%u", queue->parallel);
        table_add_format(table, COLOR_NONE, "%" PRIu64, queue->active);
        table_add_format(table, COLOR_NONE, "%" PRIu64, queue->queued);
    }
    table_print(table);
}

static int do_list(Client *client, const QueueSettings *settings, const char *name)
{
    g_autoptr(GPtrArray) queues = g_ptr_array_new_with_free_func(queue_free);

    if (client->json)
        return print_json(client);
    int r = list_queues(client, queues);
    if (r < 0)
        return r;
    for (guint i = 0; client->quiet && i < queues->len; i++)
        printf("%s\n", ((const QueueInfo *) queues->pdata[i])->name);
    if (queues->len == 0)
        output_note(client, _("there are no named queues: parctl queue add NAME --parallel N makes one"));
    else if (!client->quiet)
        print_table(queues);
    return 0;
}

static int set_queue(Client *client, const QueueSettings *settings, const char *name)
{
    g_autoptr(sd_bus_message) call = NULL, reply = NULL;
    int r = connection_new_call(client, "SetQueue", &call);

    if (r < 0)
        return r;
    r = sd_bus_message_append(call, "sa{sv}", name, 1, "parallel", "u", (uint32_t) settings->parallel.value);
    return r < 0 ? connection_report_message(client, r) : connection_call(client, call, &reply);
}

static int find_queue(Client *client, const char *name, bool *ret_found)
{
    g_autoptr(GPtrArray) queues = g_ptr_array_new_with_free_func(queue_free);
    int r = list_queues(client, queues);

    if (r < 0)
        return r;
    *ret_found = false;
    for (guint i = 0; i < queues->len; i++)
        if (g_strcmp0(((const QueueInfo *) queues->pdata[i])->name, name) == 0)
            *ret_found = true;
    return 0;
}

static int do_add(Client *client, const QueueSettings *settings, const char *name)
{
    bool found;
    int r = find_queue(client, name, &found);

    if (r < 0)
        return r;
    if (found)
        return output_failure(client, EEXIST,
                              _("there is a queue \"%s\" already; parctl queue set changes it"), name);
    return set_queue(client, settings, name);
}

static int do_set(Client *client, const QueueSettings *settings, const char *name)
{
    bool found;

    if (!settings->parallel.given)
        return output_usage_error(client, _("queue set needs --parallel"));
    int r = find_queue(client, name, &found);
    if (r < 0)
        return r;
    if (!found)
        return output_failure(client, ENOENT, _("there is no queue \"%s\"; parctl queue add makes one"),
                              name);
    return set_queue(client, settings, name);
}

static int do_remove(Client *client, const QueueSettings *settings, const char *name)
{
    g_autoptr(sd_bus_message) reply = NULL;

    return connection_call_simple(client, "RemoveQueue", name, &reply);
}

static const struct {
    const char *word;
    bool named;
    int (*run)(Client *client, const QueueSettings *settings, const char *name);
} commands[] = {
    { "list", false, do_list },
    { "add", true, do_add },
    { "set", true, do_set },
    { "remove", true, do_remove },
};

static int run_queue(Client *client, const void *s, char **argv)
{
    const QueueSettings *settings = s;
    const char *word = argv[0] ?: "list", *name = argv[0] ? argv[1] : NULL;

    if (settings->parallel.value > UINT32_MAX)
        return output_usage_error(client, _("--parallel takes a number from 0 to 4294967295"));
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        if (strcmp(commands[i].word, word) != 0)
            continue;
        if (commands[i].named != (name != NULL))
            return output_usage_error(client,
                                      commands[i].named ? _("queue %s needs the name of a queue")
                                                        : _("queue %s takes no name"),
                                      word);
        if (name && (!*name || !name_is_valid(name)))
            return output_usage_error(
                client, _("the name of a queue is 1 to 255 bytes of UTF-8 without control characters"));
        connection_offer_password_agent(client);
        return commands[i].run(client, settings, name);
    }
    return output_usage_error(client, _("queue takes list, add, set or remove, not \"%s\""), word);
}

static const char *const queue_examples[] = {
    "parctl queue add sims --parallel 2",
    N_("a queue of which two tasks run at once"),
    "parctl submit --queue sims -- ./simulate",
    N_("a task in it"),
    NULL,
};

const Verb verb_queue = {
    .name = "queue",
    .arguments = N_("[list | add NAME | set NAME | remove NAME]"),
    .max = 2,
    .options = queue_options,
    .settings_size = sizeof(QueueSettings),
    .run = run_queue,
    .summary = N_("Named queues, each with a limit of its own."),
    .details = N_("Tasks go into one with --queue. A queue can be removed when all its tasks have ended."),
    .examples = queue_examples,
};
