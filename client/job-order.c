/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The order of a job file's tasks: depth first, without recursion, from the top of the file, so that a file
 * in which nothing waits for what is below stays as it is. A task that is met again while what it waits for
 * is being looked at is on a cycle, and the stack names it. */

#include <glib/gi18n.h>

#include "client/job-task.h"
#include "util/parse-util.h"

#define NAMES_SHOWN 20U /* of a cycle */

typedef enum Mark {
    MARK_NONE,
    MARK_OPEN, /* on the stack */
    MARK_DONE,
} Mark;

typedef struct Visit {
    guint task;
    guint next; /* condition to be looked at */
} Visit;

typedef struct Walk {
    JobFile *file;
    uint8_t *marks;
    GArray *stack; /* Visit */
    uint64_t positions;
} Walk;

static const char *name_of(const JobFile *file, guint task)
{
    const JobTask *one = file->tasks->pdata[task];

    return one->id ?: "?"; /* what others wait for has a name */
}

/* "a → b → a": each waits for the next. */
static char *describe_cycle(const Walk *walk, guint task)
{
    guint first = 0;
    GString *text = g_string_new(NULL);

    while (g_array_index(walk->stack, Visit, first).task != task)
        first++;
    for (guint i = first; i < walk->stack->len && i - first < NAMES_SHOWN; i++) {
        g_autofree char *name =
            format_foreign(name_of(walk->file, g_array_index(walk->stack, Visit, i).task));
        g_string_append_printf(text, "%s → ", name);
    }
    if (walk->stack->len - first > NAMES_SHOWN)
        g_string_append_printf(text, _("… %u more … → "), walk->stack->len - first - NAMES_SHOWN);
    g_autofree char *name = format_foreign(name_of(walk->file, task));
    g_string_append(text, name);
    return g_string_free(text, FALSE);
}

static void push(Walk *walk, guint task)
{
    Visit visit = { .task = task };

    walk->marks[task] = MARK_OPEN;
    g_array_append_val(walk->stack, visit);
}

static void finish(Walk *walk, guint task)
{
    JobTask *one = walk->file->tasks->pdata[task];

    walk->marks[task] = MARK_DONE;
    one->position = walk->positions;
    walk->positions += job_task_count(one);
    g_array_append_val(walk->file->order, task);
    g_array_set_size(walk->stack, walk->stack->len - 1);
}

/* One step of the task on top: the next that it waits for and that is not placed yet, or its own place. */
static int step(Walk *walk, char **ret_why)
{
    Visit *visit = &g_array_index(walk->stack, Visit, walk->stack->len - 1);
    const JobTask *one = walk->file->tasks->pdata[visit->task];
    const GArray *conditions = one->after.conditions;

    while (conditions && visit->next < conditions->len) {
        const Dependency *condition = &g_array_index(conditions, Dependency, visit->next++);
        guint target = (guint) condition->id;
        if (condition->target != TARGET_LOCAL || walk->marks[target] == MARK_DONE)
            continue;
        if (walk->marks[target] == MARK_OPEN) {
            g_autofree char *cycle = describe_cycle(walk, target);
            *ret_why =
                g_strdup_printf(_("tasks[%u].after: tasks wait for one another: %s"), visit->task, cycle);
            return -EINVAL;
        }
        push(walk, target);
        return 0;
    }
    finish(walk, visit->task);
    return 0;
}

static int place_all(Walk *walk, char **ret_why)
{
    int r = 0;

    for (guint i = 0; r >= 0 && i < walk->file->tasks->len; i++) {
        if (walk->marks[i] == MARK_NONE)
            push(walk, i);
        while (r >= 0 && walk->stack->len > 0)
            r = step(walk, ret_why);
    }
    return r;
}

/* ---- positions */

/* Of an array every element is waited for, but with aftercorr, which finds its own. */
static uint64_t elements_of(const JobFile *file, const Dependency *condition)
{
    if (condition->target != TARGET_LOCAL || condition->kind == DEPENDENCY_AFTER_CORR)
        return 1;
    return job_task_count(file->tasks->pdata[condition->id]);
}

static Dependency at_element(const JobFile *file, const Dependency *condition, uint64_t element)
{
    Dependency result = *condition;

    if (condition->target == TARGET_LOCAL)
        result.id = ((const JobTask *) file->tasks->pdata[condition->id])->position + element;
    return result;
}

/* The alternatives from first to end, of which some are arrays: (all of x) or y is (x1 or y) and (x2 or y)
 * and … */
static int expand_clause(const JobFile *file, const GArray *from, guint first, guint end, GArray *to,
                         uint32_t *clause)
{
    uint64_t combinations = 1, width = end - first;

    for (guint i = first; i < end; i++) {
        combinations *= elements_of(file, &g_array_index(from, Dependency, i));
        if (combinations * width + to->len > DEPENDENCIES_MAX)
            return -E2BIG;
    }
    for (uint64_t c = 0; c < combinations; c++, ++*clause) {
        uint64_t rest = c;
        for (guint i = first; i < end; i++) {
            const Dependency *condition = &g_array_index(from, Dependency, i);
            uint64_t n = elements_of(file, condition);
            Dependency one = at_element(file, condition, rest % n);
            one.clause = *clause;
            rest /= n;
            g_array_append_val(to, one);
        }
    }
    return 0;
}

static int expand(const JobFile *file, JobTask *task)
{
    GArray *from = task->after.conditions;
    g_autoptr(GArray) to = g_array_sized_new(FALSE, FALSE, sizeof(Dependency), from->len);
    uint32_t clause = 0;
    int r = 0;

    for (guint first = 0, end; r >= 0 && first < from->len; first = end) {
        for (end = first + 1; end < from->len && g_array_index(from, Dependency, end).clause ==
                                                     g_array_index(from, Dependency, first).clause;)
            end++;
        r = expand_clause(file, from, first, end, to, &clause);
    }
    if (r < 0)
        return r;
    g_array_unref(from);
    task->after.conditions = g_steal_pointer(&to);
    return 0;
}

int job_order(JobFile *file, char **ret_why)
{
    g_autofree uint8_t *marks = g_new0(uint8_t, file->tasks->len);
    g_autoptr(GArray) stack = g_array_new(FALSE, FALSE, sizeof(Visit));
    Walk walk = { .file = file, .marks = marks, .stack = stack };
    int r = place_all(&walk, ret_why);

    for (guint i = 0; r >= 0 && i < file->tasks->len; i++) {
        JobTask *task = file->tasks->pdata[i];
        if (!task->after.conditions || expand(file, task) >= 0)
            continue;
        r = -EINVAL;
        *ret_why =
            g_strdup_printf(_("tasks[%u].after: with every element of arrays it has more than %u conditions"),
                            i, DEPENDENCIES_MAX);
    }
    return r;
}
