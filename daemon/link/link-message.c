/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encoding and decoding of the worker protocol. No state. */
#include "link/link-message.h"

#include <string.h>

#include "dbus/parexec-dbus.h"
#include "model/spool.h"
#include "util/sd-bus-util.h"

#define RUN_BYTES_MAX (UINT64_C(24) << 20) /* D-Bus allows 64 MiB in an array */

static int append_bytes(sd_bus_message *m, GBytes *bytes)
{
    size_t size = 0;
    const void *data = bytes ? g_bytes_get_data(bytes, &size) : NULL;

    return sd_bus_message_append_array(m, 'y', data, size);
}

static int append_context(sd_bus_message *m, const TaskContext *context)
{
    g_autofree char *terms = task_context_terms(context);
    int r = sd_bus_message_open_container(m, 'r', "tuuauayayayayaytays");

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
    if (r >= 0)
        r = append_bytes(m, context->credentials);
    if (r >= 0)
        r = sd_bus_message_append(m, "s", terms);
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

static int append_input(sd_bus_message *m, const TaskInput *input)
{
    int r = sd_bus_message_open_container(m, 'r', "say");

    if (r >= 0)
        r = sd_bus_message_append(m, "s", input->name);
    if (r >= 0)
        r = append_bytes(m, input->data);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_inputs(sd_bus_message *m, const GPtrArray *inputs)
{
    int r = sd_bus_message_open_container(m, 'a', "(say)");

    for (guint i = 0; r >= 0 && inputs && i < inputs->len; i++)
        r = append_input(m, inputs->pdata[i]);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

/* What is only said when it is not as usual. */
static int append_extras(sd_bus_message *m, const TaskSpec *spec)
{
    int r = sd_bus_message_open_container(m, 'a', "{sv}");

    if (r >= 0 && spec->memory_max_bytes > 0)
        r = sd_bus_message_append(m, "{sv}", "memory-max", "t", spec->memory_max_bytes);
    if (r >= 0 && spec->gpus)
        r = sd_bus_message_append(m, "{sv}", "gpus", "s", spec->gpus);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_task(sd_bus_message *m, const TaskSpec *spec)
{
    int r = sd_bus_message_open_container(m, 'r', "ttutttaya(say)a{sv}");

    if (r >= 0)
        r = sd_bus_message_append(m, "ttuttt", spec->id, spec->fence, spec->attempts + 1, spec->batch,
                                  spec->array_index, spec->context->id);
    if (r >= 0)
        r = append_bytes(m, spec->argv);
    if (r >= 0)
        r = append_inputs(m, spec->inputs);
    if (r >= 0)
        r = append_extras(m, spec);
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

int link_append_limits(sd_bus_message *m, const TaskLimits *limits)
{
    const struct {
        bool set;
        const char *key;
        uint64_t value;
    } numbers[] = {
        { limits->set_memory, "memory-max", limits->memory_max_bytes },
        { limits->set_cpu, "cpu-quota", limits->cpu_quota_usec_per_sec },
        { limits->set_tasks, "tasks-max", limits->tasks_max },
        { limits->set_io, "io-weight", limits->io_weight },
    };
    int r = sd_bus_message_append(m, "t", limits->task);

    if (r >= 0)
        r = sd_bus_message_open_container(m, 'a', "{sv}");
    for (size_t i = 0; r >= 0 && i < G_N_ELEMENTS(numbers); i++)
        if (numbers[i].set)
            r = sd_bus_message_append(m, "{sv}", numbers[i].key, "t", numbers[i].value);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

int link_read_failures(sd_bus_message *m, GArray **ret)
{
    g_autoptr(GArray) array = g_array_new(FALSE, FALSE, sizeof(FrozenFailure));
    FrozenFailure failure;
    int r = sd_bus_message_enter_container(m, 'a', "(ts)");

    if (r < 0)
        return r;
    while ((r = sd_bus_message_read(m, "(ts)", &failure.task, &failure.why)) > 0) {
        if (!result_note_valid(failure.why))
            return -EBADMSG;
        g_array_append_val(array, failure);
    }
    if (r < 0)
        return r;
    *ret = g_steal_pointer(&array);
    return 0;
}

/* About as many bytes as it takes in a message, with its context, which others may share. */
static uint64_t task_bytes(const TaskSpec *spec)
{
    const TaskContext *context = spec->context;
    uint64_t size = 256 + g_bytes_get_size(spec->argv);

    if (context->environment)
        size += g_bytes_get_size(context->environment);
    for (guint i = 0; spec->inputs && i < spec->inputs->len; i++) {
        const TaskInput *input = spec->inputs->pdata[i];
        size += 64 + strlen(input->name) + (input->data ? g_bytes_get_size(input->data) : 0);
    }
    return size;
}

size_t link_run_portion(TaskSpec *const *tasks, size_t n)
{
    uint64_t size = 0;

    for (size_t i = 0; i < n; i++) {
        size += task_bytes(tasks[i]);
        if (i > 0 && size > RUN_BYTES_MAX)
            return i;
    }
    return n;
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

/* ---- results */

static int read_data(sd_bus_message *m, TaskResult *result)
{
    const void *data;
    size_t size;
    int r = sd_bus_message_read_array(m, 'y', &data, &size);

    if (r < 0)
        return r;
    if (size > RESULT_BYTES_MAX)
        return -EBADMSG;
    g_clear_pointer(&result->data, g_bytes_unref);
    result->data = size > 0 ? g_bytes_new(data, size) : NULL;
    return 0;
}

static int read_note(sd_bus_message *m, TaskResult *result)
{
    const char *note;
    int r = sd_bus_message_read(m, "s", &note);

    if (r < 0)
        return r;
    if (!result_note_valid(note))
        return -EBADMSG;
    g_free(result->note);
    result->note = *note ? g_strdup(note) : NULL;
    return 0;
}

static int read_dropped(sd_bus_message *m, TaskResult *result)
{
    return sd_bus_message_read(m, "(tt)", &result->dropped_bytes[STREAM_STDOUT],
                               &result->dropped_bytes[STREAM_STDERR]);
}

static int read_place(sd_bus_message *m, OutputPlace *ret)
{
    OutputPlace place = { .packed = true };
    int r = sd_bus_message_read(m, "(tt)", &place.offset, &place.size);

    if (r < 0)
        return r;
    if (!output_place_valid(place.offset, place.size))
        return -EBADMSG;
    *ret = place;
    return 0;
}

static int read_stdout_place(sd_bus_message *m, TaskResult *result)
{
    return read_place(m, &result->places[STREAM_STDOUT]);
}

static int read_stderr_place(sd_bus_message *m, TaskResult *result)
{
    return read_place(m, &result->places[STREAM_STDERR]);
}

static int read_oom(sd_bus_message *m, TaskResult *result)
{
    const char *word;
    int r = sd_bus_message_read(m, "s", &word), cause;

    if (r < 0)
        return r;
    cause = oom_cause_from_string(word);
    if (cause < 0)
        return -EBADMSG;
    result->oom_cause = (OomCause) cause;
    return 0;
}

static const struct {
    const char *key, *signature;
    int (*read)(sd_bus_message *m, TaskResult *result);
} further[] = {
    { "data", "ay", read_data },
    { "note", "s", read_note },
    { "oom", "s", read_oom },
    { "dropped", "(tt)", read_dropped },
    { "stdout", "(tt)", read_stdout_place },
    { "stderr", "(tt)", read_stderr_place },
};

/* What a later worker may have to say is passed over. */
static int read_value(sd_bus_message *m, const char *key, TaskResult *result)
{
    for (size_t i = 0; i < G_N_ELEMENTS(further); i++) {
        if (strcmp(further[i].key, key) != 0)
            continue;
        int r = sd_bus_message_enter_container(m, 'v', further[i].signature);
        if (r >= 0)
            r = further[i].read(m, result);
        return r < 0 ? r : sd_bus_message_exit_container(m);
    }
    return sd_bus_message_skip(m, "v");
}

static int read_further(sd_bus_message *m, TaskResult *result)
{
    const char *key;
    int r = sd_bus_message_enter_container(m, 'a', "{sv}");

    if (r < 0)
        return r;
    while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
        r = sd_bus_message_read(m, "s", &key);
        if (r >= 0)
            r = read_value(m, key, result);
        if (r >= 0)
            r = sd_bus_message_exit_container(m);
        if (r < 0)
            return r;
    }
    return r < 0 ? r : sd_bus_message_exit_container(m);
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
    if (outcome <= OUTCOME_NONE || size > STDERR_TAIL_BYTES_MAX)
        return -EBADMSG;
    result.outcome = (Outcome) outcome;
    result.stderr_tail = size > 0 ? g_bytes_new(tail, size) : NULL;
    r = read_further(m, &result);
    if (r < 0) {
        task_result_done(&result);
        return r;
    }
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
    while ((r = sd_bus_message_enter_container(m, 'r', "ttsiiittttaya{sv}")) > 0) {
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
