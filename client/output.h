/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/client.h"

/* What parctl says: results to stdout, everything else to stderr. Colours only on a terminal, unless told
 * otherwise. */

typedef enum ColorMode {
    COLOR_AUTO,
    COLOR_ALWAYS,
    COLOR_NEVER,
} ColorMode;

typedef enum Color {
    COLOR_NONE,
    COLOR_BOLD,
    COLOR_DIM,
    COLOR_RED,
    COLOR_GREEN,
    COLOR_YELLOW,
    COLOR_BLUE,
    _COLOR_MAX,
} Color;

void output_init(ColorMode mode);     /* before anything is printed; NO_COLOR is obeyed in COLOR_AUTO */
void output_set_user(bool user);      /* commands to type are meant for the session's parexecd */
bool output_colors(void);             /* on stdout */
const char *color_begin(Color color); /* "" without colours */
const char *color_end(Color color);

bool output_unicode(void); /* does the locale have more than ASCII? */
bool output_is_terminal(int fd);
unsigned output_columns(int fd); /* of the terminal; 80 if it does not say; 0: no terminal */
unsigned output_rows(int fd);    /* 24 if it does not say; 0: no terminal */

/* The commands in a text of ours as they have to be typed: with --user where that was given. What the three below are given
 * as format is treated so; what they are given to print with it is not. */
char *output_commands(const char *text);

/* "parctl: …" on stderr, each one sentence without a newline at its end. */
void output_error(const char *format, ...) _printf_(1, 2);
void output_note(const Client *client, const char *format, ...) _printf_(2, 3); /* not with --quiet */
void output_hint(const char *format, ...) _printf_(1, 2);                       /* "  …", below an error */

/* Reports bad usage and returns -EINVAL; parctl will exit 2. */
int output_usage_error(Client *client, const char *format, ...) _printf_(2, 3);

/* Reports a failure of this side and returns -abs(error). */
int output_failure(Client *client, int error, const char *format, ...) _printf_(3, 4);

/* May this user be asked something here? */
bool output_can_ask(const Client *client);
/* Prints the question with " [y/N] "; true for yes. */
bool output_ask(const char *format, ...) _printf_(1, 2);

/* Flushes stdout and tells a write that failed (a full disk, a closed pipe): 0 or negative errno. */
int output_flush(Client *client);

/* Writes everything; 0, or negative errno (-EPIPE: nobody reads). */
int output_write_all(int fd, const void *data, size_t size) _warn_unused_;
