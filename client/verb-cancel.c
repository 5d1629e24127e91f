/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parctl cancel: the end of tasks, whether they wait or run. */

#include <inttypes.h>

#include "client/connection.h"
#include "client/json-output.h"
#include "client/output.h"
#include "client/task-list.h"
#include "client/task-selector.h"
#include "client/verb.h"

typedef struct CancelSettings {
    Given batch;
    const char *name, *tag;
    bool all, mine, yes;
} CancelSettings;

static const VerbOption cancel_options[] = {
    VERB_OPTION("batch", 'b', OPTION_NUMBER, CancelSettings, batch, N_("N"), N_("the tasks of this batch")),
    VERB_OPTION("name", 'n', OPTION_STRING, CancelSettings, name, N_("NAME"), N_("the tasks of this name")),
    VERB_OPTION("tag", 't', OPTION_STRING, CancelSettings, tag, N_("TAG"), N_("the tasks with this tag")),
    VERB_OPTION("mine", 'm', OPTION_FLAG, CancelSettings, mine, NULL,
                N_("one's own, all of them; with the above: only one's own")),
    VERB_OPTION("all", 'a', OPTION_FLAG, CancelSettings, all, NULL, N_("everybody's")),
    VERB_OPTION("yes", 'y', OPTION_FLAG, CancelSettings, yes, NULL, N_("do not ask")),
    {},
};

static bool is_filter(const CancelSettings *settings)
{
    return settings->batch.given || settings->name || settings->tag || settings->mine || settings->all;
}

static int cancel(Client *client, const TaskFilter *filter, uint64_t *count)
{
    g_autoptr(sd_bus_message) call = NULL, reply = NULL;
    uint32_t cancelled;
    int r = connection_new_call(client, "Cancel", &call);

    if (r < 0)
        return r;
    r = task_filter_append(filter, /* paging= */ false, call);
    if (r < 0)
        return connection_report_message(client, r);
    r = connection_call(client, call, &reply);
    if (r < 0)
        return r;
    r = sd_bus_message_read_basic(reply, 'u', &cancelled);
    if (r < 0)
        return connection_report_message(client, r);
    *count += cancelled;
    return 0;
}

static int cancel_filtered(Client *client, const CancelSettings *settings, uint64_t *count)
{
    g_autoptr(TaskFilter) filter = task_filter_new();

    if ((settings->name && !g_utf8_validate(settings->name, -1, NULL)) ||
        (settings->tag && !g_utf8_validate(settings->tag, -1, NULL)))
        return output_usage_error(client, _("names and tags are UTF-8"));
    filter->batch = settings->batch.value;
    filter->states = TASK_STATES_UNFINISHED;
    filter->name = g_strdup(settings->name);
    filter->tag = g_strdup(settings->tag);
    if (settings->mine)
        filter->owner = getuid();
    if (!settings->yes && (settings->mine || settings->all) && output_can_ask(client) &&
        !output_ask(settings->all ? _("Cancel the tasks of everybody?") : _("Cancel all your tasks?")))
        return -ECANCELED;
    return cancel(client, filter, count);
}

static int cancel_selected(Client *client, char **argv, uint64_t *count)
{
    g_auto(TaskSelector) selector = {};
    int r;

    task_selector_init(&selector);
    r = task_selector_parse(&selector, client, argv);
    if (r >= 0)
        r = task_selector_resolve(&selector, client);
    g_autoptr(GPtrArray) filters = task_selector_filters(&selector);
    for (guint i = 0; r >= 0 && i < filters->len; i++)
        r = cancel(client, filters->pdata[i], count);
    return r;
}

static void print_count(const Client *client, uint64_t count)
{
    if (client->json) {
        g_autoptr(JsonOutput) json = json_output_new();
        json_output_begin_object(json);
        json_output_key(json, "cancelled");
        json_output_uint64(json, count);
        json_output_end_object(json);
        json_output_print(json);
    } else if (!client->quiet)
        printf(ngettext("%" PRIu64 " task cancelled\n", "%" PRIu64 " tasks cancelled\n", count), count);
}

static int run_cancel(Client *client, const void *s, char **argv)
{
    const CancelSettings *settings = s;
    uint64_t count = 0;
    int r;

    if (!argv[0] && !is_filter(settings))
        return output_usage_error(client, _("which tasks? Name them, or give --mine"));
    if (argv[0] && is_filter(settings))
        return output_usage_error(client, _("either tasks or one of --batch, --name, --tag, --mine, --all"));
    connection_offer_password_agent(client);
    r = argv[0] ? cancel_selected(client, argv, &count) : cancel_filtered(client, settings, &count);
    if (r < 0)
        return r;
    print_count(client, count);
    return 0;
}

static const char *const cancel_examples[] = {
    "parctl cancel 17 20-30",
    N_("these tasks"),
    "parctl cancel last",
    N_("what was submitted last"),
    "parctl cancel --mine",
    N_("all one's own"),
    NULL,
};

const Verb verb_cancel = {
    .name = "cancel",
    .arguments = N_("[ID | A-B | batch:N | last | mine]..."),
    .max = -1,
    .options = cancel_options,
    .settings_size = sizeof(CancelSettings),
    .run = run_cancel,
    .summary = N_("Cancel tasks: what waits does not start, what runs is stopped."),
    .details = N_(
        "A running task gets its signal (--signal, default TERM), and is killed with all processes that it "
        "has started "
        "when its grace (--grace, default 10s) is over. What has ended already stays as it is."),
    .examples = cancel_examples,
};
