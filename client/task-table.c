/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tasks as rows. */

#include "client/task-table.h"

#include <inttypes.h>
#include <string.h>

#include "client/table.h"
#include "client/text.h"
#include "util/parse-util.h"

static const TableColumn columns[] = {
    { .title = N_("TASK"), .right = true },
    { .title = N_("BATCH"), .right = true, .expendable = 4 },
    { .title = N_("STATE") },
    { .title = N_("RESULT"), .expendable = 1 },
    { .title = N_("WORKER"), .expendable = 3 },
    { .title = N_("TIME"), .right = true, .expendable = 2 },
    { .title = N_("OWNER"), .right = true, .expendable = 5 },
    { .title = N_("NAME"), .cut = true, .expendable = 6 },
    { .title = N_("COMMAND"), .cut = true },
};

static const Color state_colors[_TASK_STATE_MAX] = {
    [TASK_RUNNING] = COLOR_GREEN, [TASK_FAILED] = COLOR_RED,  [TASK_CANCELLED] = COLOR_YELLOW,
    [TASK_SUCCEEDED] = COLOR_DIM, [TASK_SKIPPED] = COLOR_DIM, [TASK_HELD] = COLOR_YELLOW,
};

char *task_table_result(const TaskInfo *info)
{
    if (!task_state_is_end(info->state))
        return g_strdup("");
    switch (info->outcome) {
    case OUTCOME_EXITED:
        return info->exit_status == 0 ? g_strdup("") : g_strdup_printf(_("exit %d"), info->exit_status);
    case OUTCOME_SIGNALLED:
        return g_strdup_printf("SIG%s", sigabbrev_np(info->signal) ?: "?");
    case OUTCOME_SPAWN_FAILED:
        return g_strdup(strerrorname_np(info->error) ?: "?");
    case OUTCOME_TIMEOUT:
    case OUTCOME_OOM:
    case OUTCOME_ABORTED:
    case OUTCOME_LOST:
        return g_strdup(outcome_to_string(info->outcome));
    case OUTCOME_NONE:
    case _OUTCOME_MAX:
        break;
    }
    return g_strdup("");
}

/* So long it runs, or ran. */
static char *duration_text(const TaskInfo *info, uint64_t now_usec)
{
    uint64_t end = info->finished_usec > 0 ? info->finished_usec : now_usec;

    if (info->started_usec == 0 || end < info->started_usec ||
        (info->finished_usec == 0 && info->state != TASK_RUNNING))
        return g_strdup("");
    return format_timespan(end - info->started_usec);
}

void task_table_print(const GPtrArray *rows)
{
    g_autoptr(Table) table = table_new(columns, G_N_ELEMENTS(columns));
    uint64_t now = (uint64_t) g_get_real_time();

    for (guint i = 0; i < rows->len; i++) {
        const TaskInfo *info = rows->pdata[i];
        table_add_format(table, COLOR_BOLD, "%" PRIu64, info->id);
        table_add_format(table, COLOR_NONE, "%" PRIu64, info->batch);
        table_add(table, info->frozen ? COLOR_BLUE : state_colors[info->state], task_info_state(info));
        table_add(table, COLOR_NONE, task_table_result(info));
        table_add(table, COLOR_NONE, g_strdup(info->worker));
        table_add(table, COLOR_NONE, duration_text(info, now));
        table_add_format(table, COLOR_NONE, "%u", info->owner);
        table_add(table, COLOR_NONE, g_strdup(info->name));
        table_add(table, info->argv ? COLOR_NONE : COLOR_DIM,
                  info->argv ? text_command_line(info->argv) : g_strdup(_("(not yours)")));
    }
    table_print(table);
}
