/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The text form of results that no daemon has fetched. */
#include "model/spool.h"

#include <limits.h>

#include "util/parse-util.h"

void spool_append_line(GString *text, const TaskResult *result)
{
    g_string_append_printf(text,
                           "%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %s %d %d %d %" G_GUINT64_FORMAT
                           " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT "\n",
                           result->task, result->fence, outcome_to_string(result->outcome),
                           result->exit_status, result->signal, result->error, result->start_usec,
                           result->end_usec, result->cpu_nsec, result->memory_peak_bytes);
}

enum {
    WORD_TASK,
    WORD_FENCE,
    WORD_OUTCOME,
    WORD_STATUS,
    WORD_SIGNAL,
    WORD_ERRNO,
    WORD_START,
    WORD_END,
    WORD_CPU,
    WORD_PEAK,
    N_WORDS
};

static int parse_int(const char *word, int *ret)
{
    uint64_t number;

    if (parse_uint64(word, &number) < 0 || number > INT_MAX)
        return -EINVAL;
    *ret = (int) number;
    return 0;
}

int spool_parse_line(const char *line, TaskResult *ret)
{
    g_auto(GStrv) words = g_strsplit(line, " ", N_WORDS + 1);
    TaskResult result = { 0 };

    if (g_strv_length(words) != N_WORDS)
        return -EINVAL;
    int outcome = outcome_from_string(words[WORD_OUTCOME]);
    if (outcome <= OUTCOME_NONE || parse_uint64(words[WORD_TASK], &result.task) < 0 ||
        parse_uint64(words[WORD_FENCE], &result.fence) < 0 ||
        parse_int(words[WORD_STATUS], &result.exit_status) < 0 ||
        parse_int(words[WORD_SIGNAL], &result.signal) < 0 ||
        parse_int(words[WORD_ERRNO], &result.error) < 0 ||
        parse_uint64(words[WORD_START], &result.start_usec) < 0 ||
        parse_uint64(words[WORD_END], &result.end_usec) < 0 ||
        parse_uint64(words[WORD_CPU], &result.cpu_nsec) < 0 ||
        parse_uint64(words[WORD_PEAK], &result.memory_peak_bytes) < 0)
        return -EINVAL;
    result.outcome = (Outcome) outcome;
    *ret = result;
    return 0;
}
