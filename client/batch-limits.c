/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The limits of a batch: how they are written, when they are reached, and how the daemon is told. Pure but
 * for the message. */

#include "client/batch-limits.h"

#include <string.h>

#include "client/bus-dict.h"
#include "util/parse-util.h"

void batch_limits_init(BatchLimits *limits)
{
    *limits = (BatchLimits){ .max_fails = UINT64_MAX, .max_fails_percent = -1, .max_successes = UINT64_MAX };
}

bool batch_limits_given(const BatchLimits *limits)
{
    return limits->max_fails != UINT64_MAX || limits->max_fails_percent >= 0 ||
           limits->max_successes != UINT64_MAX;
}

static int parse_count(const char *text, uint64_t *ret)
{
    uint64_t count;

    if (parse_uint64(text, &count) < 0 || count == 0 || count == UINT64_MAX)
        return -EINVAL;
    *ret = count;
    return 0;
}

int batch_limits_parse_fails(BatchLimits *limits, const char *text)
{
    char *end;

    if (!g_str_has_suffix(text, "%"))
        return parse_count(text, &limits->max_fails);
    if (!g_ascii_isdigit(*text))
        return -EINVAL;
    double percent = g_ascii_strtod(text, &end);
    if (strcmp(end, "%") != 0 || !(percent >= 0 && percent <= 100))
        return -EINVAL;
    limits->max_fails_percent = percent;
    return 0;
}

int batch_limits_parse_halt(BatchLimits *limits, const char *text)
{
    g_auto(GStrv) parts = g_strsplit(text, ",", 2);
    BatchLimits result = *limits;

    if (!parts[0])
        return -EINVAL;
    if (strcmp(text, "never") == 0)
        return 0;
    if (strcmp(parts[0], "now") != 0 && strcmp(parts[0], "soon") != 0)
        return -EINVAL;
    result.now = strcmp(parts[0], "now") == 0;
    int r = 0;
    if (parts[1] && g_str_has_prefix(parts[1], "fail="))
        r = batch_limits_parse_fails(&result, parts[1] + strlen("fail="));
    else if (parts[1] && g_str_has_prefix(parts[1], "success="))
        r = parse_count(parts[1] + strlen("success="), &result.max_successes);
    else if (parts[1])
        r = -EINVAL;
    if (r >= 0)
        *limits = result;
    return r;
}

bool batch_limits_reached(const BatchLimits *limits, uint64_t failed, uint64_t succeeded, uint64_t total)
{
    if (failed >= limits->max_fails || succeeded >= limits->max_successes)
        return true;
    return total > 0 && failed > 0 && limits->max_fails_percent >= 0 &&
           (double) failed * 100 >= limits->max_fails_percent * (double) total;
}

int batch_limits_append(const BatchLimits *limits, sd_bus_message *m)
{
    int r = 0;

    if (limits->max_fails != UINT64_MAX)
        r = dict_append(m, "max-fails", "t", limits->max_fails);
    if (r >= 0 && limits->max_fails_percent >= 0)
        r = dict_append(m, "max-fails-percent", "d", limits->max_fails_percent);
    if (r >= 0 && limits->max_successes != UINT64_MAX)
        r = dict_append(m, "max-successes", "t", limits->max_successes);
    if (r >= 0 && batch_limits_given(limits))
        r = dict_append(m, "halt", "s", limits->now ? "now" : "soon");
    return r;
}
