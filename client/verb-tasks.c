/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parctl tasks: what waits, what runs, and what ended last, a screenful at a time. */

#include <inttypes.h>
#include <string.h>

#include "client/connection.h"
#include "client/json-output.h"
#include "client/output.h"
#include "client/status-info.h"
#include "client/task-list.h"
#include "client/task-table.h"
#include "client/verb.h"
#include "util/parse-util.h"

#define ROWS_BESIDE 4U /* of a screen: title, remark, prompt before and after */
#define ROWS_MIN 5U
#define ROWS_UNSEEN 1000U /* where there is no screen */

typedef struct TasksSettings {
    GPtrArray *states;
    Given batch, owner, limit;
    const char *name, *tag;
    bool mine, all;
} TasksSettings;

static const VerbOption tasks_options[] = {
    VERB_OPTION(
        "state", 's', OPTION_STRINGS, TasksSettings, states, N_("STATE"),
        N_("only these, separated by commas: held, blocked, queued, running, waiting, succeeded, failed, "
           "cancelled, skipped, or unfinished, finished")),
    VERB_OPTION("batch", 'b', OPTION_NUMBER, TasksSettings, batch, N_("N"), N_("only of this batch")),
    VERB_OPTION("name", 'n', OPTION_STRING, TasksSettings, name, N_("NAME"), N_("only of this name")),
    VERB_OPTION("tag", 't', OPTION_STRING, TasksSettings, tag, N_("TAG"), N_("only with this tag")),
    VERB_OPTION("owner", 'o', OPTION_NUMBER, TasksSettings, owner, N_("UID"), N_("only of this user")),
    VERB_OPTION("mine", 'm', OPTION_FLAG, TasksSettings, mine, NULL, N_("only one's own")),
    VERB_OPTION("all", 'a', OPTION_FLAG, TasksSettings, all, NULL, N_("all, however many")),
    VERB_OPTION("limit", 'l', OPTION_UINT, TasksSettings, limit, N_("N"),
                N_("at most so many (default: what fits the screen)")),
    {},
};

static TaskFilter *filter_new(const TasksSettings *settings, uint32_t states)
{
    TaskFilter *filter = task_filter_new();

    filter->states = states == TASK_STATES_ALL ? 0 : states;
    filter->batch = settings->batch.value;
    filter->name = g_strdup(settings->name);
    filter->tag = g_strdup(settings->tag);
    if (settings->mine || settings->owner.given)
        filter->owner = settings->mine ? getuid() : (uint32_t) settings->owner.value;
    return filter;
}

static uint64_t row_limit(const Client *client, const TasksSettings *settings)
{
    unsigned rows = output_rows(STDOUT_FILENO);

    if (settings->all)
        return UINT64_MAX;
    if (settings->limit.given)
        return settings->limit.value;
    if (rows == 0 || client->json || client->quiet)
        return ROWS_UNSEEN;
    return rows > ROWS_BESIDE + ROWS_MIN ? rows - ROWS_BESIDE : ROWS_MIN;
}

static void reverse_tail(GPtrArray *rows, guint from)
{
    for (guint i = from, j = rows->len; i + 1 < j; i++) {
        gpointer row = rows->pdata[i];
        rows->pdata[i] = rows->pdata[--j];
        rows->pdata[j] = row;
    }
}

/* What has not ended comes first, then what ended last, the newest at the bottom. */
static int list(Client *client, const TasksSettings *settings, uint32_t states, GPtrArray *rows,
                bool *ret_more)
{
    uint64_t limit = row_limit(client, settings);
    bool more = false, more_ended = false;
    int r = 0;

    if (states & TASK_STATES_UNFINISHED) {
        g_autoptr(TaskFilter) filter = filter_new(settings, states & TASK_STATES_UNFINISHED);
        r = task_list_all(client, filter, limit, rows, &more);
    }
    if (r >= 0 && states & TASK_STATES_ENDED) {
        g_autoptr(TaskFilter) filter = filter_new(settings, states & TASK_STATES_ENDED);
        guint unfinished = rows->len;
        filter->reverse = true;
        if (rows->len < limit)
            r = task_list_all(client, filter, limit, rows, &more_ended);
        else
            more_ended = true; /* perhaps */
        reverse_tail(rows, unfinished);
    }
    *ret_more = more || more_ended;
    return r;
}

/* The rows again, now from the daemon's words alone: pages are written as they come. */
typedef struct JsonRows {
    JsonOutput *json;
    uint64_t left;
} JsonRows;

