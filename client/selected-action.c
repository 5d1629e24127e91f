/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Actions on selected tasks: selectors or options become filters, each filter a call, and the counts are
 * added. */

#include "client/selected-action.h"

#include "client/connection.h"
#include "client/json-output.h"
#include "client/output.h"
#include "client/task-selector.h"

int task_action_call(Client *client, const TaskAction *action, const TaskFilter *filter, uint64_t *count)
{
    g_autoptr(sd_bus_message) call = NULL, reply = NULL;
    uint32_t changed;
    int r = connection_new_call(client, action->method, &call);

    if (r < 0)
        return r;
    r = task_filter_append(filter, /* paging= */ false, call);
    if (r >= 0 && action->append)
        r = action->append(call, action->changes);
    if (r < 0)
        return connection_report_message(client, r);
    r = connection_call(client, call, &reply);
    if (r < 0)
        return r;
    r = sd_bus_message_read_basic(reply, 'u', &changed);
    if (r < 0)
        return connection_report_message(client, r);
    *count += changed;
    return 0;
}

bool task_action_is_filtered(const ActionOptions *options)
{
    return options->batch.given || options->name || options->tag || options->mine;
}

int task_action_filter(Client *client, const ActionOptions *options, uint32_t states, TaskFilter **ret)
{
    g_autoptr(TaskFilter) filter = task_filter_new();

    if ((options->name && !g_utf8_validate(options->name, -1, NULL)) ||
        (options->tag && !g_utf8_validate(options->tag, -1, NULL)))
        return output_usage_error(client, _("names and tags are UTF-8"));
    filter->batch = options->batch.value;
    filter->states = states;
    filter->name = g_strdup(options->name);
    filter->tag = g_strdup(options->tag);
    if (options->mine)
        filter->owner = getuid();
    *ret = g_steal_pointer(&filter);
    return 0;
}

static int run_filtered(Client *client, const TaskAction *action, const ActionOptions *options,
                        uint32_t states, uint64_t *count)
{
    g_autoptr(TaskFilter) filter = NULL;
    int r = task_action_filter(client, options, states > 0 ? states : action->states, &filter);

    return r < 0 ? r : task_action_call(client, action, filter, count);
}

int task_action_run_selected(Client *client, const TaskAction *action, uint32_t states, char **argv,
                             uint64_t *count)
{
    g_auto(TaskSelector) selector = {};
    int r;

    task_selector_init(&selector);
    r = task_selector_parse(&selector, client, argv);
    if (r >= 0)
        r = task_selector_resolve(&selector, client);
    g_autoptr(GPtrArray) filters = task_selector_filters(&selector);
    for (guint i = 0; r >= 0 && i < filters->len; i++) {
        TaskFilter *filter = filters->pdata[i];
        if (states > 0)
            filter->states = states;
        else if (!filter->ids && action->states > 0)
            filter->states = action->states;
        r = task_action_call(client, action, filter, count);
    }
    return r;
}

int task_action_run(Client *client, const TaskAction *action, const ActionOptions *options, char **argv,
                    uint64_t *ret_count)
{
    uint64_t count = 0;
    uint32_t states;
    int r = task_states_parse(client, options->states, 0, &states);

    if (r < 0)
        return r;
    if (!argv[0] && !task_action_is_filtered(options))
        return output_usage_error(client, _("which tasks? Name them, or give --mine"));
    if (argv[0] && task_action_is_filtered(options))
        return output_usage_error(client, _("either tasks or one of --batch, --name, --tag, --mine"));
    connection_offer_password_agent(client);
    r = argv[0] ? task_action_run_selected(client, action, states, argv, &count)
                : run_filtered(client, action, options, states, &count);
    if (r < 0)
        return r;
    *ret_count = count;
    return 0;
}

void task_action_print(const Client *client, const TaskAction *action, uint64_t count, const char *text)
{
    if (client->json) {
        g_autoptr(JsonOutput) json = json_output_new();
        json_output_begin_object(json);
        json_output_key(json, action->json_key);
        json_output_uint64(json, count);
        json_output_end_object(json);
        json_output_print(json);
    } else if (!client->quiet)
        printf("%s", text);
}
