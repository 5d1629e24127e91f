/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The lines between the worker and a program. What the program says is hostile until it has been read to
 * its end. */
#include "worker/program-protocol.h"

#include <inttypes.h>
#include <string.h>

#include "util/strv-blob.h"
#include "worker/json-scan.h"

/* ------------------------------------------------------------------ questions */

static bool is_text(const char *string)
{
    return g_utf8_validate(string, -1, NULL);
}

static void append_base64(GString *json, const char *string)
{
    g_autofree char *encoded = g_base64_encode((const guchar *) string, strlen(string));

    json_append_string(json, encoded, strlen(encoded));
}

static void append_argv(GString *json, GBytes *argv)
{
    const char *cursor = NULL, *separator = "";
    bool text = true;
    gsize size;
    const void *data = g_bytes_get_data(argv, &size);

    while (strv_blob_next(data, size, &cursor))
        text = text && is_text(cursor);
    g_string_append_printf(json, ",\"%s\":[", text ? "argv" : "argv_base64");
    for (cursor = NULL; strv_blob_next(data, size, &cursor); separator = ",") {
        g_string_append(json, separator);
        if (text)
            json_append_string(json, cursor, strlen(cursor));
        else
            append_base64(json, cursor);
    }
    g_string_append_c(json, ']');
}

/* What is no UTF-8 cannot be said, and what has no name neither. */
static void append_environment(GString *json, GBytes *environment)
{
    const char *cursor = NULL, *separator = "";
    gsize size = 0;
    const void *data = environment ? g_bytes_get_data(environment, &size) : NULL;

    g_string_append(json, ",\"env\":{");
    while (strv_blob_next(data, size, &cursor)) {
        const char *equals = strchr(cursor, '=');

        if (!equals || equals == cursor || !is_text(cursor))
            continue;
        g_string_append(json, separator);
        json_append_string(json, cursor, (size_t) (equals - cursor));
        g_string_append_c(json, ':');
        json_append_string(json, equals + 1, strlen(equals + 1));
        separator = ",";
    }
    g_string_append_c(json, '}');
}

static void append_path(GString *json, const char *name, const char *path)
{
    g_string_append_printf(json, ",\"%s%s\":", name, is_text(path) ? "" : "_base64");
    if (is_text(path))
        json_append_string(json, path, strlen(path));
    else
        append_base64(json, path);
}

GString *program_question_format(const ProgramQuestion *question)
{
    GString *json = g_string_sized_new(1024);
    const TaskContext *context = question->context;

    g_string_append_printf(json, "{\"id\":%" PRIu64 ",\"attempt\":%" PRIu32 ",\"batch\":%" PRIu64,
                           question->task, question->attempt, question->batch);
    if (question->array_index != ARRAY_INDEX_NONE)
        g_string_append_printf(json, ",\"array_index\":%" PRIu64, question->array_index);
    append_argv(json, question->argv);
    append_path(json, "cwd", context->cwd ? g_bytes_get_data(context->cwd, NULL) : "/");
    append_environment(json, context->environment);
    if (question->inputs)
        append_path(json, "inputs", question->inputs);
    g_string_append(json, "}\n");
    return json;
}

/* ------------------------------------------------------------------ answers */

void program_answer_done(ProgramAnswer *answer)
{
    if (answer->output)
        g_string_free(answer->output, TRUE);
    if (answer->errors)
        g_string_free(answer->errors, TRUE);
    g_clear_pointer(&answer->result, g_bytes_unref);
    *answer = (ProgramAnswer){ 0 };
}

static int read_task(JsonScan *scan, ProgramAnswer *answer)
{
    return json_scan_uint64(scan, &answer->task);
}

static int read_exit(JsonScan *scan, ProgramAnswer *answer)
{
    uint64_t status;
    int r = json_scan_uint64(scan, &status);

    if (r < 0)
        return r;
    if (status > 255)
        return -ERANGE;
    answer->exit_status = (int) status;
    return 0;
}

