/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Logging to stderr: plain on a terminal, with sd-daemon(3) priority prefixes otherwise. One write(2) per record, so
 * that records of several processes on one stream do not mix. */
#include "util/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int max_level = -1;

void log_set_max_level(int level)
{
    max_level = level;
}

static int level_from_environment(void)
{
    static const char *const words[] = {
        "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"
    };
    const char *word = getenv("PAREXEC_LOG_LEVEL");

    for (int i = 0; word && i < (int) G_N_ELEMENTS(words); i++)
        if (strcmp(word, words[i]) == 0)
            return i;
    return LOG_INFO;
}

int log_get_max_level(void)
{
    if (max_level < 0)
        max_level = level_from_environment();
    return max_level;
}

int log_full_errno(int level, int error, const char *format, ...)
{
    char line[2048];
    va_list ap;
    int n, m;

    error = abs(error);
    if (level > log_get_max_level())
        return -error;
    n = isatty(STDERR_FILENO) ? 0 : snprintf(line, sizeof line, "<%d>", level);
    errno = error;
    va_start(ap, format);
    m = vsnprintf(line + n, sizeof line - (size_t) n - 1, format, ap);
    va_end(ap);
    n = MIN(n + MAX(m, 0), (int) sizeof line - 2);
    for (char *p = line; p < line + n; p++) /* what strangers sent must not look like a record of its own */
        *p = *p == '\n' || *p == '\r' ? ' ' : *p;
    line[n++] = '\n';
    (void) !write(STDERR_FILENO, line, (size_t) n);
    return -error;
}
