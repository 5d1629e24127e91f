/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a task waits for, as it was asked for: conditions, queue, time. Whether the tasks and queues that are named exist is
 * for the store to say; here only what no store could make sense of is refused. A condition without a clause gets a number
 * of its own behind those that were given. */
#include "bus/gate-request.h"

#include <stddef.h>
#include <string.h>

#include "bus/options.h"
#include "dbus/parexec-dbus.h"
#include "model/ids.h"
#include "util/parse-util.h"
#include "util/sd-bus-util.h"

#define CLAUSE_OWN UINT32_MAX
#define STATUS_NONE (-1)
#define DELAY_LONGEST_USEC (UINT64_C(36525) * 24 * 3600 * USEC_PER_SEC) /* a century */
#define TIME_LATEST_USEC ((uint64_t) INT64_MAX / 2)

/* ---- conditions */

typedef struct ConditionOptions {
    bool batch, local;
    int status;
    uint32_t clause;
} ConditionOptions;

static int read_status(sd_bus_message *m, const char *option, void *target, sd_bus_error *error)
{
    ConditionOptions *options = target;
    int r = sd_bus_message_read_basic(m, 'i', &options->status);

    if (r >= 0 && (options->status < 0 || options->status > 255))
        return options_invalid(error, "after: the status is %d; an exit status lies between 0 and 255.",
                               options->status);
    return r;
}

static int read_clause(sd_bus_message *m, const char *option, void *target, sd_bus_error *error)
{
    ConditionOptions *options = target;
    int r = sd_bus_message_read_basic(m, 'u', &options->clause);

    if (r >= 0 && options->clause >= DEPENDENCIES_MAX)
        return options_invalid(error, "after: the clause is %u; clauses are numbered from 0 to %u.",
                               options->clause, DEPENDENCIES_MAX - 1);
    return r;
}

static const Option condition_options[] = {
    { "batch", "b", offsetof(ConditionOptions, batch) },
    { "local", "b", offsetof(ConditionOptions, local) },
    { "status", "i", .read = read_status },
    { "clause", "u", .read = read_clause },
    { NULL },
};

static int add_singleton(TaskRequest *request, uint64_t target, const ConditionOptions *options,
                         sd_bus_error *error)
{
    if (target != 0 || options->batch || options->local || options->status != STATUS_NONE ||
        options->clause != CLAUSE_OWN)
        return options_invalid(error,
                               "after: singleton stands for itself: its target is 0, without options.");
    request->singleton = true;
    return 0;
}

static int check_condition(const Dependency *d, const ConditionOptions *options, sd_bus_error *error)
{
    const char *kind = dependency_kind_to_string(d->kind);

    if (options->batch && options->local)
        return options_invalid(error, "after: a target is either a batch or local, not both.");
    if (d->kind == DEPENDENCY_EXIT && options->status == STATUS_NONE)
        return options_invalid(error, "after: exit needs a status.");
    if (d->kind != DEPENDENCY_EXIT && options->status != STATUS_NONE)
        return options_invalid(error, "after: only exit takes a status, %s does not.", kind);
    if (d->target == TARGET_LOCAL ? d->id <= (uint64_t) INT64_MAX
                                  : d->id >= 1 && d->id <= (uint64_t) INT64_MAX)
        return 0;
    if (d->target == TARGET_LOCAL)
        return sd_bus_error_setf(error, PAREXEC_ERROR_INVALID_DEPENDENCY,
                                 "after: no batch has a position %" G_GUINT64_FORMAT ".", d->id);
    return sd_bus_error_setf(error, PAREXEC_ERROR_NO_SUCH_TASK,
                             "after: there is no %s %" G_GUINT64_FORMAT ".",
                             d->target == TARGET_BATCH ? "batch" : "task", d->id);
}

static int add_condition(TaskRequest *request, const char *word, uint64_t target,
                         const ConditionOptions *options, sd_bus_error *error)
{
    int kind = dependency_kind_from_string(word);

    if (kind < 0 && strcmp(word, "singleton") == 0)
        return add_singleton(request, target, options, error);
    if (kind < 0) {
        g_autofree char *shown = format_foreign(word);
        return options_invalid(error,
                               "after: \"%s\" is none of afterok, afternotok, afterany, after, aftercorr, "
                               "exit, oom, timeout, singleton.",
                               shown);
    }
    Dependency dependency = {
        .clause = options->clause,
        .kind = (DependencyKind) kind,
        .target = options->local   ? TARGET_LOCAL
                  : options->batch ? TARGET_BATCH
                                   : TARGET_TASK,
        .id = target,
        .status = MAX(options->status, 0),
    };
    int r = check_condition(&dependency, options, error);
    if (r < 0)
        return r;
    if (request->dependencies->len >= DEPENDENCIES_MAX)
        return sd_bus_error_setf(error, PAREXEC_ERROR_TOO_LARGE,
                                 "after: a task takes at most %u conditions; wait for a batch instead.",
                                 DEPENDENCIES_MAX);
    request->corresponding |= dependency.kind == DEPENDENCY_AFTER_CORR;
    g_array_append_val(request->dependencies, dependency);
    return 0;
}

