/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The arguments of Submit: from dictionaries of strangers to checked TaskSpecs. The options stand behind the tasks in the
 * message, but may hold the tasks' defaults: they are read first, by a second look at the same message. */
#include "bus/submit-request.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "bus/options.h"
#include "dbus/parexec-dbus.h"
#include "model/ids.h"
#include "model/limits.h"
#include "util/sd-bus-util.h"
#include "util/strv-blob.h"

/* What a dictionary says, before it is checked as a whole. */
typedef struct Request {
    GBytes *argv, *cwd, *environment, *streams[_STREAM_MAX];
    TaskFds *fds;
    char *name;
    char *tags;
    int32_t priority;
    uint64_t first, last; /* of the array */
    bool is_array;
    uint64_t memory_max_bytes;
} Request;

static void request_done(Request *request)
{
    g_clear_pointer(&request->argv, g_bytes_unref);
    g_clear_pointer(&request->cwd, g_bytes_unref);
    g_clear_pointer(&request->environment, g_bytes_unref);
    for (size_t i = 0; i < _STREAM_MAX; i++)
        g_clear_pointer(&request->streams[i], g_bytes_unref);
    request->fds = task_fds_free(request->fds);
    g_clear_pointer(&request->name, g_free);
    g_clear_pointer(&request->tags, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Request, request_done)

static void request_init(Request *request, const Request *defaults)
{
    *request = (Request){ .memory_max_bytes = LIMIT_INFINITY };
    if (!defaults)
        return;
    request->argv = defaults->argv ? g_bytes_ref(defaults->argv) : NULL;
    request->cwd = defaults->cwd ? g_bytes_ref(defaults->cwd) : NULL;
    request->environment = defaults->environment ? g_bytes_ref(defaults->environment) : NULL;
    for (size_t i = 0; i < _STREAM_MAX; i++)
        request->streams[i] = defaults->streams[i] ? g_bytes_ref(defaults->streams[i]) : NULL;
    request->name = g_strdup(defaults->name);
    request->tags = g_strdup(defaults->tags);
    request->priority = defaults->priority;
    request->memory_max_bytes = defaults->memory_max_bytes;
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
    return options_read_byte_strv(m, name, &((Request *) target)->argv, error);
}

static int read_cwd(sd_bus_message *m, const char *name, void *target, sd_bus_error *error)
{
    Request *request = target;
    int r = options_read_bytes(m, name, &request->cwd, error);

    return r < 0 ? r : check_path(name, request->cwd, error);
}

static int read_env(sd_bus_message *m, const char *name, void *target, sd_bus_error *error)
{
    Request *request = target;
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

static int read_fd(sd_bus_message *m, Request *request, StdStream stream, sd_bus_error *error)
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
    Request *request = target;
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
    Request *request = target;
    const char *name;
    int r = sd_bus_message_read_basic(m, 's', &name);

    if (r < 0)
        return r;
    if (!name_is_valid(name))
        return options_invalid(
            error, "name has %zu bytes or a control character in it; it takes at most %u bytes on one line.",
            strlen(name), PAREXEC_NAME_BYTES_MAX);
    g_free(request->name);
    request->name = g_strdup(name);
    return r;
}

static int read_tags(sd_bus_message *m, const char *option, void *target, sd_bus_error *error)
{
    Request *request = target;
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
    Request *request = target;
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

static int read_memory_max(sd_bus_message *m, const char *option, void *target, sd_bus_error *error)
{
    Request *request = target;
    WorkerLimits limits;
    g_autofree char *why = NULL;
    int r = sd_bus_message_read_basic(m, 't', &request->memory_max_bytes);

    worker_limits_init(&limits);
    limits.memory_max_bytes = request->memory_max_bytes;
    if (r >= 0 && worker_limits_check(&limits, &why) < 0)
        return options_invalid(error, "%s.", why);
    return r;
}

static const Option task_options[] = {
    { "argv", "aay", .read = read_argv },
    { "cwd", "ay", .read = read_cwd },
    { "env", "aay", .read = read_env },
    { "stdin", NULL, .read = read_stream },
    { "stdout", NULL, .read = read_stream },
    { "stderr", NULL, .read = read_stream },
    { "name", "s", .read = read_name },
    { "tags", "as", .read = read_tags },
    { "priority", "i", offsetof(Request, priority) },
    { "array", "(tt)", .read = read_array },
    { "memory-max", "t", .read = read_memory_max },
    { NULL },
};

/* ---- whole tasks */

static TaskContext *context_new(const Request *request, const Peer *peer)
{
    TaskContext *context = task_context_new();

    context->uid = peer->uid;
    context->gid = peer->gid;
    context->groups = g_memdup2(peer->groups, peer->n_groups * sizeof *peer->groups);
    context->n_groups = peer->n_groups;
    context->cwd = request->cwd ? g_bytes_ref(request->cwd) : g_bytes_new_static("/", 2);
    context->environment =
        request->environment ? g_bytes_ref(request->environment) : g_bytes_new_static("", 0);
    for (size_t i = 0; i < _STREAM_MAX; i++)
        context->streams[i] = request->streams[i] ? g_bytes_ref(request->streams[i]) : NULL;
    context->memory_max_bytes = request->memory_max_bytes;
    return context;
}

static int check_request(const Request *request, size_t number, sd_bus_error *error)
{
    size_t size = 0;
    const char *argv = request->argv ? g_bytes_get_data(request->argv, &size) : NULL;

    if (size == 0)
        return options_invalid(error, "Task %zu has no argv: there is nothing to run.", number);
    if (argv[0] == '\0')
        return options_invalid(error, "Task %zu: the first element of argv, the program, is empty.", number);
    if (request->is_array && request->fds)
        return options_invalid(
            error, "Task %zu: an array cannot be given file descriptors; its tasks would fight over them.",
            number);
    return 0;
}

/* Takes the contents of the request. previous: the context of the task before, which is often the same. */
static TaskSpec *spec_new(Request *request, const Peer *peer, TaskContext *previous)
{
    g_autoptr(TaskContext) context = context_new(request, peer);
    TaskSpec *spec = task_spec_new();

    spec->context = task_context_ref(previous && task_context_equal(previous, context) ? previous : context);
    spec->argv = g_steal_pointer(&request->argv);
    if (request->name) {
        g_free(spec->name);
        spec->name = g_steal_pointer(&request->name);
    }
    spec->tags = g_steal_pointer(&request->tags);
    spec->priority = request->priority;
    spec->fds = g_steal_pointer(&request->fds);
    spec->has_fds = spec->fds != NULL;
    if (request->is_array) {
        spec->array_index = request->first;
        spec->array_count = request->last - request->first + 1;
    }
    return spec;
}

static int read_tasks(sd_bus_message *m, const Peer *peer, const Request *defaults, GPtrArray *tasks,
                      sd_bus_error *error)
{
    TaskContext *previous = NULL;
    int r = sd_bus_message_enter_container(m, 'a', "a{sv}");

    while (r >= 0 && (r = sd_bus_message_at_end(m, 0)) == 0) {
        g_auto(Request) request;
        request_init(&request, defaults);
        r = options_read(m, task_options, &request, error);
        if (r >= 0)
            r = check_request(&request, tasks->len + 1, error);
        if (r < 0)
            return r;
        TaskSpec *spec = spec_new(&request, peer, previous);
        previous = spec->context;
        g_ptr_array_add(tasks, spec);
    }
    return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* ---- options */

typedef struct SubmitOptions {
    uint64_t batch;
    bool commit;
    Request defaults;
} SubmitOptions;

static int read_defaults(sd_bus_message *m, const char *option, void *target, sd_bus_error *error)
{
    Request *defaults = &((SubmitOptions *) target)->defaults;
    int r = options_read(m, task_options, defaults, error);

    if (r >= 0 && (defaults->fds || defaults->is_array))
        return options_invalid(error, "defaults take neither file descriptors nor array.");
    return r;
}

static const Option submit_options[] = {
    { "batch", "t", offsetof(SubmitOptions, batch) },
    { "commit", "b", offsetof(SubmitOptions, commit) },
    { "defaults", "a{sv}", .read = read_defaults },
    { NULL },
};

static void spec_destroy(gpointer spec)
{
    task_spec_free(spec);
}

int submit_request_read(sd_bus_message *m, const Peer *peer, Submission **ret, sd_bus_error *error)
{
    SubmitOptions options = { .commit = true };
    g_auto(Request) defaults = { .memory_max_bytes = LIMIT_INFINITY };
    g_autoptr(Submission) submission = g_new0(Submission, 1);

    submission->tasks = g_ptr_array_new_with_free_func(spec_destroy);
    request_init(&options.defaults, NULL);
    int r = sd_bus_message_skip(m, "aa{sv}");
    if (r >= 0)
        r = options_read(m, submit_options, &options, error);
    defaults = options.defaults;
    if (r >= 0)
        r = sd_bus_message_rewind(m, true);
    if (r >= 0)
        r = read_tasks(m, peer, &defaults, submission->tasks, error);
    if (r < 0)
        return r;
    if (submission->tasks->len == 0 && (options.batch == 0 || !options.commit))
        return options_invalid(error, "There are no tasks in this submission.");
    submission->uid = peer->uid;
    submission->batch = options.batch;
    submission->commit = options.commit;
    *ret = g_steal_pointer(&submission);
    return 0;
}
