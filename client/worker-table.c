/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Workers as rows. The short table is that of the status, the wide one that of "parctl workers". */

#include "client/worker-table.h"

#include <inttypes.h>

#include "client/table.h"
#include "client/text.h"
#include "model/worker-spec.h"
#include "util/parse-util.h"

static const TableColumn short_columns[] = {
    { .title = N_("WORKER") },
    { .title = N_("STATE") },
    { .title = N_("MEMORY"), .expendable = 1 },
    { .title = N_("CPU"), .right = true, .expendable = 3 },
    { .title = N_("TASK"), .cut = true, .expendable = 2 },
    { .title = N_("DONE"), .right = true },
    { .title = N_("FAILED"), .right = true },
    { .title = N_("HEARTBEAT"), .expendable = 4 },
    { .title = N_("UNIT"), .cut = true, .expendable = 5 },
};

static const TableColumn wide_columns[] = {
    { .title = N_("WORKER") },
    { .title = N_("NAME"), .cut = true, .expendable = 8 },
    { .title = N_("STATE") },
    { .title = N_("PID"), .right = true, .expendable = 6 },
    { .title = N_("ENGINE"), .expendable = 9 },
    { .title = N_("USER"), .right = true, .expendable = 10 },
    { .title = N_("MEMORY"), .expendable = 1 },
    { .title = N_("PEAK"), .right = true, .expendable = 7 },
    { .title = N_("CPU"), .right = true, .expendable = 3 },
    { .title = N_("QUOTA"), .right = true, .expendable = 8 },
    { .title = N_("SLOTS"), .right = true, .expendable = 6 },
    { .title = N_("RESERVED"), .right = true, .expendable = 11 },
    { .title = N_("CORES"), .cut = true, .expendable = 12 },
    { .title = N_("GPUS"), .expendable = 12 },
    { .title = N_("RESOURCES"), .cut = true, .expendable = 13 },
    { .title = N_("TASK"), .cut = true, .expendable = 2 },
    { .title = N_("DONE"), .right = true },
    { .title = N_("FAILED"), .right = true },
    { .title = N_("HEARTBEAT"), .expendable = 4 },
    { .title = N_("UNIT"), .cut = true, .expendable = 5 },
};

static Color state_color(const WorkerInfo *worker)
{
    if (worker->frozen)
        return COLOR_BLUE;
    if (worker->stalled)
        return COLOR_RED;
    switch (worker->state) {
    case WORKER_RUNNING:
        return COLOR_GREEN;
    case WORKER_STARTING:
    case WORKER_DRAINING:
        return COLOR_YELLOW;
    case WORKER_FAILED:
        return COLOR_RED;
    case WORKER_DEAD:
    case _WORKER_STATE_MAX:
        break;
    }
    return COLOR_DIM;
}

/* "17 18 19 +5": the ids of what it runs. */
static char *tasks_text(const WorkerInfo *worker)
{
    GString *text = g_string_new(NULL);
    guint shown = MIN(worker->tasks->len, 3U);

    for (guint i = 0; i < shown; i++)
        g_string_append_printf(text, "%s%" PRIu64, i > 0 ? " " : "",
                               g_array_index(worker->tasks, uint64_t, i));
    if (worker->tasks->len > shown)
        g_string_append_printf(text, " +%u", worker->tasks->len - shown);
    return g_string_free(text, FALSE);
}

static char *bytes_or_unknown(uint64_t bytes)
{
    return bytes == UINT64_MAX ? g_strdup("?") : format_bytes(bytes);
}

static char *memory_text(const WorkerInfo *worker)
{
    g_autofree char *used = bytes_or_unknown(worker->memory_bytes),
                    *limit = format_bytes(worker->memory_max_bytes);

    return worker->memory_max_bytes == UINT64_MAX ? g_strdup(used) : g_strdup_printf("%s / %s", used, limit);
}

static char *heartbeat_text(const WorkerInfo *worker)
{
    uint64_t now = (uint64_t) g_get_real_time();

    if (worker->heartbeat_usec == 0)
        return g_strdup(_("never"));
    uint64_t ago = now > worker->heartbeat_usec ? now - worker->heartbeat_usec : 0;
    if (ago < USEC_PER_SEC)
        return g_strdup(_("now"));
    g_autofree char *span = format_timespan(ago - ago % USEC_PER_SEC);
    return g_strdup_printf(_("%s ago"), span);
}

static void add_cpu(Table *table, const WorkerInfo *worker)
{
    if (worker->cpu_percent >= 0)
        table_add_format(table, COLOR_NONE, "%.0f %%", worker->cpu_percent);
    else
        table_add(table, COLOR_NONE, NULL);
}

static void add_identity(Table *table, const WorkerInfo *worker)
{
    table_add(table, COLOR_BOLD, g_strdup(worker->id));
}

