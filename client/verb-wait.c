/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parctl wait: until tasks have ended, and then as they ended. */

#include "client/output.h"
#include "client/status-info.h"
#include "client/task-list.h"
#include "client/task-selector.h"
#include "client/verb.h"
#include "client/waiting.h"

typedef struct WaitSettings {
    bool progress, no_progress;
    bool keep_order, unordered, tag, lines;
    const char *joblog;
} WaitSettings;

static const VerbOption wait_options[] = {
    VERB_OPTION("keep-order", 'k', OPTION_FLAG, WaitSettings, keep_order, NULL,
                N_("print what the tasks print, in their order")),
    VERB_OPTION("unordered", 'u', OPTION_FLAG, WaitSettings, unordered, NULL,
                N_("the same, as the tasks end")),
    VERB_OPTION("line-buffer", 0, OPTION_FLAG, WaitSettings, lines, NULL,
                N_("print whole lines while the tasks run; with -k those of one after the other")),
    VERB_OPTION("tag", 0, OPTION_FLAG, WaitSettings, tag, NULL,
                N_("print what they print, each line behind the number of its task")),
    VERB_OPTION("progress", 0, OPTION_FLAG, WaitSettings, progress, NULL,
                N_("tell the progress where stderr is no terminal, too")),
    VERB_OPTION("no-progress", 0, OPTION_FLAG, WaitSettings, no_progress, NULL, N_("show no progress")),
    VERB_OPTION("joblog", 0, OPTION_STRING, WaitSettings, joblog, N_("FILE"),
                N_("a line for each task that has run, as GNU parallel writes it")),
    {},
};

static int select_rows(Client *client, TaskSelector *selector, GPtrArray *rows)
{
    int r = task_selector_resolve(selector, client);

    return r < 0 ? r : task_selector_list(selector, client, rows);
}

static bool wants_output(const WaitSettings *settings)
{
    return settings->keep_order || settings->unordered || settings->lines || settings->tag;
}

/* The order is that of the tasks unless something else is asked for, as of map. */
static void set_output(const WaitSettings *settings, Waiting *waiting)
{
    WaitingOutput how = { .ordered = !settings->unordered && (settings->keep_order || !settings->lines),
                          .lines = settings->lines,
                          .tag = settings->tag };

    if (wants_output(settings))
        waiting_set_output(waiting, &how);
}

static int run_wait(Client *client, const void *s, char **argv)
{
    static char *everything[] = { (char *) "mine", NULL };
    const WaitSettings *settings = s;
    g_autoptr(GPtrArray) rows = task_rows_new();
    g_autoptr(Waiting) waiting = NULL;
    g_auto(TaskSelector) selector = {};
    ProgressMode mode = settings->no_progress ? PROGRESS_OFF
                        : settings->progress  ? PROGRESS_ON
                                              : PROGRESS_AUTO;
    int r;

    if (client->json && wants_output(settings))
        return output_usage_error(
            client, _("--json and the output of the tasks are both for stdout: leave one of them out"));
    task_selector_init(&selector);
    r = task_selector_parse(&selector, client, argv[0] ? argv : everything);
    if (r >= 0) /* subscribed before it is listed: nothing ends in between */
        r = waiting_new(client, mode, &waiting);
    if (r >= 0 && settings->joblog)
        r = waiting_set_joblog(waiting, settings->joblog);
    if (r >= 0)
        r = select_rows(client, &selector, rows);
    if (r < 0)
        return r;
    set_output(settings, waiting);
    if (rows->len == 0)
        output_note(client, _("nothing to wait for: you have no unfinished tasks"));
    waiting_add_rows(waiting, rows);
    if (waiting_unfinished(waiting) > 0)
        status_warn_if_nothing_runs(client);
    return waiting_run(waiting);
}

static const char *const wait_examples[] = {
    "parctl wait",
    N_("until all your tasks have ended"),
    "parctl wait batch:4",
    N_("until batch 4 has ended"),
    "parctl wait 17-30 42",
    N_("until these tasks have ended"),
    "parctl wait --line-buffer --tag batch:4",
    N_("and see meanwhile what they print"),
    NULL,
};

const Verb verb_wait = {
    .name = "wait",
    .arguments = N_("[ID | A-B | batch:N | last | mine]..."),
    .max = -1,
    .options = wait_options,
    .settings_size = sizeof(WaitSettings),
    .run = run_wait,
    .summary = N_("Wait until tasks have ended."),
    .details = N_(
        "Exits with 0 if all succeeded, else with the exit code of the failed task with the lowest id: its "
        "own status, 128 and the signal that killed it, 137 if it ran out of memory, 124 if it took too "
        "long, 127 or 126 if it could not be started, 1 otherwise.\n"
        "What the tasks print is printed with --keep-order, --unordered, --line-buffer or --tag only, of "
        "each task as a whole when it has ended but for --line-buffer."),
    .examples = wait_examples,
};
