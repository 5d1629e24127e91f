/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What parctl says and how. Keeps three facts for the whole process: whether stdout takes colours, whether the
 * locale's character set is UTF-8, and whether it is the session's parexecd that commands to type are for. */

#include "client/output.h"

#include <langinfo.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "util/parse-util.h"

static bool colors;
static bool unicode;
static bool of_session;

static const char *const color_sequences[_COLOR_MAX] = {
    [COLOR_NONE] = "",         [COLOR_BOLD] = "\033[1m",   [COLOR_DIM] = "\033[2m",
    [COLOR_RED] = "\033[31m",  [COLOR_GREEN] = "\033[32m", [COLOR_YELLOW] = "\033[33m",
    [COLOR_BLUE] = "\033[34m",
};

static bool terminal_takes_colors(void)
{
    const char *term = getenv("TERM"), *no = getenv("NO_COLOR");

    return output_is_terminal(STDOUT_FILENO) && !(no && *no) && g_strcmp0(term, "dumb") != 0;
}

void output_init(ColorMode mode)
{
    colors = mode == COLOR_ALWAYS || (mode == COLOR_AUTO && terminal_takes_colors());
    unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

void output_set_user(bool user)
{
    of_session = user;
}

bool output_colors(void)
{
    return colors;
}

bool output_unicode(void)
{
    return unicode;
}

const char *color_begin(Color color)
{
    return colors ? color_sequences[color] : "";
}

const char *color_end(Color color)
{
    return colors && color != COLOR_NONE ? "\033[0m" : "";
}

bool output_is_terminal(int fd)
{
    return isatty(fd) > 0;
}

static unsigned terminal_size(int fd, bool rows, const char *variable, unsigned otherwise)
{
    struct winsize size = {};
    uint64_t value;

    if (!output_is_terminal(fd))
        return 0;
    if (ioctl(fd, TIOCGWINSZ, &size) >= 0 && (rows ? size.ws_row : size.ws_col) > 0)
        return rows ? size.ws_row : size.ws_col;
    if (parse_uint64(getenv(variable), &value) >= 0 && value > 0 && value < 10000)
        return (unsigned) value;
    return otherwise;
}

unsigned output_columns(int fd)
{
    return terminal_size(fd, /* rows= */ false, "COLUMNS", 80);
}

unsigned output_rows(int fd)
{
    return terminal_size(fd, /* rows= */ true, "LINES", 24);
}

/* How long the name of a program is that begins here and takes --user, with the blank behind it; 0: none does. In front of
 * "…" it is no command to type. */
static size_t command_begins(const char *text, const char *at)
{
    static const char *const programs[] = { "parctl ", "systemctl ", "journalctl " };

    if (at > text && (g_ascii_isalnum(at[-1]) || at[-1] == '-'))
        return 0;
    for (size_t i = 0; i < G_N_ELEMENTS(programs); i++) {
        size_t n = strlen(programs[i]);
        if (strncmp(at, programs[i], n) == 0 && (g_ascii_islower(at[n]) || at[n] == '-' || at[n] == '%') &&
            !g_str_has_prefix(at + n, "--user"))
            return n;
    }
    return 0;
}

char *output_commands(const char *text)
{
    GString *shown = g_string_new(NULL);
    const char *rest = text;

    for (const char *at = text; of_session && *at; at++) {
        size_t n = command_begins(text, at);
        if (n == 0)
            continue;
        g_string_append_len(shown, rest, at + n - rest);
        g_string_append(shown, "--user ");
        rest = at + n;
    }
    g_string_append(shown, rest);
    return g_string_free(shown, FALSE);
}

static _printf_(2, 0) void say(const char *prefix, const char *format, va_list arguments)
{
    g_autofree char *typed = output_commands(format), *text = g_strdup_vprintf(typed, arguments);

    (void) fflush(stdout);
    fprintf(stderr, "%s%s\n", prefix, text);
}

void output_error(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    say("parctl: ", format, arguments);
    va_end(arguments);
}

void output_note(const Client *client, const char *format, ...)
{
    va_list arguments;

    if (client->quiet)
        return;
    va_start(arguments, format);
    say("parctl: ", format, arguments);
    va_end(arguments);
}

void output_hint(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    say("  ", format, arguments);
    va_end(arguments);
}

int output_usage_error(Client *client, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    say("parctl: ", format, arguments);
    va_end(arguments);
    client->failure = PARCTL_USAGE;
    return -EINVAL;
}

int output_failure(Client *client, int error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    say("parctl: ", format, arguments);
    va_end(arguments);
    client->failure = PARCTL_FAILED;
    return -abs(error);
}

bool output_can_ask(const Client *client)
{
    return !client->no_ask && output_is_terminal(STDIN_FILENO) && output_is_terminal(STDERR_FILENO);
}

bool output_ask(const char *format, ...)
{
    g_autofree char *question = NULL;
    char *line = NULL;
    size_t room = 0;
    va_list arguments;

    va_start(arguments, format);
    question = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    (void) fflush(stdout);
    /* TRANSLATORS: the letters for yes and no in your language, the way locale(1) has them in "yesexpr"; "y" always works */
    fprintf(stderr, "%s %s ", question, _("[y/N]"));
    bool yes =
        getline(&line, &room, stdin) > 0 && (rpmatch(line) == 1 || g_ascii_strncasecmp(line, "y", 1) == 0);
    free(line);
    return yes;
}

int output_flush(Client *client)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;

    int error = errno > 0 ? errno : EIO;
    if (error == EPIPE) /* whoever read it has seen enough */
        return -EPIPE;
    return output_failure(client, error, _("cannot write the output: %s"), g_strerror(error));
}

int output_write_all(int fd, const void *data, size_t size)
{
    const char *p = data;

    while (size > 0) {
        ssize_t n = write(fd, p, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        p += n;
        size -= (size_t) n;
    }
    return 0;
}
