/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The machine's memory: a parser of /proc/meminfo, and its reader. */
#include "host/meminfo.h"
#include "util/parse-util.h"

#include <string.h>

/* "MemTotal:       24737700 kB" */
static int line_value(const char *line, const char *label, uint64_t *ret)
{
    size_t n = strlen(label);
    uint64_t kib;

    if (strncmp(line, label, n) != 0)
        return -ENOENT;
    g_auto(GStrv) words = g_strsplit(line + n, " ", -1);
    char **word = words;
    while (*word && **word == '\0')
        word++;
    if (!*word || parse_uint64(*word, &kib) < 0 || kib > UINT64_MAX / 1024)
        return -EINVAL;
    *ret = kib * 1024;
    return 0;
}

int meminfo_parse(const char *text, Meminfo *ret)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    Meminfo info = { UINT64_MAX, UINT64_MAX, 0 };
    const struct {
        const char *label;
        uint64_t *value;
    } fields[] = {
        { "MemTotal:", &info.total_bytes },
        { "MemAvailable:", &info.available_bytes },
        { "SwapTotal:", &info.swap_total_bytes },
    };

    for (char **line = lines; *line; line++)
        for (size_t i = 0; i < G_N_ELEMENTS(fields); i++)
            if (line_value(*line, fields[i].label, fields[i].value) == -EINVAL)
                return -EINVAL;
    if (info.total_bytes == UINT64_MAX || info.available_bytes == UINT64_MAX)
        return -EINVAL;
    *ret = info;
    return 0;
}

int meminfo_read(Meminfo *ret)
{
    g_autofree char *text = NULL;

    if (!g_file_get_contents("/proc/meminfo", &text, NULL, NULL))
        return -EIO;
    return meminfo_parse(text, ret);
}
