/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Vectors of byte strings in one block; see the header for the format. */
#include "util/strv-blob.h"

#include <string.h>

bool strv_blob_valid(const void *data, size_t size)
{
    return size == 0 || ((const char *) data)[size - 1] == '\0';
}

const char *strv_blob_next(const void *data, size_t size, const char **cursor)
{
    const char *begin = data, *s = *cursor ? *cursor + strlen(*cursor) + 1 : begin;

    if (size == 0 || s >= begin + size)
        return NULL;
    return *cursor = s;
}

size_t strv_blob_count(const void *data, size_t size)
{
    const char *cursor = NULL;
    size_t n = 0;

    while (strv_blob_next(data, size, &cursor))
        n++;
    return n;
}

char **strv_blob_pointers(const void *data, size_t size)
{
    char **strv = g_new0(char *, strv_blob_count(data, size) + 1);
    const char *cursor = NULL;

    for (size_t i = 0; strv_blob_next(data, size, &cursor); i++)
        strv[i] = (char *) cursor;
    return strv;
}

GBytes *strv_blob_new(char *const *strv)
{
    GByteArray *array = g_byte_array_new();

    for (; *strv; strv++)
        g_byte_array_append(array, (const guint8 *) *strv, (guint) strlen(*strv) + 1);
    return g_byte_array_free_to_bytes(array);
}

const char *strv_blob_getenv(const void *data, size_t size, const char *name)
{
    const char *cursor = NULL, *found = NULL;
    size_t n = strlen(name);

    while (strv_blob_next(data, size, &cursor))
        if (strncmp(cursor, name, n) == 0 && cursor[n] == '=')
            found = cursor + n + 1;
    return found;
}
