/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Items into commands. Pure functions over byte strings; nothing is parsed twice: a mark within an item
 * stays as it is. */

#include "client/substitution.h"

#include <inttypes.h>
#include <string.h>

#include "client/text.h"

static char *whole(const char *item)
{
    return g_strdup(item);
}

static const char *basename_of(const char *item)
{
    const char *slash = strrchr(item, '/');

    return slash ? slash + 1 : item;
}

/* Up to the last dot, if it stands within the name and not at its beginning: ".profile" has no extension. */
static char *without_extension(const char *item)
{
    const char *name = basename_of(item), *dot = strrchr(name, '.');

    return dot && dot > name ? g_strndup(item, (size_t) (dot - item)) : g_strdup(item);
}

static char *basename_only(const char *item)
{
    return g_strdup(basename_of(item));
}

static char *directory_only(const char *item)
{
    const char *slash = strrchr(item, '/');

    if (!slash)
        return g_strdup(".");
    return slash == item ? g_strdup("/") : g_strndup(item, (size_t) (slash - item));
}

static char *basename_without_extension(const char *item)
{
    return without_extension(basename_of(item));
}

typedef struct Mark {
    const char *mark;
    char *(*value)(const char *item); /* NULL: the number */
} Mark;

static const Mark marks[] = {
    { "{}", whole },
    { "{.}", without_extension },
    { "{/}", basename_only },
    { "{//}", directory_only },
    { "{/.}", basename_without_extension },
    { "{#}", NULL },
};

static const Mark *mark_at(const char *s)
{
    for (size_t i = 0; *s == '{' && i < G_N_ELEMENTS(marks); i++)
        if (strncmp(s, marks[i].mark, strlen(marks[i].mark)) == 0)
            return &marks[i];
    return NULL;
}

bool substitution_wanted(char *const *argv)
{
    for (size_t i = 0; argv[i]; i++)
        for (const char *p = strchr(argv[i], '{'); p; p = strchr(p + 1, '{')) {
            const Mark *mark = mark_at(p);
            if (mark && mark->value)
                return true;
        }
    return false;
}

char *substitute_word(const char *word, const char *item, uint64_t number, bool quoted)
{
    GString *out = g_string_new(NULL);

    while (*word) {
        const Mark *mark = mark_at(word);
        if (!mark) {
            g_string_append_c(out, *word++);
            continue;
        }
        g_autofree char *value = mark->value ? mark->value(item) : g_strdup_printf("%" PRIu64, number);
        g_autofree char *safe = quoted ? text_sh_quote(value) : NULL;
        g_string_append(out, safe ?: value);
        word += strlen(mark->mark);
    }
    return g_string_free(out, FALSE);
}

static char **substitute(char *const *argv, const char *item, uint64_t number, bool quoted)
{
    g_autoptr(GPtrArray) words = g_ptr_array_new();

    for (size_t i = 0; argv[i]; i++)
        g_ptr_array_add(words, substitute_word(argv[i], item, number, quoted));
    if (!substitution_wanted(argv))
        g_ptr_array_add(words, quoted ? text_sh_quote(item) : g_strdup(item));
    g_ptr_array_add(words, NULL);
    return (char **) g_ptr_array_free(g_steal_pointer(&words), FALSE);
}

char **substitute_argv(char *const *argv, const char *item, uint64_t number)
{
    return substitute(argv, item, number, /* quoted= */ false);
}

char **shell_argv(char *const *argv)
{
    char **words = g_new0(char *, 4);

    words[0] = g_strdup("/bin/sh");
    words[1] = g_strdup("-c");
    words[2] = g_strjoinv(" ", (char **) argv);
    return words;
}

char **substitute_shell(char *const *argv, const char *item, uint64_t number)
{
    g_auto(GStrv) words = substitute(argv, item, number, /* quoted= */ true);

    return shell_argv(words);
}
