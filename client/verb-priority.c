/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parctl priority: of tasks that have not started. */

#include <inttypes.h>

#include "client/bus-dict.h"
#include "client/output.h"
#include "client/selected-action.h"
#include "client/task-terms.h"

typedef struct PrioritySettings {
    ActionOptions action;
} PrioritySettings;

static const VerbOption priority_options[] = {
    ACTION_OPTIONS(PrioritySettings, action),
    {},
};

static int append_priority(sd_bus_message *m, const void *changes)
{
    const int32_t *priority = changes;
    int r = sd_bus_message_open_container(m, 'a', "{sv}");

    if (r >= 0)
        r = dict_append(m, "priority", "i", *priority);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static int run_priority(Client *client, const void *s, char **argv)
{
    const PrioritySettings *settings = s;
    g_auto(TaskTerms) terms;
    uint64_t count;

    task_terms_init(&terms);
    if (task_terms_set(&terms, TERM_PRIORITY, argv[0]) < 0)
        return output_usage_error(client, _("a priority is %s, not \"%s\""), task_term_form(TERM_PRIORITY),
                                  argv[0]);
    const TaskAction action = {
        .method = "Edit", .append = append_priority, .changes = &terms.priority, .json_key = "changed"
    };
    int r = task_action_run(client, &action, &settings->action, argv + 1, &count);
    if (r < 0)
        return r;
    g_autofree char *text = g_strdup_printf(
        ngettext("%" PRIu64 " task has priority %d\n", "%" PRIu64 " tasks have priority %d\n", count), count,
        terms.priority);
    task_action_print(client, &action, count, text);
    return 0;
}

static const char *const priority_examples[] = {
    "parctl priority 10 17",
    N_("this task goes before others"),
    "parctl priority -- -5 batch:4",
    N_("batch 4 goes behind them; -- since the number begins with a dash"),
    NULL,
};

const Verb verb_priority = {
    .name = "priority",
    .arguments = N_("N [ID | A-B | batch:N | last | mine]..."),
    .min = 1,
    .max = -1,
    .options = priority_options,
    .settings_size = sizeof(PrioritySettings),
    .run = run_priority,
    .summary = N_("Change the priority of tasks that have not started."),
    .details = N_("Higher goes first; 0 is the default."),
    .examples = priority_examples,
};
