/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parctl logs: what tasks printed, and with -f what they print until they end. Following looks at the
 * files ten times a second while one of the tasks runs; that a task begins, is tried again or has ended,
 * the daemon tells. */

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "client/connection.h"
#include "client/log-stream.h"
#include "client/output.h"
#include "client/status-info.h"
#include "client/task-list.h"
#include "client/task-selector.h"
#include "client/verb.h"
#include "client/watch.h"

#define LOOK_USEC (100 * USEC_PER_MSEC)
#define LOOKS_PER_OPEN 5U /* a file that is not there is asked for less often: it may never be */

typedef struct LogsSettings {
    bool follow, only_stdout, only_stderr;
    Given attempt, batch;
    bool no_tag;
} LogsSettings;

static const VerbOption logs_options[] = {
    VERB_OPTION("follow", 'f', OPTION_FLAG, LogsSettings, follow, NULL,
                N_("go on until the tasks end; waits for those that have not begun")),
    VERB_OPTION("stdout", 'o', OPTION_FLAG, LogsSettings, only_stdout, NULL, N_("only what went to stdout")),
    VERB_OPTION("stderr", 'e', OPTION_FLAG, LogsSettings, only_stderr, NULL, N_("only what went to stderr")),
    VERB_OPTION("attempt", 'n', OPTION_UINT, LogsSettings, attempt, N_("N"),
                N_("of this attempt (default: the latest)")),
    VERB_OPTION("batch", 'b', OPTION_NUMBER, LogsSettings, batch, N_("N"),
                N_("of all tasks of this batch, as batch:N")),
    VERB_OPTION("no-tag", 0, OPTION_FLAG, LogsSettings, no_tag, NULL,
                N_("lines do not begin with the numbers of their tasks")),
    {},
};

/* A task that is followed. */
typedef struct LogTask {
    Client *client;
    uint64_t id;
    TaskState state;
    uint32_t attempt; /* whose files are open; 0: none yet */
    uint32_t printed; /* the latest whose printing has ended; 0: none */
    uint32_t newest;  /* that the daemon told of */
    bool done;
    unsigned looks; /* since the attempt began */
    LogStream streams[2];
    size_t n_streams;
} LogTask;

typedef struct Logs {
    Client *client;
    const LogsSettings *settings;
    GPtrArray *tasks; /* LogTask */
    sd_event_source *timer;
} Logs;

static void log_task_free(void *data)
{
    LogTask *task = data;

    for (size_t i = 0; i < task->n_streams; i++)
        log_stream_done(&task->streams[i]);
    g_free(task);
}

static LogTask *log_task_new(Client *client, const LogsSettings *settings, const TaskInfo *info, bool tagged)
{
    bool both = settings->only_stdout == settings->only_stderr;
    g_autofree char *tag = tagged ? g_strdup_printf("[%" PRIu64 "] ", info->id) : NULL;
    LogTask *task = g_new0(LogTask, 1);

    task->client = client;
    task->id = info->id;
    task->state = info->state;
    task->newest = info->attempt;
    if (both || settings->only_stdout)
        log_stream_init(&task->streams[task->n_streams++], client, info->id, /* standard_error= */ false,
                        tag, /* lines= */ false);
    if (both || settings->only_stderr)
        log_stream_init(&task->streams[task->n_streams++], client, info->id, /* standard_error= */ true,
                        tag, /* lines= */ false);
    return task;
}

/* ---- without -f */

static int print_task(Client *client, LogTask *task, uint32_t attempt)
{
    bool any = false;
    int r = 0;

    for (size_t i = 0; r >= 0 && i < task->n_streams; i++) {
        r = log_stream_open(&task->streams[i], attempt);
        any = any || r > 0;
        if (r > 0)
            r = log_stream_copy(&task->streams[i]);
        if (r >= 0)
            r = log_stream_end(&task->streams[i]);
    }
    if (r >= 0 && !any)
        output_note(
            client,
            task->newest == 0
                ? _("task %" PRIu64 " has not begun: there is no output yet (parctl logs -f waits for it)")
                : _("task %" PRIu64 " has no output here: it printed nothing, or elsewhere"),
            task->id);
    return r;
}

