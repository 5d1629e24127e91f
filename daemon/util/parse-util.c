/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Quantities as people type them, into integers and back. Pure functions; a parser writes its result only on success. */
#include "util/parse-util.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FOREIGN_CHARACTERS_MAX 64U
#define CPU_NUMBER_MAX 8191U /* the kernel's CONFIG_NR_CPUS is 8192 at most */

typedef struct Suffix {
    const char *word;
    uint64_t factor;
} Suffix;

int parse_uint64(const char *s, uint64_t *ret)
{
    char *end;

    if (!s || !isdigit((unsigned char) *s))
        return -EINVAL;
    errno = 0;
    unsigned long long value = strtoull(s, &end, 10);
    if (*end)
        return -EINVAL;
    if (errno)
        return -errno;
    *ret = value;
    return 0;
}

int parse_boolean(const char *s, bool *ret)
{
    static const char *const words[] = { "no", "yes", "false", "true", "off", "on", "0", "1" };

    for (size_t i = 0; s && i < G_N_ELEMENTS(words); i++)
        if (g_ascii_strcasecmp(s, words[i]) == 0) {
            *ret = i % 2 == 1;
            return 0;
        }
    return -EINVAL;
}

/* Digits with an optional decimal fraction; no sign, exponent, hexadecimal or "nan", whatever the locale. */
static int parse_decimal(const char **s, double *ret)
{
    const char *p = *s;
    char *end;

    if (!isdigit((unsigned char) *p))
        return -EINVAL;
    size_t n = strspn(p, "0123456789");
    if (p[n] == '.')
        n += 1 + strspn(p + n + 1, "0123456789");
    if (n > 30)
        return -ERANGE;
    g_autofree char *number = g_strndup(p, n);
    *ret = g_ascii_strtod(number, &end);
    *s = p + n;
    return 0;
}

/* value × factor, refused where it would no longer be told from "unlimited" */
static int scale(double value, uint64_t factor, uint64_t *ret)
{
    double product = value * (double) factor;

    if (product >= 9.2e18)
        return -ERANGE;
    *ret = (uint64_t) (product + 0.5);
    return 0;
}

int parse_bytes(const char *s, uint64_t *ret_bytes)
{
    static const char suffixes[] = "BKMGTP";
    uint64_t factor = 1;
    double value;

    if (!s)
        return -EINVAL;
    if (strcmp(s, "infinity") == 0) {
        *ret_bytes = UINT64_MAX;
        return 0;
    }
    int r = parse_decimal(&s, &value);
    if (r < 0)
        return r;
    if (*s) {
        const char *suffix = strchr(suffixes, toupper((unsigned char) *s));
        if (!suffix)
            return -EINVAL;
        factor = UINT64_C(1) << (10 * (suffix - suffixes));
        s++;
        if (factor > 1 && (strcmp(s, "iB") == 0 || strcmp(s, "B") == 0))
            s += strlen(s);
    }
    return *s ? -EINVAL : scale(value, factor, ret_bytes);
}

static const Suffix timespan_suffixes[] = {
    { "us", 1 },
    { "usec", 1 },
    { "ms", 1000 },
    { "msec", 1000 },
    { "s", USEC_PER_SEC },
    { "sec", USEC_PER_SEC },
    { "second", USEC_PER_SEC },
    { "seconds", USEC_PER_SEC },
    { "m", 60 * USEC_PER_SEC },
    { "min", 60 * USEC_PER_SEC },
    { "minute", 60 * USEC_PER_SEC },
    { "minutes", 60 * USEC_PER_SEC },
    { "h", 3600 * USEC_PER_SEC },
    { "hr", 3600 * USEC_PER_SEC },
    { "hour", 3600 * USEC_PER_SEC },
    { "hours", 3600 * USEC_PER_SEC },
    { "d", 86400 * USEC_PER_SEC },
    { "day", 86400 * USEC_PER_SEC },
    { "days", 86400 * USEC_PER_SEC },
    { "w", 604800 * USEC_PER_SEC },
    { "week", 604800 * USEC_PER_SEC },
    { "weeks", 604800 * USEC_PER_SEC },
    { "", USEC_PER_SEC },
};

static int timespan_factor(const char *word, size_t n, uint64_t *ret)
{
    for (size_t i = 0; i < G_N_ELEMENTS(timespan_suffixes); i++)
        if (strlen(timespan_suffixes[i].word) == n && strncmp(timespan_suffixes[i].word, word, n) == 0) {
            *ret = timespan_suffixes[i].factor;
            return 0;
        }
    return -EINVAL;
}