static int read_condition(sd_bus_message *m, TaskRequest *request, sd_bus_error *error)
{
    ConditionOptions options = { .status = STATUS_NONE, .clause = CLAUSE_OWN };
    const char *word;
    uint64_t target = 0;
    int r = sd_bus_message_enter_container(m, 'r', "sta{sv}");

    if (r >= 0)
        r = sd_bus_message_read_basic(m, 's', &word);
    if (r >= 0)
        r = sd_bus_message_read_basic(m, 't', &target);
    if (r >= 0)
        r = options_read(m, condition_options, &options, error);
    if (r >= 0)
        r = add_condition(request, word, target, &options, error);
    return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int compare_clauses(gconstpointer a, gconstpointer b)
{
    uint32_t left = ((const Dependency *) a)->clause, right = ((const Dependency *) b)->clause;

    return (left > right) - (left < right);
}

/* aftercorr means an element each: it has no alternatives. */
static int check_corresponding(const TaskRequest *request, sd_bus_error *error)
{
    g_autoptr(GArray) sorted = g_array_copy(request->dependencies);
    const Dependency *d;

    g_array_sort(sorted, compare_clauses);
    d = (const Dependency *) sorted->data;
    for (guint i = 0; i < sorted->len; i++)
        if (d[i].kind == DEPENDENCY_AFTER_CORR && ((i > 0 && d[i - 1].clause == d[i].clause) ||
                                                   (i + 1 < sorted->len && d[i + 1].clause == d[i].clause)))
            return options_invalid(error, "after: aftercorr has no alternatives, but clause %u has others.",
                                   d[i].clause);
    return 0;
}

static void number_clauses(TaskRequest *request)
{
    uint32_t next = 0;

    for (guint i = 0; i < request->dependencies->len; i++) {
        uint32_t clause = g_array_index(request->dependencies, Dependency, i).clause;
        if (clause != CLAUSE_OWN)
            next = MAX(next, clause + 1);
    }
    for (guint i = 0; i < request->dependencies->len; i++) {
        Dependency *d = &g_array_index(request->dependencies, Dependency, i);
        if (d->clause == CLAUSE_OWN)
            d->clause = next++;
    }
}

int gate_request_read_after(sd_bus_message *m, const char *option, void *target, sd_bus_error *error)
{
    TaskRequest *request = target;
    int r = sd_bus_message_enter_container(m, 'a', "(sta{sv})");

    g_clear_pointer(&request->dependencies, g_array_unref);
    request->dependencies = g_array_new(FALSE, FALSE, sizeof(Dependency));
    request->corresponding = request->singleton = false;
    while (r >= 0 && (r = sd_bus_message_at_end(m, 0)) == 0)
        r = read_condition(m, request, error);
    if (r < 0)
        return r;
    number_clauses(request);
    if (request->corresponding)
        r = check_corresponding(request, error);
    return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* ---- everything else */

int gate_request_read_queue(sd_bus_message *m, const char *option, void *target, sd_bus_error *error)
{
    TaskRequest *request = target;
    int r = sd_bus_message_read_basic(m, 's', &request->queue);

    if (r >= 0 && (!*request->queue || !name_is_valid(request->queue)))
        return options_invalid(error, "queue: the name of a queue has 1 to %u bytes on one line, not %zu.",
                               PAREXEC_NAME_BYTES_MAX, strlen(request->queue));
    return r;
}

int gate_request_read_parallel(sd_bus_message *m, const char *option, void *target, sd_bus_error *error)
{
    TaskRequest *request = target;
    int r = sd_bus_message_read_basic(m, 'u', &request->parallel);

    if (r >= 0 && request->parallel == 0)
        return options_invalid(error, "parallel is 0: no task of the array would ever run.");
    return r;
}

int gate_request_read_not_before(sd_bus_message *m, const char *option, void *target, sd_bus_error *error)
{
    TaskRequest *request = target;
    int r = sd_bus_message_read_basic(m, 't', &request->not_before_usec);

    if (r >= 0 && request->not_before_usec > TIME_LATEST_USEC)
        return options_invalid(error,
                               "not-before is %" G_GUINT64_FORMAT
                               " microseconds after 1970; at most %" G_GUINT64_FORMAT ".",
                               request->not_before_usec, TIME_LATEST_USEC);
    return r;
}

int gate_request_read_delay(sd_bus_message *m, const char *option, void *target, sd_bus_error *error)
{
    TaskRequest *request = target;
    int r = sd_bus_message_read_basic(m, 't', &request->delay_usec);

    if (r >= 0 && request->delay_usec > DELAY_LONGEST_USEC)
        return options_invalid(
            error, "delay is %" G_GUINT64_FORMAT " microseconds; at most %" G_GUINT64_FORMAT ", a century.",
            request->delay_usec, DELAY_LONGEST_USEC);
    return r;
}

int gate_request_check(const TaskRequest *request, size_t number, sd_bus_error *error)
{
    if (request->corresponding && !request->is_array)
        return options_invalid(error, "Task %zu: aftercorr goes from array to array; it has no array.",
                               number);
    if (request->parallel > 0 && !request->is_array)
        return options_invalid(error, "Task %zu: parallel is for the tasks of an array; it has no array.",
                               number);
    if (request->singleton && (!request->name || !*request->name))
        return options_invalid(error, "Task %zu: singleton is for tasks of the same name; it has no name.",
                               number);
    return 0;
}

TaskGate *gate_request_take(TaskRequest *request)
{
    bool depends = request->dependencies && request->dependencies->len > 0;

    if (!depends && !request->singleton && !request->held && request->not_before_usec == 0 &&
        request->delay_usec == 0 && !request->queue && request->parallel == 0)
        return NULL;
    TaskGate *gate = task_gate_new();
    gate->dependencies = depends ? g_steal_pointer(&request->dependencies) : NULL;
    gate->keep_unsatisfied = request->keep_unsatisfied;
    gate->singleton = request->singleton;
    gate->held = request->held;
    gate->not_before_usec = request->not_before_usec;
    gate->delay_usec = request->delay_usec;
    gate->queue = g_strdup(request->queue);
    gate->parallel = request->parallel;
    return gate;
}
