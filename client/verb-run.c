/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parctl run: one task with this terminal's stdin, stdout and stderr; ends as the task did. The submission
 * is asynchronous, so that a signal that comes meanwhile finds its task as soon as it has a number. */

#include <fcntl.h>
#include <signal.h>
#include <time.h>

#include "client/bus-dict.h"
#include "client/connection.h"
#include "client/error-report.h"
#include "client/output.h"
#include "client/status-info.h"
#include "client/submission.h"
#include "client/substitution.h"
#include "client/task-list.h"
#include "client/tracker.h"
#include "client/verb.h"

#define LATE_USEC (200 * USEC_PER_MSEC) /* a task that is not over by then may be waiting for a worker */

typedef struct RunSettings {
    TaskOptions task;
} RunSettings;

static const VerbOption run_options[] = {
    TASK_OPTIONS(RunSettings, task),
    TASK_CPUS_OPTION(RunSettings, task),
    TASK_DELAY_OPTION(RunSettings, task),
    {},
};

typedef struct Run {
    Client *client;
    Tracker *tracker;
    uint64_t task;  /* 0: not submitted yet */
    int signal;     /* the first one that asked for the end */
    bool cancelled; /* Cancel is on its way */
} Run;

static void on_ended(const TaskInfo *info, void *userdata)
{
    Run *run = userdata;
    int code = task_info_exit_code(info);

    if (info->state == TASK_CANCELLED && run->signal > 0)
        code = 128 + run->signal;
    else if (info->state != TASK_SUCCEEDED && info->outcome != OUTCOME_EXITED) {
        g_autofree char *note = task_list_end_note(run->client, info);
        output_note(run->client, "%s", note);
    }
    (void) sd_event_exit(run->client->event, code);
}

static int on_cancelled(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Run *run = userdata;

    run->cancelled = false;
    if (sd_bus_message_is_method_error(m, NULL) && !error_is_transient(sd_bus_message_get_error(m)))
        (void) error_report(run->client, sd_bus_message_get_error(m), -EIO);
    return 0;
}

static int cancel(Run *run)
{
    g_autoptr(sd_bus_message) call = NULL;
    int r;

    if (run->task == 0 || run->cancelled)
        return 0;
    r = connection_new_call(run->client, "Cancel", &call);
    if (r < 0)
        return r;
    r = sd_bus_message_open_container(call, 'a', "{sv}");
    if (r >= 0)
        r = dict_append_numbers(call, "ids", &run->task, 1);
    if (r >= 0)
        r = sd_bus_message_close_container(call);
    if (r < 0)
        return connection_report_message(run->client, r);
    run->cancelled = true;
    return connection_call_async(run->client, call, on_cancelled, run, NULL);
}

/* What was cancelled while the daemon was away is cancelled again. */
static void on_daemon_back(void *userdata)
{
    Run *run = userdata;

    run->cancelled = false;
    if (run->signal > 0)
        (void) cancel(run);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
    Run *run = userdata;

    if (run->signal > 0) /* asked twice: do not wait for the end */
        return sd_event_exit(run->client->event, 128 + (int) info->ssi_signo);
    run->signal = (int) info->ssi_signo;
    return cancel(run);
}

/* Not asked before: whoever runs something short should not pay for it. */
static int on_late(sd_event_source *source, uint64_t usec, void *userdata)
{
    Run *run = userdata;

    status_warn_if_nothing_runs(run->client);
    return 0;
}

static int on_submitted(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    SubmitReply reply;
    Run *run = userdata;

    if (sd_bus_message_is_method_error(m, NULL)) {
        (void) error_report(run->client, sd_bus_message_get_error(m), -EIO);
        return sd_event_exit(run->client->event, run->client->failure);
    }
    if (submit_reply_read(run->client, m, &reply) < 0)
        return sd_event_exit(run->client->event, PARCTL_FAILED);
    run->task = reply.first;
    tracker_add_new(run->tracker, reply.first, 1, reply.batch);
    if (run->signal > 0)
        return cancel(run);
    return sd_event_add_time_relative(run->client->event, NULL, CLOCK_MONOTONIC, LATE_USEC, 0, on_late, run);
}

/* In the background of a terminal the shell reads from it, and nobody would keep the task from doing so,
 * too. */
