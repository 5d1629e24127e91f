/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parctl release: tasks that were held may be started again. */

#include <inttypes.h>

#include "client/selected-action.h"

typedef struct ReleaseSettings {
    ActionOptions action;
} ReleaseSettings;

static const VerbOption release_options[] = {
    ACTION_OPTIONS(ReleaseSettings, action),
    {},
};

static int run_release(Client *client, const void *s, char **argv)
{
    const TaskAction action = { .method = "Release", .states = 1U << TASK_HELD, .json_key = "released" };
    const ReleaseSettings *settings = s;
    uint64_t count;
    int r = task_action_run(client, &action, &settings->action, argv, &count);

    if (r < 0)
        return r;
    g_autofree char *text = g_strdup_printf(
        ngettext("%" PRIu64 " task released\n", "%" PRIu64 " tasks released\n", count), count);
    task_action_print(client, &action, count, text);
    return 0;
}

static const char *const release_examples[] = {
    "parctl release 17", N_("this task"), "parctl release --mine", N_("all one's own that are held"), NULL,
};

const Verb verb_release = {
    .name = "release",
    .arguments = N_("[ID | A-B | batch:N | last | mine]..."),
    .max = -1,
    .options = release_options,
    .settings_size = sizeof(ReleaseSettings),
    .run = run_release,
    .summary = N_("Let tasks that are held be started."),
    .details = N_(
        "Those that were submitted with --hold, those of parctl hold, and those that are held after a "
        "failure (--on CAUSE:hold)."),
    .examples = release_examples,
};