static int read_output(JsonScan *scan, ProgramAnswer *answer)
{
    return json_scan_string(scan, &answer->output);
}

static int read_errors(JsonScan *scan, ProgramAnswer *answer)
{
    return json_scan_string(scan, &answer->errors);
}

static int read_result(JsonScan *scan, ProgramAnswer *answer)
{
    const char *begin;
    int r = json_scan_skip(scan, &begin);

    if (r >= 0)
        answer->result = g_bytes_new(begin, (size_t) (scan->at - begin));
    return r;
}

static const struct {
    const char *name, *kind;
    int (*read)(JsonScan *scan, ProgramAnswer *answer);
    bool required;
} members[] = {
    { "id", "the number of a task", read_task, true }, { "exit", "a number from 0 to 255", read_exit, true },
    { "stdout", "a string", read_output, false },      { "stderr", "a string", read_errors, false },
    { "result", "JSON", read_result, false },
};

/* Steps over a member that nobody here knows. */
static int read_unknown(JsonScan *scan, char **ret_why)
{
    const char *begin;
    int r = json_scan_skip(scan, &begin);

    if (r < 0)
        *ret_why = g_strdup(r == -E2BIG ? "JSON that is nested too deeply" : "what is no JSON");
    return r;
}

static int read_member(JsonScan *scan, ProgramAnswer *answer, unsigned *seen, char **ret_why)
{
    GString *name;
    int r = json_scan_string(scan, &name);

    if (r < 0 || !json_scan_take(scan, ':')) {
        *ret_why = g_strdup("what is no JSON");
        if (r >= 0)
            g_string_free(name, TRUE);
        return -EINVAL;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(members); i++) {
        if (name->len != strlen(members[i].name) || strcmp(name->str, members[i].name) != 0)
            continue;
        g_string_free(name, TRUE);
        if (*seen & 1U << i) {
            *ret_why = g_strdup_printf("two members \"%s\"", members[i].name);
            return -EINVAL;
        }
        *seen |= 1U << i;
        r = members[i].read(scan, answer);
        if (r < 0)
            *ret_why = g_strdup_printf("a member \"%s\" that is not %s", members[i].name, members[i].kind);
        return r;
    }
    g_string_free(name, TRUE);
    return read_unknown(scan, ret_why);
}

static int read_object(JsonScan *scan, ProgramAnswer *answer, char **ret_why)
{
    unsigned seen = 0;
    bool closed;

    if (!json_scan_take(scan, '{')) {
        *ret_why = g_strdup("what is no JSON object");
        return -EINVAL;
    }
    closed = json_scan_take(scan, '}');
    while (!closed) {
        int r = read_member(scan, answer, &seen, ret_why);

        if (r < 0)
            return r;
        closed = json_scan_take(scan, '}');
        if (!closed && !json_scan_take(scan, ',')) {
            *ret_why = g_strdup("what is no JSON");
            return -EINVAL;
        }
    }
    for (size_t i = 0; i < G_N_ELEMENTS(members); i++)
        if (members[i].required && !(seen & 1U << i)) {
            *ret_why = g_strdup_printf("an object without \"%s\"", members[i].name);
            return -EINVAL;
        }
    return 0;
}

int program_answer_parse(const char *line, size_t size, ProgramAnswer *ret, char **ret_why)
{
    g_auto(ProgramAnswer) answer = { 0 };
    g_autofree char *why = NULL;
    JsonScan scan = { line, line + size };

    if (!g_utf8_validate(line, (gssize) size, NULL))
        why = g_strdup("what is no UTF-8");
    else if (read_object(&scan, &answer, &why) >= 0 && !json_scan_at_end(&scan))
        why = g_strdup("more than one JSON object on a line");
    if (why) {
        *ret_why = g_steal_pointer(&why);
        return -EINVAL;
    }
    *ret = answer;
    answer = (ProgramAnswer){ 0 };
    return 0;
}
