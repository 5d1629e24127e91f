/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One task of a job file, or its defaults: a table from members to what reads them. What names other tasks
 * is read later, when all names are known. */

#include "client/job-task.h"

#include <glib/gi18n.h>
#include <string.h>

#include "dbus/parexec-dbus.h"
#include "model/ids.h"
#include "util/parse-util.h"

JobTask *job_task_new(void)
{
    JobTask *task = g_new0(JobTask, 1);

    task_terms_init(&task->terms);
    return task;
}

void job_task_free(void *data)
{
    JobTask *task = data;

    if (!task)
        return;
    g_free(task->id);
    g_free(task->name);
    g_free(task->cwd);
    g_free(task->after_text);
    g_strfreev(task->argv);
    g_strfreev(task->tags);
    g_clear_pointer(&task->env, g_ptr_array_unref);
    for (size_t i = 0; i < _STREAM_MAX; i++)
        g_free(task->paths[i]);
    task_terms_done(&task->terms);
    dependency_list_done(&task->after);
    g_free(task);
}

uint64_t job_task_count(const JobTask *task)
{
    return task->array ? task->array_last - task->array_first + 1 : 1;
}

int job_refuse(JobReader *reader, const char *key, const char *format, ...)
{
    g_autofree char *shown = key ? format_foreign(key) : NULL, *what = NULL;
    va_list arguments;

    va_start(arguments, format);
    what = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    if (!reader->why)
        reader->why = g_strdup_printf("%s%s%s: %s", reader->where, shown ? "." : "", shown ?: "", what);
    return -EINVAL;
}

/* ---- values */

static const char *string_of(JsonNode *node)
{
    return JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING
               ? json_node_get_string(node)
               : NULL;
}

static int read_string(JobReader *reader, const char *key, JsonNode *node, char **field)
{
    const char *value = string_of(node);

    if (!value)
        return job_refuse(reader, key, _("a string is expected"));
    *field = g_strdup(value);
    return 0;
}

static int read_strings(JobReader *reader, const char *key, JsonNode *node, char ***field)
{
    g_autoptr(GPtrArray) strings = g_ptr_array_new_with_free_func(g_free);
    JsonArray *array = JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL;

    for (guint i = 0; array && i < json_array_get_length(array); i++) {
        const char *value = string_of(json_array_get_element(array, i));
        if (!value)
            return job_refuse(reader, key, _("an array of strings is expected"));
        g_ptr_array_add(strings, g_strdup(value));
    }
    if (!array)
        return job_refuse(reader, key, _("an array of strings is expected"));
    g_ptr_array_add(strings, NULL);
    *field = (char **) g_ptr_array_free(g_steal_pointer(&strings), FALSE);
    return 0;
}

static int read_bool(JobReader *reader, const char *key, JsonNode *node, bool *field)
{
    if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_BOOLEAN)
        return job_refuse(reader, key, _("true or false is expected"));
    *field = json_node_get_boolean(node);
    return 0;
}

/* Strings and numbers as the option of that name takes them; NULL: something else. */
static char *word_of(JsonNode *node, bool flag)
{
    char buffer[G_ASCII_DTOSTR_BUF_SIZE];
    GType type = JSON_NODE_HOLDS_VALUE(node) ? json_node_get_value_type(node) : G_TYPE_INVALID;

    if (flag)
        return type == G_TYPE_BOOLEAN ? g_strdup(json_node_get_boolean(node) ? "yes" : "no") : NULL;
    if (type == G_TYPE_STRING)
        return g_strdup(json_node_get_string(node));
    if (type == G_TYPE_INT64)
        return g_strdup_printf("%" G_GINT64_FORMAT, json_node_get_int(node));
    if (type == G_TYPE_DOUBLE)
        return g_strdup(g_ascii_dtostr(buffer, sizeof buffer, json_node_get_double(node)));
    return NULL;
}

static int set_term(JobReader *reader, const char *key, TermKey term, JsonNode *node)
{
    g_autofree char *word = word_of(node, task_term_is_flag(term));

    if (word && task_terms_set(&reader->task->terms, term, word) >= 0)
        return 0;
    if (task_term_is_flag(term))
        return job_refuse(reader, key, _("true or false is expected"));
    if (!word)
        return job_refuse(reader, key, _("takes %s"), task_term_form(term));
    g_autofree char *shown = format_foreign(word);
    return job_refuse(reader, key, _("takes %s, not \"%s\""), task_term_form(term), shown);
}

