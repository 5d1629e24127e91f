/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Job files for people: the tasks in the order in which they are sent, and the graph. */

#include <inttypes.h>
#include <string.h>

#include "client/job-file.h"
#include "client/table.h"
#include "client/text.h"

static char *label_of(const JobTask *task)
{
    if (task->id || task->name)
        return g_strdup(task->id ?: task->name);
    return g_strdup_printf("#%" PRIu64, task->position + 1);
}

void job_file_print(const JobFile *file)
{
    static const TableColumn columns[] = {
        { .title = N_("TASK"), .cut = true },
        { .title = N_("COUNT"), .right = true },
        { .title = N_("AFTER"), .cut = true },
        { .title = N_("COMMAND"), .cut = true },
    };
    g_autoptr(Table) table = table_new(columns, G_N_ELEMENTS(columns));

    for (guint i = 0; i < file->order->len; i++) {
        const JobTask *task = file->tasks->pdata[g_array_index(file->order, guint, i)];
        table_add(table, COLOR_BOLD, label_of(task));
        table_add_format(table, COLOR_NONE, "%" PRIu64, job_task_count(task));
        table_add(table, COLOR_NONE, g_strdup(task->after_text ?: "-"));
        table_add(table, COLOR_NONE, text_command_line(task->argv));
    }
    table_print(table);
}

/* A word of Graphviz: quoted, with nothing in it that ends the quotes. */
static char *dot_quote(const char *text)
{
    g_autofree char *plain = text_printable(text);
    GString *out = g_string_new("\"");

    for (const char *p = plain; *p; p++) {
        if (*p == '"' || *p == '\\')
            g_string_append_c(out, '\\');
        g_string_append_c(out, *p);
    }
    g_string_append_c(out, '"');
    return g_string_free(out, FALSE);
}

/* The task with an element at this position. */
static const JobTask *task_at(const JobFile *file, uint64_t position)
{
    guint low = 0, high = file->order->len;

    while (high - low > 1) {
        guint middle = low + (high - low) / 2;
        const JobTask *task = file->tasks->pdata[g_array_index(file->order, guint, middle)];
        if (task->position <= position)
            low = middle;
        else
            high = middle;
    }
    return file->tasks->pdata[g_array_index(file->order, guint, low)];
}

static char *node_of(const JobFile *file, const Dependency *condition)
{
    g_autofree char *label = NULL;

    if (condition->target == TARGET_LOCAL)
        label = label_of(task_at(file, condition->id));
    else
        label =
            g_strdup_printf(condition->target == TARGET_BATCH ? "batch:%" PRIu64 : "%" PRIu64, condition->id);
    return dot_quote(label);
}

static char *edge_label(const Dependency *condition)
{
    if (condition->kind == DEPENDENCY_EXIT)
        return g_strdup_printf("exit=%d", condition->status);
    return g_strdup(dependency_kind_to_string(condition->kind));
}

static void print_edges(const JobFile *file, const JobTask *task, const char *node)
{
    const GArray *conditions = task->after.conditions;
    g_autofree char *before = NULL;

    for (guint i = 0; conditions && i < conditions->len; i++) {
        const Dependency *condition = &g_array_index(conditions, Dependency, i);
        g_autofree char *from = node_of(file, condition), *label = edge_label(condition);
        char *line = g_strdup_printf("  %s -> %s [label=\"%s\"];\n", from, node, label);
        if (g_strcmp0(line, before) != 0) /* the elements of an array are one node */
            printf("%s", line);
        g_free(before);
        before = line;
    }
}

void job_file_print_dot(const JobFile *file)
{
    printf("digraph parexec {\n  rankdir=LR;\n");
    for (guint i = 0; i < file->order->len; i++) {
        const JobTask *task = file->tasks->pdata[g_array_index(file->order, guint, i)];
        g_autofree char *label = label_of(task), *node = dot_quote(label);
        printf("  %s;\n", node);
        print_edges(file, task, node);
    }
    printf("}\n");
}