static int print_all(Logs *logs)
{
    int r = 0;

    for (guint i = 0; r >= 0 && i < logs->tasks->len; i++)
        r = print_task(logs->client, logs->tasks->pdata[i], (uint32_t) logs->settings->attempt.value);
    return r == -EPIPE ? PARCTL_OK : r;
}

/* ---- with -f */

static int end_attempt(LogTask *task)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < task->n_streams; i++) {
        r = log_stream_copy(&task->streams[i]);
        if (r >= 0)
            r = log_stream_end(&task->streams[i]);
    }
    task->attempt = 0;
    task->looks = 0;
    return r;
}

static int look_at_streams(LogTask *task, bool over)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < task->n_streams; i++) {
        LogStream *stream = &task->streams[i];
        if (stream->fd < 0 && (over || task->looks % LOOKS_PER_OPEN == 0))
            r = log_stream_open(stream, task->attempt);
        if (r >= 0)
            r = log_stream_copy(stream);
    }
    task->looks++;
    return r;
}

/* The attempt that is to be printed now: one after the other, from the one that is the newest when it
 * begins. */
static uint32_t wanted_attempt(const LogsSettings *settings, const LogTask *task)
{
    if (settings->attempt.given)
        return (uint32_t) settings->attempt.value;
    if (task->attempt == 0)
        return task->printed > 0 ? task->printed + 1 : task->newest;
    return task->attempt;
}

static void begin_attempt(const LogsSettings *settings, LogTask *task, uint32_t wanted)
{
    if (task->printed > 0 && !settings->attempt.given)
        output_note(task->client, _("task %" PRIu64 ": attempt %u has ended, attempt %u follows"), task->id,
                    task->printed, wanted);
    task->attempt = wanted;
}

/* Brings one task up to date: a new attempt ends the printing of the one before, the end of the task that
 * of all. */
static int look_at_task(const LogsSettings *settings, LogTask *task)
{
    bool ended = task_state_is_end(task->state);
    int r = 0;

    while (r >= 0 && !task->done) {
        uint32_t wanted = wanted_attempt(settings, task);
        bool over = ended || task->newest > wanted;
        bool last = settings->attempt.given ? over : ended && task->newest <= wanted;
        if (wanted == 0 || wanted > task->newest) {
            task->done = ended;
            return 0;
        }
        if (task->attempt == 0)
            begin_attempt(settings, task, wanted);
        r = look_at_streams(task, over);
        if (r < 0 || !over)
            return r;
        r = end_attempt(task);
        task->printed = wanted;
        task->done = last;
    }
    return r;
}

static int look(Logs *logs)
{
    bool running = false, open = false;

    for (guint i = 0; i < logs->tasks->len; i++) {
        LogTask *task = logs->tasks->pdata[i];
        int r = look_at_task(logs->settings, task);
        if (r < 0)
            return sd_event_exit(logs->client->event,
                                 r == -EPIPE ? PARCTL_OK : client_exit_code(logs->client, r));
        open = open || !task->done;
        running = running || (!task->done && task->state == TASK_RUNNING);
    }
    if (!open)
        return sd_event_exit(logs->client->event, PARCTL_OK);
    if (!running) /* the daemon will tell */
        return sd_event_source_set_enabled(logs->timer, SD_EVENT_OFF);
    int r = sd_event_source_set_time_relative(logs->timer, LOOK_USEC);
    return r < 0 ? r : sd_event_source_set_enabled(logs->timer, SD_EVENT_ONESHOT);
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
    return look(userdata);
}

static void on_task_changed(const TaskInfo *change, void *userdata)
{
    Logs *logs = userdata;

    for (guint i = 0; i < logs->tasks->len; i++) {
        LogTask *task = logs->tasks->pdata[i];
        if (task->id != change->id)
            continue;
        task->state = change->state;
        task->newest = MAX(task->newest, change->attempt);
        (void) look(logs);
    }
}

