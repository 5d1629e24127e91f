/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parse-util.c: what people type, what they mistype, and what is printed back. */
#include "util/parse-util.h"

#include <glib/gstdio.h>
#include <locale.h>
#include <stdlib.h>

#define UNTOUCHED UINT64_C(0xdeadbeef)
#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)
#define TIB (GIB * 1024)
#define MINUTE (60 * USEC_PER_SEC)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

typedef struct Case {
    const char *text;
    int r;
    uint64_t value; /* of r = 0 */
} Case;

static void check(int (*parse)(const char *, uint64_t *), const Case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t value = UNTOUCHED, expected = cases[i].r < 0 ? UNTOUCHED : cases[i].value;
        int r = parse(cases[i].text, &value);
        if (r != cases[i].r || value != expected)
            g_error("\"%s\" gives %d and %" G_GUINT64_FORMAT ", not %d and %" G_GUINT64_FORMAT,
                    cases[i].text ? cases[i].text : "NULL", r, value, cases[i].r, expected);
    }
}

static void test_uint64(void)
{
    static const Case cases[] = {
        { "0", 0, 0 }, { "1", 0, 1 }, { "007", 0, 7 }, { "18446744073709551615", 0, UINT64_MAX },
        { "18446744073709551616", -ERANGE }, { "99999999999999999999999999999999", -ERANGE },
        { NULL, -EINVAL }, { "", -EINVAL }, { " 1", -EINVAL }, { "1 ", -EINVAL }, { "-1", -EINVAL }, { "+1", -EINVAL }, { "0x10", -EINVAL },
        { "1.0", -EINVAL }, { "1e3", -EINVAL }, { "nan", -EINVAL }, { "infinity", -EINVAL }, { "\n1", -EINVAL }, { "1\n", -EINVAL },
        { "99999999999999999999x", -EINVAL }, { "\xff", -EINVAL }, { "\xd9\xa3", -EINVAL /* an Arabic digit */ },
    };

    check(parse_uint64, cases, G_N_ELEMENTS(cases));
}

