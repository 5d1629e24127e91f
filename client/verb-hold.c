/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parctl hold: tasks that wait are kept from being started. */

#include <inttypes.h>

#include "client/selected-action.h"

typedef struct HoldSettings {
    ActionOptions action;
} HoldSettings;

static const VerbOption hold_options[] = {
    ACTION_OPTIONS(HoldSettings, action),
    {},
};

static int run_hold(Client *client, const void *s, char **argv)
{
    const TaskAction action = { .method = "Hold", .json_key = "held" };
    const HoldSettings *settings = s;
    uint64_t count;
    int r = task_action_run(client, &action, &settings->action, argv, &count);

    if (r < 0)
        return r;
    g_autofree char *text =
        g_strdup_printf(ngettext("%" PRIu64 " task held\n", "%" PRIu64 " tasks held\n", count), count);
    task_action_print(client, &action, count, text);
    return 0;
}

static const char *const hold_examples[] = {
    "parctl hold 17 20-30",
    N_("these tasks"),
    "parctl hold --mine",
    N_("all one's own that have not started"),
    NULL,
};

const Verb verb_hold = {
    .name = "hold",
    .arguments = N_("[ID | A-B | batch:N | last | mine]..."),
    .max = -1,
    .options = hold_options,
    .settings_size = sizeof(HoldSettings),
    .run = run_hold,
    .summary = N_("Keep tasks that wait from being started."),
    .details = N_("What runs goes on. parctl release lets them go again."),
    .examples = hold_examples,
};
