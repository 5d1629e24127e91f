/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An estimate: what is left of each task by the median of its class, shared among the slots. A class of which nothing is known
 * takes as long as the others do on average. */

#include "client/time-left.h"

#include <string.h>

#include "client/class-statistics.h"
#include "client/connection.h"
#include "client/output.h"
#include "client/status-info.h"
#include "client/task-info.h"
#include "model/worker-spec.h"
#include "util/parse-util.h"

/* As the daemon names it: its name, else its program. */
static bool is_of_class(const TaskInfo *task, const ClassStatistics *row)
{
    const char *program = task->argv ? task->argv[0] : NULL, *slash = program ? strrchr(program, '/') : NULL;
    const char *class = task->name && *task->name ? task->name : slash && slash[1] ? slash + 1 : program;

    return class && row->owner == task->owner && g_strcmp0(row->class, class) == 0;
}

static const ClassStatistics *class_of(const TaskInfo *task, const GPtrArray *statistics)
{
    for (guint i = 0; i < statistics->len; i++)
        if (is_of_class(task, statistics->pdata[i]))
            return statistics->pdata[i];
    return NULL;
}

static uint64_t left_of(const TaskInfo *task, uint64_t median_usec, uint64_t now_usec)
{
    uint64_t spent = task->state == TASK_RUNNING && task->started_usec > 0 && now_usec > task->started_usec
                         ? now_usec - task->started_usec
                         : 0;

    return median_usec > spent ? median_usec - spent : 0;
}

uint64_t time_left_usec(const GPtrArray *rows, const GPtrArray *statistics, uint64_t slots, uint64_t now_usec)
{
    uint64_t known = 0, unknown = 0, longest = 0;
    double sum = 0;

    for (guint i = 0; i < rows->len; i++) {
        const TaskInfo *task = rows->pdata[i];
        const ClassStatistics *row = class_of(task, statistics);
        if (task_state_is_end(task->state) || task->state == TASK_HELD)
            continue;
        if (!row) {
            unknown++;
            continue;
        }
        uint64_t left = left_of(task, row->time_median_usec, now_usec);
        known++;
        sum += (double) left;
        longest = MAX(longest, left);
    }
    if (known == 0 || slots == 0)
        return UINT64_MAX;
    double each = sum / (double) known, all = sum + each * (double) unknown;
    /* no sooner than the longest of them */
    return MAX(longest, (uint64_t) (all / (double) MIN(slots, known + unknown)));
}

static uint64_t count_slots(const StatusInfo *status)
{
    uint64_t slots = 0;

    for (guint i = 0; i < status->workers->len; i++) {
        const WorkerInfo *worker = status->workers->pdata[i];
        if (worker->state == WORKER_RUNNING && !worker->frozen && (!worker->class || !*worker->class) &&
            (worker->user == UID_ANYBODY || worker->user == getuid()))
            slots += worker->slots;
    }
    return slots;
}

int time_left_print(Client *client, const GPtrArray *rows)
{
    g_autoptr(GPtrArray) statistics = class_statistics_new();
    g_autoptr(StatusInfo) status = NULL;
    int r = class_statistics_get(client, NULL, /* all= */ false, statistics, /* json= */ NULL);

    if (r < 0)
        return r;
    r = status_info_get(client, &status, NULL);
    if (r < 0)
        return r;
    uint64_t left = status->enabled
                        ? time_left_usec(rows, statistics, count_slots(status), (uint64_t) g_get_real_time())
                        : UINT64_MAX;
    if (left == UINT64_MAX)
        return 0;
    g_autofree char *span = format_timespan(MAX(left - left % USEC_PER_SEC, USEC_PER_SEC));
    g_autofree char *format = output_commands(_("about %s left, by what such tasks took before (parctl stats)\n"));
    printf(format, span);
    return 0;
}
