/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The names of output files: a folder never gets more than some ten thousand tasks. */
#include "model/output-path.h"

#define TASKS_PER_FOLDER 10000U

char *output_path(const char *directory, uint64_t task, uint32_t attempt, StdStream stream)
{
    return g_strdup_printf("%s/%" G_GUINT64_FORMAT "/%" G_GUINT64_FORMAT ".%u.%s", directory,
                           task / TASKS_PER_FOLDER, task, attempt, stream == STREAM_STDERR ? "err" : "out");
}

char *output_pack_path(const char *directory, uint64_t task, uint32_t worker)
{
    return g_strdup_printf("%s/%" G_GUINT64_FORMAT "/w%u.pack", directory, task / TASKS_PER_FOLDER, worker);
}
