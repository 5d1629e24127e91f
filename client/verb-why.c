/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parctl why: what keeps a task from running, as the daemon explains it. */

#include <inttypes.h>

#include "client/bus-dict.h"
#include "client/connection.h"
#include "client/json-output.h"
#include "client/output.h"
#include "client/task-list.h"
#include "client/task-selector.h"
#include "client/text.h"
#include "client/time-left.h"
#include "client/verb.h"

typedef struct Condition {
    char *kind, *text;
} Condition;

static const DictField condition_fields[] = {
    DICT_FIELD("condition", "s", Condition, kind),
    DICT_FIELD("text", "s", Condition, text),
};

static int explain(Client *client, uint64_t task, sd_bus_message **ret)
{
    g_autoptr(sd_bus_message) call = NULL;
    int r = connection_new_call(client, "Explain", &call);

    if (r < 0)
        return r;
    r = sd_bus_message_append_basic(call, 't', &task);
    return r < 0 ? connection_report_message(client, r) : connection_call(client, call, ret);
}

static void print_header(const TaskInfo *info)
{
    g_autofree char *name = text_printable(info->name ?: "");

    printf("%s", color_begin(COLOR_BOLD));
    if (*name)
        printf(_("task %" PRIu64 " (%s) is %s"), info->id, name, info->state_word);
    else
        printf(_("task %" PRIu64 " is %s"), info->id, info->state_word);
    printf("%s\n", color_end(COLOR_BOLD));
}

static int print_condition(sd_bus_message *m, void *userdata)
{
    uint64_t *count = userdata;
    Condition condition = {};
    int r = dict_read(m, condition_fields, G_N_ELEMENTS(condition_fields), &condition);

    if (r >= 0) {
        g_autofree char *kind = text_printable(condition.kind ?: "?"),
                        *text = text_printable(condition.text ?: "");
        g_autofree char *shown = output_commands(text);
        printf("  %s: %s\n", kind, shown);
        ++*count;
    }
    dict_clear(condition_fields, G_N_ELEMENTS(condition_fields), &condition);
    return r;
}

static int print_reply(const TaskInfo *info, sd_bus_message *reply)
{
    uint64_t count = 0;

    print_header(info);
    int r = dict_read_each(reply, print_condition, &count);
    if (r < 0 || count > 0)
        return r;
    if (task_state_is_end(info->state)) {
        g_autofree char *how = task_info_describe_end(info);
        printf(_("  it has ended: %s\n"), how);
    } else if (info->state == TASK_RUNNING)
        printf(_("  it runs on %s\n"), info->worker ?: "?");
    else
        printf(_("  nothing keeps it: it is about to start\n"));
    return 0;
}

static int add_json(JsonOutput *json, const TaskInfo *info, sd_bus_message *reply)
{
    json_output_begin_object(json);
    json_output_key(json, "task");
    json_output_uint64(json, info->id);
    json_output_key(json, "state");
    json_output_string(json, info->state_word);
    json_output_key(json, "conditions");
    int r = json_output_message(json, reply);
    json_output_end_object(json);
    return r;
}

static int why(Client *client, const TaskInfo *info, JsonOutput *json)
{
    g_autoptr(sd_bus_message) reply = NULL;
    int r = explain(client, info->id, &reply);

    if (r < 0)
        return r;
    r = json ? add_json(json, info, reply) : print_reply(info, reply);
    return r < 0 ? connection_report_message(client, r) : 0;
}

static int run_why(Client *client, const void *settings, char **argv)
{
    g_autoptr(JsonOutput) json = client->json ? json_output_new() : NULL;
    g_autoptr(GPtrArray) rows = task_rows_new();
    g_auto(TaskSelector) selector = {};
    int r;

    task_selector_init(&selector);
    r = task_selector_parse(&selector, client, argv);
    if (r >= 0)
        r = task_selector_resolve(&selector, client);
    if (r >= 0)
        r = task_selector_list(&selector, client, rows);
    if (r < 0)
        return r;
    if (json)
        json_output_begin_array(json);
    for (guint i = 0; r >= 0 && i < rows->len; i++)
        r = why(client, rows->pdata[i], json);
    if (!json && r >= 0 && rows->len > 1)
        r = time_left_print(client, rows);
    if (!json || r < 0)
        return r;
    json_output_end_array(json);
    json_output_print(json);
    return 0;
}

static const char *const why_examples[] = {
    "parctl why 17",
    N_("what task 17 waits for"),
    NULL,
};

const Verb verb_why = {
    .name = "why",
    .arguments = N_("ID | A-B | batch:N | last | mine..."),
    .min = 1,
    .max = -1,
    .run = run_why,
    .summary = N_("Explain why tasks do not run."),
    .details = N_("Each condition that does not hold is named, with its numbers and what would change it."),
    .examples = why_examples,
};
