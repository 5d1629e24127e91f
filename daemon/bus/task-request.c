/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One task of Submit: from a stranger's dictionary to a checked TaskSpec. Ten thousand come in one call: what many of them
 * share is counted, not copied. */
#include "bus/task-request.h"

#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>

#include "bus/demand-request.h"
#include "bus/gate-request.h"
#include "bus/options.h"
#include "bus/policy-request.h"
#include "dbus/parexec-dbus.h"
#include "model/ids.h"
#include "model/limits.h"
#include "util/sd-bus-util.h"
#include "util/strv-blob.h"

static GBytes *bytes_ref(GBytes *bytes)
{
    return bytes ? g_bytes_ref(bytes) : NULL;
}

static TaskPolicy policy_share(const TaskPolicy *policy)
{
    TaskPolicy shared = *policy;

    if (shared.rules)
        g_array_ref(shared.rules);
    return shared;
}

static TaskDemand demand_share(const TaskDemand *demand)
{
    TaskDemand shared = *demand;

    if (shared.resources)
        g_array_ref(shared.resources);
    return shared;
}

void task_request_init(TaskRequest *request, const TaskPolicy *policy, const TaskRequest *defaults)
{
    if (!defaults) {
        *request = (TaskRequest){ .memory_max_bytes = LIMIT_INFINITY, .policy = policy_share(policy) };
        task_demand_init(&request->demand);
        return;
    }
    *request = *defaults;
    request->memory_given = request->memory_auto_given = request->growth_given = false;
    request->argv = bytes_ref(defaults->argv);
    request->cwd = bytes_ref(defaults->cwd);
    request->environment = bytes_ref(defaults->environment);
    for (size_t i = 0; i < _STREAM_MAX; i++)
        request->streams[i] = bytes_ref(defaults->streams[i]);
    request->credentials = bytes_ref(defaults->credentials);
    request->tags = g_strdup(defaults->tags);
    request->policy = policy_share(&defaults->policy);
    request->demand = demand_share(&defaults->demand);
}

void task_request_done(TaskRequest *request)
{
    g_clear_pointer(&request->argv, g_bytes_unref);
    g_clear_pointer(&request->cwd, g_bytes_unref);
    g_clear_pointer(&request->environment, g_bytes_unref);
    for (size_t i = 0; i < _STREAM_MAX; i++)
        g_clear_pointer(&request->streams[i], g_bytes_unref);
    g_clear_pointer(&request->credentials, g_bytes_unref);
    request->fds = task_fds_free(request->fds);
    g_clear_pointer(&request->tags, g_free);
    task_policy_done(&request->policy);
    task_demand_done(&request->demand);
    g_clear_pointer(&request->dependencies, g_array_unref);
}

/* ---- readers of single keys */

static int check_path(const char *option, GBytes *bytes, sd_bus_error *error)
{
    size_t size;
    const char *path = g_bytes_get_data(bytes, &size);

    if (path[0] != '/')
        return options_invalid(error, "%s is not an absolute path: it must begin with \"/\".", option);
    if (size > PATH_MAX)
        return options_invalid(error, "%s has %zu bytes; a path has at most %d.", option, size - 1,
                               PATH_MAX - 1);
    return 0;
}

static int read_argv(sd_bus_message *m, const char *name, void *target, sd_bus_error *error)
{
    return options_read_byte_strv(m, name, &((TaskRequest *) target)->argv, error);
}

static int read_cwd(sd_bus_message *m, const char *name, void *target, sd_bus_error *error)
{
    TaskRequest *request = target;
    int r = options_read_bytes(m, name, &request->cwd, error);

    return r < 0 ? r : check_path(name, request->cwd, error);
}

static int read_env(sd_bus_message *m, const char *name, void *target, sd_bus_error *error)
{
    TaskRequest *request = target;
    const char *cursor = NULL;
    size_t size, n = 0;
    int r = options_read_byte_strv(m, name, &request->environment, error);

    if (r < 0)
        return r;
    const void *data = g_bytes_get_data(request->environment, &size);
    while (strv_blob_next(data, size, &cursor)) {
        n++;
        if (*cursor == '=' || !strchr(cursor, '='))
            return options_invalid(error, "Element %zu of env is not of the form NAME=value.", n);
    }
    return 0;
}

