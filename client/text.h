/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* Text for people: what a terminal may be sent, how wide it is, and commands written so that they can be
 * pasted. */

/* Columns that UTF-8 text takes on a terminal: wide characters two, combining ones none. */
unsigned text_width(const char *s);

/* Cut to that many columns, with "…" in place of what is missing. */
char *text_cut(const char *s, unsigned width);

/* Any bytes made harmless: control characters and what is no UTF-8 become \xNN. */
char *text_printable(const char *s);

/* Lines of at most so many columns; every line but the first is indented by so many blanks. No newline at
 * the end. */
char *text_wrap(const char *s, unsigned width, unsigned indent);

/* One word as a shell takes it, and nothing but printable UTF-8: ls, 'a b', $'\xff\n'. */
char *text_shell_quote(const char *s);

/* The words of a command, quoted, with blanks between them. */
char *text_command_line(char *const *argv);

/* A word as /bin/sh takes it, byte for byte. */
char *text_sh_quote(const char *s);
