/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parctl retry: another attempt of what did not succeed. */

#include <inttypes.h>

#include "client/selected-action.h"

typedef struct RetrySettings {
    ActionOptions action;
} RetrySettings;

static const VerbOption retry_options[] = {
    ACTION_OPTIONS(RetrySettings, action),
    {},
};

static int run_retry(Client *client, const void *s, char **argv)
{
    const TaskAction action = { .method = "Retry", .states = 1U << TASK_FAILED, .json_key = "retried" };
    const RetrySettings *settings = s;
    uint64_t count;
    int r = task_action_run(client, &action, &settings->action, argv, &count);

    if (r < 0)
        return r;
    g_autofree char *text = g_strdup_printf(
        ngettext("%" PRIu64 " task to be tried again\n", "%" PRIu64 " tasks to be tried again\n", count),
        count);
    task_action_print(client, &action, count, text);
    return 0;
}

static const char *const retry_examples[] = {
    "parctl retry 17",
    N_("this task"),
    "parctl retry batch:4",
    N_("all that failed of batch 4"),
    "parctl retry batch:4 --state failed,cancelled",
    N_("and those that were cancelled"),
    NULL,
};

const Verb verb_retry = {
    .name = "retry",
    .arguments = N_("[ID | A-B | batch:N | last | mine]..."),
    .max = -1,
    .options = retry_options,
    .settings_size = sizeof(RetrySettings),
    .run = run_retry,
    .summary = N_("Try tasks again that did not succeed."),
    .details = N_(
        "Their retries count anew, and what was skipped because of them waits again. Of a batch, or of all "
        "your tasks, those that failed are meant unless --state says otherwise."),
    .examples = retry_examples,
};
