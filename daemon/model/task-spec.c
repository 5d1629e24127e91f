/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is to be run, and in which surroundings. Values: a TaskSpec has one owner, a TaskContext is counted and does not
 * change once others see it. */
#include "model/task-spec.h"

#include <string.h>

#include "model/limits.h"

static const char *const std_stream_table[_STREAM_MAX] = {
    [STREAM_STDIN] = "stdin",
    [STREAM_STDOUT] = "stdout",
    [STREAM_STDERR] = "stderr",
};
DEFINE_STRING_TABLE(std_stream, StdStream)

static const char *const oom_cause_table[_OOM_CAUSE_MAX] = {
    [OOM_TASK] = "task",
    [OOM_WORKER] = "worker",
    [OOM_HOST] = "host",
    [OOM_OOMD] = "oomd",
};
DEFINE_STRING_TABLE(oom_cause, OomCause)

TaskContext *task_context_new(void)
{
    TaskContext *context = g_new0(TaskContext, 1);

    g_atomic_ref_count_init(&context->refs);
    context->memory_max_bytes = LIMIT_INFINITY;
    task_policy_init(&context->policy);
    task_demand_init(&context->demand);
    return context;
}

static GBytes *bytes_ref(GBytes *bytes)
{
    return bytes ? g_bytes_ref(bytes) : NULL;
}

TaskContext *task_context_copy(const TaskContext *context)
{
    TaskContext *copy = task_context_new();

    copy->uid = context->uid;
    copy->gid = context->gid;
    copy->groups = g_memdup2(context->groups, context->n_groups * sizeof *context->groups);
    copy->n_groups = context->n_groups;
    copy->cwd = bytes_ref(context->cwd);
    copy->environment = bytes_ref(context->environment);
    for (size_t i = 0; i < _STREAM_MAX; i++)
        copy->streams[i] = bytes_ref(context->streams[i]);
    copy->memory_max_bytes = context->memory_max_bytes;
    copy->credentials = bytes_ref(context->credentials);
    task_policy_copy(&copy->policy, &context->policy);
    task_demand_copy(&copy->demand, &context->demand);
    return copy;
}

TaskContext *task_context_ref(TaskContext *context)
{
    g_atomic_ref_count_inc(&context->refs);
    return context;
}

void task_context_unref(TaskContext *context)
{
    if (!context || !g_atomic_ref_count_dec(&context->refs))
        return;
    g_free(context->groups);
    g_clear_pointer(&context->cwd, g_bytes_unref);
    g_clear_pointer(&context->environment, g_bytes_unref);
    for (size_t i = 0; i < _STREAM_MAX; i++)
        g_clear_pointer(&context->streams[i], g_bytes_unref);
    g_clear_pointer(&context->credentials, g_bytes_unref);
    task_policy_done(&context->policy);
    task_demand_done(&context->demand);
    g_free(context);
}

static bool bytes_equal(GBytes *a, GBytes *b)
{
    return a == b || (a && b && g_bytes_equal(a, b));
}

bool task_context_equal(const TaskContext *a, const TaskContext *b)
{
    if (a == b)
        return true;
    if (a->uid != b->uid || a->gid != b->gid || a->n_groups != b->n_groups ||
        a->memory_max_bytes != b->memory_max_bytes)
        return false;
    if (a->n_groups > 0 && memcmp(a->groups, b->groups, a->n_groups * sizeof *a->groups) != 0)
        return false;
    for (size_t i = 0; i < _STREAM_MAX; i++)
        if (!bytes_equal(a->streams[i], b->streams[i]))
            return false;
    return bytes_equal(a->cwd, b->cwd) && bytes_equal(a->environment, b->environment) &&
           bytes_equal(a->credentials, b->credentials) && task_policy_equal(&a->policy, &b->policy) &&
           task_demand_equal(&a->demand, &b->demand);
}

char *task_context_terms(const TaskContext *context)
{
    g_autofree char *policy = task_policy_to_text(&context->policy), *demand = task_demand_to_text(&context->demand);

    return g_strconcat(policy, *policy && *demand ? " " : "", demand, NULL);
}

int task_context_read_terms(TaskContext *context, const char *terms)
{
    int r = task_policy_from_text(terms, &context->policy);

    return r < 0 ? r : task_demand_from_text(terms, &context->demand);
}

