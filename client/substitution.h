/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* The marks that an item takes the place of, as in GNU parallel: {} the item, {.} without its last
 * extension, {/} its basename, {//} its directory, {/.} its basename without the extension, {#} its number,
 * {%} the slot it runs in.
 * Of items with several values, one from each list, {1}, {2.} and so on are one of them, and {} is all,
 * with blanks between them. Bytes, not characters. */

/* Is there a mark in the words? {#} and {%} alone do not count: then the item is still wanted. */
bool substitution_wanted(char *const *argv);
/* Is {%} in them? */
bool substitution_wants_slot(char *const *argv);

/* What takes the place of the marks. */
typedef struct Replacement {
    char *const *values;   /* one from each list */
    uint64_t number, slot; /* from 1; slot 0: there are none, and {%} stays as it is */
} Replacement;

/* One word with every mark replaced; quoted: as one word of a shell command. */
char *substitute_word(const char *word, const char *item, uint64_t number, bool quoted);

/* A command for the item: marks replaced; without a mark the item is appended as the last word. */
char **substitute_argv(char *const *argv, const char *item, uint64_t number);

/* The same for /bin/sh: the words are joined by blanks, the items in them are quoted. */
char **substitute_shell(char *const *argv, const char *item, uint64_t number);

/* /bin/sh -c "the words joined by blanks" */
char **shell_argv(char *const *argv);

/* The same two for an item of several values. */
char **substitute_values(char *const *argv, const Replacement *by);
char **substitute_values_shell(char *const *argv, const Replacement *by);
