/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Job files: the text is checked, parsed, each task is read, then what they wait for, then they are
 * ordered. Nothing here takes more than linear time in the size of the file. */

#include "client/job-file.h"

#include <fcntl.h>
#include <glib/gi18n.h>
#include <string.h>

#include "client/job-task.h"
#include "client/json-check.h"
#include "client/output.h"
#include "util/parse-util.h"

#define READ_BYTES (1U << 20)

JobFile *job_file_free(JobFile *file)
{
    if (!file)
        return NULL;
    g_clear_pointer(&file->by_name, g_hash_table_unref);
    g_clear_pointer(&file->order, g_array_unref);
    g_clear_pointer(&file->tasks, g_ptr_array_unref);
    job_task_free(file->defaults);
    g_free(file);
    return NULL;
}

static JobFile *job_file_new(void)
{
    JobFile *file = g_new0(JobFile, 1);

    file->tasks = g_ptr_array_new_with_free_func(job_task_free);
    file->order = g_array_new(FALSE, FALSE, sizeof(guint));
    file->by_name = g_hash_table_new(g_str_hash, g_str_equal);
    file->defaults = job_task_new();
    return file;
}

/* ---- tasks */

static void go_to(JobReader *reader, guint index)
{
    g_free(reader->where);
    reader->where = g_strdup_printf("tasks[%u]", index);
}

static int note_name(JobReader *reader, JobFile *file, guint index)
{
    gpointer other;

    if (!reader->task->id)
        return 0;
    if (g_hash_table_lookup_extended(file->by_name, reader->task->id, NULL, &other)) {
        g_autofree char *shown = format_foreign(reader->task->id);
        return job_refuse(reader, "id", _("\"%s\" is tasks[%u] already"), shown, GPOINTER_TO_UINT(other));
    }
    g_hash_table_insert(file->by_name, reader->task->id, GUINT_TO_POINTER(index));
    return 0;
}

static int read_tasks(JobReader *reader, JobFile *file, JsonArray *array)
{
    bool shell = reader->shell;
    int r = 0;

    for (guint i = 0; r >= 0 && i < json_array_get_length(array); i++) {
        go_to(reader, i);
        reader->task = job_task_new();
        reader->shell = shell;
        g_ptr_array_add(file->tasks, reader->task);
        r = job_task_read(reader, json_array_get_element(array, i), /* defaults= */ false);
        if (r >= 0)
            r = note_name(reader, file, i);
    }
    return r;
}

/* ---- what they wait for */

static int look_up(const char *word, Dependency *dependency, void *userdata)
{
    const JobFile *file = userdata;
    gpointer index;

    if (g_hash_table_lookup_extended(file->by_name, word, NULL, &index)) {
        dependency->target = TARGET_LOCAL;
        dependency->id = GPOINTER_TO_UINT(index);
        return 0;
    }
    dependency->target = TARGET_TASK;
    return parse_uint64(word, &dependency->id) < 0 || dependency->id == 0 ? -ENOENT : 0;
}

static int read_dependencies(JobReader *reader, JobFile *file)
{
    for (guint i = 0; i < file->tasks->len; i++) {
        JobTask *task = file->tasks->pdata[i];
        g_autofree char *why = NULL;
        if (!task->after_text)
            continue;
        if (dependency_parse(task->after_text, look_up, file, &task->after, &why) < 0) {
            go_to(reader, i);
            return job_refuse(reader, "after", "%s", why);
        }
    }
    return 0;
}

/* ---- the file */

static int read_object(JobReader *reader, JobFile *file, JsonObject *object)
{
    JsonNode *defaults = json_object_get_member(object, "defaults");
    JsonNode *tasks = json_object_get_member(object, "tasks");
    guint known = (defaults != NULL) + (tasks != NULL);
    g_autoptr(GList) names = json_object_get_members(object);

    for (GList *link = names; known < json_object_get_size(object) && link; link = link->next)
        if (strcmp(link->data, "defaults") != 0 && strcmp(link->data, "tasks") != 0) {
            g_free(reader->where);
            reader->where = format_foreign(link->data);
            return job_refuse(reader, NULL, _("a job file has \"defaults\" and \"tasks\""));
        }
    g_free(reader->where);
    reader->where = g_strdup("defaults");
    reader->task = file->defaults;
    int r = defaults ? job_task_read(reader, defaults, /* defaults= */ true) : 0;
    if (r < 0)
        return r;
    g_free(reader->where);
    reader->where = g_strdup("tasks");
    if (!tasks || !JSON_NODE_HOLDS_ARRAY(tasks))
        return job_refuse(reader, NULL, _("an array of tasks is expected"));
    return read_tasks(reader, file, json_node_get_array(tasks));
}

static int read_root(JobReader *reader, JobFile *file, JsonNode *root)
{
    int r;

    if (JSON_NODE_HOLDS_ARRAY(root))
        r = read_tasks(reader, file, json_node_get_array(root));
    else if (JSON_NODE_HOLDS_OBJECT(root))
        r = read_object(reader, file, json_node_get_object(root));
    else
        r = job_refuse(reader, NULL, _("an array of tasks is expected"));
    if (r >= 0 && file->tasks->len == 0)
        r = job_refuse(reader, NULL, _("there are none: nothing to submit"));
    return r < 0 ? r : read_dependencies(reader, file);
}

int job_file_parse(const char *text, size_t size, JobFile **ret, char **ret_why)
{
    g_autoptr(JsonParser) parser = json_parser_new_immutable();
    g_autoptr(JobFile) file = job_file_new();
    g_autoptr(GError) error = NULL;
    JobReader reader = { .where = g_strdup("tasks") };
    int r = json_check(text, size, "tasks", ret_why);

    if (r >= 0 && !json_parser_load_from_data(parser, text, (gssize) size, &error)) {
        *ret_why = g_strdup(error->message);
        r = -EINVAL;
    }
    if (r >= 0) {
        r = read_root(&reader, file, json_parser_get_root(parser));
        if (r < 0)
            *ret_why = g_steal_pointer(&reader.why);
    }
    g_free(reader.where);
    if (r >= 0)
        r = job_order(file, ret_why);
    if (r >= 0)
        *ret = g_steal_pointer(&file);
    return r;
}

/* ---- reading */

static int read_all(Client *client, int fd, const char *name, GString *text)
{
    g_autofree char *buffer = g_malloc(READ_BYTES);

    for (;;) {
        ssize_t n = read(fd, buffer, READ_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return output_failure(client, errno, _("cannot read %s: %s"), name, g_strerror(errno));
        if (n == 0)
            return 0;
        if (text->len + (size_t) n > JOB_FILE_BYTES_MAX)
            return output_failure(client, EFBIG, _("%s: a job file has at most 256 MiB"), name);
        g_string_append_len(text, buffer, n);
    }
}

int job_file_read(Client *client, const char *path, JobFile **ret)
{
    bool standard_input = strcmp(path, "-") == 0;
    _cleanup_close_ int fd = standard_input ? -EBADF : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    const char *name = standard_input ? "stdin" : path;
    g_autoptr(GString) text = g_string_new(NULL);
    g_autofree char *why = NULL;

    if (!standard_input && fd < 0)
        return output_failure(client, errno, _("cannot open %s: %s"), path, g_strerror(errno));
    int r = read_all(client, standard_input ? STDIN_FILENO : fd, name, text);
    if (r < 0)
        return r;
    r = job_file_parse(text->str, text->len, ret, &why);
    return r < 0 ? output_failure(client, r, "%s: %s", name, why) : 0;
}