static bool is_others_terminal(int fd)
{
    pid_t foreground = tcgetpgrp(fd);

    return foreground >= 0 && foreground != getpgrp();
}

/* The streams of this process; one that is closed is an empty one for the task. */
static int take_streams(Client *client, TaskTemplate *template, int *ret_null)
{
    int null = -EBADF;

    for (int fd = 0; fd < _STREAM_MAX; fd++) {
        template->fds[fd] = fd;
        if (fcntl(fd, F_GETFD) >= 0 && !(fd == STDIN_FILENO && is_others_terminal(fd)))
            continue;
        if (null < 0)
            null = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (null < 0)
            return output_failure(client, errno, _("cannot open %s: %s"), "/dev/null", g_strerror(errno));
        template->fds[fd] = null;
    }
    *ret_null = null;
    return 0;
}

static int add_signals(Run *run)
{
    static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
    sigset_t mask;

    sigemptyset(&mask);
    for (size_t i = 0; i < G_N_ELEMENTS(signals); i++)
        sigaddset(&mask, signals[i]);
    int r = sigprocmask(SIG_BLOCK, &mask, NULL) < 0 ? -errno : 0;
    for (size_t i = 0; r >= 0 && i < G_N_ELEMENTS(signals); i++)
        r = sd_event_add_signal(run->client->event, NULL, signals[i], on_signal, run);
    return r < 0 ? output_failure(run->client, r, _("cannot set up the event loop: %s"), g_strerror(-r)) : 0;
}

static int submit(Run *run, const RunSettings *settings, char **argv)
{
    _cleanup_close_ int null = -EBADF;
    g_auto(TaskTemplate) template = {};
    g_auto(SubmitMessage) message = {};
    g_auto(GStrv) joined = settings->task.shell ? shell_argv(argv) : NULL;
    int r = task_template_init(&template, run->client, &settings->task);

    if (r >= 0)
        r = take_streams(run->client, &template, &null);
    if (r >= 0)
        r = submit_message_add(&message, run->client, &template, &(TaskEntry){ .argv = joined ?: argv });
    if (r >= 0)
        r = submit_message_finish(&message, run->client, &template, /* batch= */ 0, /* commit= */ true);
    return r < 0 ? r : connection_call_async(run->client, message.m, on_submitted, run, NULL);
}

/* What it has read or written of its streams by then cannot be undone. */
static int check_once(Client *client, const TaskOptions *options)
{
    if (!options->retries && !options->backoff && !options->retry_memory)
        return 0;
    return output_usage_error(client, _("what runs here is not tried again, since its input and output are used up by "
                                        "then; --retries, --backoff and --retry-memory are for submit and map"));
}

static int run_run(Client *client, const void *settings, char **argv)
{
    g_autoptr(Tracker) tracker = NULL;
    Run run = { .client = client };
    int r = check_once(client, &((const RunSettings *) settings)->task);

    if (r >= 0)
        r = tracker_new(client, on_ended, &run, &tracker);
    if (r < 0)
        return r;
    run.tracker = tracker;
    tracker_on_daemon_back(tracker, on_daemon_back);
    r = add_signals(&run);
    if (r >= 0)
        r = submit(&run, settings, argv);
    if (r < 0)
        return r;
    r = sd_event_loop(client->event);
    return r < 0 ? output_failure(client, r, _("the event loop failed: %s"), g_strerror(-r)) : r;
}

static const char *const run_examples[] = {
    "parctl run -- make -j4",
    N_("as if it ran here, but within a worker's limits"),
    "parctl run sort < big.txt > sorted.txt",
    N_("with files in place of the terminal"),
    NULL,
};

const Verb verb_run = {
    .name = "run",
    .arguments = N_("[--] COMMAND [ARGUMENTS...]"),
    .min = 1,
    .max = -1,
    .takes_command = true,
    .options = run_options,
    .settings_size = sizeof(RunSettings),
    .run = run_run,
    .summary = N_("Run one task here and wait for it."),
    .details = N_(
        "The task has this terminal's, or these files', stdin, stdout and stderr. Ctrl-C cancels it; "
        "twice, parctl does not wait for its end. The exit code is the task's: its own status, 128 and the "
        "signal that killed it, 137 if it ran out of memory, 127 or 126 if it could not be started."),
    .examples = run_examples,
};
