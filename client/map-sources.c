/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the items of a map come from, but for stdin. Owned by the verb. */

#include "client/map-sources.h"

#include <string.h>

#include "client/line-reader.h"
#include "client/output.h"

static const struct {
    const char *word;
    bool files, linked;
} marks[] = {
    { ":::", false, false },
    { ":::+", false, true },
    { "::::", true, false },
    { "::::+", true, true },
};

static int mark_find(const char *word)
{
    for (size_t i = 0; i < G_N_ELEMENTS(marks); i++)
        if (strcmp(marks[i].word, word) == 0)
            return (int) i;
    return -ENOENT;
}

static void source_free(void *data)
{
    MapSource *source = data;

    g_strfreev(source->values);
    g_free(source);
}

/* Takes the values. */
static void add_source(GPtrArray *sources, GPtrArray *values, bool linked)
{
    MapSource *source = g_new(MapSource, 1);

    g_ptr_array_add(values, NULL);
    *source = (MapSource){ .values = (char **) g_ptr_array_free(values, FALSE), .linked = linked };
    g_ptr_array_add(sources, source);
}

static void add_words(GPtrArray *sources, char **words, bool linked)
{
    GPtrArray *values = g_ptr_array_new();

    for (; *words && mark_find(*words) < 0; words++)
        g_ptr_array_add(values, g_strdup(*words));
    add_source(sources, values, linked);
}

static int take_line(const char *line, void *userdata)
{
    g_ptr_array_add(userdata, g_strdup(line));
    return 0;
}

static int add_files(GPtrArray *sources, Client *client, char **words, bool linked)
{
    int r = 0;

    for (; r >= 0 && *words && mark_find(*words) < 0; words++) {
        GPtrArray *values = g_ptr_array_new_with_free_func(g_free);
        r = line_reader_read_file(client, *words, take_line, values);
        if (r < 0)
            g_ptr_array_unref(values);
        else
            add_source(sources, values, linked);
    }
    return r;
}

static int add_marked(GPtrArray *sources, Client *client, int mark, char **words)
{
    const char *word = marks[mark].word;

    if (marks[mark].linked && sources->len == 0)
        return output_usage_error(
            client, _("\"%s\" goes in step with a list in front of it, and there is none"), word);
    if (!marks[mark].files)
        add_words(sources, words, marks[mark].linked);
    else if (!*words || mark_find(*words) >= 0)
        return output_usage_error(client, _("\"%s\" needs a file whose lines are the items, or - for stdin"),
                                  word);
    else
        return add_files(sources, client, words, marks[mark].linked);
    return 0;
}

int map_sources_take(Client *client, char **argv, GPtrArray **ret)
{
    g_autoptr(GPtrArray) sources = g_ptr_array_new_with_free_func(source_free);
    char **end = NULL;
    int r = 0;

    for (char **word = argv; r >= 0 && *word; word++) {
        int mark = mark_find(*word);
        if (mark < 0)
            continue;
        end = end ?: word;
        r = add_marked(sources, client, mark, word + 1);
    }
    if (r < 0)
        return r;
    if (end)
        *end = NULL;
    *ret = end ? g_steal_pointer(&sources) : NULL;
    return 0;
}

uint64_t map_sources_count(const GPtrArray *sources)
{
    uint64_t count = sources->len > 0;

    for (guint i = 0; i < sources->len;) {
        uint64_t length = UINT64_MAX;
        do
            length = MIN(length, g_strv_length(((MapSource *) sources->pdata[i])->values));
        while (++i < sources->len && ((MapSource *) sources->pdata[i])->linked);
        if (__builtin_mul_overflow(count, length, &count))
            return UINT64_MAX;
    }
    return count;
}
