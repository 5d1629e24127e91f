/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A check of JSON in one pass, without recursion: a stack of open objects and arrays, which is also the
 * path that errors are told with. Refused beside what is no JSON: members of one name, nesting deeper than
 * JSON_DEPTH_MAX, strings over JSON_STRING_BYTES_MAX, and NUL in a string. */

#include "client/json-check.h"

#include <glib/gi18n.h>
#include <inttypes.h>
#include <string.h>

#include "util/parse-util.h"

#define NAMES_SEARCHED 16U /* of an object; above, they are hashed */

/* An open object or array. */
typedef struct Level {
    bool object;
    uint64_t index;    /* of the element of an array */
    GPtrArray *names;  /* char *: of the members so far, decoded; the last is the current one */
    GHashTable *known; /* the same names, when they are many; NULL: not yet */
} Level;

typedef struct Check {
    const char *at, *start, *end;
    const char *root; /* what an array at the top is called */
    Level levels[JSON_DEPTH_MAX];
    unsigned depth;
    GString *string; /* the one read last, decoded */
    char *why;
} Check;

static char *path_of(const Check *check)
{
    GString *path = g_string_new(NULL);

    for (unsigned i = 0; i < check->depth; i++) {
        const Level *level = &check->levels[i];
        if (!level->object)
            g_string_append_printf(path, "%s[%" PRIu64 "]", i == 0 ? check->root : "", level->index);
        else if (level->names->len > 0) {
            g_autofree char *name = format_foreign(level->names->pdata[level->names->len - 1]);
            g_string_append_printf(path, "%s%s", path->len > 0 ? "." : "", name);
        }
    }
    return g_string_free(path, FALSE);
}

static uint64_t line_of(const Check *check)
{
    uint64_t line = 1;

    for (const char *p = check->start; p < check->at && p < check->end; p++)
        line += *p == '\n';
    return line;
}

static int refuse(Check *check, const char *what)
{
    g_autofree char *path = path_of(check);

    if (!check->why)
        check->why = *path ? g_strdup_printf(_("%s: %s (line %" PRIu64 ")"), path, what, line_of(check))
                           : g_strdup_printf(_("line %" PRIu64 ": %s"), line_of(check), what);
    return -EINVAL;
}

static void skip_blanks(Check *check)
{
    while (check->at < check->end && strchr(" \t\r\n", *check->at) && *check->at)
        check->at++;
}

/* The next character that is no blank; '\0' at the end. */
static char peek(Check *check)
{
    skip_blanks(check);
    return check->at < check->end ? *check->at : '\0';
}

/* ---- strings */

static int read_hex(Check *check, gunichar *ret)
{
    gunichar value = 0;

    for (int i = 0; i < 4; i++, check->at++) {
        if (check->at >= check->end || !g_ascii_isxdigit(*check->at))
            return refuse(check, _("\\u is followed by four hexadecimal digits"));
        value = value << 4 | (gunichar) g_ascii_xdigit_value(*check->at);
    }
    *ret = value;
    return 0;
}

/* Behind "\u"; two of them may be one character. */
static int read_unicode(Check *check)
{
    gunichar high, low;
    int r = read_hex(check, &high);

    if (r < 0)
        return r;
    if (high == 0)
        return refuse(check, _("a NUL character cannot be passed on"));
    if (high >= 0xd800 && high < 0xdc00) {
        if (check->end - check->at < 2 || check->at[0] != '\\' || check->at[1] != 'u')
            return refuse(check, _("half of a character (a lone surrogate)"));
        check->at += 2;
        r = read_hex(check, &low);
        if (r < 0)
            return r;
        if (low < 0xdc00 || low > 0xdfff)
            return refuse(check, _("half of a character (a lone surrogate)"));
        high = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    } else if (high >= 0xdc00 && high < 0xe000)
        return refuse(check, _("half of a character (a lone surrogate)"));
    g_string_append_unichar(check->string, high);
    return 0;
}