static int read_fd(sd_bus_message *m, TaskRequest *request, StdStream stream, sd_bus_error *error)
{
    int fd, r = sd_bus_message_read_basic(m, 'h', &fd);

    if (r < 0)
        return r;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return options_invalid(error, "%s: the file descriptor cannot be used: %s.",
                               std_stream_to_string(stream), g_strerror(errno));
    int mode = flags & O_ACCMODE;
    if (mode == (stream == STREAM_STDIN ? O_WRONLY : O_RDONLY) || (flags & O_PATH))
        return options_invalid(error, "%s: the file descriptor is not open for %s.",
                               std_stream_to_string(stream), stream == STREAM_STDIN ? "reading" : "writing");
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0)
        return -errno;
    if (!request->fds)
        request->fds = task_fds_new();
    close_fd(request->fds->fds[stream]);
    request->fds->fds[stream] = copy;
    return r;
}

static int read_stream(sd_bus_message *m, const char *name, void *target, sd_bus_error *error)
{
    TaskRequest *request = target;
    StdStream stream = (StdStream) std_stream_from_string(name);
    char type;
    const char *contents;
    int r = sd_bus_message_peek_type(m, &type, &contents);

    if (r < 0)
        return r;
    if (type == 'h')
        return read_fd(m, request, stream, error);
    if (type != 'a' || strcmp(contents, "y") != 0)
        return options_invalid(error, "Option \"%s\" takes the type \"h\" or \"ay\".", name);
    r = options_read_bytes(m, name, &request->streams[stream], error);
    return r < 0 ? r : check_path(name, request->streams[stream], error);
}

static int read_name(sd_bus_message *m, const char *option, void *target, sd_bus_error *error)
{
    TaskRequest *request = target;
    int r = sd_bus_message_read_basic(m, 's', &request->name);

    if (r >= 0 && !name_is_valid(request->name))
        return options_invalid(
            error, "name has %zu bytes or a control character in it; it takes at most %u bytes on one line.",
            strlen(request->name), PAREXEC_NAME_BYTES_MAX);
    return r;
}

static int read_class(sd_bus_message *m, const char *option, void *target, sd_bus_error *error)
{
    TaskRequest *request = target;
    int r = sd_bus_message_read_basic(m, 's', &request->class);

    if (r >= 0 && (!*request->class || !name_is_valid(request->class)))
        return options_invalid(error,
                               "worker-class has %zu bytes or a control character in it; it takes 1 to "
                               "%u bytes on one line.",
                               strlen(request->class), PAREXEC_NAME_BYTES_MAX);
    return r;
}

static int read_tags(sd_bus_message *m, const char *option, void *target, sd_bus_error *error)
{
    TaskRequest *request = target;
    g_autoptr(GString) tags = g_string_new(NULL);
    const char *tag;
    unsigned n = 0;
    int r = sd_bus_message_enter_container(m, 'a', "s");

    while (r >= 0 && (r = sd_bus_message_read_basic(m, 's', &tag)) > 0) {
        if (!*tag || !name_is_valid(tag) || ++n > PAREXEC_TAGS_MAX)
            return options_invalid(error, "A task takes at most %u tags, each of 1 to %u bytes on one line.",
                                   PAREXEC_TAGS_MAX, PAREXEC_NAME_BYTES_MAX);
        g_string_append_printf(tags, "%s%s", tags->len > 0 ? "\n" : "", tag);
    }
    if (r < 0)
        return r;
    g_free(request->tags);
    request->tags = tags->len > 0 ? g_strdup(tags->str) : NULL;
    return sd_bus_message_exit_container(m);
}

static int read_array(sd_bus_message *m, const char *option, void *target, sd_bus_error *error)
{
    TaskRequest *request = target;
    int r = sd_bus_message_read(m, "(tt)", &request->first, &request->last);

    if (r < 0)
        return r;
    if (request->last < request->first || request->last - request->first >= PAREXEC_ARRAY_TASKS_MAX ||
        request->last >= (uint64_t) INT64_MAX)
        return options_invalid(error,
                               "array is %" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT
                               "; an array has from 1 to %u elements.",
                               request->first, request->last, PAREXEC_ARRAY_TASKS_MAX);
    request->is_array = true;
    return r;
}

