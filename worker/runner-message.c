/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading and writing the worker protocol's messages. Stateless. What comes in has been checked against
 * the signature by sd-bus; here it is checked for sense. */
#include "worker/runner-message.h"

#include <fcntl.h>
#include <string.h>

#include "dbus/parexec-dbus.h"
#include "util/strv-blob.h"

int runner_message_append_held(sd_bus_message *message, const HeldRow *rows, size_t n)
{
    int r;

    r = sd_bus_message_open_container(message, 'a', PAREXEC_LINK_HELD);
    for (size_t i = 0; i < n && r >= 0; i++)
        r = sd_bus_message_append(message, PAREXEC_LINK_HELD, rows[i].task, rows[i].fence,
                                  rows[i].start_usec);
    return r < 0 ? r : sd_bus_message_close_container(message);
}

static int append_result(sd_bus_message *message, const TaskResult *result)
{
    gsize size = 0;
    const void *tail = result->stderr_tail ? g_bytes_get_data(result->stderr_tail, &size) : NULL;
    int r;

    r = sd_bus_message_open_container(message, 'r', "ttsiiittttay");
    if (r < 0)
        return r;
    r = sd_bus_message_append(message, "ttsiiitttt", result->task, result->fence,
                              outcome_to_string(result->outcome), result->exit_status, result->signal,
                              result->error, result->start_usec, result->end_usec, result->cpu_nsec,
                              result->memory_peak_bytes);
    if (r < 0)
        return r;
    r = sd_bus_message_append_array(message, 'y', tail, size);
    return r < 0 ? r : sd_bus_message_close_container(message);
}

int runner_message_append_results(sd_bus_message *message, const ResultQueue *queue)
{
    unsigned n = 0;
    int r;

    r = sd_bus_message_open_container(message, 'a', PAREXEC_LINK_RESULT);
    for (const GList *link = result_queue_unsent(queue); link && n < RESULT_GROUP_MAX && r >= 0;
         link = link->next, n++)
        r = append_result(message, link->data);
    if (r >= 0)
        r = sd_bus_message_close_container(message);
    return r < 0 ? r : (int) n;
}

/* ------------------------------------------------------------------ Run */

/* A byte string that C can hold: its closing NUL may be on the wire or not, another NUL may not be in it.
 * Empty: NULL. */
static int read_string(sd_bus_message *message, GBytes **ret)
{
    const void *data;
    size_t size;
    char *string;
    int r;

    r = sd_bus_message_read_array(message, 'y', &data, &size);
    if (r < 0)
        return r;
    if (size > 0 && ((const char *) data)[size - 1] == '\0')
        size--;
    if (size == 0)
        return 0;
    if (memchr(data, '\0', size))
        return -EBADMSG;
    string = g_strndup(data, size);
    *ret = g_bytes_new_take(string, size + 1);
    return 0;
}

static int read_blob(sd_bus_message *message, GBytes **ret)
{
    const void *data;
    size_t size;
    int r;

    r = sd_bus_message_read_array(message, 'y', &data, &size);
    if (r < 0)
        return r;
    if (!strv_blob_valid(data, size))
        return -EBADMSG;
    *ret = g_bytes_new(data, size);
    return 0;
}

static int read_groups(sd_bus_message *message, TaskContext *context)
{
    const void *data;
    size_t size;
    int r;

    r = sd_bus_message_read_array(message, 'u', &data, &size);
    if (r < 0)
        return r;
    context->groups = g_memdup2(data, size);
    context->n_groups = size / sizeof *context->groups;
    return 0;
}

static int read_context_fields(sd_bus_message *message, TaskContext *context)
{
    int r;

    r = sd_bus_message_read(message, "tuu", &context->id, &context->uid, &context->gid);
    if (r < 0)
        return r;
    r = read_groups(message, context);
    if (r < 0)
        return r;
    r = read_string(message, &context->cwd);
    if (r < 0)
        return r;
    r = read_blob(message, &context->environment);
    for (int i = 0; i < _STREAM_MAX && r >= 0; i++)
        r = read_string(message, &context->streams[i]);
    return r < 0 ? r : sd_bus_message_read(message, "t", &context->memory_max_bytes);
}

