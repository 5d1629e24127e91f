/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A map at work: items come in, are gathered into batches while one submission is on its way, tasks end,
 * outputs go out; everything is driven by the event loop.
 *
 * map-input ──► pending ──► Submit ──► map-batches + tracker ──► task-printer
 *
 * With -j each item is a batch of its own, so that its end is told at once and the next can follow. A
 * signal, or nobody who reads, cancels what is open; the loop then ends when the daemon has told the end
 * of all. */

#include "client/map-run.h"

#include <signal.h>
#include <string.h>

#include "client/bus-dict.h"
#include "client/connection.h"
#include "client/error-report.h"
#include "client/joblog.h"
#include "client/map-batches.h"
#include "client/map-input.h"
#include "client/map-items.h"
#include "client/map-slots.h"
#include "client/output.h"
#include "client/status-info.h"
#include "client/submission.h"
#include "client/substitution.h"
#include "client/task-list.h"
#include "client/task-printer.h"
#include "client/tracker.h"
#include "client/worker-adding.h"
#include "dbus/parexec-dbus.h"
#include "util/parse-util.h"

#define PENDING_MAX 20000U /* items read ahead of their submission */
#define FAILED_MAX 101     /* as GNU parallel: the exit code counts up to 100 failures */
#define DELAY_ACCURACY_USEC USEC_PER_MSEC

