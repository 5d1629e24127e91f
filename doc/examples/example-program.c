/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A program that does tasks, see parexec-program(7): it adds up the numbers it is given.
 *
 *     cc -o adder example-program.c $(pkg-config --cflags --libs json-glib-1.0)
 *     parctl add-worker --exec "$PWD/adder" --worker-class sums
 *     parctl submit --worker-class sums -- 1 2.5 3 */
#include <errno.h>
#include <json-glib/json-glib.h>
#include <stdio.h>
#include <stdlib.h>

/* Says what became of the task, in one line. */
static void answer(gint64 id, int status, const char *member, const char *text)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(JsonNode) node = NULL;
    g_autofree char *line = NULL;

    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "id");
    json_builder_add_int_value(builder, id);
    json_builder_set_member_name(builder, "exit");
    json_builder_add_int_value(builder, status);
    json_builder_set_member_name(builder, member);
    json_builder_add_string_value(builder, text);
    json_builder_end_object(builder);
    node = json_builder_get_root(builder);
    line = json_to_string(node, FALSE);
    printf("%s\n", line);
    fflush(stdout);
}

static void do_task(JsonObject *task)
{
    gint64 id = json_object_get_int_member(task, "id");
    JsonArray *words =
        json_object_has_member(task, "argv") ? json_object_get_array_member(task, "argv") : NULL;
    g_autofree char *text = NULL;
    double sum = 0;

    for (guint i = 0; words && i < json_array_get_length(words); i++) {
        const char *word = json_array_get_string_element(words, i);
        char *end;

        sum += g_ascii_strtod(word, &end);
        if (end == word || *end) {
            text = g_strdup_printf("'%s' is no number\n", word);
            answer(id, 1, "stderr", text);
            return;
        }
    }
    text = g_strdup_printf("%g\n", sum);
    answer(id, words ? 0 : 1, words ? "stdout" : "stderr", words ? text : "the arguments are no text\n");
}

int main(void)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    char *line = NULL;
    size_t size = 0;
    ssize_t n;

    while ((n = getline(&line, &size, stdin)) > 0) {
        if (!json_parser_load_from_data(parser, line, n, NULL))
            return EXIT_FAILURE;
        do_task(json_node_get_object(json_parser_get_root(parser)));
    }
    free(line);
    return EXIT_SUCCESS;
}
