/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The quantities people type and what is printed of them. A failure leaves the result as it was; a quantity that was
 * printed is one that can be typed, and means nearly the same. */
#include "fuzz-target.h"

#include <string.h>

#include "util/parse-util.h"

#define UNTOUCHED UINT64_C(0xa5a5a5a5a5a5a5a5)
#define FOREIGN_BYTES_MAX (65 * 6) /* 64 characters and "…" */

const FuzzSeed fuzz_seeds[] = {
    FUZZ_SEED("1min 30s"),
    FUZZ_SEED("100ms"),
    FUZZ_SEED("7d 3h"),
    FUZZ_SEED("1.5G"),
    FUZZ_SEED("4096"),
    FUZZ_SEED("512MiB"),
    FUZZ_SEED("7.9E"),
    FUZZ_SEED("infinity"),
    FUZZ_SEED("0.5"),
    FUZZ_SEED("50%"),
    FUZZ_SEED("yes"),
    FUZZ_SEED("false"),
    FUZZ_SEED("0-3,8"),
    FUZZ_SEED("8191"),
    FUZZ_SEED("18446744073709551615"),
    FUZZ_SEED("9199999999999999"),
    FUZZ_SEED("\x1b[2J"),
    FUZZ_SEED("gr\xc3\xbc\xc3\x9f\xe2\x82\xac"),
};
const size_t n_fuzz_seeds = G_N_ELEMENTS(fuzz_seeds);

/* Is there one? If not, nothing was written. */
static bool has_value(int r, const uint64_t *value)
{
    if (r >= 0) {
        g_assert_cmpint(r, ==, 0);
        return true;
    }
    g_assert_true(r == -EINVAL || r == -ERANGE);
    g_assert_cmpuint(*value, ==, UNTOUCHED);
    return false;
}

static void check_printed_bytes(uint64_t value)
{
    g_autofree char *printed = format_bytes(value);
    uint64_t again = UNTOUCHED;

    if (g_str_has_suffix(printed, "E"))
        return; /* printed, but too much to be typed */
    g_assert_cmpint(parse_bytes(printed, &again), ==, 0);
    g_assert_cmpuint(MAX(value, again) - MIN(value, again), <=, value / 19); /* one decimal: 5 % at most */
}

static void check_printed_timespan(uint64_t value)
{
    g_autofree char *printed = format_timespan(value);
    uint64_t again = UNTOUCHED;
    int r = parse_timespan(printed, &again);

    if (r < 0) { /* only what is no longer told from "infinity" */
        g_assert_cmpint(r, ==, -ERANGE);
        g_assert_cmpuint(value, >=, UINT64_C(9100000000000000000));
        return;
    }
    g_assert_cmpuint(again, <=, value);
    g_assert_cmpuint(value - again, <=, value / 2); /* "1ms" is anything up to 1999 µs */
}

static void check_parsers(const char *text)
{
    uint64_t number = UNTOUCHED, bytes = UNTOUCHED, span = UNTOUCHED, cpus = UNTOUCHED;
    bool yes = false, no = true;
    int r = parse_boolean(text, &yes);

    g_assert_cmpint(parse_boolean(text, &no), ==, r);
    g_assert_cmpint(yes == no, ==, r == 0);
    if (has_value(parse_uint64(text, &number), &number))
        for (const char *p = text; *p; p++)
            g_assert_true(g_ascii_isdigit(*p));
    if (has_value(parse_bytes(text, &bytes), &bytes))
        check_printed_bytes(bytes);
    if (has_value(parse_timespan(text, &span), &span))
        check_printed_timespan(span);
    if (has_value(parse_cpus(text, &cpus), &cpus))
        g_assert_true(cpus == UINT64_MAX || cpus <= UINT64_C(9200000000000000000));
    if (cpu_list_valid(text))
        g_assert_cmpuint(strspn(text, "0123456789,-"), ==, strlen(text));
}

static void check_foreign(const char *text)
{
    g_autofree char *shown = format_foreign(text);

    g_assert_true(g_utf8_validate(shown, -1, NULL));
    g_assert_cmpuint(strlen(shown), <=, FOREIGN_BYTES_MAX);
    for (const char *p = shown; *p; p = g_utf8_next_char(p))
        g_assert_false(g_unichar_iscntrl(g_utf8_get_char(p)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *) data, size);
    uint64_t value = 0;

    check_parsers(text);
    check_foreign(text);
    memcpy(&value, data, MIN(size, sizeof value));
    check_printed_bytes(value);
    check_printed_timespan(value);
    g_autofree char *timestamp = format_timestamp(value);
    g_assert_true(*timestamp == '\0' || g_str_has_suffix(timestamp, "Z"));
    return 0;
}
