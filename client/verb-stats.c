/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parctl stats: what tasks took before, by class. */

#include <inttypes.h>

#include "client/bus-dict.h"
#include "client/class-statistics.h"
#include "client/connection.h"
#include "client/json-output.h"
#include "client/output.h"
#include "client/table.h"
#include "client/text.h"
#include "client/verb.h"
#include "util/parse-util.h"

typedef struct StatsSettings {
    bool all;
} StatsSettings;

static const VerbOption stats_options[] = {
    VERB_OPTION("all", 'a', OPTION_FLAG, StatsSettings, all, NULL,
                N_("everybody's tasks, not one's own only")),
    {},
};

static const TableColumn stats_columns[] = {
    { .title = N_("CLASS"), .cut = true },
    { .title = N_("OWNER"), .right = true, .expendable = 4 },
    { .title = N_("TASKS"), .right = true },
    { .title = N_("MEMORY"), .right = true },
    { .title = N_("P95"), .right = true },
    { .title = N_("MOST"), .right = true, .expendable = 2 },
    { .title = N_("AUTO"), .right = true, .expendable = 1 },
    { .title = N_("TIME"), .right = true },
    { .title = N_("P95"), .right = true },
    { .title = N_("LONGEST"), .right = true, .expendable = 3 },
};

static void add_bytes(Table *table, uint64_t bytes)
{
    table_add(table, COLOR_NONE, bytes == UINT64_MAX ? g_strdup("?") : format_bytes(bytes));
}

static void add_row(Table *table, const ClassStatistics *row)
{
    table_add(table, COLOR_BOLD, g_strdup(row->class));
    table_add_format(table, COLOR_NONE, "%u", row->owner);
    table_add_format(table, COLOR_NONE, "%" PRIu64, row->count);
    add_bytes(table, row->memory_median_bytes);
    add_bytes(table, row->memory_p95_bytes);
    add_bytes(table, row->memory_max_bytes);
    add_bytes(table, row->next_memory_bytes);
    table_add(table, COLOR_NONE, format_timespan(row->time_median_usec));
    table_add(table, COLOR_NONE, format_timespan(row->time_p95_usec));
    table_add(table, COLOR_NONE, format_timespan(row->time_max_usec));
}

/* A program's name is whatever somebody called a file. */
static void print_name(const ClassStatistics *row)
{
    g_autofree char *name = text_printable(row->class ?: "");

    printf("%s\n", name);
}

static void note_nothing(Client *client, const char *name)
{
    g_autofree char *shown = text_printable(name ?: "");

    if (name)
        output_note(client, _("nothing is known of \"%s\": no task of this name has succeeded"), shown);
    else
        output_note(client, _("nothing is known yet: no task has succeeded"));
}

static int compare_rows(gconstpointer a, gconstpointer b)
{
    const ClassStatistics *const *x = a, *const *y = b;
    int order = g_strcmp0((*x)->class, (*y)->class);

    return order != 0 ? order : ((*x)->owner > (*y)->owner) - ((*x)->owner < (*y)->owner);
}

static void print_rows(Client *client, const char *name, GPtrArray *rows)
{
    g_autoptr(Table) table = table_new(stats_columns, G_N_ELEMENTS(stats_columns));

    if (rows->len == 0)
        note_nothing(client, name);
    g_ptr_array_sort(rows, compare_rows);
    for (guint i = 0; i < rows->len; i++) {
        if (client->quiet)
            print_name(rows->pdata[i]);
        else
            add_row(table, rows->pdata[i]);
    }
    if (!client->quiet && rows->len > 0)
        table_print(table);
}

static int run_stats(Client *client, const void *s, char **argv)
{
    const StatsSettings *settings = s;
    g_autoptr(GPtrArray) rows = class_statistics_new();
    g_autoptr(JsonOutput) json = client->json ? json_output_new() : NULL;

    if (argv[0] && !g_utf8_validate(argv[0], -1, NULL))
        return output_usage_error(client, _("names and tags are UTF-8"));
    if (settings->all)
        connection_offer_password_agent(client);
    if (json)
        json_output_begin_array(json);
    int r = class_statistics_get(client, argv[0], settings->all, rows, json);
    if (r < 0)
        return r;
    if (!json) {
        print_rows(client, argv[0], rows);
        return 0;
    }
    json_output_end_array(json);
    json_output_print(json);
    return 0;
}

static const char *const stats_examples[] = {
    "parctl stats train",
    N_("what the tasks named train took: memory and time"),
    NULL,
};

const Verb verb_stats = {
    .name = "stats",
    .arguments = N_("[NAME]"),
    .max = 1,
    .options = stats_options,
    .settings_size = sizeof(StatsSettings),
    .run = run_stats,
    .summary = N_("Show what tasks took before, by their name, else their program."),
    .details = N_("AUTO is the memory that --memory auto would ask for."),
    .examples = stats_examples,
};
