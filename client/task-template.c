/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tasks of a submission share: directory, environment, streams, name. A verb makes one from its
 * options and keeps it for as long as it submits. Paths and environment are byte strings and stay what
 * they are. */

#include "client/task-template.h"

#include <string.h>

#include "client/bus-dict.h"
#include "client/output.h"
#include "dbus/parexec-dbus.h"
#include "model/ids.h"

#define ENTRY_BYTES 64U /* of a dictionary entry beside its value: key, signature, lengths, padding */
#define ENTRIES_MAX 10U

static bool has_name(const char *variable, const char *name, size_t n)
{
    return strncmp(variable, name, n) == 0 && variable[n] == '=';
}

static const char *variable_find(char *const *environment, const char *name)
{
    for (size_t i = 0; environment && environment[i]; i++)
        if (has_name(environment[i], name, strlen(name)))
            return environment[i];
    return NULL;
}

static void variable_set(GPtrArray *to, const char *variable)
{
    size_t n = strcspn(variable, "=");

    for (guint i = 0; i < to->len; i++)
        if (has_name(to->pdata[i], variable, n)) {
            g_free(to->pdata[i]);
            to->pdata[i] = g_strdup(variable);
            return;
        }
    g_ptr_array_add(to, g_strdup(variable));
}

char **task_environment(char *const *environment, char *const *given, bool none, const char **ret_missing)
{
    g_autoptr(GPtrArray) result = g_ptr_array_new_with_free_func(g_free);

    for (size_t i = 0; !none && environment && environment[i]; i++)
        if (strchr(environment[i], '=') > environment[i])
            g_ptr_array_add(result, g_strdup(environment[i]));
    for (size_t i = 0; given && given[i]; i++) {
        const char *variable = strchr(given[i], '=') ? given[i] : variable_find(environment, given[i]);
        if (!variable || *variable == '=') {
            *ret_missing = given[i];
            return NULL;
        }
        variable_set(result, variable);
    }
    g_ptr_array_add(result, NULL);
    return (char **) g_ptr_array_free(g_steal_pointer(&result), FALSE);
}

char *task_template_path(const char *path)
{
    if (!path)
        return NULL;
    if (*path == '/')
        return g_strdup(path);
    g_autofree char *here = g_get_current_dir();
    return g_build_filename(here, path, NULL);
}

static int check_words(Client *client, const TaskOptions *options)
{
    if (options->name && !name_is_valid(options->name))
        return output_usage_error(client,
                                  _("a name is at most 255 bytes of UTF-8 without control characters"));
    for (guint i = 0; options->tags && i < options->tags->len; i++)
        if (!name_is_valid(options->tags->pdata[i]) || *(const char *) options->tags->pdata[i] == '\0')
            return output_usage_error(client,
                                      _("a tag is 1 to 255 bytes of UTF-8 without control characters"));
    if (options->tags && options->tags->len > PAREXEC_TAGS_MAX)
        return output_usage_error(client, _("%u tags are too many: at most %u"), options->tags->len,
                                  PAREXEC_TAGS_MAX);
    return 0;
}

static size_t strings_bytes(char *const *strings)
{
    size_t sum = 0;

    for (size_t i = 0; strings && strings[i]; i++)
        sum += strlen(strings[i]) + 8;
    return sum;
}

static char **with_end(GPtrArray *strings)
{
    if (!strings)
        return NULL;
    g_ptr_array_add(strings, NULL);
    return (char **) strings->pdata;
}

int task_template_init(TaskTemplate *template, Client *client, const TaskOptions *options)
{
    const char *missing = NULL;
    int r = check_words(client, options);

    *template = (TaskTemplate){ .options = options, .fds = { -EBADF, -EBADF, -EBADF } };
    if (r < 0)
        return r;
    template->cwd = options->chdir ? task_template_path(options->chdir) : g_get_current_dir();
    template->env = task_environment(environ, with_end(options->env), options->env_none, &missing);
    if (!template->env)
        return output_usage_error(
            client, _("--env %s: there is no such variable to pass on; or give NAME=VALUE"), missing);
    if (options->tags)
        (void) with_end(options->tags);
    template->bytes = ENTRIES_MAX *ENTRY_BYTES + strings_bytes(template->env) + strlen(template->cwd) +
                      (options->name ? strlen(options->name) : 0) +
                      strings_bytes(options->tags ? (char **) options->tags->pdata : NULL);
    return 0;
}

void task_template_done(TaskTemplate *template)
{
    g_clear_pointer(&template->cwd, g_free);
    g_clear_pointer(&template->env, g_strfreev);
    for (size_t i = 0; i < _STREAM_MAX; i++)
        g_clear_pointer(&template->paths[i], g_free);
}

void task_template_set_path(TaskTemplate *template, StdStream stream, const char *path)
{
    g_free(template->paths[stream]);
    template->paths[stream] = task_template_path(path);
    template->bytes += path ? strlen(template->paths[stream]) : 0;
}

size_t task_template_task_bytes(char *const *argv)
{
    return ENTRY_BYTES * (2 + _STREAM_MAX) + strings_bytes(argv); /* argv, array and descriptors */
}

static int append_paths(const TaskTemplate *template, sd_bus_message *m)
{
    int r = 0;

    for (int i = 0; r >= 0 && i < _STREAM_MAX; i++)
        if (template->paths[i])
            r = dict_append_byte_string(m, std_stream_to_string((StdStream) i), template->paths[i]);
    return r;
}

static int append_options(const TaskOptions *options, sd_bus_message *m)
{
    int r = 0;

    if (options->name)
        r = dict_append(m, "name", "s", options->name);
    if (r >= 0 && options->tags)
        r = dict_append_strings(m, "tags", (char **) options->tags->pdata);
    if (r >= 0 && options->priority.given)
        r = dict_append(m, "priority", "i", options->priority.number);
    if (r >= 0 && options->memory.given)
        r = dict_append(m, "memory-max", "t", options->memory.value);
    return r;
}

int task_template_append_defaults(const TaskTemplate *template, sd_bus_message *m)
{
    int r = sd_bus_message_open_container(m, 'a', "{sv}");

    if (r >= 0)
        r = dict_append_byte_string(m, "cwd", template->cwd);
    if (r >= 0)
        r = dict_append_byte_strings(m, "env", template->env);
    if (r >= 0)
        r = append_paths(template, m);
    if (r >= 0)
        r = append_options(template->options, m);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

int task_template_append(const TaskTemplate *template, sd_bus_message *m, char *const *argv)
{
    int r = sd_bus_message_open_container(m, 'a', "{sv}");

    if (r >= 0)
        r = dict_append_byte_strings(m, "argv", argv);
    for (int i = 0; r >= 0 && i < _STREAM_MAX; i++)
        if (template->fds[i] >= 0)
            r = dict_append(m, std_stream_to_string((StdStream) i), "h", template->fds[i]);
    if (r >= 0 && template->array)
        r = dict_append(m, "array", "(tt)", template->array_first, template->array_last);
    return r < 0 ? r : sd_bus_message_close_container(m);
}