/* "draining, frozen": that it runs goes without saying, that it is to end does not. */
char *worker_table_state(const WorkerInfo *worker)
{
    GString *text = g_string_new(NULL);
    const char *flags[] = { worker->frozen ? _("frozen") : NULL, worker->stalled ? _("stalled") : NULL };

    if (worker->state != WORKER_RUNNING || (!worker->frozen && !worker->stalled))
        g_string_append(text, worker->state_word);
    for (size_t i = 0; i < G_N_ELEMENTS(flags); i++)
        if (flags[i])
            g_string_append_printf(text, "%s%s", text->len > 0 ? ", " : "", flags[i]);
    return g_string_free(text, FALSE);
}

static void add_state(Table *table, const WorkerInfo *worker)
{
    table_add(table, state_color(worker), worker_table_state(worker));
}

static void add_counts(Table *table, const WorkerInfo *worker)
{
    table_add(table, COLOR_NONE, tasks_text(worker));
    table_add_format(table, COLOR_NONE, "%" PRIu64, worker->done);
    table_add_format(table, worker->failed > 0 ? COLOR_RED : COLOR_NONE, "%" PRIu64, worker->failed);
    table_add(table, COLOR_NONE, heartbeat_text(worker));
    table_add(table, COLOR_NONE, g_strdup(*worker->unit ? worker->unit : worker->control_group));
}

static void add_short_row(Table *table, const WorkerInfo *worker)
{
    add_identity(table, worker);
    add_state(table, worker);
    table_add(table, COLOR_NONE, memory_text(worker));
    add_cpu(table, worker);
    add_counts(table, worker);
}

static void add_wide_row(Table *table, const WorkerInfo *worker)
{
    add_identity(table, worker);
    table_add(table, COLOR_NONE, g_strdup(worker->name));
    add_state(table, worker);
    table_add_format(table, COLOR_NONE, "%u", worker->pid);
    table_add(table, COLOR_NONE, g_strdup(worker->engine));
    if (worker->user == UID_ANYBODY)
        table_add(table, COLOR_NONE, NULL);
    else
        table_add_format(table, COLOR_NONE, "%u", worker->user);
    table_add(table, COLOR_NONE, memory_text(worker));
    table_add(table, COLOR_NONE, bytes_or_unknown(worker->memory_peak_bytes));
    add_cpu(table, worker);
    if (worker->cpu_quota_usec_per_sec == UINT64_MAX)
        table_add(table, COLOR_NONE, NULL);
    else
        table_add_format(table, COLOR_NONE, "%.0f %%",
                         (double) worker->cpu_quota_usec_per_sec * 100 / USEC_PER_SEC);
    table_add_format(table, COLOR_NONE, "%u", worker->slots);
    table_add(table, COLOR_NONE,
              worker->memory_reserved_bytes > 0 ? format_bytes(worker->memory_reserved_bytes) : NULL);
    table_add(table, COLOR_NONE, g_strdup(worker->pinned_cpus));
    table_add(table, COLOR_NONE, g_strdup(worker->gpus));
    table_add(table, COLOR_NONE, g_strdup(worker->resources));
    add_counts(table, worker);
}

/* Sentences that no column holds. */
static void print_remarks(const WorkerInfo *worker)
{
    for (size_t i = 0; worker->not_enforced && worker->not_enforced[i]; i++) {
        g_autofree char *sentence = text_printable(worker->not_enforced[i]);
        printf("%s: %s%s%s\n", worker->id, color_begin(COLOR_YELLOW), sentence, color_end(COLOR_YELLOW));
    }
    if (*worker->reason) {
        g_autofree char *sentence = text_printable(worker->reason);
        printf("%s: %s%s%s\n", worker->id, color_begin(COLOR_RED), sentence, color_end(COLOR_RED));
    }
}

static void print_forced(const StatusInfo *status)
{
    g_autoptr(GString) forced = g_string_new(NULL);

    for (guint i = 0; i < status->workers->len; i++) {
        const WorkerInfo *worker = status->workers->pdata[i];
        if (worker->forced && worker_state_is_live(worker->state))
            g_string_append_printf(forced, "%s%s", forced->len > 0 ? ", " : "", worker->id);
    }
    if (forced->len == 0)
        return;
    printf("%s", color_begin(COLOR_YELLOW));
    printf(_("started by force: %s; the machine may not carry them"), forced->str);
    printf("%s\n", color_end(COLOR_YELLOW));
}

void worker_table_print(const StatusInfo *status, bool wide)
{
    g_autoptr(Table) table = wide ? table_new(wide_columns, G_N_ELEMENTS(wide_columns))
                                  : table_new(short_columns, G_N_ELEMENTS(short_columns));

    for (guint i = 0; i < status->workers->len; i++) {
        if (wide)
            add_wide_row(table, status->workers->pdata[i]);
        else
            add_short_row(table, status->workers->pdata[i]);
    }
    table_print(table);
    for (guint i = 0; i < status->workers->len; i++)
        print_remarks(status->workers->pdata[i]);
    print_forced(status);
}

void worker_table_print_ids(const StatusInfo *status)
{
    for (guint i = 0; i < status->workers->len; i++)
        printf("%s\n", ((const WorkerInfo *) status->workers->pdata[i])->id);
}
