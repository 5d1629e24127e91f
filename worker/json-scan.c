/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A strict scanner of JSON. Its text is somebody else's: every step asks for the end first, and nesting
 * is counted instead of recursed into. */
#include "worker/json-scan.h"

#include <string.h>

#include "util/parse-util.h"

static void skip_blanks(JsonScan *scan)
{
    while (scan->at < scan->end && strchr(" \t\r\n", *scan->at) && *scan->at)
        scan->at++;
}

bool json_scan_take(JsonScan *scan, char c)
{
    skip_blanks(scan);
    if (scan->at >= scan->end || *scan->at != c)
        return false;
    scan->at++;
    return true;
}

bool json_scan_at_end(JsonScan *scan)
{
    skip_blanks(scan);
    return scan->at >= scan->end;
}

/* ------------------------------------------------------------------ strings */

static int scan_hex4(JsonScan *scan, gunichar *ret)
{
    gunichar c = 0;

    if (scan->end - scan->at < 4)
        return -EINVAL;
    for (int i = 0; i < 4; i++, scan->at++) {
        if (!g_ascii_isxdigit(*scan->at))
            return -EINVAL;
        c = c << 4 | (gunichar) g_ascii_xdigit_value(*scan->at);
    }
    *ret = c;
    return 0;
}

/* After "\u": a character outside the first 65536 takes two of them. */
static int scan_unicode(JsonScan *scan, gunichar *ret)
{
    gunichar high, low;
    JsonScan ahead;
    int r;

    r = scan_hex4(scan, &high);
    if (r < 0)
        return r;
    ahead = *scan;
    if (high >= 0xd800 && high < 0xdc00 && ahead.end - ahead.at >= 6 && ahead.at[0] == '\\' &&
        ahead.at[1] == 'u') {
        ahead.at += 2;
        r = scan_hex4(&ahead, &low);
        if (r < 0)
            return r;
        if (low >= 0xdc00 && low < 0xe000) {
            *scan = ahead;
            *ret = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
            return 0;
        }
    }
    *ret = high >= 0xd800 && high < 0xe000 ? 0xfffd : high;
    return 0;
}

/* After the backslash. */
static int scan_escape(JsonScan *scan, GString *text)
{
    static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    const char *letter;
    gunichar c;
    int r;

    if (scan->at >= scan->end || *scan->at == '\0')
        return -EINVAL;
    letter = strchr(letters, *scan->at);
    if (!letter && *scan->at != 'u')
        return -EINVAL;
    scan->at++;
    if (letter) {
        if (text)
            g_string_append_c(text, meant[letter - letters]);
        return 0;
    }
    r = scan_unicode(scan, &c);
    if (r >= 0 && text) {
        char bytes[6];
        g_string_append_len(text, bytes, g_unichar_to_utf8(c, bytes));
    }
    return r;
}

/* text: NULL, if it is only stepped over. */
static int scan_string(JsonScan *scan, GString *text)
{
    if (!json_scan_take(scan, '"'))
        return -EINVAL;
    while (scan->at < scan->end && *scan->at != '"') {
        const char *begin = scan->at;
        int r;

        while (scan->at < scan->end && *scan->at != '"' && *scan->at != '\\' &&
               (unsigned char) *scan->at >= ' ')
            scan->at++;
        if (text)
            g_string_append_len(text, begin, scan->at - begin);
        if (scan->at >= scan->end || *scan->at == '"')
            continue;
        if (*scan->at++ != '\\')
            return -EINVAL;
        r = scan_escape(scan, text);
        if (r < 0)
            return r;
    }
    return json_scan_take(scan, '"') ? 0 : -EINVAL;
}

int json_scan_string(JsonScan *scan, GString **ret)
{
    GString *text = g_string_new(NULL);
    int r = scan_string(scan, text);

    if (r < 0)
        g_string_free(text, TRUE);
    else
        *ret = text;
    return r;
}

/* ------------------------------------------------------------------ numbers and words */

static bool scan_digits(JsonScan *scan)
{
    const char *begin = scan->at;

    while (scan->at < scan->end && g_ascii_isdigit(*scan->at))
        scan->at++;
    return scan->at > begin;
}