static int read_contexts(sd_bus_message *message, GPtrArray *contexts)
{
    int r;

    r = sd_bus_message_enter_container(message, 'a', PAREXEC_LINK_CONTEXT);
    if (r < 0)
        return r;
    while ((r = sd_bus_message_enter_container(message, 'r', "tuuauayayayayayt")) > 0) {
        TaskContext *context = task_context_new();

        g_ptr_array_add(contexts, context);
        g_clear_pointer(&context->environment, g_bytes_unref);
        r = read_context_fields(message, context);
        if (r < 0)
            return r;
        r = sd_bus_message_exit_container(message);
        if (r < 0)
            return r;
    }
    return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int read_tasks(sd_bus_message *message, GPtrArray *tasks)
{
    int r;

    r = sd_bus_message_enter_container(message, 'a', PAREXEC_LINK_TASK);
    if (r < 0)
        return r;
    while ((r = sd_bus_message_enter_container(message, 'r', "ttutttay")) > 0) {
        RunnerTask *task = runner_task_new();

        g_ptr_array_add(tasks, task);
        r = sd_bus_message_read(message, "ttuttt", &task->id, &task->fence, &task->attempt, &task->batch,
                                &task->array_index, &task->context);
        if (r < 0)
            return r;
        r = read_blob(message, &task->argv);
        if (r < 0)
            return r;
        r = sd_bus_message_exit_container(message);
        if (r < 0)
            return r;
    }
    return r < 0 ? r : sd_bus_message_exit_container(message);
}

/* The message's descriptors are closed with it: the task gets one of its own, above those of the standard
 * streams. */
static int give_descriptor(GPtrArray *tasks, uint64_t id, uint32_t which, int fd)
{
    for (guint i = 0; i < tasks->len && which < _STREAM_MAX; i++) {
        RunnerTask *task = tasks->pdata[i];

        if (task->id != id)
            continue;
        if (task->fds[which] >= 0)
            return -EBADMSG;
        task->fds[which] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        return task->fds[which] < 0 ? -errno : 0;
    }
    return -EBADMSG;
}

static int read_descriptors(sd_bus_message *message, GPtrArray *tasks)
{
    uint64_t id;
    uint32_t which;
    int r, fd;

    r = sd_bus_message_enter_container(message, 'a', PAREXEC_LINK_TASK_FD);
    if (r < 0)
        return r;
    while ((r = sd_bus_message_read(message, PAREXEC_LINK_TASK_FD, &id, &which, &fd)) > 0) {
        r = give_descriptor(tasks, id, which, fd);
        if (r < 0)
            return r;
    }
    return r < 0 ? r : sd_bus_message_exit_container(message);
}

static void task_free(void *data)
{
    (void) runner_task_free(data);
}

int runner_message_read_run(sd_bus_message *message, RunOrder *ret, char **ret_why)
{
    g_auto(RunOrder) order = {
        .contexts = g_ptr_array_new_with_free_func((GDestroyNotify) task_context_unref),
        .tasks = g_ptr_array_new_with_free_func(task_free),
    };
    const char *part = "contexts";
    int r;

    r = read_contexts(message, order.contexts);
    if (r >= 0) {
        part = "tasks";
        r = read_tasks(message, order.tasks);
    }
    if (r >= 0) {
        part = "descriptors";
        r = read_descriptors(message, order.tasks);
    }
    if (r < 0) {
        *ret_why = g_strdup_printf("bad %s: %s", part, g_strerror(-r));
        return -EBADMSG;
    }
    *ret = order;
    order = (RunOrder) { 0 };
    return 0;
}

void run_order_done(RunOrder *order)
{
    g_clear_pointer(&order->contexts, g_ptr_array_unref);
    g_clear_pointer(&order->tasks, g_ptr_array_unref);
}