/* ---- members */

static bool is_local_name(const char *id)
{
    uint64_t number;

    return *id && name_is_valid(id) && !strpbrk(id, ",?():=") && strcmp(id, "batch") != 0 &&
           strcmp(id, "last") != 0 && parse_uint64(id, &number) < 0;
}

static int read_id(JobReader *reader, const char *key, JsonNode *node)
{
    int r = read_string(reader, key, node, &reader->task->id);

    if (r >= 0 && !is_local_name(reader->task->id))
        return job_refuse(
            reader, key,
            _("a local name is 1 to 255 bytes of UTF-8 without control characters and , ? ( ) : =, "
              "and neither a number nor \"last\" nor \"batch\""));
    return r;
}

static int read_name(JobReader *reader, const char *key, JsonNode *node)
{
    int r = read_string(reader, key, node, &reader->task->name);

    return r < 0 || name_is_valid(reader->task->name)
               ? r
               : job_refuse(reader, key,
                            _("a name is at most 255 bytes of UTF-8 without control characters"));
}

static int read_argv(JobReader *reader, const char *key, JsonNode *node)
{
    int r = read_strings(reader, key, node, &reader->task->argv);

    return r < 0 || reader->task->argv[0] ? r : job_refuse(reader, key, _("a command has at least one word"));
}

static int read_command(JobReader *reader, const char *key, JsonNode *node)
{
    reader->command = string_of(node);
    return reader->command ? 0 : job_refuse(reader, key, _("a string is expected"));
}

static int read_shell(JobReader *reader, const char *key, JsonNode *node)
{
    return read_bool(reader, key, node, &reader->shell);
}

static int read_tags(JobReader *reader, const char *key, JsonNode *node)
{
    int r = read_strings(reader, key, node, &reader->task->tags);

    for (size_t i = 0; r >= 0 && reader->task->tags[i]; i++)
        if (i >= PAREXEC_TAGS_MAX || !*reader->task->tags[i] || !name_is_valid(reader->task->tags[i]))
            r = job_refuse(reader, key,
                           _("at most %u tags, each 1 to 255 bytes of UTF-8 without control characters"),
                           PAREXEC_TAGS_MAX);
    return r;
}

static int read_cwd(JobReader *reader, const char *key, JsonNode *node)
{
    g_autofree char *path = NULL;
    int r = read_string(reader, key, node, &path);

    if (r >= 0)
        reader->task->cwd = task_template_path(path);
    return r;
}

static int read_stream(JobReader *reader, const char *key, JsonNode *node)
{
    g_autofree char *path = NULL;
    int stream = std_stream_from_string(key), r = read_string(reader, key, node, &path);

    if (r >= 0 && !*path)
        r = job_refuse(reader, key, _("the path is empty"));
    if (r >= 0)
        reader->task->paths[stream] = task_template_path(path);
    return r;
}

static int read_env(JobReader *reader, const char *key, JsonNode *node)
{
    JsonObjectIter iter;
    const char *name;
    JsonNode *member;

    if (!JSON_NODE_HOLDS_OBJECT(node))
        return job_refuse(reader, key, _("an object is expected: {\"NAME\": \"value\"}"));
    reader->task->env = g_ptr_array_new_with_free_func(g_free);
    json_object_iter_init(&iter, json_node_get_object(node));
    while (json_object_iter_next(&iter, &name, &member)) {
        const char *value = string_of(member);
        if (!value || !*name || strchr(name, '='))
            return job_refuse(reader, key, _("names without \"=\", and strings, are expected"));
        g_ptr_array_add(reader->task->env, g_strdup_printf("%s=%s", name, value));
    }
    return 0;
}

static int read_on(JobReader *reader, const char *key, JsonNode *node)
{
    JsonArray *array = JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL;
    int r = array ? 0 : set_term(reader, key, TERM_ON, node);

    for (guint i = 0; r >= 0 && array && i < json_array_get_length(array); i++)
        r = set_term(reader, key, TERM_ON, json_array_get_element(array, i));
    return r;
}

