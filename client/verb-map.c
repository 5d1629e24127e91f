/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parctl map: one command for many items, their outputs in order. Items come in, are gathered into batches
 * while one submission is on its way, tasks end, outputs go out; everything is driven by the event loop.
 *
 * map-input ──► pending ──► Submit ──► map-batches + tracker ──► map-output
 *
 * With -j each item is a batch of its own, so that its end is told at once and the next can follow. A
 * signal, or nobody who reads, cancels what is open; the loop then ends when the daemon has told the end
 * of all. */

#include <signal.h>
#include <string.h>

#include "client/bus-dict.h"
#include "client/connection.h"
#include "client/error-report.h"
#include "client/joblog.h"
#include "client/map-batches.h"
#include "client/map-input.h"
#include "client/map-items.h"
#include "client/map-output.h"
#include "client/output.h"
#include "client/status-info.h"
#include "client/submission.h"
#include "client/substitution.h"
#include "client/task-list.h"
#include "client/tracker.h"
#include "client/worker-adding.h"
#include "dbus/parexec-dbus.h"
#include "util/parse-util.h"

#define PENDING_MAX 20000U /* items read ahead of their submission */
#define FAILED_MAX 101     /* as GNU parallel: the exit code counts up to 100 failures */

typedef struct MapSettings {
    TaskOptions task;
    Given jobs, workers, cpus;
    bool unordered, keep_order, progress, no_progress, tag, resume, resume_failed;
    BatchOptions batch;
    const char *joblog, *delay;
} MapSettings;

static const VerbOption map_options[] = {
    VERB_OPTION("jobs", 'j', OPTION_UINT, MapSettings, jobs, N_("N"),
                N_("at most so many at once (default: as many as the workers run)")),
    VERB_OPTION("workers", 'w', OPTION_UINT, MapSettings, workers, N_("N"),
                N_("add workers for this call, and drain them after it")),
    VERB_OPTION("cpus", 'c', OPTION_CPUS, MapSettings, cpus, N_("N"),
                N_("CPUs of each of them; --memory is theirs, too, with --workers")),
    VERB_OPTION("keep-order", 'k', OPTION_FLAG, MapSettings, keep_order, NULL,
                N_("outputs in the order of the items (the default)")),
    VERB_OPTION("unordered", 'u', OPTION_FLAG, MapSettings, unordered, NULL, N_("outputs as the tasks end")),
    VERB_OPTION("progress", 0, OPTION_FLAG, MapSettings, progress, NULL,
                N_("tell the progress where stderr is no terminal, too")),
    VERB_OPTION("no-progress", 0, OPTION_FLAG, MapSettings, no_progress, NULL, N_("show no progress")),
    VERB_OPTION("tag-lines", 0, OPTION_FLAG, MapSettings, tag, NULL,
                N_("begin each line of output with the item")),
    VERB_OPTION("delay", 0, OPTION_STRING, MapSettings, delay, N_("SPAN"),
                N_("between the starts of two tasks, at least")),
    VERB_OPTION("joblog", 0, OPTION_STRING, MapSettings, joblog, N_("FILE"),
                N_("a line for each task that has run, as GNU parallel writes it")),
    VERB_OPTION("resume", 0, OPTION_FLAG, MapSettings, resume, NULL,
                N_("pass over the items that are in the job log")),
    VERB_OPTION("resume-failed", 0, OPTION_FLAG, MapSettings, resume_failed, NULL,
                N_("the same, but run those again that failed")),
    BATCH_OPTIONS(MapSettings, batch),
    TASK_OPTIONS(MapSettings, task),
    {},
};

typedef struct Map {
    Client *client;
    const MapSettings *settings;
    TaskOptions task; /* the settings', but for what is of the workers */
    TaskTemplate template;
    char **argv;
    MapInput *input; /* NULL: the items are arguments */
    MapOutput *output;
    Tracker *tracker;
    MapBatches batches;
    Joblog *joblog; /* NULL: none */
    MapItems items;
    BatchLimits limits;
    uint64_t delay_usec, next_usec; /* between starts; CLOCK_MONOTONIC of the next one */
    uint64_t submitted;             /* items that were sent */
    uint64_t unanswered;            /* of them, in calls on their way */
    unsigned calls;                 /* Submit calls on their way */
    bool input_ended;
    bool warned; /* about there being no worker */
    bool halted; /* the limits are reached: nothing new starts */
    int stop;    /* exit code of what ended it early; 0: nothing did */
} Map;

