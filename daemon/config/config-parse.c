/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Values of parexecd.conf(5), each as its field takes it. */
#include "config/config-parse.h"

#include <math.h>
#include <string.h>

#include "model/task-policy.h"
#include "model/worker-spec.h"
#include "policy/pressure-ladder.h"
#include "util/parse-util.h"

#define BATCH_SIZE_MAX 10000U

/* ------------------------------------------------------------------ numbers */

int parse_between(const char *value, uint32_t least, uint32_t most, uint32_t *ret)
{
    uint64_t number;
    int r = parse_uint64(value, &number);

    if (r < 0)
        return r;
    if (number < least || number > most)
        return -ERANGE;
    *ret = (uint32_t) number;
    return 0;
}

int parse_flag(const char *value, void *field)
{
    return parse_boolean(value, field);
}

int parse_count(const char *value, void *field)
{
    return parse_between(value, 1, WORKER_SLOTS_MAX, field);
}

int parse_count_or_none(const char *value, void *field)
{
    return parse_between(value, 0, WORKER_SLOTS_MAX, field);
}

int parse_most(const char *value, void *field)
{
    if (strcmp(value, "infinity") != 0)
        return parse_count_or_none(value, field);
    *(uint32_t *) field = UINT32_MAX;
    return 0;
}

int parse_batch_size(const char *value, void *field)
{
    return parse_between(value, 0, BATCH_SIZE_MAX, field);
}

int parse_retries(const char *value, void *field)
{
    return parse_between(value, 0, RETRIES_MAX, field);
}

int parse_number(const char *value, void *field)
{
    if (strcmp(value, "infinity") == 0) {
        *(uint64_t *) field = LIMIT_INFINITY;
        return 0;
    }
    return parse_uint64(value, field);
}

/* Not NaN, not infinite, not in hexadecimal. */
static int parse_decimal_number(const char *value, const char *unit, double *ret)
{
    char *end;
    double number = g_ascii_strtod(value, &end);

    if (end == value || strspn(value, "0123456789.") != (size_t) (end - value) ||
        (*end && strcmp(end, unit) != 0))
        return -EINVAL;
    *ret = number;
    return 0;
}

int parse_factor(const char *value, void *field)
{
    double factor;
    int r = parse_decimal_number(value, "", &factor);

    if (r < 0)
        return r;
    if (factor < 1 || factor > BACKOFF_FACTOR_MAX)
        return -ERANGE;
    *(double *) field = factor;
    return 0;
}

int parse_fraction(const char *value, void *field)
{
    double fraction;
    int r = parse_decimal_number(value, "", &fraction);

    if (r < 0)
        return r;
    if (fraction <= 0 || fraction > 1)
        return -ERANGE;
    *(double *) field = fraction;
    return 0;
}

int parse_percent(const char *value, void *field)
{
    double percent;
    int r = parse_decimal_number(value, "%", &percent);

    if (r < 0)
        return r;
    if (percent > 100)
        return -ERANGE;
    *(double *) field = percent;
    return 0;
}

int parse_line(const char *value, void *field)
{
    double percent;
    int r = parse_percent(value, &percent);

    if (r < 0)
        return r;
    if (percent == 0)
        return -ERANGE;
    *(double *) field = percent;
    return 0;
}

/* ------------------------------------------------------------------ sizes and times */

int parse_size(const char *value, void *field)
{
    return parse_bytes(value, field);
}

int parse_memory(const char *value, void *field)
{
    uint64_t bytes;
    int r = parse_bytes(value, &bytes);

    if (r < 0)
        return r;
    if (bytes < LIMIT_MEMORY_MIN_BYTES)
        return -ERANGE;
    *(uint64_t *) field = bytes;
    return 0;
}

int parse_quota(const char *value, void *field)
{
    return parse_cpus(value, field);
}

int parse_span(const char *value, void *field)
{
    return parse_timespan(value, field);
}

static int parse_span_from(const char *value, uint64_t least_usec, uint64_t *ret)
{
    uint64_t usec;
    int r = parse_timespan(value, &usec);

    if (r < 0)
        return r;
    if (usec < least_usec)
        return -ERANGE;
    *ret = usec;
    return 0;
}

int parse_positive_span(const char *value, void *field)
{
    return parse_span_from(value, 100 * USEC_PER_MSEC, field);
}

int parse_timeout(const char *value, void *field)
{
    return parse_span_from(value, USEC_PER_MSEC, field);
}

/* ------------------------------------------------------------------ words and lists */

int parse_number_list(const char *value, void *field)
{
    if (*value && !cpu_list_valid(value))
        return -EINVAL;
    g_free(*(char **) field);
    *(char **) field = *value ? g_strdup(value) : NULL;
    return 0;
}

int parse_engine(const char *value, void *field)
{
    int kind = engine_kind_from_string(value);

    if (kind < 0)
        return kind;
    *(EngineKind *) field = (EngineKind) kind;
    return 0;
}

int parse_signal(const char *value, void *field)
{
    int number = signal_parse(value);

    if (number < 0)
        return number;
    *(int *) field = number;
    return 0;
}

/* "exit=75:retry oom:fail": all of it or nothing; the rules of an earlier file are forgotten. */
int parse_rules(const char *value, void *field)
{
    g_auto(GStrv) words = g_strsplit_set(value, " \t", -1);
    TaskPolicy parsed;
    int r = 0;

    task_policy_init(&parsed);
    for (char **word = words; r >= 0 && *word; word++) {
        char *colon = strrchr(*word, ':');
        if (!**word)
            continue;
        if (!colon) {
            r = -EINVAL;
            break;
        }
        *colon = '\0';
        r = task_policy_add_rule(&parsed, *word, colon + 1);
    }
    if (r >= 0) {
        g_clear_pointer((GArray **) field, g_array_unref);
        *(GArray **) field = g_steal_pointer(&parsed.rules);
    }
    task_policy_done(&parsed);
    return r;
}

int parse_rungs(const char *value, void *field)
{
    g_auto(GStrv) words = g_strsplit_set(value, " \t", -1);
    uint32_t rungs = UINT32_C(1) << RUNG_CLOSED;

    for (char **word = words; *word; word++) {
        int rung = pressure_rung_from_string(*word);
        if (!**word)
            continue;
        if (rung <= RUNG_CALM)
            return -EINVAL;
        rungs |= UINT32_C(1) << rung;
    }
    *(uint32_t *) field = rungs;
    return 0;
}