static void test_boolean(void)
{
    static const struct { const char *text; int r; bool value; } cases[] = {
        { "yes", 0, true }, { "true", 0, true }, { "on", 0, true }, { "1", 0, true }, { "YES", 0, true }, { "True", 0, true },
        { "no", 0, false }, { "false", 0, false }, { "off", 0, false }, { "0", 0, false }, { "OFF", 0, false },
        { NULL, -EINVAL }, { "", -EINVAL }, { "2", -EINVAL }, { "y", -EINVAL }, { "yes ", -EINVAL }, { "-1", -EINVAL }, { "01", -EINVAL },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        for (int before = 0; before < 2; before++) {
            bool value = before;
            g_assert_cmpint(parse_boolean(cases[i].text, &value), ==, cases[i].r);
            g_assert_cmpint(value, ==, cases[i].r < 0 ? (bool) before : cases[i].value);
        }
}

static const Case byte_cases[] = {
    { "0", 0, 0 }, { "1", 0, 1 }, { "4096", 0, 4096 }, { "12B", 0, 12 }, { "1K", 0, KIB }, { "1k", 0, KIB }, { "512M", 0, 512 * MIB },
    { "8G", 0, 8 * GIB }, { "1T", 0, TIB }, { "1P", 0, 1024 * TIB }, { "1.5G", 0, GIB + GIB / 2 }, { "0.5K", 0, 512 }, { "1.K", 0, KIB },
    { "1.5", 0, 2 }, { "8GB", 0, 8 * GIB }, { "8GiB", 0, 8 * GIB }, { "1kB", 0, KIB }, { "0.0001K", 0, 0 },
    { "infinity", 0, UINT64_MAX }, { "8000P", 0, 8000 * 1024 * TIB },
    { "9000P", -ERANGE }, { "18446744073709551614", -ERANGE }, { "18446744073709551615", -ERANGE }, { "9200000000000000000", -ERANGE },
    { "1000000000000000000000000000000000000000000", -ERANGE }, { "0.00000000000000000000000000000000000001", -ERANGE },
    { NULL, -EINVAL }, { "", -EINVAL }, { " 1G", -EINVAL }, { "1 G", -EINVAL }, { "1G ", -EINVAL }, { "-1", -EINVAL }, { "-1G", -EINVAL },
    { "+1G", -EINVAL }, { "nan", -EINVAL }, { "inf", -EINVAL }, { "Infinity", -EINVAL }, { "infinity ", -EINVAL }, { "0x10", -EINVAL },
    { "0x1p3", -EINVAL }, { "1e3", -EINVAL }, { "1E", -EINVAL }, { "1,5G", -EINVAL }, { ".5G", -EINVAL }, { "1.5.5G", -EINVAL },
    { "G", -EINVAL }, { "1GG", -EINVAL }, { "1GBB", -EINVAL }, { "1BB", -EINVAL }, { "1BiB", -EINVAL }, { "1iB", -EINVAL }, { "1Gi", -EINVAL },
    { "1\n", -EINVAL }, { "1\xc3\xa9", -EINVAL },
};

static void test_bytes(void)
{
    check(parse_bytes, byte_cases, G_N_ELEMENTS(byte_cases));
}

static const Case timespan_cases[] = {
    { "0", 0, 0 }, { "5", 0, 5 * USEC_PER_SEC }, { "30s", 0, 30 * USEC_PER_SEC }, { "100ms", 0, 100 * USEC_PER_MSEC }, { "1us", 0, 1 },
    { "1usec", 0, 1 }, { "2msec", 0, 2000 }, { "1min", 0, MINUTE }, { "1m", 0, MINUTE }, { "2minutes", 0, 2 * MINUTE }, { "1h", 0, HOUR },
    { "1hr", 0, HOUR }, { "3hours", 0, 3 * HOUR }, { "7d", 0, 7 * DAY }, { "1w", 0, 7 * DAY }, { "2weeks", 0, 14 * DAY },
    { "1min 30s", 0, MINUTE + 30 * USEC_PER_SEC }, { "1min30s", 0, MINUTE + 30 * USEC_PER_SEC }, { "5 s", 0, 5 * USEC_PER_SEC },
    { "5s ", 0, 5 * USEC_PER_SEC }, { "1h 2min 3s 4ms 5us", 0, HOUR + 2 * MINUTE + 3 * USEC_PER_SEC + 4005 }, { "0.5s", 0, USEC_PER_SEC / 2 },
    { "1.5h", 0, HOUR + HOUR / 2 }, { "infinity", 0, UINT64_MAX }, { "9000000000000s", 0, UINT64_C(9000000000000) * USEC_PER_SEC },
    { "9300000000000s", -ERANGE }, { "9000000000000s 9000000000000s", -ERANGE }, { "18446744073709551615", -ERANGE },
    { "18446744073709551614us", -ERANGE }, { "9999999999999999999999999999999999999w", -ERANGE },
    { NULL, -EINVAL }, { "", -EINVAL }, { " ", -EINVAL }, { " 5s", -EINVAL }, { "-5s", -EINVAL }, { "+5s", -EINVAL }, { "5x", -EINVAL },
    { "5S", -EINVAL }, { "s", -EINVAL }, { "5s s", -EINVAL }, { "nan", -EINVAL }, { "inf", -EINVAL }, { "1e3s", -EINVAL }, { "0x10s", -EINVAL },
    { "1,5s", -EINVAL }, { "5s infinity", -EINVAL }, { "infinity 5s", -EINVAL }, { "5s\n", -EINVAL }, { "5 seconds ago", -EINVAL },
};

static void test_timespan(void)
{
    check(parse_timespan, timespan_cases, G_N_ELEMENTS(timespan_cases));
}

static const Case cpu_cases[] = {
    { "1", 0, 1000000 }, { "2", 0, 2000000 }, { "0.5", 0, 500000 }, { "50%", 0, 500000 }, { "150%", 0, 1500000 }, { "0", 0, 0 },
    { "0.01", 0, 10000 }, { "1%", 0, 10000 }, { "12.5%", 0, 125000 }, { "infinity", 0, UINT64_MAX },
    { "18446744073709551615", -ERANGE }, { "99999999999999999999%", -ERANGE },
    { NULL, -EINVAL }, { "", -EINVAL }, { "-1", -EINVAL }, { "nan", -EINVAL }, { "1,5", -EINVAL }, { "50 %", -EINVAL }, { "50%%", -EINVAL },
    { "%", -EINVAL }, { "0x2", -EINVAL }, { "1e1", -EINVAL }, { "2 ", -EINVAL },
};

static void test_cpus(void)
{
    check(parse_cpus, cpu_cases, G_N_ELEMENTS(cpu_cases));
}

/* A locale whose decimal sign is a comma: one of the machine's, or one made for this test. */
static bool enter_comma_locale(const char *directory)
{
    g_autofree char *path = g_build_filename(directory, "comma.UTF-8", NULL);
    const char *argv[] = { "localedef", "-i", "de_DE", "-f", "UTF-8", path, NULL };

    if (setlocale(LC_ALL, "de_DE.UTF-8"))
        return true;
    if (!g_spawn_sync(NULL, (char **) argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDOUT_TO_DEV_NULL | G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL,
                      NULL, NULL, NULL, NULL))
        return false;
    g_setenv("LOCPATH", directory, TRUE);
    return setlocale(LC_ALL, "comma.UTF-8") != NULL;
}

static void remove_locale(const char *directory)
{
    const char *argv[] = { "rm", "-rf", directory, NULL };

    g_assert_true(g_spawn_sync(NULL, (char **) argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL));
}

static void test_locale(void)
{
    g_autofree char *directory = g_dir_make_tmp("parexec-locale-XXXXXX", NULL);

    if (enter_comma_locale(directory)) {
        g_assert_cmpstr(localeconv()->decimal_point, ==, ",");
        check(parse_bytes, byte_cases, G_N_ELEMENTS(byte_cases));
        check(parse_timespan, timespan_cases, G_N_ELEMENTS(timespan_cases));
        check(parse_cpus, cpu_cases, G_N_ELEMENTS(cpu_cases));
        setlocale(LC_ALL, "C");
    } else
        g_test_skip("there is neither a de_DE.UTF-8 locale nor localedef to make one");
    remove_locale(directory);
}

typedef struct Format {
    uint64_t value;
    const char *text;
} Format;

static void check_format(char *(*format)(uint64_t), const Format *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        g_autofree char *text = format(cases[i].value);
        g_assert_cmpstr(text, ==, cases[i].text);
    }
}