/* A Submit call on its way. */
typedef struct MapCall {
    Map *map;
    uint64_t first_item, count;
} MapCall;

static void submit_pending(Map *map);

static void check_end(Map *map)
{
    const TrackerCounts *counts = tracker_counts(map->tracker);
    uint64_t bad =
        (map->halted ? counts->failed : counts->ended - counts->succeeded) + map_output_unread(map->output);

    if (!map->input_ended || map->calls > 0 || map->items.pending.length > 0 ||
        !tracker_all_ended(map->tracker) || !map_output_is_idle(map->output) ||
        (map->joblog && !joblog_is_idle(map->joblog)))
        return;
    if (map->halted && counts->succeeded >= map->limits.max_successes)
        bad = 0;
    (void) sd_event_exit(map->client->event, map->stop > 0 ? map->stop : (int) MIN(bad, FAILED_MAX));
}

/* ---- the end before the end */

static int on_cancelled(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Map *map = userdata;

    if (sd_bus_message_is_method_error(m, NULL) && !error_is_transient(sd_bus_message_get_error(m)))
        (void) error_report(map->client, sd_bus_message_get_error(m), -EIO);
    return 0;
}

/* All of it or, to let go on what runs, what waits. */
static int cancel_batch(Map *map, uint64_t batch)
{
    g_autoptr(TaskFilter) filter = task_filter_new();
    g_autoptr(sd_bus_message) call = NULL;
    int r = connection_new_call(map->client, "Cancel", &call);

    if (r < 0)
        return r;
    filter->batch = batch;
    if (map->halted && !map->limits.now && map->stop == 0)
        filter->states = TASK_STATES_UNFINISHED & ~(1U << TASK_RUNNING);
    r = task_filter_append(filter, /* paging= */ false, call);
    return r < 0 ? connection_report_message(map->client, r)
                 : connection_call_async(map->client, call, on_cancelled, map, NULL);
}

static void cancel_open(Map *map)
{
    for (guint i = 0; i < map->batches.list->len; i++) {
        const MapBatch *batch = &g_array_index(map->batches.list, MapBatch, i);
        if (batch->open > 0 && cancel_batch(map, batch->batch) < 0)
            return;
    }
}

static void stop(Map *map, int code)
{
    if (map->stop > 0)
        return;
    map->stop = code;
    map->input_ended = true;
    if (map->input)
        map_input_enable(map->input, false);
    map_output_stop(map->output);
    map_items_clear(&map->items);
    cancel_open(map);
    check_end(map);
}

/* Enough have failed, or succeeded. What has been printed so far, and what still ends, is printed. */
static void halt_if_reached(Map *map)
{
    const TrackerCounts *counts = tracker_counts(map->tracker);

    if (map->halted || map->stop > 0 ||
        !batch_limits_reached(&map->limits, counts->failed, counts->succeeded,
                              map->input_ended ? map->items.taken : 0))
        return;
    map->halted = true;
    map->input_ended = true;
    if (map->input)
        map_input_enable(map->input, false);
    map_items_clear(&map->items);
    cancel_open(map);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
    Map *map = userdata;

    if (map->stop > 0) /* asked twice: do not wait for the ends */
        return sd_event_exit(map->client->event, map->stop);
    stop(map, 128 + (int) info->ssi_signo);
    return 0;
}

/* ---- items in */

static void on_item(const char *item, void *userdata)
{
    Map *map = userdata;
    char *values[] = { (char *) item, NULL };

    map_items_add(&map->items, values);
}

static void on_input_pause(void *userdata)
{
    Map *map = userdata;

    if (map->items.pending.length >= PENDING_MAX)
        map_input_enable(map->input, false);
    submit_pending(map);
}

static void on_input_end(int r, void *userdata)
{
    Map *map = userdata;

    map->input_ended = true;
    if (r < 0) {
        stop(map, client_exit_code(map->client, r));
        return;
    }
    submit_pending(map);
    check_end(map);
}

static const MapInputHandler input_handler = { .item = on_item,
                                               .pause = on_input_pause,
                                               .end = on_input_end };

/* ---- tasks out */

