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

/* What stands between the braces, behind a number that there may be. */
static const struct {
    const char *word;
    char *(*value)(const char *item);
} operations[] = {
    { "//}", directory_only },
    { "/.}", basename_without_extension },
    { "/}", basename_only },
    { ".}", without_extension },
    { "}", whole },
};

typedef struct Mark {
    size_t length;                    /* 0: no mark */
    unsigned source;                  /* from 1; 0: all */
    char *(*value)(const char *item); /* NULL: the number, or the slot */
    bool slot;
} Mark;

/* sources: how many values there are; slots: {%} is a mark, too */
static Mark mark_at(const char *s, guint sources, bool slots)
{
    const char *p = s + 1;
    unsigned source = 0;

    if (*s != '{')
        return (Mark){};
    if (strncmp(p, "#}", 2) == 0)
        return (Mark){ .length = 3 };
    if (slots && strncmp(p, "%}", 2) == 0)
        return (Mark){ .length = 3, .slot = true };
    for (; g_ascii_isdigit(*p) && source < 1000; p++)
        source = source * 10 + (unsigned) (*p - '0');
    if ((p > s + 1 && source == 0) || source > sources)
        return (Mark){};
    for (size_t i = 0; i < G_N_ELEMENTS(operations); i++) {
        size_t n = strlen(operations[i].word);
        if (strncmp(p, operations[i].word, n) == 0)
            return (Mark){ (size_t) (p - s) + n, source, operations[i].value, false };
    }
    return (Mark){};
}

static bool marks_wanted(char *const *argv, guint sources)
{
    for (size_t i = 0; argv[i]; i++)
        for (const char *p = strchr(argv[i], '{'); p; p = strchr(p + 1, '{')) {
            Mark mark = mark_at(p, sources, /* slots= */ false);
            if (mark.length > 0 && mark.value)
                return true;
        }
    return false;
}

bool substitution_wanted(char *const *argv)
{
    return marks_wanted(argv, 1);
}

bool substitution_wants_slot(char *const *argv)
{
    for (size_t i = 0; argv[i]; i++)
        if (strstr(argv[i], "{%}"))
            return true;
    return false;
}

static void append_value(GString *out, const Mark *mark, const char *item, bool quoted)
{
    g_autofree char *value = mark->value(item);
    g_autofree char *safe = quoted ? text_sh_quote(value) : NULL;

    g_string_append(out, safe ?: value);
}

static void append_mark(GString *out, const Mark *mark, const Replacement *by, bool quoted)
{
    char *const *values = by->values;

    if (!mark->value)
        g_string_append_printf(out, "%" PRIu64, mark->slot ? by->slot : by->number);
    else if (mark->source > 0)
        append_value(out, mark, values[mark->source - 1], quoted);
    for (size_t i = 0; mark->value && mark->source == 0 && values[i]; i++) {
        if (i > 0)
            g_string_append_c(out, ' ');
        append_value(out, mark, values[i], quoted);
    }
}

static char *substitute_in_word(const char *word, const Replacement *by, bool quoted)
{
    guint sources = g_strv_length((char **) by->values);
    GString *out = g_string_new(NULL);

    while (*word) {
        Mark mark = mark_at(word, sources, by->slot > 0);
        if (mark.length == 0) {
            g_string_append_c(out, *word++);
            continue;
        }
        append_mark(out, &mark, by, quoted);
        word += mark.length;
    }
    return g_string_free(out, FALSE);
}

char *substitute_word(const char *word, const char *item, uint64_t number, bool quoted)
{
    char *values[] = { (char *) item, NULL };
    Replacement by = { .values = values, .number = number };

    return substitute_in_word(word, &by, quoted);
}

static char **substitute(char *const *argv, const Replacement *by, bool quoted)
{
    g_autoptr(GPtrArray) words = g_ptr_array_new();
    bool wanted = marks_wanted(argv, g_strv_length((char **) by->values));

    for (size_t i = 0; argv[i]; i++)
        g_ptr_array_add(words, substitute_in_word(argv[i], by, quoted));
    for (size_t i = 0; !wanted && by->values[i]; i++)
        g_ptr_array_add(words, quoted ? text_sh_quote(by->values[i]) : g_strdup(by->values[i]));
    g_ptr_array_add(words, NULL);
    return (char **) g_ptr_array_free(g_steal_pointer(&words), FALSE);
}

char **substitute_values(char *const *argv, const Replacement *by)
{
    return substitute(argv, by, /* quoted= */ false);
}

char **shell_argv(char *const *argv)
{
    char **words = g_new0(char *, 4);

    words[0] = g_strdup("/bin/sh");
    words[1] = g_strdup("-c");
    words[2] = g_strjoinv(" ", (char **) argv);
    return words;
}

char **substitute_values_shell(char *const *argv, const Replacement *by)
{
    g_auto(GStrv) words = substitute(argv, by, /* quoted= */ true);

    return shell_argv(words);
}

char **substitute_argv(char *const *argv, const char *item, uint64_t number)
{
    char *values[] = { (char *) item, NULL };

    return substitute_values(argv, &(Replacement){ .values = values, .number = number });
}

char **substitute_shell(char *const *argv, const char *item, uint64_t number)
{
    char *values[] = { (char *) item, NULL };

    return substitute_values_shell(argv, &(Replacement){ .values = values, .number = number });
}