static void test_format_bytes(void)
{
    static const Format cases[] = {
        { 0, "0B" }, { 1, "1B" }, { 1023, "1023B" }, { 1024, "1.0K" }, { 1536, "1.5K" }, { 412 * MIB, "412.0M" },
        { GIB + GIB / 5, "1.2G" }, { 1023 * KIB, "1023.0K" }, { MIB - 1, "1.0M" }, { MIB - KIB / 10, "1023.9K" },
        { GIB - 1, "1.0G" }, { 3 * TIB, "3.0T" }, { 2048 * TIB, "2.0P" }, { UINT64_C(1) << 62, "4.0E" }, { UINT64_MAX - 1, "16.0E" },
        { UINT64_MAX, "infinity" },
    };

    check_format(format_bytes, cases, G_N_ELEMENTS(cases));
}

static void test_format_timespan(void)
{
    static const Format cases[] = {
        { 0, "0us" }, { 999, "999us" }, { 1000, "1ms" }, { 999999, "999ms" }, { USEC_PER_SEC, "1s" }, { 1250000, "1.2s" },
        { 9999999, "9.9s" }, { 12 * USEC_PER_SEC, "12s" }, { MINUTE - 1, "59s" }, { MINUTE, "1min" }, { MINUTE + USEC_PER_SEC, "1min 1s" },
        { HOUR, "1h" }, { HOUR + 5 * MINUTE + 3, "1h 5min" }, { HOUR + 5, "1h" }, { DAY, "1d" }, { DAY + HOUR, "1d 1h" },
        { 7 * DAY + MINUTE, "7d" }, { UINT64_MAX - 1, "213503982d 8h" }, { UINT64_MAX, "infinity" },
    };

    check_format(format_timespan, cases, G_N_ELEMENTS(cases));
}