static void on_daemon_back(void *userdata)
{
    Logs *logs = userdata;
    g_autoptr(TaskFilter) filter = task_filter_new();
    g_autoptr(GPtrArray) rows = task_rows_new();

    filter->ids = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    for (guint i = 0; i < logs->tasks->len; i++)
        g_array_append_val(filter->ids, ((LogTask *) logs->tasks->pdata[i])->id);
    if (task_list_all(logs->client, filter, UINT32_MAX, rows, NULL) < 0) {
        (void) sd_event_exit(logs->client->event, client_exit_code(logs->client, -EIO));
        return;
    }
    for (guint i = 0; i < rows->len; i++)
        on_task_changed(rows->pdata[i], logs);
}

static const WatchHandler logs_handler = { .task_changed = on_task_changed, .daemon_back = on_daemon_back };

static bool any_waits(const Logs *logs)
{
    for (guint i = 0; i < logs->tasks->len; i++) {
        const LogTask *task = logs->tasks->pdata[i];
        if (!task_state_is_end(task->state) && task->state != TASK_RUNNING)
            return true;
    }
    return false;
}

static int follow(Logs *logs)
{
    int r =
        sd_event_add_time_relative(logs->client->event, &logs->timer, CLOCK_MONOTONIC, 0, 0, on_time, logs);

    if (r >= 0 && any_waits(logs))
        status_warn_if_nothing_runs(logs->client);
    if (r >= 0)
        r = sd_event_loop(logs->client->event);
    logs->timer = sd_event_source_disable_unref(logs->timer);
    return r < 0 ? output_failure(logs->client, r, _("the event loop failed: %s"), g_strerror(-r)) : r;
}

static int select_tasks(Logs *logs, TaskSelector *selector)
{
    g_autoptr(GPtrArray) rows = task_rows_new();
    bool mixed = (logs->settings->follow || selector->batches->len > 0) && !logs->settings->no_tag;
    int r = task_selector_resolve(selector, logs->client);

    if (r >= 0)
        r = task_selector_list(selector, logs->client, rows);
    for (guint i = 0; r >= 0 && i < rows->len; i++)
        g_ptr_array_add(logs->tasks, log_task_new(logs->client, logs->settings, rows->pdata[i],
                                                  /* tagged= */ mixed && rows->len > 1));
    return r;
}

static int run_logs(Client *client, const void *s, char **argv)
{
    g_autoptr(GPtrArray) tasks = g_ptr_array_new_with_free_func(log_task_free);
    Logs logs = { .client = client, .settings = s, .tasks = tasks };
    g_auto(TaskSelector) selector = {};
    g_autoptr(Watch) watch = NULL;
    int r;

    if (!argv[0] && !logs.settings->batch.given)
        return output_usage_error(client, _("which tasks? Name them, or give --batch"));
    task_selector_init(&selector);
    if (logs.settings->batch.given)
        g_array_append_val(selector.batches, logs.settings->batch.value);
    r = task_selector_parse(&selector, client, argv);
    if (r < 0)
        return r;
    connection_offer_password_agent(client);
    if (logs.settings->follow)
        r = watch_new(client, &logs_handler, &logs, /* tasks= */ true, &watch);
    if (r >= 0)
        r = select_tasks(&logs, &selector);
    if (r < 0)
        return r;
    return logs.settings->follow ? follow(&logs) : print_all(&logs);
}

static const char *const logs_examples[] = {
    "parctl logs 17",
    N_("stdout to stdout, stderr to stderr"),
    "parctl logs -f last",
    N_("what was submitted last, from its beginning to its end"),
    NULL,
};

const Verb verb_logs = {
    .name = "logs",
    .arguments = N_("[ID | A-B | batch:N | last]..."),
    .max = -1,
    .options = logs_options,
    .settings_size = sizeof(LogsSettings),
    .run = run_logs,
    .summary = N_("Print what tasks printed."),
    .details = N_(
        "Of a batch, and with -f of more than one task, each line begins with the number of its task. With "
        "-f the attempts of "
        "a task that is tried again follow one another, and a line on stderr says so. Where output was "
        "dropped "
        "since it was over --output-max, a line says how much."),
    .examples = logs_examples,
};
