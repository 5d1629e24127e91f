/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading and writing the worker protocol's messages. Stateless. What comes in has been checked against
 * the signature by sd-bus; here it is checked for sense. */
#include "worker/runner-message.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "dbus/parexec-dbus.h"
#include "model/spool.h"
#include "util/strv-blob.h"

#define IO_WEIGHT_MAX 10000U

int runner_message_append_held(sd_bus_message *message, const HeldRow *rows, size_t n)
{
    int r;

    r = sd_bus_message_open_container(message, 'a', PAREXEC_LINK_HELD);
    for (size_t i = 0; i < n && r >= 0; i++)
        r = sd_bus_message_append(message, PAREXEC_LINK_HELD, rows[i].task, rows[i].fence,
                                  rows[i].start_usec);
    return r < 0 ? r : sd_bus_message_close_container(message);
}

static int append_data(sd_bus_message *message, GBytes *data)
{
    int r;

    if ((r = sd_bus_message_open_container(message, 'e', "sv")) < 0 ||
        (r = sd_bus_message_append(message, "s", "data")) < 0 ||
        (r = sd_bus_message_open_container(message, 'v', "ay")) < 0)
        return r;
    r = sd_bus_message_append_array(message, 'y', g_bytes_get_data(data, NULL), g_bytes_get_size(data));
    if (r < 0)
        return r;
    r = sd_bus_message_close_container(message);
    return r < 0 ? r : sd_bus_message_close_container(message);
}

/* As the daemon takes it: what a program said may be in it. */
static int append_note(sd_bus_message *message, const char *text)
{
    g_autofree char *note = result_note_clean(text);

    return sd_bus_message_append(message, "{sv}", "note", "s", note);
}

static int append_pair(sd_bus_message *message, const char *key, uint64_t a, uint64_t b)
{
    return sd_bus_message_append(message, "{sv}", key, "(tt)", a, b);
}

static int append_further(sd_bus_message *message, const TaskResult *result)
{
    const uint64_t *dropped = result->dropped_bytes;
    int r;

    r = sd_bus_message_open_container(message, 'a', "{sv}");
    if (r >= 0 && result->data)
        r = append_data(message, result->data);
    if (r >= 0 && result->note)
        r = append_note(message, result->note);
    if (r >= 0 && result->outcome == OUTCOME_OOM)
        r = sd_bus_message_append(message, "{sv}", "oom", "s", oom_cause_to_string(result->oom_cause));
    if (r >= 0 && (dropped[STREAM_STDOUT] > 0 || dropped[STREAM_STDERR] > 0))
        r = append_pair(message, "dropped", dropped[STREAM_STDOUT], dropped[STREAM_STDERR]);
    for (StdStream i = STREAM_STDOUT; i <= STREAM_STDERR && r >= 0; i++)
        if (result->places[i].packed)
            r = append_pair(message, std_stream_to_string(i), result->places[i].offset,
                            result->places[i].size);
    return r < 0 ? r : sd_bus_message_close_container(message);
}

static int append_result(sd_bus_message *message, const TaskResult *result)
{
    gsize size = 0;
    const void *tail = result->stderr_tail ? g_bytes_get_data(result->stderr_tail, &size) : NULL;
    int r;

    r = sd_bus_message_open_container(message, 'r', "ttsiiittttaya{sv}");
    if (r < 0)
        return r;
    r = sd_bus_message_append(message, "ttsiiitttt", result->task, result->fence,
                              outcome_to_string(result->outcome), result->exit_status, result->signal,
                              result->error, result->start_usec, result->end_usec, result->cpu_nsec,
                              result->memory_peak_bytes);
    if (r < 0)
        return r;
    r = sd_bus_message_append_array(message, 'y', tail, size);
    if (r >= 0)
        r = append_further(message, result);
    return r < 0 ? r : sd_bus_message_close_container(message);
}

unsigned runner_message_portion(const ResultQueue *queue)
{
    uint64_t size = 0;
    unsigned n = 0;

    for (const GList *link = result_queue_unsent(queue);
         link && n < RESULT_GROUP_MAX && size < RESULT_GROUP_BYTES; link = link->next, n++) {
        const TaskResult *result = link->data;

        size += result->data ? g_bytes_get_size(result->data) : 0;
    }
    return n;
}