int parse_timespan(const char *s, uint64_t *ret_usec)
{
    uint64_t sum = 0, part, factor;
    double value;

    if (!s || !*s)
        return -EINVAL;
    if (strcmp(s, "infinity") == 0) {
        *ret_usec = UINT64_MAX;
        return 0;
    }
    while (*s) {
        int r = parse_decimal(&s, &value);
        if (r < 0)
            return r;
        s += strspn(s, " ");
        size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz");
        r = timespan_factor(s, n, &factor);
        if (r < 0)
            return r;
        r = scale(value, factor, &part);
        if (r < 0)
            return r;
        if (sum + part >= UINT64_C(9200000000000000000))
            return -ERANGE;
        sum += part;
        s += n;
        s += strspn(s, " ");
    }
    *ret_usec = sum;
    return 0;
}

int parse_cpus(const char *s, uint64_t *ret_usec_per_sec)
{
    double value;

    if (!s)
        return -EINVAL;
    if (strcmp(s, "infinity") == 0) {
        *ret_usec_per_sec = UINT64_MAX;
        return 0;
    }
    int r = parse_decimal(&s, &value);
    if (r < 0)
        return r;
    if (strcmp(s, "%") == 0)
        return scale(value, USEC_PER_SEC / 100, ret_usec_per_sec);
    return *s ? -EINVAL : scale(value, USEC_PER_SEC, ret_usec_per_sec);
}

char *format_bytes(uint64_t bytes)
{
    static const char suffixes[] = "BKMGTPE";
    double value = (double) bytes;
    size_t i = 0;

    if (bytes == UINT64_MAX)
        return g_strdup("infinity");
    for (; value >= 1024 && i + 2 < sizeof suffixes; i++)
        value /= 1024;
    if (i == 0)
        return g_strdup_printf("%" G_GUINT64_FORMAT "B", bytes);
    if (value >= 1023.95 && i + 2 < sizeof suffixes) { /* would be printed as "1024.0M" */
        value /= 1024;
        i++;
    }
    return g_strdup_printf("%.1f%c", value, suffixes[i]);
}

char *format_timespan(uint64_t usec)
{
    static const Suffix units[] = {
        { "d", 86400 * USEC_PER_SEC },
        { "h", 3600 * USEC_PER_SEC },
        { "min", 60 * USEC_PER_SEC },
        { "s", USEC_PER_SEC },
    };

    if (usec == UINT64_MAX)
        return g_strdup("infinity");
    if (usec < 1000)
        return g_strdup_printf("%" G_GUINT64_FORMAT "us", usec);
    if (usec < USEC_PER_SEC)
        return g_strdup_printf("%" G_GUINT64_FORMAT "ms", usec / 1000);
    if (usec < 60 * USEC_PER_SEC) {
        uint64_t tenths = usec / 100000;
        if (tenths % 10 == 0 || usec >= 10 * USEC_PER_SEC)
            return g_strdup_printf("%" G_GUINT64_FORMAT "s", usec / USEC_PER_SEC);
        return g_strdup_printf("%" G_GUINT64_FORMAT ".%" G_GUINT64_FORMAT "s", tenths / 10, tenths % 10);
    }
    for (size_t i = 0; i + 1 < G_N_ELEMENTS(units); i++) {
        uint64_t n = usec / units[i].factor, rest = usec % units[i].factor / units[i + 1].factor;
        if (n > 0 && rest > 0)
            return g_strdup_printf("%" G_GUINT64_FORMAT "%s %" G_GUINT64_FORMAT "%s", n, units[i].word, rest,
                                   units[i + 1].word);
        if (n > 0)
            return g_strdup_printf("%" G_GUINT64_FORMAT "%s", n, units[i].word);
    }
    g_assert_not_reached();
}

char *format_timestamp(uint64_t realtime_usec)
{
    time_t seconds = (time_t) (realtime_usec / USEC_PER_SEC);
    char day[32];
    struct tm tm;

    if (!gmtime_r(&seconds, &tm) || strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm) == 0)
        return g_strdup("");
    return g_strdup_printf("%s.%03uZ", day, (unsigned) (realtime_usec % USEC_PER_SEC / USEC_PER_MSEC));
}

char *format_foreign(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    GString *shown = g_string_new(NULL);
    const char *p = valid;

    for (unsigned n = 0; *p && n < FOREIGN_CHARACTERS_MAX; n++, p = g_utf8_next_char(p))
        g_string_append_unichar(shown, g_unichar_iscntrl(g_utf8_get_char(p)) ? '?' : g_utf8_get_char(p));
    return g_string_free(g_string_append(shown, *p ? "…" : ""), FALSE);
}

static int cpu_number(const char **s, uint64_t *ret)
{
    size_t n = strspn(*s, "0123456789");

    if (n == 0 || n > 4)
        return -EINVAL;
    g_autofree char *digits = g_strndup(*s, n);
    *s += n;
    return parse_uint64(digits, ret);
}

bool cpu_list_valid(const char *s)
{
    uint64_t first, last;

    for (;;) {
        if (cpu_number(&s, &first) < 0)
            return false;
        last = first;
        if (*s == '-' && (s++, cpu_number(&s, &last) < 0))
            return false;
        if (last < first || last > CPU_NUMBER_MAX)
            return false;
        if (!*s)
            return true;
        if (*s++ != ',')
            return false;
    }
}
