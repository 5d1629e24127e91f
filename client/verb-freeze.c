/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parctl freeze, thaw: workers and tasks stand still, and go on. */

#include <inttypes.h>

#include "client/bus-dict.h"
#include "client/connection.h"
#include "client/output.h"
#include "client/selected-action.h"
#include "client/verb.h"
#include "client/worker-call.h"

typedef struct FreezeSettings {
    bool reclaim;
} FreezeSettings;

static const VerbOption freeze_options[] = {
    VERB_OPTION("reclaim", 'r', OPTION_FLAG, FreezeSettings, reclaim, NULL,
                N_("take its memory back, as far as it can be swapped or read again")),
    {},
};

/* The options of Freeze; Thaw has none. */
static int append_options(sd_bus_message *m, const void *settings)
{
    int r = sd_bus_message_open_container(m, 'a', "{sv}");

    if (r >= 0 && ((const FreezeSettings *) settings)->reclaim)
        r = dict_append(m, "reclaim", "b", 1);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

/* settings: NULL: thaw */
static int change_worker(Client *client, const char *id, const FreezeSettings *settings)
{
    g_autoptr(sd_bus_message) call = NULL;
    int r = worker_call_new(client, id, settings ? "Freeze" : "Thaw", &call);

    if (r < 0)
        return r;
    r = settings ? append_options(call, settings) : 0;
    if (r < 0)
        return connection_report_message(client, r);
    r = worker_call(client, id, call);
    if (r >= 0 && !client->json && !client->quiet)
        printf(settings ? _("%s stands still\n") : _("%s goes on\n"), id);
    return r;
}

static int change_tasks(Client *client, char **tasks, const FreezeSettings *settings)
{
    const TaskAction action = {
        .method = settings ? "Freeze" : "Thaw",
        .append = settings ? append_options : NULL,
        .changes = settings,
        .json_key = settings ? "frozen" : "thawed",
    };
    uint64_t count = 0;
    int r = task_action_run_selected(client, &action, 0, tasks, &count);

    if (r < 0)
        return r;
    g_autofree char *text = g_strdup_printf(
        settings ? ngettext("%" PRIu64 " task stands still\n", "%" PRIu64 " tasks stand still\n", count)
                 : ngettext("%" PRIu64 " task goes on\n", "%" PRIu64 " tasks go on\n", count),
        count);
    task_action_print(client, &action, count, text);
    return 0;
}

static int change(Client *client, char **argv, const FreezeSettings *settings)
{
    g_auto(WorkersAndTasks) targets = {};
    int r = 0;

    workers_and_tasks_init(&targets, argv);
    connection_offer_password_agent(client);
    for (guint i = 0; r >= 0 && targets.workers->pdata[i]; i++)
        r = change_worker(client, targets.workers->pdata[i], settings);
    if (r >= 0 && workers_and_tasks_has_tasks(&targets))
        r = change_tasks(client, (char **) targets.tasks->pdata, settings);
    return r;
}

static int run_freeze(Client *client, const void *settings, char **argv)
{
    return change(client, argv, settings);
}

static int run_thaw(Client *client, const void *settings, char **argv)
{
    return change(client, argv, NULL);
}

static const char *const freeze_examples[] = {
    "parctl freeze w1 --reclaim",
    N_("a worker stands still, and its memory is for others"),
    "parctl freeze 17-30",
    N_("tasks stand still; their time limits, too"),
    NULL,
};

const Verb verb_freeze = {
    .name = "freeze",
    .arguments = N_("WORKER | ID | A-B | batch:N | last | mine..."),
    .min = 1,
    .max = -1,
    .options = freeze_options,
    .settings_size = sizeof(FreezeSettings),
    .run = run_freeze,
    .summary = N_("Stop workers and tasks that run where they are; parctl thaw lets them go on."),
    .details = N_("All their processes stand still and keep their memory; time limits stand still, too."),
    .examples = freeze_examples,
};

const Verb verb_thaw = {
    .name = "thaw",
    .arguments = N_("WORKER | ID | A-B | batch:N | last | mine..."),
    .min = 1,
    .max = -1,
    .run = run_thaw,
    .summary = N_("Let workers and tasks go on that parctl freeze has stopped."),
};