/* Each field with its length before it, so that no two contexts run into the same bytes. */
static void digest_bytes(GChecksum *sum, const void *data, size_t size)
{
    uint64_t length = size;

    g_checksum_update(sum, (const guchar *) &length, sizeof length);
    if (size > 0)
        g_checksum_update(sum, data, (gssize) size);
}

static void digest_gbytes(GChecksum *sum, GBytes *bytes)
{
    size_t size = 0;
    const void *data = bytes ? g_bytes_get_data(bytes, &size) : NULL;

    digest_bytes(sum, bytes ? "1" : "0", 1);
    digest_bytes(sum, data, size);
}

char *task_context_digest(const TaskContext *context)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    g_autofree char *terms = task_context_terms(context);

    digest_bytes(sum, &context->uid, sizeof context->uid);
    digest_bytes(sum, &context->gid, sizeof context->gid);
    digest_bytes(sum, context->groups, context->n_groups * sizeof *context->groups);
    digest_bytes(sum, &context->memory_max_bytes, sizeof context->memory_max_bytes);
    digest_gbytes(sum, context->cwd);
    digest_gbytes(sum, context->environment);
    for (size_t i = 0; i < _STREAM_MAX; i++)
        digest_gbytes(sum, context->streams[i]);
    digest_gbytes(sum, context->credentials);
    digest_bytes(sum, terms, strlen(terms));
    return g_strdup(g_checksum_get_string(sum));
}

TaskSpec *task_spec_new(void)
{
    TaskSpec *spec = g_new0(TaskSpec, 1);

    spec->array_index = ARRAY_INDEX_NONE;
    spec->array_count = 1;
    spec->name = g_strdup("");
    return spec;
}

uint64_t task_spec_memory(const TaskSpec *spec)
{
    return spec->memory_max_bytes > 0 ? spec->memory_max_bytes : spec->context->memory_max_bytes;
}

TaskSpec *task_spec_copy(const TaskSpec *spec)
{
    TaskSpec *copy = g_new(TaskSpec, 1);

    *copy = *spec;
    copy->name = g_strdup(spec->name);
    copy->tags = g_strdup(spec->tags);
    copy->argv = g_bytes_ref(spec->argv);
    copy->context = task_context_ref(spec->context);
    copy->class = g_strdup(spec->class);
    copy->gpus = g_strdup(spec->gpus);
    copy->fds = NULL;
    copy->gate = NULL;
    copy->inputs = NULL;
    return copy;
}

TaskSpec *task_spec_free(TaskSpec *spec)
{
    if (!spec)
        return NULL;
    g_free(spec->name);
    g_free(spec->tags);
    g_clear_pointer(&spec->argv, g_bytes_unref);
    task_context_unref(spec->context);
    task_fds_free(spec->fds);
    task_gate_free(spec->gate);
    g_clear_pointer(&spec->inputs, g_ptr_array_unref);
    g_free(spec->class);
    g_free(spec->gpus);
    g_free(spec);
    return NULL;
}

TaskFds *task_fds_new(void)
{
    TaskFds *fds = g_new(TaskFds, 1);

    for (size_t i = 0; i < _STREAM_MAX; i++)
        fds->fds[i] = -EBADF;
    return fds;
}

TaskFds *task_fds_free(TaskFds *fds)
{
    for (size_t i = 0; fds && i < _STREAM_MAX; i++)
        close_fd(fds->fds[i]);
    g_free(fds);
    return NULL;
}

TaskGate *task_gate_new(void)
{
    return g_new0(TaskGate, 1);
}

TaskGate *task_gate_free(TaskGate *gate)
{
    if (!gate)
        return NULL;
    g_clear_pointer(&gate->dependencies, g_array_unref);
    g_free(gate->queue);
    g_free(gate);
    return NULL;
}

static void input_free(gpointer data)
{
    TaskInput *input = data;

    g_free(input->name);
    g_clear_pointer(&input->data, g_bytes_unref);
    g_free(input);
}

GPtrArray *task_inputs_new(void)
{
    return g_ptr_array_new_with_free_func(input_free);
}

void task_result_done(TaskResult *result)
{
    g_clear_pointer(&result->stderr_tail, g_bytes_unref);
    g_clear_pointer(&result->data, g_bytes_unref);
    g_clear_pointer(&result->note, g_free);
}

bool task_result_is_success(const TaskResult *result)
{
    return result->outcome == OUTCOME_EXITED && result->exit_status == 0;
}
