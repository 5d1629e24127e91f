/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The arguments of Submit. The options stand behind the tasks in the message, but may hold the tasks' defaults: they are read
 * first, by a second look at the same message. */
#include "bus/submit-request.h"

#include <stddef.h>
#include <string.h>

#include "bus/options.h"
#include "bus/task-request.h"
#include "dbus/parexec-dbus.h"
#include "util/sd-bus-util.h"

typedef struct SubmitOptions {
    uint64_t batch;
    bool commit;
    const char *key; /* in the message; NULL: none */
    BatchHalt halt;
    TaskRequest defaults;
} SubmitOptions;

static void submit_options_done(SubmitOptions *options)
{
    task_request_done(&options->defaults);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(SubmitOptions, submit_options_done)

static int read_defaults(sd_bus_message *m, const char *option, void *target, sd_bus_error *error)
{
    return task_request_read_defaults(m, &((SubmitOptions *) target)->defaults, error);
}

static int read_key(sd_bus_message *m, const char *option, void *target, sd_bus_error *error)
{
    SubmitOptions *options = target;
    int r = sd_bus_message_read_basic(m, 's', &options->key);

    if (r >= 0 && (!*options->key || strlen(options->key) > PAREXEC_KEY_BYTES_MAX))
        return options_invalid(error, "key has %zu bytes; it takes 1 to %u.", strlen(options->key),
                               PAREXEC_KEY_BYTES_MAX);
    return r;
}

static int read_percent(sd_bus_message *m, const char *option, void *target, sd_bus_error *error)
{
    BatchHalt *halt = &((SubmitOptions *) target)->halt;
    int r = sd_bus_message_read_basic(m, 'd', &halt->max_fails_percent);

    if (r >= 0 && !(halt->max_fails_percent >= 0 && halt->max_fails_percent <= 100)) /* not a number, too */
        return options_invalid(error, "max-fails-percent is %g; it lies between 0 and 100.",
                               halt->max_fails_percent);
    return r;
}

static int read_halt(sd_bus_message *m, const char *option, void *target, sd_bus_error *error)
{
    BatchHalt *halt = &((SubmitOptions *) target)->halt;
    const char *when;
    int r = sd_bus_message_read_basic(m, 's', &when);

    if (r < 0)
        return r;
    halt->now = strcmp(when, "now") == 0;
    if (!halt->now && strcmp(when, "soon") != 0)
        return options_invalid(error, "halt is neither \"soon\" nor \"now\".");
    return r;
}

static const Option submit_options[] = {
    { "batch", "t", offsetof(SubmitOptions, batch) },
    { "commit", "b", offsetof(SubmitOptions, commit) },
    { "defaults", "a{sv}", .read = read_defaults },
    { "key", "s", .read = read_key },
    { "max-fails", "t", offsetof(SubmitOptions, halt.max_fails) },
    { "max-fails-percent", "d", .read = read_percent },
    { "max-successes", "t", offsetof(SubmitOptions, halt.max_successes) },
    { "halt", "s", .read = read_halt },
    { NULL },
};

static int read_tasks(sd_bus_message *m, TaskMaker *maker, GPtrArray *tasks, sd_bus_error *error)
{
    int r = sd_bus_message_enter_container(m, 'a', "a{sv}");

    while (r >= 0 && (r = sd_bus_message_at_end(m, 0)) == 0) {
        g_auto(TaskRequest) request;
        TaskSpec *spec;
        task_request_init(&request, NULL, maker->defaults);
        r = task_request_read(m, &request, error);
        if (r >= 0)
            r = task_maker_make(maker, &request, tasks->len + 1, &spec, error);
        if (r < 0)
            return r;
        g_ptr_array_add(tasks, spec);
    }
    return r < 0 ? r : sd_bus_message_exit_container(m);
}

static void spec_destroy(gpointer spec)
{
    task_spec_free(spec);
}

int submit_request_read(sd_bus_message *m, const Peer *peer, const TaskPolicy *policy, Submission **ret,
                        sd_bus_error *error)
{
    g_auto(SubmitOptions) options = {
        .commit = true,
        .halt = { .max_fails = UINT64_MAX, .max_fails_percent = -1, .max_successes = UINT64_MAX },
    };
    g_auto(TaskMaker) maker = { .peer = peer, .defaults = &options.defaults };
    g_autoptr(Submission) submission = g_new0(Submission, 1);

    submission->tasks = g_ptr_array_new_with_free_func(spec_destroy);
    task_request_init(&options.defaults, policy, NULL);
    int r = sd_bus_message_skip(m, "aa{sv}");
    if (r >= 0)
        r = options_read(m, submit_options, &options, error);
    if (r >= 0)
        r = sd_bus_message_rewind(m, true);
    if (r >= 0)
        r = read_tasks(m, &maker, submission->tasks, error);
    if (r < 0)
        return r;
    if (submission->tasks->len == 0 && (options.batch == 0 || !options.commit))
        return options_invalid(error, "There are no tasks in this submission.");
    submission->uid = peer->uid;
    submission->batch = options.batch;
    submission->commit = options.commit;
    submission->key = g_strdup(options.key);
    submission->halt = options.halt;
    *ret = g_steal_pointer(&submission);
    return 0;
}