static int add_json_page(Client *client, JsonRows *rows, const TaskFilter *filter, uint64_t *ret_cursor)
{
    g_autoptr(sd_bus_message) call = NULL, reply = NULL;
    int r = task_list_new_call(client, filter, &call);

    if (r >= 0)
        r = connection_call(client, call, &reply);
    if (r < 0)
        return r;
    r = sd_bus_message_enter_container(reply, 'a', "a{sv}");
    while (r >= 0 && (r = sd_bus_message_at_end(reply, /* complete= */ false)) == 0) {
        r = json_output_message(rows->json, reply);
        rows->left -= rows->left > 0;
    }
    if (r >= 0)
        r = sd_bus_message_exit_container(reply);
    if (r >= 0)
        r = sd_bus_message_read_basic(reply, 't', ret_cursor);
    return r < 0 ? connection_report_message(client, r) : 0;
}

static int add_json_rows(Client *client, JsonRows *rows, TaskFilter *filter)
{
    int r;

    do {
        filter->limit = (uint32_t) MIN(rows->left, TASK_PAGE_MAX);
        r = add_json_page(client, rows, filter, &filter->cursor);
    } while (r >= 0 && filter->cursor > 0 && rows->left > 0);
    return r;
}

/* All by id; or, where there is a limit, what has not ended, then what ended last, the newest first. */
static int print_json(Client *client, const TasksSettings *settings, uint32_t states)
{
    g_autoptr(TaskFilter) unfinished =
        filter_new(settings, settings->all ? states : states & TASK_STATES_UNFINISHED);
    g_autoptr(TaskFilter) ended = filter_new(settings, states & TASK_STATES_ENDED);
    g_autoptr(JsonOutput) json = json_output_new();
    JsonRows rows = { .json = json, .left = row_limit(client, settings) };
    int r = 0;

    ended->reverse = true;
    json_output_begin_array(json);
    if (settings->all || states & TASK_STATES_UNFINISHED)
        r = add_json_rows(client, &rows, unfinished);
    if (r >= 0 && !settings->all && states & TASK_STATES_ENDED && rows.left > 0)
        r = add_json_rows(client, &rows, ended);
    json_output_end_array(json);
    if (r >= 0)
        json_output_print(json);
    return r;
}

/* How many tasks there are beside those shown; 0: not known, since the status counts all users' and
 * batches' together. */
static uint64_t count_others(Client *client, const TasksSettings *settings, uint32_t states, guint shown)
{
    g_autoptr(StatusInfo) status = NULL;
    uint64_t sum = 0;

    if (settings->batch.given || settings->name || settings->tag || settings->mine || settings->owner.given ||
        status_info_get(client, &status, NULL) < 0)
        return 0;
    for (size_t i = 0; i < _TASK_STATE_MAX; i++)
        sum += states & 1U << i ? status->queue[i] : 0;
    return sum > shown ? sum - shown : 0;
}

static void print_others(uint64_t others)
{
    g_autofree char *text =
        others == 0
            ? g_strdup(_("… and more: parctl tasks --all, or --limit N"))
            : g_strdup_printf(ngettext("… and %" PRIu64 " more: parctl tasks --all, or --limit N",
                                       "… and %" PRIu64 " more: parctl tasks --all, or --limit N", others),
                              others);

    g_autofree char *shown = output_commands(text);
    printf("%s%s%s\n", color_begin(COLOR_DIM), shown, color_end(COLOR_DIM));
}

static void print_rows(const Client *client, const GPtrArray *rows)
{
    if (client->quiet) {
        for (guint i = 0; i < rows->len; i++)
            printf("%" PRIu64 "\n", ((const TaskInfo *) rows->pdata[i])->id);
        return;
    }
    if (rows->len == 0) {
        output_note(client, _("no such tasks"));
        return;
    }
    task_table_print(rows);
}

static int run_tasks(Client *client, const void *s, char **argv)
{
    const TasksSettings *settings = s;
    g_autoptr(GPtrArray) rows = task_rows_new();
    uint32_t states = 0;
    bool more = false;
    int r = task_states_parse(client, settings->states, TASK_STATES_ALL, &states);

    if (r < 0)
        return r;
    if ((settings->name && !g_utf8_validate(settings->name, -1, NULL)) ||
        (settings->tag && !g_utf8_validate(settings->tag, -1, NULL)))
        return output_usage_error(client, _("names and tags are UTF-8"));
    if (settings->owner.given && settings->owner.value >= UINT32_MAX)
        return output_usage_error(client, _("--owner takes the number of a user"));
    if (client->json)
        return print_json(client, settings, states);
    r = list(client, settings, states, rows, &more);
    if (r < 0)
        return r;
    print_rows(client, rows);
    if (more && !client->quiet)
        print_others(count_others(client, settings, states, rows->len));
    return 0;
}

static const char *const tasks_examples[] = {
    "parctl tasks --state failed",
    N_("what went wrong"),
    "parctl tasks --mine --state running,queued",
    N_("what is still to come"),
    NULL,
};

const Verb verb_tasks = {
    .name = "tasks",
    .arguments = "",
    .options = tasks_options,
    .settings_size = sizeof(TasksSettings),
    .run = run_tasks,
    .summary = N_("List tasks: what has not ended, then what ended last."),
    .examples = tasks_examples,
};