static int on_submitted(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    g_autofree MapCall *call = userdata;
    Map *map = call->map;
    SubmitReply reply;
    int r;

    map->calls--;
    map->unanswered -= call->count;
    r = sd_bus_message_is_method_error(m, NULL) ? error_report(map->client, sd_bus_message_get_error(m), -EIO)
                                                : submit_reply_read(map->client, m, &reply);
    if (r < 0) {
        stop(map, client_exit_code(map->client, r));
        check_end(map);
        return 0;
    }
    map_batches_add(&map->batches, reply.batch, reply.first, reply.count, call->first_item);
    tracker_add_new(map->tracker, reply.first, reply.count, reply.batch);
    if (map->stop > 0 || map->halted)
        return cancel_batch(map, reply.batch);
    if (!map->warned)
        status_warn_if_nothing_runs(map->client);
    map->warned = true;
    submit_pending(map);
    return 0;
}

static char **item_argv(const Map *map, const MapItem *item)
{
    return map->settings->task.shell ? substitute_values_shell(map->argv, item->values, item->number)
                                     : substitute_values(map->argv, item->values, item->number);
}

/* From now to the start of the next task, with --delay between any two. */
static uint64_t take_delay(Map *map)
{
    uint64_t now = (uint64_t) g_get_monotonic_time(), at = MAX(map->next_usec, now);

    if (map->delay_usec == 0)
        return 0;
    map->next_usec = usec_add(at, map->delay_usec);
    return at - now;
}

/* Moves up to max pending items into the message. */
static int fill_message(Map *map, SubmitMessage *message, uint64_t max)
{
    while (map->items.pending.length > 0 && message->tasks < max) {
        g_auto(GStrv) argv = item_argv(map, g_queue_peek_head(&map->items.pending));
        TaskEntry entry = { .argv = argv };
        if (message->tasks > 0 &&
            !submit_message_has_room(message, task_template_task_bytes(&map->template, &entry)))
            return 0;
        entry.delay_usec = take_delay(map);
        int r = submit_message_add(message, map->client, &map->template, &entry);
        if (r < 0)
            return r;
        map_item_free(g_queue_pop_head(&map->items.pending));
    }
    return 0;
}

static int submit_call(Map *map, uint64_t max)
{
    g_auto(SubmitMessage) message = {};
    g_autofree MapCall *call = g_new(MapCall, 1);
    int r = fill_message(map, &message, max);

    if (r >= 0)
        r = submit_message_finish(&message, map->client, &map->template, /* batch= */ 0, /* commit= */ true);
    if (r < 0)
        return r;
    *call = (MapCall){ .map = map, .first_item = map->submitted, .count = message.tasks };
    r = connection_call_async(map->client, message.m, on_submitted, call, NULL);
    if (r < 0)
        return r;
    (void) g_steal_pointer(&call);
    map->calls++;
    map->submitted += message.tasks;
    map->unanswered += message.tasks;
    return 0;
}

/* All there is, one call at a time; with -j one item a call, as many as there is room for. */
static void submit_pending(Map *map)
{
    uint64_t jobs = map->settings->jobs.given ? map->settings->jobs.value : 0;
    int r = 0;

    while (r >= 0 && map->stop == 0 && map->items.pending.length > 0 &&
           (jobs > 0 ? map->batches.open + map->unanswered < jobs : map->calls == 0))
        r = submit_call(map, jobs > 0 ? 1 : PAREXEC_TASKS_PER_CALL_MAX);
    if (r < 0)
        stop(map, client_exit_code(map->client, r));
    else if (map->input && !map->input_ended && map->items.pending.length < PENDING_MAX)
        map_input_enable(map->input, true);
}

static void on_ended(const TaskInfo *info, void *userdata)
{
    Map *map = userdata;
    uint64_t item;

    if (map_batches_end(&map->batches, info->id, &item) < 0)
        return;
    map_output_add(map->output, item, info->id, map->items.texts ? map->items.texts->pdata[item] : NULL);
    if (map->joblog)
        joblog_add(map->joblog, g_array_index(map->items.numbers, uint64_t, item), info->id);
    halt_if_reached(map);
    submit_pending(map);
    check_end(map);
}

static void on_daemon_back(void *userdata)
{
    Map *map = userdata;

    map_output_retry(map->output);
    if (map->joblog)
        joblog_retry(map->joblog);
    if (map->stop > 0 || map->halted)
        cancel_open(map);
}

