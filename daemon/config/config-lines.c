/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines of a file that GKeyFile has read, which does not tell them. Reads the file again, which costs little and is only done for
 * what is said to people. */
#include "config/config-lines.h"

#include <string.h>

#include "util/log.h"

static char **read_lines(const char *path)
{
    char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return g_new0(char *, 1);
    char **lines = g_strsplit(text, "\n", -1);
    g_free(text);
    for (char **line = lines; *line; line++)
        g_strstrip(*line);
    return lines;
}

/* "[Tasks]" → "Tasks"; NULL: it begins no section. */
static char *section_in(const char *line)
{
    const char *end = *line == '[' ? strchr(line, ']') : NULL;

    return end ? g_strndup(line + 1, (size_t) (end - line - 1)) : NULL;
}

/* "Retries = 3" → "Retries"; NULL: a comment, or nothing. */
static char *key_in(const char *line)
{
    const char *end = *line == '#' ? NULL : strchr(line, '=');

    return end ? g_strchomp(g_strndup(line, (size_t) (end - line))) : NULL;
}

unsigned config_line_of(const char *path, const char *section, const char *key)
{
    g_auto(GStrv) lines = read_lines(path);
    unsigned found = 0;
    bool inside = false;

    for (unsigned i = 0; lines[i]; i++) {
        g_autofree char *begins = section_in(lines[i]), *has = begins ? NULL : key_in(lines[i]);
        if (begins)
            inside = strcmp(begins, section) == 0;
        if (inside && begins && !key)
            return i + 1;
        if (inside && key && g_strcmp0(has, key) == 0)
            found = i + 1;
    }
    return found;
}

void config_check_repetition(const char *path)
{
    g_auto(GStrv) lines = read_lines(path);
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL); /* → the latest line */
    g_autofree char *section = g_strdup("");

    for (unsigned i = 0; lines[i]; i++) {
        char *begins = section_in(lines[i]);
        g_autofree char *key = begins ? NULL : key_in(lines[i]);
        if (begins) {
            g_free(section);
            section = begins;
        }
        if (!key)
            continue;
        char *name = g_strconcat(section, "\n", key, NULL);
        unsigned before = GPOINTER_TO_UINT(g_hash_table_lookup(seen, name));
        if (before > 0)
            log_warning("%s:%u: %s= stands in section [%s] again, in line %u; the last one counts.", path, before, key, section,
                        i + 1);
        g_hash_table_replace(seen, name, GUINT_TO_POINTER(i + 1));
    }
}