typedef struct Map {
    Client *client;
    const MapSettings *settings;
    TaskOptions task; /* the settings', but for what is of the workers */
    TaskTemplate template;
    char **argv;
    MapInput *input; /* NULL: the items are arguments */
    TaskPrinter *output;
    Tracker *tracker;
    MapBatches batches;
    MapSlots slots; /* with -j and {%} */
    Joblog *joblog; /* NULL: none */
    MapItems items;
    BatchLimits limits;
    uint64_t delay_usec, next_usec; /* between starts; CLOCK_MONOTONIC of the next one */
    uint64_t starting;              /* with -j and --delay: whose start is waited for; 0: nobody's */
    sd_event_source *delay_timer;
    uint64_t submitted;  /* items that were sent */
    uint64_t unanswered; /* of them, in calls on their way */
    unsigned calls;      /* Submit calls on their way */
    bool input_ended;
    bool wants_slot;
    bool warned; /* about there being no worker */
    char *unstarted; /* what is to be said of the first task that could not be started; NULL: nothing */
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
        (map->halted ? counts->failed : counts->ended - counts->succeeded) + task_printer_unread(map->output);

    if (!map->input_ended || map->calls > 0 || map->items.pending.length > 0 ||
        !tracker_all_ended(map->tracker) || !task_printer_is_idle(map->output) ||
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
    task_printer_stop(map->output);
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
    if (map->delay_usec > 0)
        map->starting = reply.first;
    tracker_add_new(map->tracker, reply.first, reply.count, reply.batch);
    if (map->stop > 0 || map->halted)
        return cancel_batch(map, reply.batch);
    if (!map->warned)
        status_warn_if_nothing_runs(map->client);
    map->warned = true;
    submit_pending(map);
    return 0;
}

static bool has_jobs(const Map *map)
{
    return map->settings->jobs.given;
}

static char **item_argv(const Map *map, const MapItem *item)
{
    return map_item_argv(item, map->argv, map->settings->task.shell,
                         map->wants_slot ? map_slots_next(&map->slots) : 0);
}

/* Without -j it is the daemon that keeps them apart: from now to the start of the next task, as if there was
 * a free slot for each. */
static uint64_t take_delay(Map *map)
{
    uint64_t now = (uint64_t) g_get_monotonic_time(), at = MAX(map->next_usec, now);

    if (map->delay_usec == 0 || has_jobs(map))
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
    if (map->wants_slot)
        map_slots_take(&map->slots, map->submitted);
    map->submitted += message.tasks;
    map->unanswered += message.tasks;
    return 0;
}

static int on_delay_over(sd_event_source *source, uint64_t usec, void *userdata)
{
    submit_pending(userdata);
    return 0;
}

/* With -j and --delay: the next one is submitted when the one before has begun, and so long ago. */
static bool delay_is_over(Map *map)
{
    uint64_t now = (uint64_t) g_get_monotonic_time();

    if (map->delay_usec == 0)
        return true;
    if (map->unanswered > 0 || map->starting > 0)
        return false;
    if (now >= map->next_usec)
        return true;
    map->delay_timer = sd_event_source_disable_unref(map->delay_timer);
    int r = sd_event_add_time(map->client->event, &map->delay_timer, CLOCK_MONOTONIC, map->next_usec,
                              DELAY_ACCURACY_USEC, on_delay_over, map);
    if (r < 0)
        stop(map, client_exit_code(
                      map->client,
                      output_failure(map->client, r, _("cannot set up the event loop: %s"), g_strerror(-r))));
    return false;
}

/* It has begun, or ended without: so long after its start the next may follow. */
static void note_start(Map *map, const TaskInfo *info)
{
    uint64_t now = (uint64_t) g_get_real_time(), age = 0;

    if (map->starting == 0 || info->id != map->starting ||
        (info->state != TASK_RUNNING && !task_state_is_end(info->state)))
        return;
    if (info->started_usec > 0 && info->started_usec < now)
        age = MIN(now - info->started_usec, map->delay_usec);
    map->starting = 0;
    map->next_usec = usec_add((uint64_t) g_get_monotonic_time(), map->delay_usec - age);
}

static bool may_submit(Map *map)
{
    if (map->stop > 0 || map->items.pending.length == 0)
        return false;
    if (!has_jobs(map))
        return map->calls == 0;
    return map->batches.open + map->unanswered < map->settings->jobs.value && delay_is_over(map);
}

/* All there is, one call at a time; with -j one item a call, as many as there is room for. */
static void submit_pending(Map *map)
{
    int r = 0;

    while (r >= 0 && may_submit(map))
        r = submit_call(map, has_jobs(map) ? 1 : PAREXEC_TASKS_PER_CALL_MAX);
    if (r < 0)
        stop(map, client_exit_code(map->client, r));
    else if (map->input && !map->input_ended && map->items.pending.length < PENDING_MAX)
        map_input_enable(map->input, true);
}

static void print_change(Map *map, uint64_t item, const TaskInfo *info)
{
    task_printer_changed(map->output, item, info, map->items.texts ? map->items.texts->pdata[item] : NULL);
}

static void on_changed(const TaskInfo *info, void *userdata)
{
    Map *map = userdata;
    uint64_t item;

    if (map_batches_find(&map->batches, info->id, &item) < 0)
        return;
    print_change(map, item, info);
    note_start(map, info);
    submit_pending(map);
}

static void on_ended(const TaskInfo *info, void *userdata)
{
    Map *map = userdata;
    uint64_t item;

    if (map_batches_end(&map->batches, info->id, &item) < 0)
        return;
    if (map->wants_slot)
        map_slots_release(&map->slots, item);
    print_change(map, item, info);
    note_start(map, info);
    if (map->joblog)
        joblog_add(map->joblog, g_array_index(map->items.numbers, uint64_t, item), info->id);
    if (info->outcome == OUTCOME_SPAWN_FAILED && !map->unstarted)
        map->unstarted = task_list_end_note(map->client, info);
    halt_if_reached(map);
    submit_pending(map);
    check_end(map);
}

static void on_daemon_back(void *userdata)
{
    Map *map = userdata;

    task_printer_retry(map->output);
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

    stop(map, r == -EPIPE ? 128 + SIGPIPE : PARCTL_FAILED);
}

static const TaskPrinterHandler output_handler = { .idle = on_output_idle, .broken = on_output_broken };

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

static int begin_input(Map *map, const GPtrArray *sources)
{
    if (!sources) {
        if (output_is_terminal(STDIN_FILENO))
            output_note(map->client, _("reading items from this terminal, one a line; Ctrl-D ends them"));
        return map_input_new(map->client, &input_handler, map, &map->input);
    }
    map_items_add_combinations(&map->items, sources);
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

static int map_loop(Map *map, const GPtrArray *sources)
{
    g_autoptr(Progress) progress = NULL;
    const MapSettings *settings = map->settings;
    ProgressMode mode = settings->no_progress ? PROGRESS_OFF
                        : settings->progress  ? PROGRESS_ON
                                              : PROGRESS_AUTO;
    int r = begin_input(map, sources);

    if (r >= 0)
        r = progress_new(map->client, mode, facts, map, &progress);
    if (r < 0)
        return r;
    task_printer_set_progress(map->output, progress);
    r = sd_event_loop(map->client->event);
    task_printer_set_progress(map->output, NULL);
    progress_clear(progress);
    if (map->unstarted)
        output_note(map->client, "%s", map->unstarted);
    return r < 0 ? output_failure(map->client, r, _("the event loop failed: %s"), g_strerror(-r)) : r;
}

static void map_done(Map *map)
{
    map->delay_timer = sd_event_source_disable_unref(map->delay_timer);
    map->input = map_input_free(map->input);
    map->output = task_printer_free(map->output);
    map->tracker = tracker_free(map->tracker);
    map_batches_done(&map->batches);
    map_slots_done(&map->slots);
    map->joblog = joblog_free(map->joblog);
    map_items_done(&map->items);
    g_free(map->unstarted);
    task_template_done(&map->template);
}

static void on_logged(void *userdata)
{
    check_end(userdata);
}

static int open_joblog(Map *map)
{
    bool resume = map->settings->resume || map->settings->resume_failed;

    return map->settings->joblog
               ? joblog_open(map->client, map->settings->joblog, resume, on_logged, map, &map->joblog)
               : 0;
}

/* The limits are of all batches together, so they are ours to keep. */
static int take_options(Map *map)
{
    int r = task_template_init(&map->template, map->client, &map->task);

    if (r >= 0)
        r = task_template_check_growth(&map->template, map->client);
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
    task_printer_set_watch(map->output, tracker_watch(map->tracker));
    tracker_on_daemon_back(map->tracker, on_daemon_back);
    tracker_on_changed(map->tracker, on_changed);
    return add_signals(map);
}

int map_run(Client *client, const MapSettings *settings, char **argv, const GPtrArray *sources,
            GHashTable *done)
{
    Map map = { .client = client, .settings = settings, .argv = argv, .task = settings->task };
    bool ordered = !settings->unordered && (settings->keep_order || !settings->lines);
    g_auto(WorkerLease) lease = {};

    map_items_init(&map.items);
    if (done)
        map.items.done = g_hash_table_ref(done);
    map_batches_init(&map.batches);
    map_slots_init(&map.slots);
    map.wants_slot = settings->jobs.given && substitution_wants_slot(argv);
    worker_lease_init(&lease, client);
    map.output = task_printer_new(client, ordered, settings->lines, &output_handler, &map);
    if (settings->workers.given)
        map.task.memory.given = false;
    else
        map.task.cpus = settings->cpus;
    int r = set_up(&map);
    if (r >= 0)
        r = add_workers(&map, &lease);
    if (r >= 0)
        r = map_loop(&map, sources);
    map_done(&map);
    return r;
}