static void on_output_idle(void *userdata)
{
    check_end(userdata);
}

static void on_output_broken(int r, void *userdata)
{
    Map *map = userdata;

    if (r != -EPIPE)
        (void) output_failure(map->client, r, _("cannot write the output: %s"), g_strerror(-r));
    stop(map, r == -EPIPE ? 128 + SIGPIPE : PARCTL_FAILED);
}

static const MapOutputHandler output_handler = { .idle = on_output_idle, .broken = on_output_broken };

static void facts(ProgressFacts *ret, void *userdata)
{
    const Map *map = userdata;
    const TrackerCounts *counts = tracker_counts(map->tracker);

    *ret = (ProgressFacts){
        .total = map->items.taken,
        .done = counts->ended,
        .failed = counts->ended - counts->succeeded,
        .running = counts->running,
        .open = !map->input_ended,
    };
}

/* ---- setting up */

static int add_signals(Map *map)
{
    static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    sigset_t mask;

    sigemptyset(&mask);
    for (size_t i = 0; i < G_N_ELEMENTS(signals); i++)
        sigaddset(&mask, signals[i]);
    /* a closed pipe is an error of write(2): the tasks are to be cancelled, the workers drained */
    int r = sigaction(SIGPIPE, &ignore, NULL) < 0 || sigprocmask(SIG_BLOCK, &mask, NULL) < 0 ? -errno : 0;
    for (size_t i = 0; r >= 0 && i < G_N_ELEMENTS(signals); i++)
        r = sd_event_add_signal(map->client->event, NULL, signals[i], on_signal, map);
    return r < 0 ? output_failure(map->client, r, _("cannot set up the event loop: %s"), g_strerror(-r)) : 0;
}

static int begin_input(Map *map, const GPtrArray *lists)
{
    if (!lists) {
        if (output_is_terminal(STDIN_FILENO))
            output_note(map->client, _("reading items from this terminal, one a line; Ctrl-D ends them"));
        return map_input_new(map->client, &input_handler, map, &map->input);
    }
    map_items_add_combinations(&map->items, lists);
    map->input_ended = true;
    submit_pending(map);
    if (map->items.taken == 0)
        (void) sd_event_exit(map->client->event, PARCTL_OK);
    return 0;
}

static int add_workers(Map *map, WorkerLease *lease)
{
    const MapSettings *settings = map->settings;
    WorkerOptions options = { .memory = settings->task.memory, .cpus = settings->cpus };

    if (!settings->workers.given)
        return 0;
    connection_offer_password_agent(map->client);
    return worker_lease_add(lease, &options, settings->workers.value);
}

static int map_loop(Map *map, const GPtrArray *lists)
{
    g_autoptr(Progress) progress = NULL;
    const MapSettings *settings = map->settings;
    ProgressMode mode = settings->no_progress ? PROGRESS_OFF
                        : settings->progress  ? PROGRESS_ON
                                              : PROGRESS_AUTO;
    int r = begin_input(map, lists);

    if (r >= 0)
        r = progress_new(map->client, mode, facts, map, &progress);
    if (r < 0)
        return r;
    map_output_set_progress(map->output, progress);
    r = sd_event_loop(map->client->event);
    map_output_set_progress(map->output, NULL);
    return r < 0 ? output_failure(map->client, r, _("the event loop failed: %s"), g_strerror(-r)) : r;
}

static void map_done(Map *map)
{
    map->input = map_input_free(map->input);
    map->output = map_output_free(map->output);
    map->tracker = tracker_free(map->tracker);
    map_batches_done(&map->batches);
    map->joblog = joblog_free(map->joblog);
    map_items_done(&map->items);
    task_template_done(&map->template);
}

static int check_usage(Client *client, const MapSettings *settings, char **argv)
{
    if (!argv[0])
        return output_usage_error(client, _("map needs a command in front of \":::\""));
    if (settings->cpus.given && !settings->workers.given)
        return output_usage_error(client, _("--cpus is of the workers that --workers adds"));
    if ((settings->resume || settings->resume_failed) && !settings->joblog)
        return output_usage_error(client, _("--resume and --resume-failed need --joblog"));
    return 0;
}

static void on_logged(void *userdata)
{
    check_end(userdata);
}