static int read_credentials(JobReader *reader, const char *key, JsonNode *node)
{
    JsonObjectIter iter;
    const char *name;
    JsonNode *member;

    if (!JSON_NODE_HOLDS_OBJECT(node))
        return job_refuse(reader, key, _("an object is expected: {\"NAME\": \"/file\"}"));
    json_object_iter_init(&iter, json_node_get_object(node));
    while (json_object_iter_next(&iter, &name, &member)) {
        const char *path = string_of(member);
        g_autofree char *word = path && !strchr(name, '=') ? g_strdup_printf("%s=%s", name, path) : NULL;
        if (!word || task_terms_set(&reader->task->terms, TERM_CREDENTIAL, word) < 0)
            return job_refuse(reader, key, _("takes %s"), task_term_form(TERM_CREDENTIAL));
    }
    return 0;
}

static int read_array(JobReader *reader, const char *key, JsonNode *node)
{
    JobTask *task = reader->task;
    const char *text = string_of(node);

    if (!text || task_array_parse(text, &task->array_first, &task->array_last, &task->parallel) < 0)
        return job_refuse(
            reader, key,
            _("a first and a last number is expected, and how many at once: \"0-99\", \"0-99%%8\""));
    task->array = true;
    return 0;
}

static int read_after(JobReader *reader, const char *key, JsonNode *node)
{
    if (string_of(node)) {
        reader->task->after_text = g_strdup(string_of(node));
        return 0;
    }
    g_auto(GStrv) words = NULL;
    int r = read_strings(reader, key, node, &words);
    if (r < 0)
        return r;
    for (size_t i = 0; words[i]; i++)
        if (!*words[i])
            return job_refuse(reader, key, _("an empty string"));
    if (words[0])
        reader->task->after_text = g_strjoinv(",", words);
    return 0;
}

static const struct {
    const char *key;
    int (*read)(JobReader *reader, const char *key, JsonNode *node);
    bool own; /* not among the defaults */
} members[] = {
    { "id", read_id, true },
    { "argv", read_argv, true },
    { "command", read_command, true },
    { "shell", read_shell, false },
    { "name", read_name, false },
    { "tags", read_tags, false },
    { "cwd", read_cwd, false },
    { "env", read_env, false },
    { "stdin", read_stream, false },
    { "stdout", read_stream, false },
    { "stderr", read_stream, false },
    { "on", read_on, false },
    { "credentials", read_credentials, false },
    { "array", read_array, true },
    { "after", read_after, true },
};

static int read_member(JobReader *reader, const char *key, JsonNode *node, bool defaults)
{
    int term = term_key_from_string(key);

    for (size_t i = 0; i < G_N_ELEMENTS(members); i++) {
        if (strcmp(members[i].key, key) != 0)
            continue;
        if (defaults && members[i].own)
            return job_refuse(reader, key, _("is a task's own, and no default"));
        return members[i].read(reader, key, node);
    }
    if (term >= 0 && term != TERM_CREDENTIAL)
        return set_term(reader, key, (TermKey) term, node);
    return job_refuse(reader, key, _("there is no such member of a task"));
}

static int complete_command(JobReader *reader)
{
    JobTask *task = reader->task;

    if (task->argv && reader->command)
        return job_refuse(reader, NULL, _("either argv or command"));
    if (!task->argv && !reader->command)
        return job_refuse(reader, NULL, _("argv or command is missing"));
    if (!reader->command)
        return 0;
    if (!reader->shell)
        return job_refuse(reader, "command", _("a string is for a shell: \"shell\": true, or argv instead"));
    const char *const words[] = { "/bin/sh", "-c", reader->command, NULL };
    task->argv = g_strdupv((char **) words);
    return 0;
}

int job_task_read(JobReader *reader, JsonNode *node, bool defaults)
{
    g_autofree char *why = NULL;
    JsonObjectIter iter;
    const char *key;
    JsonNode *member;
    int r = 0;

    reader->command = NULL;
    if (!JSON_NODE_HOLDS_OBJECT(node))
        return job_refuse(reader, NULL, _("an object is expected"));
    json_object_iter_init_ordered(&iter, json_node_get_object(node));
    while (r >= 0 && json_object_iter_next_ordered(&iter, &key, &member))
        r = read_member(reader, key, member, defaults);
    if (r >= 0 && !defaults)
        r = complete_command(reader);
    if (r >= 0 && task_terms_check(&reader->task->terms, &why) < 0)
        r = job_refuse(reader, NULL, "%s", why);
    return r;
}
