/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text for people. What users gave (names, commands) reaches a terminal through here only, so that no
 * escape sequence in another user's task name is obeyed. Pure functions. */

#include "client/text.h"

#include <stdio.h>
#include <string.h>

static unsigned char_width(gunichar c)
{
    if (g_unichar_iszerowidth(c))
        return 0;
    return g_unichar_iswide(c) ? 2 : 1;
}

unsigned text_width(const char *s)
{
    unsigned width = 0;

    for (; *s; s = g_utf8_next_char(s))
        width += char_width(g_utf8_get_char(s));
    return width;
}

char *text_cut(const char *s, unsigned width)
{
    unsigned used = 0;
    const char *p;

    if (text_width(s) <= width)
        return g_strdup(s);
    for (p = s; *p; p = g_utf8_next_char(p)) {
        unsigned w = char_width(g_utf8_get_char(p));
        if (used + w + 1 > width)
            break;
        used += w;
    }
    return g_strdup_printf("%.*s%s", (int) (p - s), s, width > 0 ? "…" : "");
}

/* The next character if it may be printed; else 0, and one byte is to be skipped. */
static gunichar printable_char(const char *s)
{
    gunichar c = g_utf8_get_char_validated(s, -1);

    if (c == (gunichar) -1 || c == (gunichar) -2)
        return 0;
    return g_unichar_isprint(c) ? c
                                : 0; /* not the format characters either, which reorder what is beside them */
}

char *text_printable(const char *s)
{
    GString *out = g_string_new(NULL);

    while (*s) {
        gunichar c = printable_char(s);
        if (c) {
            g_string_append_unichar(out, c);
            s = g_utf8_next_char(s);
        } else
            g_string_append_printf(out, "\\x%02x", (unsigned char) *s++);
    }
    return g_string_free(out, FALSE);
}

char *text_wrap(const char *s, unsigned width, unsigned indent)
{
    g_auto(GStrv) words = g_strsplit(s, " ", -1);
    GString *out = g_string_new(NULL);
    unsigned column = indent;

    for (size_t i = 0; words[i]; i++) {
        unsigned w = text_width(words[i]);
        if (i > 0 && column + 1 + w > width) {
            g_string_append_printf(out, "\n%*s", (int) indent, "");
            column = indent;
        } else if (i > 0) {
            g_string_append_c(out, ' ');
            column++;
        }
        g_string_append(out, words[i]);
        column += w;
    }
    return g_string_free(out, FALSE);
}

static bool is_plain_word(const char *s)
{
    return *s && strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%^") ==
                     strlen(s);
}

static bool is_printable(const char *s)
{
    while (*s) {
        if (!printable_char(s))
            return false;
        s = g_utf8_next_char(s);
    }
    return true;
}

/* Bash's $'…': the only form that carries any byte in printable characters. */
static char *ansi_quote(const char *s)
{
    GString *out = g_string_new("$'");

    while (*s) {
        gunichar c = printable_char(s);
        if (c == '\'' || c == '\\')
            g_string_append_printf(out, "\\%c", (char) c);
        else if (c)
            g_string_append_unichar(out, c);
        else if (*s == '\n' || *s == '\t')
            g_string_append(out, *s == '\n' ? "\\n" : "\\t");
        else /* octal, since a hexadecimal escape would swallow a digit that follows */
            g_string_append_printf(out, "\\%03o", (unsigned char) *s);
        s = c ? g_utf8_next_char(s) : s + 1;
    }
    g_string_append_c(out, '\'');
    return g_string_free(out, FALSE);
}

char *text_sh_quote(const char *s)
{
    GString *out = g_string_new("'");

    if (is_plain_word(s))
        return g_string_free(g_string_assign(out, s), FALSE);
    for (; *s; s++)
        if (*s == '\'')
            g_string_append(out, "'\\''");
        else
            g_string_append_c(out, *s);
    g_string_append_c(out, '\'');
    return g_string_free(out, FALSE);
}

char *text_shell_quote(const char *s)
{
    return is_printable(s) ? text_sh_quote(s) : ansi_quote(s);
}

char *text_command_line(char *const *argv)
{
    GString *out = g_string_new(NULL);

    for (size_t i = 0; argv && argv[i]; i++) {
        g_autofree char *word = text_shell_quote(argv[i]);
        if (i > 0)
            g_string_append_c(out, ' ');
        g_string_append(out, word);
    }
    return g_string_free(out, FALSE);
}
