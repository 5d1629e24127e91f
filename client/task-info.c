/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rows of tasks as the daemon tells them, and what they mean for people and for exit codes. */

#include "client/task-info.h"

#include <glib/gi18n.h>
#include <string.h>

#include "client/bus-dict.h"

static const DictField task_fields[] = {
    DICT_FIELD("id", "t", TaskInfo, id),
    DICT_FIELD("task", "t", TaskInfo, id), /* in BatchFinished */
    DICT_FIELD("batch", "t", TaskInfo, batch),
    DICT_FIELD("name", "s", TaskInfo, name),
    DICT_FIELD("state", "s", TaskInfo, state_word),
    DICT_FIELD("priority", "i", TaskInfo, priority),
    DICT_FIELD("owner", "u", TaskInfo, owner),
    DICT_FIELD("submitted", "t", TaskInfo, submitted_usec),
    DICT_FIELD("array-index", "t", TaskInfo, array_index),
    DICT_FIELD("attempt", "u", TaskInfo, attempt),
    DICT_FIELD("worker", "s", TaskInfo, worker),
    DICT_FIELD("started", "t", TaskInfo, started_usec),
    DICT_FIELD("finished", "t", TaskInfo, finished_usec),
    DICT_FIELD("outcome", "s", TaskInfo, outcome_word),
    DICT_FIELD("exit-status", "i", TaskInfo, exit_status),
    DICT_FIELD("signal", "i", TaskInfo, signal),
    DICT_FIELD("errno", "i", TaskInfo, error),
    DICT_FIELD("cpu-usage-nsec", "t", TaskInfo, cpu_usage_nsec),
    DICT_FIELD("memory-peak", "t", TaskInfo, memory_peak_bytes),
    DICT_FIELD("frozen", "b", TaskInfo, frozen),
    DICT_FIELD("tags", "as", TaskInfo, tags),
    DICT_FIELD("reason", "s", TaskInfo, reason),
    DICT_FIELD("queue", "s", TaskInfo, queue),
    DICT_FIELD("class", "s", TaskInfo, class),
    DICT_FIELD("not-before", "t", TaskInfo, not_before_usec),
    DICT_FIELD("retries-spent", "u", TaskInfo, retries_spent),
    DICT_FIELD("note", "s", TaskInfo, note),
    DICT_FIELD("stdout-dropped", "t", TaskInfo, stdout_dropped),
    DICT_FIELD("stderr-dropped", "t", TaskInfo, stderr_dropped),
    DICT_FIELD("stderr-tail", "ay", TaskInfo, stderr_tail),
    DICT_FIELD("result", "ay", TaskInfo, result),
    DICT_FIELD("argv", "aay", TaskInfo, argv),
    DICT_FIELD("cwd", "ay", TaskInfo, cwd),
};

static const DictField batch_fields[] = {
    DICT_FIELD("count", "t", BatchResult, count),
    DICT_FIELD("succeeded", "t", BatchResult, succeeded),
    DICT_FIELD("failed", "t", BatchResult, failed),
    DICT_FIELD("cancelled", "t", BatchResult, cancelled),
    DICT_FIELD("skipped", "t", BatchResult, skipped),
    DICT_FIELD("task", "t", BatchResult, single.id),
    DICT_FIELD("worker", "s", BatchResult, single.worker),
    DICT_FIELD("outcome", "s", BatchResult, single.outcome_word),
    DICT_FIELD("exit-status", "i", BatchResult, single.exit_status),
    DICT_FIELD("signal", "i", BatchResult, single.signal),
    DICT_FIELD("errno", "i", BatchResult, single.error),
    DICT_FIELD("reason", "s", BatchResult, single.reason),
};

void task_info_init(TaskInfo *info)
{
    *info = (TaskInfo){
        .array_index = UINT64_MAX, .memory_peak_bytes = UINT64_MAX, .memory_max_bytes = UINT64_MAX
    };
}

void task_info_done(TaskInfo *info)
{
    dict_clear(task_fields, G_N_ELEMENTS(task_fields), info);
}

