/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Points in time. Pure: what is now, and where, is given. An hour that does not exist, as clocks are set,
 * is read as GLib reads it: an hour later. */

#include "client/begin-time.h"

#include <string.h>

#include "util/parse-util.h"

/* Two digits, or as many as that; the text goes on behind them. */
static int take_number(const char **text, size_t digits, int *ret)
{
    int value = 0;

    for (size_t i = 0; i < digits; i++) {
        if (!g_ascii_isdigit((*text)[i]))
            return -EINVAL;
        value = value * 10 + ((*text)[i] - '0');
    }
    *text += digits;
    *ret = value;
    return 0;
}

static int take_char(const char **text, char c)
{
    if (**text != c)
        return -EINVAL;
    ++*text;
    return 0;
}

typedef struct Clock {
    bool given;
    int hour, minute, second;
} Clock;

/* HH:MM[:SS], to the end of the text */
static int read_clock(const char *text, Clock *ret)
{
    Clock clock = { .given = true };

    if (take_number(&text, 2, &clock.hour) < 0 || take_char(&text, ':') < 0 ||
        take_number(&text, 2, &clock.minute) < 0)
        return -EINVAL;
    if (*text && (take_char(&text, ':') < 0 || take_number(&text, 2, &clock.second) < 0))
        return -EINVAL;
    if (*text || clock.hour > 23 || clock.minute > 59 || clock.second > 59)
        return -EINVAL;
    *ret = clock;
    return 0;
}

static int to_usec(GDateTime *time, BeginTime *ret)
{
    int64_t seconds = time ? g_date_time_to_unix(time) : -1;

    if (seconds <= 0)
        return -EINVAL;
    *ret = (BeginTime){ .usec = (uint64_t) seconds * USEC_PER_SEC };
    return 0;
}

static GDateTime *at_clock(GDateTime *day, const Clock *clock)
{
    return g_date_time_new(g_date_time_get_timezone(day), g_date_time_get_year(day),
                           g_date_time_get_month(day), g_date_time_get_day_of_month(day), clock->hour,
                           clock->minute, clock->second);
}

/* The next time that the clock shows this: today, or else tomorrow. */
static int next_clock(GDateTime *now, const Clock *clock, BeginTime *ret)
{
    g_autoptr(GDateTime) today = at_clock(now, clock);

    if (today && g_date_time_compare(today, now) > 0)
        return to_usec(today, ret);
    g_autoptr(GDateTime) day = g_date_time_add_days(now, 1);
    g_autoptr(GDateTime) tomorrow = day ? at_clock(day, clock) : NULL;
    return to_usec(tomorrow, ret);
}

/* What stands behind a day: nothing, or " HH:MM". */
static int read_rest(const char *rest, Clock *ret)
{
    if (!*rest)
        return 0;
    return *rest == ' ' || *rest == 'T' ? read_clock(rest + 1, ret) : -EINVAL;
}

/* YYYY-MM-DD[ HH:MM[:SS]] */
static int read_date(const char *text, GDateTime *now, BeginTime *ret)
{
    int year, month, day;
    Clock clock = {};

    if (take_number(&text, 4, &year) < 0 || take_char(&text, '-') < 0 || take_number(&text, 2, &month) < 0 ||
        take_char(&text, '-') < 0 || take_number(&text, 2, &day) < 0 || read_rest(text, &clock) < 0)
        return -EINVAL;
    g_autoptr(GDateTime) time = g_date_time_new(g_date_time_get_timezone(now), year, month, day, clock.hour,
                                                clock.minute, clock.second);
    return to_usec(time, ret);
}

static int read_word(const char *text, GDateTime *now, BeginTime *ret)
{
    static const struct {
        const char *word;
        int days;
    } words[] = { { "today", 0 }, { "tomorrow", 1 } };

    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        size_t n = strlen(words[i].word);
        Clock clock = {};
        if (strncmp(text, words[i].word, n) != 0)
            continue;
        if (read_rest(text + n, &clock) < 0)
            return -EINVAL;
        g_autoptr(GDateTime) day = g_date_time_add_days(now, words[i].days);
        g_autoptr(GDateTime) time = day ? at_clock(day, &clock) : NULL;
        return to_usec(time, ret);
    }
    return -ENOENT;
}

static int read_calendar(const char *text, GDateTime *now, BeginTime *ret)
{
    Clock clock;
    int r = read_word(text, now, ret);

    if (r != -ENOENT)
        return r;
    if (read_clock(text, &clock) >= 0)
        return next_clock(now, &clock, ret);
    return read_date(text, now, ret);
}

static int read_relative(const char *text, BeginTime *ret)
{
    uint64_t usec;

    if (parse_timespan(text, &usec) < 0 || usec == UINT64_MAX)
        return -EINVAL;
    *ret = (BeginTime){ .relative = true, .usec = usec };
    return 0;
}

int begin_time_parse(const char *text, GDateTime *now, BeginTime *ret)
{
    uint64_t seconds;

    if (*text == '+')
        return read_relative(text + 1, ret);
    if (strcmp(text, "now") == 0) {
        *ret = (BeginTime){ .relative = true };
        return 0;
    }
    if (*text == '@') {
        if (parse_uint64(text + 1, &seconds) < 0 || seconds == 0 || seconds > INT64_MAX / USEC_PER_SEC)
            return -EINVAL;
        *ret = (BeginTime){ .usec = seconds * USEC_PER_SEC };
        return 0;
    }
    if (!g_str_has_suffix(text, " UTC"))
        return read_calendar(text, now, ret);
    g_autofree char *bare = g_strndup(text, strlen(text) - strlen(" UTC"));
    g_autoptr(GDateTime) utc = g_date_time_to_utc(now);
    return read_calendar(bare, utc, ret);
}
