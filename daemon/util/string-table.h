/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <errno.h>
#include <glib.h>
#include <string.h>

/* An enum and its words: a table "static const char *const NAME_table[_MAX]" gives NAME_to_string() and
 * NAME_from_string(); the latter returns -EINVAL for a word that is not in the table. */

#define DECLARE_STRING_TABLE(name, Type)                                                                     \
    const char *name##_to_string(Type value);                                                                \
    int name##_from_string(const char *word)

#define DEFINE_STRING_TABLE(name, Type)                                                                      \
    const char *name##_to_string(Type value)                                                                 \
    {                                                                                                        \
        if ((size_t) value >= G_N_ELEMENTS(name##_table))                                                    \
            return NULL;                                                                                     \
        return name##_table[value];                                                                          \
    }                                                                                                        \
    int name##_from_string(const char *word)                                                                 \
    {                                                                                                        \
        for (size_t i = 0; word && i < G_N_ELEMENTS(name##_table); i++)                                      \
            if (name##_table[i] && strcmp(name##_table[i], word) == 0)                                       \
                return (int) i;                                                                              \
        return -EINVAL;                                                                                      \
    }