/* What is in the log of an earlier call is not run again. */
static int read_joblog(Map *map)
{
    const char *path = map->settings->joblog;

    map->items.done = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    int r = joblog_read(path, !map->settings->resume_failed, map->items.done);
    if (r == -ENOENT)
        return 0;
    if (r == -EBADMSG)
        return output_failure(map->client, r, _("%s is no job log: a line is not Seq, Host, Starttime, …"),
                              path);
    return r < 0 ? output_failure(map->client, r, _("cannot read %s: %s"), path, g_strerror(-r)) : 0;
}

static int open_joblog(Map *map)
{
    bool resume = map->settings->resume || map->settings->resume_failed;
    int r = resume ? read_joblog(map) : 0;

    if (r < 0 || !map->settings->joblog)
        return r;
    return joblog_open(map->client, map->settings->joblog, resume, on_logged, map, &map->joblog);
}

/* The limits are of all batches together, so they are ours to keep. */
static int take_options(Map *map)
{
    int r = task_template_init(&map->template, map->client, &map->task);

    if (r >= 0)
        r = task_template_set_limits(&map->template, map->client, &map->settings->batch);
    if (r < 0)
        return r;
    map->limits = map->template.limits;
    batch_limits_init(&map->template.limits);
    if (map->settings->delay &&
        (parse_timespan(map->settings->delay, &map->delay_usec) < 0 || map->delay_usec == UINT64_MAX))
        return output_usage_error(map->client, _("--delay takes %s, not \"%s\""), task_term_form(TERM_DELAY),
                                  map->settings->delay);
    if (map->settings->tag)
        map->items.texts = g_ptr_array_new_with_free_func(g_free);
    return 0;
}

static int set_up(Map *map)
{
    int r = take_options(map);

    if (r >= 0)
        r = tracker_new(map->client, on_ended, map, &map->tracker);
    if (r >= 0)
        r = open_joblog(map);
    if (r < 0)
        return r;
    map_output_set_watch(map->output, tracker_watch(map->tracker));
    tracker_on_daemon_back(map->tracker, on_daemon_back);
    return add_signals(map);
}

static int run_map(Client *client, const void *s, char **argv)
{
    Map map = { .client = client, .settings = s, .argv = argv };
    g_autoptr(GPtrArray) lists = map_lists_split(argv);
    g_auto(WorkerLease) lease = {};
    int r = check_usage(client, s, argv);

    if (r < 0)
        return r;
    map_items_init(&map.items);
    map_batches_init(&map.batches);
    worker_lease_init(&lease, client);
    map.output = map_output_new(client, !map.settings->unordered, &output_handler, &map);
    map.task = map.settings->task;
    if (map.settings->workers.given)
        map.task.memory.given = false;
    r = set_up(&map);
    if (r >= 0)
        r = add_workers(&map, &lease);
    if (r >= 0)
        r = map_loop(&map, lists);
    map_done(&map);
    return r;
}

static const char *const map_examples[] = {
    "parctl map gzip -9 ::: *.log",
    N_("one task for each file"),
    "seq 1000 | parctl map -- sh -c 'echo $(( {} * 2 ))'",
    N_("one task for each line"),
    "find . -name '*.wav' | parctl map -w 4 -m 1G flac {}",
    N_("with four workers of 1 GiB for this call"),
    NULL,
};

const Verb verb_map = {
    .name = "map",
    .arguments = N_("[--] COMMAND [ARGUMENTS...] [::: ITEM...]..."),
    .min = 1,
    .max = -1,
    .takes_command = true,
    .options = map_options,
    .settings_size = sizeof(MapSettings),
    .run = run_map,
    .summary = N_("Run a command for each item and print what they print, in order."),
    .details = N_(
        "Items are the arguments behind \":::\", or the lines of stdin. In the command {} is replaced by "
        "the item, {.} by the item without its extension, {/} by its basename, {//} by its directory, {/.} "
        "by its basename without the extension and {#} by its number; without any of them the item is the "
        "last argument. With several lists of items every combination is run; {1} and {2} are its parts. "
        "With --shell the item is quoted for the shell.\n"
        "Ctrl-C cancels what is left. Exits with 0 if all succeeded, else with the number of failed tasks: "
        "101 stands for more than 100."),
    .examples = map_examples,
};