TaskInfo *task_info_new(void)
{
    TaskInfo *info = g_new(TaskInfo, 1);

    task_info_init(info);
    return info;
}

void task_info_free(TaskInfo *info)
{
    if (!info)
        return;
    task_info_done(info);
    g_free(info);
}

/* A word of a newer daemon counts as "none". */
static Outcome outcome_of(const char *word)
{
    int outcome = outcome_from_string(word);

    return outcome < 0 ? OUTCOME_NONE : (Outcome) outcome;
}

int task_info_read(sd_bus_message *m, TaskInfo *info)
{
    int r = dict_read(m, task_fields, G_N_ELEMENTS(task_fields), info);

    if (r < 0)
        return r;
    r = task_state_from_string(info->state_word);
    if (r < 0)
        return -EBADMSG;
    info->state = (TaskState) r;
    info->outcome = outcome_of(info->outcome_word);
    return 0;
}

static TaskState batch_result_state(const BatchResult *result)
{
    if (result->succeeded > 0)
        return TASK_SUCCEEDED;
    if (result->cancelled > 0)
        return TASK_CANCELLED;
    return result->skipped > 0 ? TASK_SKIPPED : TASK_FAILED;
}

int batch_result_read(sd_bus_message *m, BatchResult *result)
{
    int r = dict_read(m, batch_fields, G_N_ELEMENTS(batch_fields), result);

    if (r < 0)
        return r;
    result->single.state = batch_result_state(result);
    result->single.outcome = outcome_of(result->single.outcome_word);
    return 0;
}

void batch_result_done(BatchResult *result)
{
    task_info_done(&result->single);
}

static int failed_exit_code(const TaskInfo *info)
{
    switch (info->outcome) {
    case OUTCOME_EXITED:
        return info->exit_status > 0 && info->exit_status < 256 ? info->exit_status : 1;
    case OUTCOME_SIGNALLED:
        return 128 + (info->signal & 127);
    case OUTCOME_OOM:
        return 137;
    case OUTCOME_TIMEOUT:
        return 124;
    case OUTCOME_SPAWN_FAILED:
        return info->error == ENOENT ? 127 : 126;
    case OUTCOME_NONE:
    case OUTCOME_ABORTED:
    case OUTCOME_LOST:
    case _OUTCOME_MAX:
        break;
    }
    return 1;
}

int task_info_exit_code(const TaskInfo *info)
{
    if (info->state == TASK_SUCCEEDED)
        return 0;
    return info->state == TASK_FAILED ? failed_exit_code(info) : 1;
}

char *task_info_state(const TaskInfo *info)
{
    return info->frozen ? g_strdup_printf("%s, %s", info->state_word, _("frozen")) : g_strdup(info->state_word);
}

static char *describe_failure(const TaskInfo *info)
{
    switch (info->outcome) {
    case OUTCOME_EXITED:
        return g_strdup_printf(_("exited with status %d"), info->exit_status);
    case OUTCOME_SIGNALLED:
        return g_strdup_printf(_("killed by signal %d (%s)"), info->signal,
                               sigabbrev_np(info->signal) ?: "?");
    case OUTCOME_OOM:
        return g_strdup(_("ran out of memory"));
    case OUTCOME_TIMEOUT:
        return g_strdup(_("took too long"));
    case OUTCOME_SPAWN_FAILED:
        return g_strdup_printf(_("could not be started: %s"),
                               info->note && *info->note ? info->note : g_strerror(info->error));
    case OUTCOME_ABORTED:
        return g_strdup(_("aborted"));
    case OUTCOME_LOST:
        return g_strdup(_("lost with its worker"));
    case OUTCOME_NONE:
    case _OUTCOME_MAX:
        break;
    }
    return g_strdup(info->reason && *info->reason ? info->reason : _("failed"));
}

char *task_info_describe_end(const TaskInfo *info)
{
    if (info->state == TASK_SUCCEEDED)
        return g_strdup(_("succeeded"));
    if (info->state == TASK_CANCELLED)
        return g_strdup(_("cancelled"));
    if (info->state == TASK_SKIPPED)
        return g_strdup(_("skipped"));
    return describe_failure(info);
}
