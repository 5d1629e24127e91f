/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Points in time, as seen from Wednesday, 2026-03-25 10:00:30 in Berlin, four days before the clocks are
 * set. */

#include "client/begin-time.h"

static GDateTime *now_new(void)
{
    g_autoptr(GTimeZone) zone = g_time_zone_new_identifier("CET-1CEST,M3.5.0,M10.5.0/3");

    g_assert_nonnull(zone);
    return g_date_time_new(zone, 2026, 3, 25, 10, 0, 30);
}

static uint64_t utc(int year, int month, int day, int hour, int minute, int second)
{
    g_autoptr(GDateTime) time = g_date_time_new_utc(year, month, day, hour, minute, second);

    return (uint64_t) g_date_time_to_unix(time) * USEC_PER_SEC;
}

static void check(const char *text, bool relative, uint64_t usec)
{
    g_autoptr(GDateTime) now = now_new();
    BeginTime begin = {};

    g_test_message("%s", text);
    g_assert_cmpint(begin_time_parse(text, now, &begin), ==, 0);
    g_assert_cmpint(begin.relative, ==, relative);
    g_assert_cmpuint(begin.usec, ==, usec);
}

static void test_forms(void)
{
    check("2026-12-01 08:00", false, utc(2026, 12, 1, 7, 0, 0));
    check("2026-12-01", false, utc(2026, 11, 30, 23, 0, 0));
    check("2026-07-01T08:00:59", false, utc(2026, 7, 1, 6, 0, 59));
    check("2026-12-01 08:00 UTC", false, utc(2026, 12, 1, 8, 0, 0));
    check("2000-01-01", false, utc(1999, 12, 31, 23, 0, 0));
    check("today", false, utc(2026, 3, 24, 23, 0, 0));
    check("tomorrow", false, utc(2026, 3, 25, 23, 0, 0));
    check("tomorrow 06:30", false, utc(2026, 3, 26, 5, 30, 0));
    check("@1700000000", false, UINT64_C(1700000000) * USEC_PER_SEC);
    check("+30min", true, UINT64_C(1800) * USEC_PER_SEC);
    check("+1h 5s", true, UINT64_C(3605) * USEC_PER_SEC);
    check("now", true, 0);
}

static void test_next_clock(void)
{
    check("10:01", false, utc(2026, 3, 25, 9, 1, 0));
    check("10:00:31", false, utc(2026, 3, 25, 9, 0, 31));
    check("10:00:30", false, utc(2026, 3, 26, 9, 0, 30));
    check("08:00", false, utc(2026, 3, 26, 7, 0, 0));
}

static void test_refused(void)
{
    static const char *const texts[] = {
        "",          "soon",       "24:00",       "08:60",
        "8:00",      "08:00:60",   "2026-02-30",  "2026-13-01",
        "2026-1-1",  "26-01-01",   "2026-12-01 ", "2026-12-01x08:00",
        "@",         "@-5",        "@0",          "@99999999999999999999",
        "+",         "+x",         "+infinity",   "tomorrow8:00",
        "08:00 CET", "1969-12-31", "yesterday",   "0000-01-01",
    };
    g_autoptr(GDateTime) now = now_new();

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        BeginTime begin = { .usec = 7 };
        g_test_message("\"%s\"", texts[i]);
        g_assert_cmpint(begin_time_parse(texts[i], now, &begin), ==, -EINVAL);
        g_assert_cmpuint(begin.usec, ==, 7);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/begin-time/forms", test_forms);
    g_test_add_func("/begin-time/next-clock", test_next_clock);
    g_test_add_func("/begin-time/refused", test_refused);
    return g_test_run();
}
