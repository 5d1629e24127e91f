/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parctl cancel: the end of tasks, whether they wait or run. */

#include <inttypes.h>

#include "client/connection.h"
#include "client/output.h"
#include "client/selected-action.h"

typedef struct CancelSettings {
    ActionOptions action;
    bool all, yes;
} CancelSettings;

static const TaskAction cancel_action = { .method = "Cancel", .json_key = "cancelled" };

static const VerbOption cancel_options[] = {
    VERB_OPTION("batch", 'b', OPTION_NUMBER, CancelSettings, action.batch, N_("N"),
                N_("the tasks of this batch")),
    VERB_OPTION("name", 'n', OPTION_STRING, CancelSettings, action.name, N_("NAME"),
                N_("the tasks of this name")),
    VERB_OPTION("tag", 't', OPTION_STRING, CancelSettings, action.tag, N_("TAG"),
                N_("the tasks with this tag")),
    VERB_OPTION("mine", 'm', OPTION_FLAG, CancelSettings, action.mine, NULL,
                N_("one's own, all of them; with the above: only one's own")),
    VERB_OPTION("all", 'a', OPTION_FLAG, CancelSettings, all, NULL, N_("everybody's")),
    VERB_OPTION("yes", 'y', OPTION_FLAG, CancelSettings, yes, NULL, N_("do not ask")),
    {},
};

static bool is_filter(const CancelSettings *settings)
{
    return task_action_is_filtered(&settings->action) || settings->all;
}

static int cancel_filtered(Client *client, const CancelSettings *settings, uint64_t *count)
{
    g_autoptr(TaskFilter) filter = NULL;
    int r = task_action_filter(client, &settings->action, TASK_STATES_UNFINISHED, &filter);

    if (r < 0)
        return r;
    if (!settings->yes && (settings->action.mine || settings->all) && output_can_ask(client) &&
        !output_ask(settings->all ? _("Cancel the tasks of everybody?") : _("Cancel all your tasks?")))
        return -ECANCELED;
    return task_action_call(client, &cancel_action, filter, count);
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
    r = argv[0] ? task_action_run_selected(client, &cancel_action, 0, argv, &count)
                : cancel_filtered(client, settings, &count);
    if (r < 0)
        return r;
    g_autofree char *text = g_strdup_printf(
        ngettext("%" PRIu64 " task cancelled\n", "%" PRIu64 " tasks cancelled\n", count), count);
    task_action_print(client, &cancel_action, count, text);
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
