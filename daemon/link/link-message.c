/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encoding and decoding of the worker protocol. No state. */
#include "link/link-message.h"

#include "dbus/parexec-dbus.h"
#include "util/sd-bus-util.h"

#define STDERR_TAIL_MAX 4096U

static int append_bytes(sd_bus_message *m, GBytes *bytes)
{
    size_t size = 0;
    const void *data = bytes ? g_bytes_get_data(bytes, &size) : NULL;

    return sd_bus_message_append_array(m, 'y', data, size);
}

static int append_context(sd_bus_message *m, const TaskContext *context)
{
    int r = sd_bus_message_open_container(m, 'r', "tuuauayayayayayt");

    if (r >= 0)
        r = sd_bus_message_append(m, "tuu", context->id, context->uid, context->gid);
    if (r >= 0)
        r = sd_bus_message_append_array(m, 'u', context->groups, context->n_groups * sizeof *context->groups);
    if (r >= 0)
        r = append_bytes(m, context->cwd);
    if (r >= 0)
        r = append_bytes(m, context->environment);
    for (size_t i = 0; r >= 0 && i < _STREAM_MAX; i++)
        r = append_bytes(m, context->streams[i]);
    if (r >= 0)
        r = sd_bus_message_append(m, "t", context->memory_max_bytes);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

/* Each context once, however many tasks share it. */
static int append_contexts(sd_bus_message *m, TaskSpec *const *tasks, size_t n)
{
    g_autoptr(GHashTable) told = g_hash_table_new(g_int64_hash, g_int64_equal);
    int r = sd_bus_message_open_container(m, 'a', PAREXEC_LINK_CONTEXT);

    for (size_t i = 0; r >= 0 && i < n; i++)
        if (g_hash_table_add(told, &tasks[i]->context->id))
            r = append_context(m, tasks[i]->context);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_task(sd_bus_message *m, const TaskSpec *spec)
{
    int r = sd_bus_message_open_container(m, 'r', "ttutttay");

    if (r >= 0)
        r = sd_bus_message_append(m, "ttuttt", spec->id, spec->fence, spec->attempts + 1, spec->batch,
                                  spec->array_index, spec->context->id);
    if (r >= 0)
        r = append_bytes(m, spec->argv);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_tasks(sd_bus_message *m, TaskSpec *const *tasks, size_t n)
{
    int r = sd_bus_message_open_container(m, 'a', PAREXEC_LINK_TASK);

    for (size_t i = 0; r >= 0 && i < n; i++)
        r = append_task(m, tasks[i]);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_fds(sd_bus_message *m, TaskSpec *const *tasks, size_t n)
{
    int r = sd_bus_message_open_container(m, 'a', PAREXEC_LINK_TASK_FD);

    for (size_t i = 0; r >= 0 && i < n; i++)
        for (uint32_t which = 0; tasks[i]->fds && r >= 0 && which < _STREAM_MAX; which++)
            if (tasks[i]->fds->fds[which] >= 0)
                r = sd_bus_message_append(m, PAREXEC_LINK_TASK_FD, tasks[i]->id, which,
                                          tasks[i]->fds->fds[which]);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

int link_append_run(sd_bus_message *m, TaskSpec *const *tasks, size_t n)
{
    int r = append_contexts(m, tasks, n);

    if (r >= 0)
        r = append_tasks(m, tasks, n);
    return r < 0 ? r : append_fds(m, tasks, n);
}

int link_read_held(sd_bus_message *m, GArray **ret)
{
    g_autoptr(GArray) array = g_array_new(FALSE, FALSE, sizeof(HeldReport));
    HeldReport held;
    int r = sd_bus_message_enter_container(m, 'a', PAREXEC_LINK_HELD);

    if (r < 0)
        return r;
    while ((r = sd_bus_message_read(m, PAREXEC_LINK_HELD, &held.task, &held.fence, &held.start_usec)) > 0)
        g_array_append_val(array, held);
    if (r >= 0)
        r = sd_bus_message_exit_container(m);
    if (r < 0)
        return r;
    *ret = g_steal_pointer(&array);
    return 0;
}

static void result_clear(gpointer result)
{
    task_result_done(result);
}

static int read_result(sd_bus_message *m, TaskResult *ret)
{
    TaskResult result = { 0 };
    const char *word;
    const void *tail;
    size_t size;
    int r = sd_bus_message_read(m, "ttsiiitttt", &result.task, &result.fence, &word, &result.exit_status,
                                &result.signal, &result.error, &result.start_usec, &result.end_usec,
                                &result.cpu_nsec, &result.memory_peak_bytes);

    if (r >= 0)
        r = sd_bus_message_read_array(m, 'y', &tail, &size);
    if (r < 0)
        return r;
    int outcome = outcome_from_string(word);
    if (outcome <= OUTCOME_NONE || size > STDERR_TAIL_MAX)
        return -EBADMSG;
    result.outcome = (Outcome) outcome;
    result.stderr_tail = size > 0 ? g_bytes_new(tail, size) : NULL;
    *ret = result;
    return 0;
}

int link_read_results(sd_bus_message *m, GArray **ret)
{
    g_autoptr(GArray) array = g_array_new(FALSE, FALSE, sizeof(TaskResult));
    TaskResult result;
    int r = sd_bus_message_enter_container(m, 'a', PAREXEC_LINK_RESULT);

    g_array_set_clear_func(array, result_clear);
    if (r < 0)
        return r;
    while ((r = sd_bus_message_enter_container(m, 'r', "ttsiiittttay")) > 0) {
        r = read_result(m, &result);
        if (r < 0)
            return r;
        g_array_append_val(array, result);
        r = sd_bus_message_exit_container(m);
        if (r < 0)
            return r;
    }
    if (r >= 0)
        r = sd_bus_message_exit_container(m);
    if (r < 0)
        return r;
    *ret = g_steal_pointer(&array);
    return 0;
}
