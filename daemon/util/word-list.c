/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading lines of words "key=value" by a table of keys. Stateless. */
#include "util/word-list.h"

#include <string.h>

static int word_read(char *word, const WordKey *keys, size_t n, void *fields)
{
    char *equals = strchr(word, '=');

    if (!equals)
        return 0;
    *equals = '\0';
    for (size_t i = 0; i < n; i++)
        if (strcmp(keys[i].key, word) == 0)
            return keys[i].read(fields, equals + 1);
    return 0;
}

int word_list_read(const char *text, const WordKey *keys, size_t n, void *fields)
{
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    int r = 0;

    for (char **word = words; r >= 0 && *word; word++)
        r = word_read(*word, keys, n, fields);
    return r;
}