static void test_format_timestamp(void)
{
    static const Format cases[] = {
        { 0, "1970-01-01T00:00:00.000Z" }, { UINT64_C(1769860800123456), "2026-01-31T12:00:00.123Z" },
        { UINT64_C(4102444799999999), "2099-12-31T23:59:59.999Z" },
    };

    g_setenv("TZ", "Asia/Jakarta", TRUE); /* UTC whatever the time zone */
    check_format(format_timestamp, cases, G_N_ELEMENTS(cases));
    g_autofree char *last = format_timestamp(UINT64_MAX);
    g_assert_true(g_str_has_prefix(last, "586524-01-19T08:01:49"));
}

/* What is printed can be typed in again, and means the same but for the digits that were left out. */
static void test_round_trip(void)
{
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t value = (((uint64_t) g_test_rand_int() << 32) | (uint32_t) g_test_rand_int()) >> g_test_rand_int_range(7, 64), again;
        g_autofree char *bytes = format_bytes(value), *span = format_timespan(value);
        g_assert_cmpint(parse_bytes(bytes, &again), ==, 0);
        g_assert_cmpfloat_with_epsilon((double) again, (double) value, 0.051 * (double) MAX(value, 1));
        g_assert_cmpint(parse_timespan(span, &again), ==, 0);
        g_assert_cmpuint(again, <=, value);
        g_assert_cmpfloat_with_epsilon((double) again, (double) value, 0.5 * (double) MAX(value, 1));
    }
}

static void test_cpu_list(void)
{
    static const struct { const char *list; bool valid; } cases[] = {
        { "0", true }, { "0-3", true }, { "0-3,8", true }, { "8191", true }, { "0,0,0", true }, { "3-3", true }, { "0007", true },
        { "", false }, { "8192", false }, { "0-8192", false }, { "3-0", false }, { "-1", false }, { "1-", false }, { "-", false },
        { ",", false }, { "0,", false }, { ",0", false }, { "0,,1", false }, { "0 - 3", false }, { " 0", false }, { "0\n", false },
        { "a", false }, { "0x1", false }, { "99999", false }, { "18446744073709551616", false }, { "0-3-5", false }, { "all", false },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        if (cpu_list_valid(cases[i].list) != cases[i].valid)
            g_error("\"%s\" is not %s", cases[i].list, cases[i].valid ? "valid" : "refused");
}

static void test_format_foreign(void)
{
    static const struct { const char *text, *shown; } cases[] = {
        { "", "" }, { "w1", "w1" }, { "two\nlines\t\x1b[1m\x7f", "two?lines??[1m?" }, { "Grüße", "Grüße" }, { "a\xff""b", "a\xef\xbf\xbd""b" },
    };
    g_autofree char *exact = g_strnfill(64, 'x'), *more = g_strnfill(100000, 'x'), *wanted = g_strconcat(exact, "…", NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *shown = format_foreign(cases[i].text);
        g_assert_cmpstr(shown, ==, cases[i].shown);
    }
    g_autofree char *shown_exact = format_foreign(exact), *shown_more = format_foreign(more);
    g_assert_cmpstr(shown_exact, ==, exact);
    g_assert_cmpstr(shown_more, ==, wanted);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/parse-util/uint64", test_uint64);
    g_test_add_func("/parse-util/boolean", test_boolean);
    g_test_add_func("/parse-util/bytes", test_bytes);
    g_test_add_func("/parse-util/timespan", test_timespan);
    g_test_add_func("/parse-util/cpus", test_cpus);
    g_test_add_func("/parse-util/locale", test_locale);
    g_test_add_func("/parse-util/format-bytes", test_format_bytes);
    g_test_add_func("/parse-util/format-timespan", test_format_timespan);
    g_test_add_func("/parse-util/format-timestamp", test_format_timestamp);
    g_test_add_func("/parse-util/round-trip", test_round_trip);
    g_test_add_func("/parse-util/format-foreign", test_format_foreign);
    g_test_add_func("/parse-util/cpu-list", test_cpu_list);
    return g_test_run();
}
