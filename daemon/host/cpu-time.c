/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How busy the CPUs are: two readings of /proc/stat, and their difference. */
#include "host/cpu-time.h"
#include "util/parse-util.h"

#include <string.h>

/* user nice system idle iowait irq softirq steal; guest time is in user already */
enum { FIELD_IDLE = 3, FIELD_IOWAIT = 4, FIELDS_MIN = 4, FIELDS_MAX = 8 };

int cpu_time_parse(const char *text, CpuTime *ret)
{
    g_autofree char *line = g_strndup(text, strcspn(text, "\n"));
    g_auto(GStrv) words = g_strsplit(line, " ", -1);
    CpuTime time = { 0 };
    unsigned field = 0;

    if (!words[0] || strcmp(words[0], "cpu") != 0)
        return -EINVAL;
    for (char **word = words + 1; *word && field < FIELDS_MAX; word++) {
        uint64_t ticks;
        if (**word == '\0')
            continue;
        if (parse_uint64(*word, &ticks) < 0)
            return -EINVAL;
        time.total += ticks;
        if (field != FIELD_IDLE && field != FIELD_IOWAIT)
            time.busy += ticks;
        field++;
    }
    if (field < FIELDS_MIN)
        return -EINVAL;
    *ret = time;
    return 0;
}

int cpu_time_read(CpuTime *ret)
{
    g_autofree char *text = NULL;

    if (!g_file_get_contents("/proc/stat", &text, NULL, NULL))
        return -EIO;
    return cpu_time_parse(text, ret);
}

double cpu_time_percent(const CpuTime *before, const CpuTime *after)
{
    /* iowait may run backwards on some kernels */
    if (after->total <= before->total || after->busy < before->busy)
        return -1.0;
    return MIN(100.0,
               100.0 * (double) (after->busy - before->busy) / (double) (after->total - before->total));
}
