/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* Lines of words "key=value", separated by blanks, in which small sets of fields are kept. */
typedef struct WordKey {
    const char *key;
    int (*read)(void *fields, char *value); /* may change the value's bytes; 0 or negative errno */
} WordKey;

/* Keys that are not in the table are passed over: they are of others, or of a later version. */
int word_list_read(const char *text, const WordKey *keys, size_t n, void *fields) _warn_unused_;