static int read_escape(Check *check)
{
    static const char escapes[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    char c = ++check->at < check->end ? *check->at++ : '\0';

    if (c == 'u')
        return read_unicode(check);
    const char *found = c ? strchr(escapes, c) : NULL;
    if (!found)
        return refuse(check, _("there is no such escape in a string"));
    g_string_append_c(check->string, values[found - escapes]);
    return 0;
}

/* Up to the next quote or escape at once. */
static int read_plain(Check *check)
{
    const char *from = check->at;

    while (check->at < check->end && (unsigned char) *check->at >= 0x20 && *check->at != '"' &&
           *check->at != '\\')
        check->at++;
    g_string_append_len(check->string, from, check->at - from);
    if (check->at >= check->end)
        return refuse(check, _("a string has no end"));
    if (*check->at == '\0')
        return refuse(check, _("a NUL character cannot be passed on"));
    if ((unsigned char) *check->at < 0x20)
        return refuse(check, _("a control character in a string: it is written as an escape"));
    return 0;
}

static int read_string(Check *check)
{
    int r = 0;

    g_string_truncate(check->string, 0);
    check->at++;
    while (r >= 0) {
        r = read_plain(check);
        if (r < 0 || *check->at == '"')
            break;
        r = read_escape(check);
    }
    if (r < 0)
        return r;
    check->at++;
    if (check->string->len > JSON_STRING_BYTES_MAX)
        return refuse(check, _("a string of more than 1 MiB"));
    return g_utf8_validate(check->string->str, (gssize) check->string->len, NULL)
               ? 0
               : refuse(check, _("a string that is not UTF-8"));
}

/* ---- numbers and words */

static size_t skip_digits(Check *check)
{
    const char *from = check->at;

    while (check->at < check->end && g_ascii_isdigit(*check->at))
        check->at++;
    return (size_t) (check->at - from);
}

static int read_number(Check *check)
{
    bool zero;

    if (*check->at == '-')
        check->at++;
    zero = check->at < check->end && *check->at == '0';
    size_t n = skip_digits(check);
    bool good = n > 0 && !(zero && n > 1);
    if (good && check->at < check->end && *check->at == '.') {
        check->at++;
        good = skip_digits(check) > 0;
    }
    if (good && check->at < check->end && (*check->at == 'e' || *check->at == 'E')) {
        check->at++;
        if (check->at < check->end && (*check->at == '+' || *check->at == '-'))
            check->at++;
        good = skip_digits(check) > 0;
    }
    return good ? 0 : refuse(check, _("that is no number"));
}

static int read_word(Check *check)
{
    static const char *const words[] = { "true", "false", "null" };

    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        size_t n = strlen(words[i]);
        if ((size_t) (check->end - check->at) >= n && strncmp(check->at, words[i], n) == 0) {
            check->at += n;
            return 0;
        }
    }
    return refuse(check,
                  check->at < check->end ? _("a value is expected here") : _("the text ends too early"));
}

/* ---- objects and arrays */

static int add_name(Check *check)
{
    Level *level = &check->levels[check->depth - 1];
    char *name = g_strdup(check->string->str);
    bool twice = false;

    for (guint i = 0; !level->known && i < level->names->len; i++)
        twice = twice || strcmp(level->names->pdata[i], name) == 0;
    g_ptr_array_add(level->names, name);
    if (level->known)
        twice = !g_hash_table_add(level->known, name);
    else if (level->names->len > NAMES_SEARCHED) {
        level->known = g_hash_table_new(g_str_hash, g_str_equal);
        for (guint i = 0; i < level->names->len; i++)
            g_hash_table_add(level->known, level->names->pdata[i]);
    }
    return twice ? refuse(check, _("the member is there twice")) : 0;
}

/* "name": */
static int read_name(Check *check)
{
    if (peek(check) != '"')
        return refuse(check, _("the name of a member is expected here"));
    int r = read_string(check);
    if (r >= 0)
        r = add_name(check);
    if (r >= 0 && peek(check) != ':')
        r = refuse(check, _("a \":\" is expected here"));
    check->at++;
    return r;
}

static void level_done(Level *level)
{
    g_clear_pointer(&level->known, g_hash_table_unref);
    g_clear_pointer(&level->names, g_ptr_array_unref);
}

/* Opens one; 1: it is empty, and closed again. */
static int open_level(Check *check)
{
    bool object = *check->at == '{';

    if (check->depth >= JSON_DEPTH_MAX)
        return refuse(check, _("nested more than 64 deep"));
    check->at++;
    if (peek(check) == (object ? '}' : ']')) {
        check->at++;
        return 1;
    }
    check->levels[check->depth++] =
        (Level){ .object = object, .names = object ? g_ptr_array_new_with_free_func(g_free) : NULL };
    return object ? read_name(check) : 0;
}

/* One value, or the beginning of one; 1: it is complete. */
static int read_value(Check *check)
{
    char c = peek(check);
    int r;

    if (c == '{' || c == '[')
        return open_level(check);
    if (c == '"')
        r = read_string(check);
    else
        r = c == '-' || g_ascii_isdigit(c) ? read_number(check) : read_word(check);
    return r < 0 ? r : 1;
}

/* Behind a value: on to the next one; 1: that was the last of its object or array, which is closed. */
static int read_separator(Check *check)
{
    Level *level = &check->levels[check->depth - 1];
    char c = peek(check);

    if (c == ',') {
        check->at++;
        level->index++;
        return level->object ? read_name(check) : 0;
    }
    if (c != (level->object ? '}' : ']'))
        return refuse(check, level->object ? _("a \",\" or \"}\" is expected here")
                                           : _("a \",\" or \"]\" is expected here"));
    check->at++;
    check->depth--;
    level_done(level);
    return 1;
}

static int check_all(Check *check)
{
    int r;

    for (;;) {
        r = read_value(check);
        while (r > 0 && check->depth > 0)
            r = read_separator(check);
        if (r < 0)
            return r;
        if (check->depth == 0)
            break;
    }
    return peek(check) || check->at < check->end ? refuse(check, _("there is more behind the end")) : 0;
}

int json_check(const char *text, size_t size, const char *root, char **ret_why)
{
    Check check = {
        .at = text, .start = text, .end = text + size, .root = root, .string = g_string_new(NULL)
    };
    int r = check_all(&check);

    while (check.depth > 0)
        level_done(&check.levels[--check.depth]);
    g_string_free(check.string, TRUE);
    if (r < 0)
        *ret_why = check.why;
    return r;
}