static bool scan_any(JsonScan *scan, const char *characters)
{
    if (scan->at >= scan->end || *scan->at == '\0' || !strchr(characters, *scan->at))
        return false;
    scan->at++;
    return true;
}

static int scan_number(JsonScan *scan)
{
    const char *first;

    (void) scan_any(scan, "-");
    first = scan->at;
    if (!scan_digits(scan) || (*first == '0' && scan->at - first > 1))
        return -EINVAL;
    if (scan_any(scan, ".") && !scan_digits(scan))
        return -EINVAL;
    if (scan_any(scan, "eE")) {
        (void) scan_any(scan, "+-");
        if (!scan_digits(scan))
            return -EINVAL;
    }
    return 0;
}

int json_scan_uint64(JsonScan *scan, uint64_t *ret)
{
    g_autofree char *digits = NULL;
    const char *begin;
    int r = json_scan_skip(scan, &begin);

    if (r < 0)
        return r;
    digits = g_strndup(begin, (size_t) (scan->at - begin));
    return parse_uint64(digits, ret);
}

static int scan_word(JsonScan *scan)
{
    static const char *const words[] = { "true", "false", "null" };

    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        size_t n = strlen(words[i]);

        if ((size_t) (scan->end - scan->at) >= n && memcmp(scan->at, words[i], n) == 0) {
            scan->at += n;
            return 0;
        }
    }
    return -EINVAL;
}

/* ------------------------------------------------------------------ any value */

static int scan_scalar(JsonScan *scan)
{
    if (scan->at >= scan->end)
        return -EINVAL;
    if (*scan->at == '"')
        return scan_string(scan, NULL);
    if (*scan->at == '-' || g_ascii_isdigit(*scan->at))
        return scan_number(scan);
    return scan_word(scan);
}

static int scan_key(JsonScan *scan)
{
    int r = scan_string(scan, NULL);

    return r < 0 ? r : json_scan_take(scan, ':') ? 0 : -EINVAL;
}

/* After a value: closes what ends here. 1: another value follows, 0: the outermost has ended. */
static int scan_closings(JsonScan *scan, const char *closers, int *depth)
{
    while (*depth > 0) {
        if (json_scan_take(scan, ',')) {
            int r = closers[*depth - 1] == '}' ? scan_key(scan) : 0;
            return r < 0 ? r : 1;
        }
        if (!json_scan_take(scan, closers[*depth - 1]))
            return -EINVAL;
        (*depth)--;
    }
    return 0;
}

/* An opening bracket: 1: its first value follows, 0: it is closed again. */
static int scan_opening(JsonScan *scan, char *closers, int *depth)
{
    char closer = *scan->at == '{' ? '}' : ']';

    if (*depth >= JSON_DEPTH_MAX)
        return -E2BIG;
    scan->at++;
    if (json_scan_take(scan, closer))
        return 0;
    closers[(*depth)++] = closer;
    if (closer == '}') {
        int r = scan_key(scan);
        if (r < 0)
            return r;
    }
    return 1;
}

int json_scan_skip(JsonScan *scan, const char **ret)
{
    char closers[JSON_DEPTH_MAX];
    const char *begin;
    int depth = 0, r;

    skip_blanks(scan);
    begin = scan->at;
    do {
        skip_blanks(scan);
        if (scan->at < scan->end && (*scan->at == '{' || *scan->at == '['))
            r = scan_opening(scan, closers, &depth);
        else
            r = scan_scalar(scan);
        if (r == 0)
            r = scan_closings(scan, closers, &depth);
    } while (r > 0);
    if (r >= 0)
        *ret = begin;
    return r;
}

/* ------------------------------------------------------------------ writing */

void json_append_string(GString *json, const char *text, size_t size)
{
    g_string_append_c(json, '"');
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char) text[i];

        if (c == '"' || c == '\\')
            g_string_append_printf(json, "\\%c", c);
        else if (c == '\n')
            g_string_append(json, "\\n");
        else if (c < ' ' || c == 0x7f)
            g_string_append_printf(json, "\\u%04x", c);
        else
            g_string_append_c(json, (char) c);
    }
    g_string_append_c(json, '"');
}