int runner_message_append_results(sd_bus_message *message, const ResultQueue *queue)
{
    unsigned n = runner_message_portion(queue);
    const GList *link = result_queue_unsent(queue);
    int r;

    r = sd_bus_message_open_container(message, 'a', PAREXEC_LINK_RESULT);
    for (unsigned i = 0; i < n && r >= 0; i++, link = link->next)
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

static bool is_file_name(const char *name, size_t size)
{
    return size > 0 && size <= NAME_MAX && !memchr(name, '/', size) && strncmp(name, ".", size) != 0 &&
           !(size == 2 && memcmp(name, "..", 2) == 0);
}

/* NAME=/PATH each, at most so many as a submission may have. */
static int read_credentials(sd_bus_message *message, TaskContext *context)
{
    g_autoptr(GBytes) blob = NULL;
    const char *cursor = NULL;
    size_t size, n = 0;
    int r;

    r = read_blob(message, &blob);
    if (r < 0)
        return r;
    size = g_bytes_get_size(blob);
    while (strv_blob_next(g_bytes_get_data(blob, NULL), size, &cursor)) {
        const char *equals = strchr(cursor, '=');

        if (!equals || equals[1] != '/' || !is_file_name(cursor, (size_t) (equals - cursor)) ||
            ++n > PAREXEC_CREDENTIALS_MAX)
            return -EBADMSG;
    }
    if (size > 0)
        context->credentials = g_steal_pointer(&blob);
    return 0;
}

static int read_policy(sd_bus_message *message, TaskContext *context)
{
    const char *text;
    int r;

    r = sd_bus_message_read(message, "s", &text);
    return r < 0 ? r : task_context_read_terms(context, text);
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
    if (r >= 0)
        r = sd_bus_message_read(message, "t", &context->memory_max_bytes);
    if (r >= 0)
        r = read_credentials(message, context);
    return r < 0 ? r : read_policy(message, context);
}

static int read_contexts(sd_bus_message *message, GPtrArray *contexts)
{
    int r;

    r = sd_bus_message_enter_container(message, 'a', PAREXEC_LINK_CONTEXT);
    if (r < 0)
        return r;
    while ((r = sd_bus_message_enter_container(message, 'r', "tuuauayayayayaytays")) > 0) {
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

static int read_input(sd_bus_message *message, RunnerTask *task, uint64_t *total)
{
    TaskInput *input;
    const char *name;
    const void *data;
    size_t size;
    int r;

    r = sd_bus_message_read(message, "s", &name);
    if (r >= 0)
        r = sd_bus_message_read_array(message, 'y', &data, &size);
    if (r < 0)
        return r;
    *total += size;
    if (!is_file_name(name, strlen(name)) || *total > INPUTS_BYTES_MAX)
        return -EBADMSG;
    if (!task->inputs)
        task->inputs = task_inputs_new();
    input = g_new(TaskInput, 1);
    *input = (TaskInput) { g_strdup(name), g_bytes_new(data, size) };
    g_ptr_array_add(task->inputs, input);
    return 0;
}

static int read_inputs(sd_bus_message *message, RunnerTask *task)
{
    uint64_t total = 0;
    int r;

    r = sd_bus_message_enter_container(message, 'a', "(say)");
    if (r < 0)
        return r;
    while ((r = sd_bus_message_enter_container(message, 'r', "say")) > 0) {
        r = read_input(message, task, &total);
        if (r >= 0)
            r = sd_bus_message_exit_container(message);
        if (r < 0)
            return r;
    }
    return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int read_extra(sd_bus_message *message, const char *key, RunnerTask *task)
{
    const char *gpus;
    int r;

    if (strcmp(key, "memory-max") == 0)
        return sd_bus_message_read(message, "v", "t", &task->memory_max_bytes);
    if (strcmp(key, "gpus") != 0)
        return sd_bus_message_skip(message, "v");
    r = sd_bus_message_read(message, "v", "s", &gpus);
    if (r < 0)
        return r;
    g_free(task->gpus);
    task->gpus = g_strdup(gpus);
    return 0;
}

static int read_extras(sd_bus_message *message, RunnerTask *task)
{
    const char *key;
    int r;

    r = sd_bus_message_enter_container(message, 'a', "{sv}");
    if (r < 0)
        return r;
    while ((r = sd_bus_message_enter_container(message, 'e', "sv")) > 0) {
        r = sd_bus_message_read(message, "s", &key);
        if (r >= 0)
            r = read_extra(message, key, task);
        if (r >= 0)
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
    while ((r = sd_bus_message_enter_container(message, 'r', "ttutttaya(say)a{sv}")) > 0) {
        RunnerTask *task = runner_task_new();

        g_ptr_array_add(tasks, task);
        r = sd_bus_message_read(message, "ttuttt", &task->id, &task->fence, &task->attempt, &task->batch,
                                &task->array_index, &task->context);
        if (r < 0)
            return r;
        r = read_blob(message, &task->argv);
        if (r >= 0)
            r = read_inputs(message, task);
        if (r >= 0)
            r = read_extras(message, task);
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

/* ------------------------------------------------------------------ Limit */

static int read_limit(sd_bus_message *message, const char *key, LimitOrder *order)
{
    LeafLimits *limits = &order->limits;
    const struct {
        const char *key;
        uint64_t *value, most;
        bool *set;
    } known[] = {
        { "memory-max", &limits->memory_max_bytes, UINT64_MAX, &order->set_memory },
        { "cpu-quota", &limits->cpu_quota_usec_per_sec, UINT64_MAX, &order->set_cpu },
        { "tasks-max", &limits->tasks_max, UINT64_MAX, &order->set_tasks },
        { "io-weight", &limits->io_weight, IO_WEIGHT_MAX, &order->set_io },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(known); i++)
        if (strcmp(known[i].key, key) == 0) {
            int r = sd_bus_message_read(message, "v", "t", known[i].value);
            *known[i].set = true;
            return r >= 0 && *known[i].value > known[i].most ? -EBADMSG : r;
        }
    return sd_bus_message_skip(message, "v");
}

int runner_message_read_limit(sd_bus_message *message, LimitOrder *ret)
{
    LimitOrder order = { 0 };
    const char *key;
    int r;

    r = sd_bus_message_read(message, "t", &order.task);
    if (r >= 0)
        r = sd_bus_message_enter_container(message, 'a', "{sv}");
    if (r < 0)
        return r;
    while ((r = sd_bus_message_enter_container(message, 'e', "sv")) > 0) {
        r = sd_bus_message_read(message, "s", &key);
        if (r >= 0)
            r = read_limit(message, key, &order);
        if (r >= 0)
            r = sd_bus_message_exit_container(message);
        if (r < 0)
            return r;
    }
    if (r < 0)
        return r;
    *ret = order;
    return 0;
}