#define FIELD(field) offsetof(TaskRequest, field)

static const Option task_options[] = {
    { "argv", "aay", .read = read_argv },
    { "name", "s", .read = read_name },
    { "after", "a(sta{sv})", .read = gate_request_read_after },
    { "cwd", "ay", .read = read_cwd },
    { "env", "aay", .read = read_env },
    { "stdin", NULL, .read = read_stream },
    { "stdout", NULL, .read = read_stream },
    { "stderr", NULL, .read = read_stream },
    { "tags", "as", .read = read_tags },
    { "priority", "i", FIELD(priority) },
    { "array", "(tt)", .read = read_array },
    { "memory-max", "t", .read = demand_request_read_memory_max },
    { "memory-auto", "b", .read = demand_request_read_memory_auto },
    { "retry-memory", "s", .read = demand_request_read_retry_memory },
    { "cpu-quota", "t", FIELD(demand.cpu_quota_usec_per_sec) },
    { "tasks-max", "t", FIELD(demand.tasks_max) },
    { "io-weight", "t", .read = demand_request_read_io_weight },
    { "gpus", "u", FIELD(demand.gpus) },
    { "gpus-optional", "b", FIELD(demand.gpus_optional) },
    { "resources", "s", .read = demand_request_read_resources },
    { "parallel", "u", .read = gate_request_read_parallel },
    { "queue", "s", .read = gate_request_read_queue },
    { "worker-class", "s", .read = read_class },
    { "credentials", "aay", .read = policy_request_read_credentials },
    { "keep-unsatisfied", "b", FIELD(keep_unsatisfied) },
    { "hold", "b", FIELD(held) },
    { "not-before", "t", .read = gate_request_read_not_before },
    { "delay", "t", .read = gate_request_read_delay },
    { "retries", "u", .read = policy_request_read_retries },
    { "backoff", "(ttd)", .read = policy_request_read_backoff },
    { "on-failure", "a(ss)", .read = policy_request_read_on_failure },
    { "timeout", "t", FIELD(policy.timeout_usec) },
    { "timeout-percent", "u", FIELD(policy.timeout_percent) },
    { "stop-signal", "i", FIELD(policy.stop_signal) },
    { "grace", "t", FIELD(policy.grace_usec) },
    { "warn", "(it)", .read = policy_request_read_warn },
    { "output-max", "t", FIELD(policy.output_max_bytes) },
    { "merge", "b", FIELD(policy.merge) },
    { NULL },
};

int task_request_read(sd_bus_message *m, TaskRequest *request, sd_bus_error *error)
{
    int r = options_read(m, task_options, request, error);

    return r < 0 ? r : demand_request_choose_memory(request, error);
}

int task_request_read_defaults(sd_bus_message *m, TaskRequest *defaults, sd_bus_error *error)
{
    int r = options_read(m, task_options, defaults, error);

    if (r >= 0)
        r = demand_request_choose_memory(defaults, error);
    if (r >= 0 && (defaults->fds || defaults->is_array || defaults->dependencies))
        return options_invalid(error, "defaults take neither file descriptors nor array nor after.");
    return r;
}

/* ---- whole tasks */

static bool has_surroundings_of(const TaskRequest *a, const TaskRequest *b)
{
    for (size_t i = 0; i < _STREAM_MAX; i++)
        if (a->streams[i] != b->streams[i])
            return false;
    return a->cwd == b->cwd && a->environment == b->environment && a->credentials == b->credentials &&
           a->memory_max_bytes == b->memory_max_bytes && task_policy_equal(&a->policy, &b->policy) &&
           (memcmp(&a->demand, &b->demand, sizeof a->demand) == 0 ||
            task_demand_equal(&a->demand, &b->demand));
}

