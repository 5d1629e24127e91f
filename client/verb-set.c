/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parctl set: other limits for workers and tasks, at once. */

#include <inttypes.h>
#include <string.h>

#include "client/connection.h"
#include "client/limit-words.h"
#include "client/output.h"
#include "client/selected-action.h"
#include "client/verb.h"
#include "client/worker-call.h"

typedef struct SetSettings {
    bool force;
} SetSettings;

static const VerbOption set_options[] = {
    VERB_OPTION("force", 'f', OPTION_FLAG, SetSettings, force, NULL,
                N_("of workers: though the machine cannot carry them")),
    {},
};

typedef struct SetArguments {
    GArray *limits;       /* LimitWord */
    GPtrArray *arguments; /* the others, closed by NULL; not owned */
} SetArguments;

static void set_arguments_done(SetArguments *set)
{
    g_clear_pointer(&set->limits, g_array_unref);
    g_clear_pointer(&set->arguments, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(SetArguments, set_arguments_done)

static int read_limit(Client *client, SetArguments *set, const char *word)
{
    const char *form;
    LimitWord limit;
    int r = limit_word_parse(word, &limit, &form);

    g_autofree char *key = g_strndup(word, strcspn(word, "="));
    for (guint i = 0; r >= 0 && i < set->limits->len; i++)
        if (strcmp(g_array_index(set->limits, LimitWord, i).key, limit.key) == 0)
            return output_usage_error(client, _("%s stands twice"), key);
    if (r >= 0) {
        g_array_append_val(set->limits, limit);
        return 0;
    }
    if (r == -EINVAL)
        return output_usage_error(client, _("%s takes %s, not \"%s\""), key, form, word + strlen(key) + 1);
    g_autofree char *known = limit_words_known();
    return output_usage_error(client, _("there is no limit \"%s\"; known are %s"), key, known);
}

/* What has a "=" in it is a limit, wherever it stands. */
static int read_arguments(Client *client, SetArguments *set, char **argv)
{
    int r = 0;

    *set = (SetArguments){ g_array_new(FALSE, FALSE, sizeof(LimitWord)), g_ptr_array_new() };
    for (; r >= 0 && *argv; argv++) {
        if (strchr(*argv, '='))
            r = read_limit(client, set, *argv);
        else
            g_ptr_array_add(set->arguments, *argv);
    }
    g_ptr_array_add(set->arguments, NULL);
    if (r >= 0 && set->arguments->len < 2)
        return output_usage_error(client, _("whose limits? Name workers or tasks"));
    if (r >= 0 && set->limits->len == 0)
        return output_usage_error(client, _("what is to be changed? For example memory=6G"));
    return r;
}

static int check_for_tasks(Client *client, const SetArguments *set)
{
    for (guint i = 0; i < set->limits->len; i++) {
        const LimitWord *limit = &g_array_index(set->limits, LimitWord, i);
        if (!limit->of_tasks)
            return output_usage_error(
                client, _("%s is of workers only; tasks have memory, cpu, io-weight and tasks-max"),
                limit->key);
    }
    return 0;
}

static int set_worker(Client *client, const char *id, const GArray *limits, bool force)
{
    g_autoptr(sd_bus_message) call = NULL;
    int r = worker_call_new(client, id, "SetLimits", &call);

    if (r < 0)
        return r;
    r = limit_words_append(call, limits, force);
    if (r < 0)
        return connection_report_message(client, r);
    r = worker_call(client, id, call);
    if (r >= 0 && !client->json && !client->quiet)
        printf(_("limits of %s changed\n"), id);
    return r;
}

static int append_limits(sd_bus_message *m, const void *limits)
{
    return limit_words_append(m, limits, /* force= */ false);
}

static int set_tasks(Client *client, char **tasks, const GArray *limits)
{
    const TaskAction action = {
        .method = "SetTaskLimits", .append = append_limits, .changes = limits, .json_key = "changed"
    };
    uint64_t count = 0;
    int r = task_action_run_selected(client, &action, 0, tasks, &count);

    if (r < 0)
        return r;
    g_autofree char *text = g_strdup_printf(
        ngettext("limits of %" PRIu64 " task changed\n", "limits of %" PRIu64 " tasks changed\n", count),
        count);
    task_action_print(client, &action, count, text);
    return 0;
}

static int run_set(Client *client, const void *settings, char **argv)
{
    g_auto(SetArguments) set = {};
    g_auto(WorkersAndTasks) targets = {};
    int r = read_arguments(client, &set, argv);

    if (r < 0)
        return r;
    workers_and_tasks_init(&targets, (char **) set.arguments->pdata);
    if (workers_and_tasks_has_tasks(&targets))
        r = check_for_tasks(client, &set);
    if (r >= 0)
        connection_offer_password_agent(client);
    for (guint i = 0; r >= 0 && targets.workers->pdata[i]; i++)
        r = set_worker(client, targets.workers->pdata[i], set.limits,
                       ((const SetSettings *) settings)->force);
    if (r >= 0 && workers_and_tasks_has_tasks(&targets))
        r = set_tasks(client, (char **) targets.tasks->pdata, set.limits);
    return r;
}

static const char *const set_examples[] = {
    "parctl set w1 memory=6G cpu=50%",
    N_("other limits for a worker"),
    "parctl set batch:4 memory=2G",
    N_("and for tasks: those that run at once, the others when they start"),
    NULL,
};

const Verb verb_set = {
    .name = "set",
    .arguments = N_("WORKER | ID | A-B | batch:N | last | mine... LIMIT=VALUE..."),
    .min = 2,
    .max = -1,
    .options = set_options,
    .settings_size = sizeof(SetSettings),
    .run = run_set,
    .summary = N_("Change limits of workers and tasks that run, at once."),
    .details = N_(
        "Limits: memory, memory-high, cpu, cpu-weight, io-weight, tasks-max; of tasks: memory, cpu, io-weight, "
        "tasks-max. What takes more memory than its new limit is made to give it back, or killed."),
    .examples = set_examples,
};
