/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pressure stall information of the kernel: a parser of its text, and its reader. */
#include "host/psi.h"
#include "util/macro.h"

#include <string.h>

#define PRESSURE_UNKNOWN (-1.0)

/* "some avg10=0.30 avg60=0.12 avg300=0.05 total=123456" */
double psi_parse_some_avg10(const char *text)
{
    const char *some = g_str_has_prefix(text, "some ") ? text : strstr(text, "\nsome ");
    const char *value = some ? strstr(some, " avg10=") : NULL;
    const char *end_of_line = some ? strchrnul(some + 1, '\n') : NULL;
    char *end;

    if (!value || value > end_of_line)
        return PRESSURE_UNKNOWN;
    value += strlen(" avg10=");
    double percent = g_ascii_strtod(value, &end);
    if (!g_ascii_isdigit(*value) || (*end != ' ' && *end != '\n' && *end != '\0') || percent > 100.0)
        return PRESSURE_UNKNOWN;
    return percent;
}

double psi_read(const char *path)
{
    g_autofree char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return PRESSURE_UNKNOWN;
    return psi_parse_some_avg10(text);
}
