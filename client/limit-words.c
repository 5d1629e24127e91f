/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "memory=6G" and its like: one table from words to the keys of the D-Bus API. Pure. */

#include "client/limit-words.h"

#include <string.h>

#include "client/bus-dict.h"
#include "model/limits.h"
#include "util/parse-util.h"

static int parse_weight(const char *text, uint64_t *ret)
{
    uint64_t weight;

    if (parse_uint64(text, &weight) < 0 || weight == 0 || weight > 10000)
        return -EINVAL;
    *ret = weight;
    return 0;
}

/* As the daemon takes them, of workers and tasks alike. */
static int parse_memory(const char *text, uint64_t *ret)
{
    uint64_t bytes;

    if (parse_bytes(text, &bytes) < 0 || bytes < LIMIT_MEMORY_MIN_BYTES)
        return -EINVAL;
    *ret = bytes;
    return 0;
}

static int parse_quota(const char *text, uint64_t *ret)
{
    uint64_t quota;

    if (parse_cpus(text, &quota) < 0 || quota < LIMIT_CPU_QUOTA_MIN_USEC)
        return -EINVAL;
    *ret = quota;
    return 0;
}

static int parse_tasks(const char *text, uint64_t *ret)
{
    uint64_t tasks = UINT64_MAX;

    if (strcmp(text, "infinity") != 0 && (parse_uint64(text, &tasks) < 0 || tasks == 0))
        return -EINVAL;
    *ret = tasks;
    return 0;
}

static const struct {
    const char *word, *key;
    bool of_tasks;
    int (*parse)(const char *text, uint64_t *ret);
    const char *form;
} words[] = {
    { "memory", "memory-max", true, parse_memory, N_("a size from 8M such as 6G or 512M, or infinity") },
    { "memory-high", "memory-high", false, parse_memory, N_("a size from 8M such as 6G or 512M, or infinity") },
    { "cpu", "cpu-quota", true, parse_quota, N_("a number of CPUs from 0.01 such as 2, 0.5 or 50%, or infinity") },
    { "cpu-weight", "cpu-weight", false, parse_weight, N_("a number from 1 to 10000") },
    { "io-weight", "io-weight", true, parse_weight, N_("a number from 1 to 10000") },
    { "tasks-max", "tasks-max", true, parse_tasks, N_("a number of processes and threads, or infinity") },
};

int limit_word_parse(const char *word, LimitWord *ret, const char **ret_form)
{
    const char *equal = strchr(word, '=');
    size_t length = equal ? (size_t) (equal - word) : strlen(word);
    uint64_t value;

    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        if (strlen(words[i].word) != length || strncmp(words[i].word, word, length) != 0)
            continue;
        if (!equal || words[i].parse(equal + 1, &value) < 0) {
            *ret_form = _(words[i].form);
            return -EINVAL;
        }
        *ret = (LimitWord){ .key = words[i].key, .of_tasks = words[i].of_tasks, .value = value };
        return 0;
    }
    return -ENOKEY;
}

char *limit_words_known(void)
{
    GString *known = g_string_new(NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
        g_string_append_printf(known, "%s%s", i > 0 ? ", " : "", words[i].word);
    return g_string_free(known, FALSE);
}

int limit_words_append(sd_bus_message *m, const GArray *limits, bool force)
{
    int r = sd_bus_message_open_container(m, 'a', "{sv}");

    for (guint i = 0; r >= 0 && i < limits->len; i++) {
        const LimitWord *limit = &g_array_index(limits, LimitWord, i);
        r = dict_append(m, limit->key, "t", limit->value);
    }
    if (r >= 0 && force)
        r = dict_append(m, "force", "b", 1);
    return r < 0 ? r : sd_bus_message_close_container(m);
}
