/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* A vector of byte strings kept as one block "a\0bc\0": how argv and environments rest in the store and travel to the
 * worker, without being taken apart on the way. Each element ends with NUL and holds none; any other byte is allowed
 * (Unix strings need not be UTF-8). An empty block is an empty vector. */

/* Is it well formed: empty, or closed by a NUL? */
bool strv_blob_valid(const void *data, size_t size);

size_t strv_blob_count(const void *data, size_t size);

/* Steps through the elements: start with *cursor = NULL; returns NULL at the end. */
const char *strv_blob_next(const void *data, size_t size, const char **cursor);

/* A NULL-terminated array of pointers into the block; free the array only (g_free). */
char **strv_blob_pointers(const void *data, size_t size);

/* Builds a block from a NULL-terminated vector. */
GBytes *strv_blob_new(char *const *strv);

/* The value of NAME=value in a block that is an environment, or NULL. The last one wins. */
const char *strv_blob_getenv(const void *data, size_t size, const char *name);