static int context_new(const TaskRequest *request, const Peer *peer, size_t number, TaskContext **ret,
                       sd_bus_error *error)
{
    g_autofree char *why = NULL;

    if (task_policy_check(&request->policy, &why) < 0 || task_demand_check(&request->demand, &why) < 0 ||
        task_demand_check_growth(&request->demand, request->memory_max_bytes, &why) < 0)
        return options_invalid(error, "Task %zu: %s.", number, why);
    TaskContext *context = task_context_new();
    context->uid = peer->uid;
    context->gid = peer->gid;
    context->groups = g_memdup2(peer->groups, peer->n_groups * sizeof *peer->groups);
    context->n_groups = peer->n_groups;
    context->cwd = request->cwd ? g_bytes_ref(request->cwd) : g_bytes_new_static("/", 2);
    context->environment =
        request->environment ? g_bytes_ref(request->environment) : g_bytes_new_static("", 0);
    for (size_t i = 0; i < _STREAM_MAX; i++)
        context->streams[i] = bytes_ref(request->streams[i]);
    context->memory_max_bytes = request->memory_max_bytes;
    context->credentials = bytes_ref(request->credentials);
    task_policy_done(&context->policy);
    context->policy = policy_share(&request->policy);
    task_demand_done(&context->demand);
    context->demand = demand_share(&request->demand);
    *ret = context;
    return 0;
}

static int find_context(TaskMaker *maker, const TaskRequest *request, size_t number, TaskContext **ret,
                        sd_bus_error *error)
{
    bool usual = has_surroundings_of(request, maker->defaults);
    g_autoptr(TaskContext) context = NULL;

    if (!usual || !maker->usual) {
        int r = context_new(request, maker->peer, number, &context, error);
        if (r < 0)
            return r;
    }
    if (usual && !maker->usual)
        maker->usual = g_steal_pointer(&context);
    if (usual)
        *ret = task_context_ref(maker->usual);
    else if (maker->previous && task_context_equal(maker->previous, context))
        *ret = task_context_ref(maker->previous);
    else
        *ret = g_steal_pointer(&context);
    return 0;
}

static int check_fds(TaskRequest *request, size_t number, sd_bus_error *error)
{
    if (request->is_array)
        return options_invalid(
            error, "Task %zu: an array cannot be given file descriptors; its tasks would fight over them.",
            number);
    if (request->class)
        return options_invalid(
            error, "Task %zu: a program that does tasks of a class is not given file descriptors.", number);
    if (request->retries_given && request->policy.retries > 0)
        return options_invalid(
            error, "Task %zu: retries is %u, but a task that is given file descriptors runs once.", number,
            request->policy.retries);
    request->policy.retries = 0;
    return 0;
}

static int check_request(TaskRequest *request, size_t number, sd_bus_error *error)
{
    size_t size = 0;
    const char *argv = request->argv ? g_bytes_get_data(request->argv, &size) : NULL;

    if (size == 0)
        return options_invalid(error, "Task %zu has no argv: there is nothing to run.", number);
    if (argv[0] == '\0' && !request->class)
        return options_invalid(error, "Task %zu: the first element of argv, the program, is empty.", number);
    int r = request->fds ? check_fds(request, number, error) : 0;
    return r < 0 ? r : gate_request_check(request, number, error);
}

static TaskSpec *spec_new(TaskRequest *request, TaskContext *context /* taken */)
{
    TaskSpec *spec = task_spec_new();

    spec->context = context;
    spec->argv = g_steal_pointer(&request->argv);
    if (request->name) {
        g_free(spec->name);
        spec->name = g_strdup(request->name);
    }
    spec->class = g_strdup(request->class);
    spec->tags = g_steal_pointer(&request->tags);
    spec->priority = request->priority;
    spec->fds = g_steal_pointer(&request->fds);
    spec->has_fds = spec->fds != NULL;
    if (request->is_array) {
        spec->array_index = request->first;
        spec->array_count = request->last - request->first + 1;
    }
    spec->gate = gate_request_take(request);
    spec->has_dependencies = spec->gate && spec->gate->dependencies;
    return spec;
}

void task_maker_done(TaskMaker *maker)
{
    g_clear_pointer(&maker->usual, task_context_unref);
}

int task_maker_make(TaskMaker *maker, TaskRequest *request, size_t number, TaskSpec **ret,
                    sd_bus_error *error)
{
    TaskContext *context;
    int r = check_request(request, number, error);

    if (r >= 0)
        r = find_context(maker, request, number, &context, error);
    if (r < 0)
        return r;
    maker->previous = context;
    *ret = spec_new(request, context);
    return 0;
}
