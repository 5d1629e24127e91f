/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/client.h"

/* Limits as parctl set takes them: "memory=6G", "cpu=50%". */
typedef struct LimitWord {
    const char *key; /* of SetLimits and SetTaskLimits; of a table */
    bool of_tasks;   /* tasks have it, too */
    uint64_t value;
} LimitWord;

/* -ENOKEY: there is no such limit; -EINVAL: it takes something else, *ret_form says what. */
int limit_word_parse(const char *word, LimitWord *ret, const char **ret_form) _warn_unused_;
/* "memory, memory-high, …" */
char *limit_words_known(void);
/* Appends them as an a{sv}. */
int limit_words_append(sd_bus_message *m, const GArray *limits, bool force);
