/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The text form of results that no daemon has fetched. */
#include "model/spool.h"

#include <stdio.h>

void spool_append_line(GString *text, const TaskResult *result)
{
    g_string_append_printf(text,
                           "%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %s %d %d %d %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT
                           " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT "\n",
                           result->task, result->fence, outcome_to_string(result->outcome), result->exit_status, result->signal,
                           result->error, result->start_usec, result->end_usec, result->cpu_nsec, result->memory_peak_bytes);
}

int spool_parse_line(const char *line, TaskResult *ret)
{
    TaskResult result = { 0 };
    char word[16];
    int end = -1;

    int n = sscanf(line, "%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %15s %d %d %d %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT
                         " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT "%n",
                   &result.task, &result.fence, word, &result.exit_status, &result.signal, &result.error, &result.start_usec,
                   &result.end_usec, &result.cpu_nsec, &result.memory_peak_bytes, &end);
    if (n != 10 || end < 0 || line[end] != '\0')
        return -EINVAL;
    int outcome = outcome_from_string(word);
    if (outcome <= OUTCOME_NONE)
        return -EINVAL;
    result.outcome = (Outcome) outcome;
    *ret = result;
    return 0;
}
