/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Following the outputs of many tasks at once. The daemon tells when a task begins, is tried again and ends;
 * in between its files are looked at ten times a second. A file is asked for until it is there: what prints
 * nothing has none, which is certain only when it is asked for after the end of the attempt. Owned by the
 * verb; the tasks in the tree are those that have begun and are not printed to their end. */

#include "client/live-output.h"

#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>

#include "client/connection.h"
#include "client/error-report.h"
#include "client/output.h"
#include "dbus/parexec-dbus.h"

#define LOOK_USEC (100 * USEC_PER_MSEC)
#define LOOK_ACCURACY_USEC (10 * USEC_PER_MSEC)
#define LOOKS_PER_OPEN 5U /* a file that is not there is asked for less often: it may never be */
#define CALLS_MAX 64U     /* the system bus allows 128 unanswered ones */
#define FILES_WANTED 65536U

typedef struct LiveTask LiveTask;
typedef struct LiveStream {
    LiveTask *task;
    LogStream log;
    sd_bus_slot *slot;   /* of the question on its way */
    bool asked_at_end;   /* it was asked when the attempt had ended */
    bool settled;        /* there is no file, for certain */
    bool lost;           /* the daemon went away meanwhile */
    unsigned generation; /* of the daemon that was asked */
} LiveStream;

struct LiveTask {
    LiveOutput *live;
    uint64_t place;
    uint32_t attempt; /* that is being printed; 0: the latest, whatever its number */
    uint32_t newest;  /* that the daemon told of */
    bool begun, ended;
    bool unsure;    /* it ended, and which attempt that was is not known */
    unsigned looks; /* since the attempt began */
    LiveStream streams[2];
};

struct LiveOutput {
    Client *client;
    const Watch *watch;
    Progress *progress;
    const TaskPrinterHandler *handler;
    void *userdata;
    bool ordered, stopped;
    GTree *tasks;   /* place (uint64_t) → LiveTask */
    uint64_t first; /* in order: the place that is printed now */
    unsigned calls; /* on their way */
    uint64_t unread;
    sd_event_source *timer;
};

static void pump(LiveOutput *live);

static void drop_question(LiveStream *stream)
{
    if (stream->slot)
        stream->task->live->calls--;
    stream->slot = sd_bus_slot_unref(stream->slot);
}

static void task_free(void *data)
{
    LiveTask *task = data;

    for (size_t i = 0; i < G_N_ELEMENTS(task->streams); i++) {
        drop_question(&task->streams[i]);
        log_stream_done(&task->streams[i].log);
    }
    g_free(task);
}

static int compare_places(const void *a, const void *b, void *userdata)
{
    uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

    return (x > y) - (x < y);
}

/* Two files of each task that runs. */
static void raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= FILES_WANTED)
        return;
    limit.rlim_cur = MIN(limit.rlim_max, FILES_WANTED);
    (void) setrlimit(RLIMIT_NOFILE, &limit);
}

LiveOutput *live_output_new(Client *client, bool ordered, const TaskPrinterHandler *handler, void *userdata)
{
    LiveOutput *live = g_new(LiveOutput, 1);

    *live = (LiveOutput){ .client = client, .ordered = ordered, .handler = handler, .userdata = userdata };
    live->tasks = g_tree_new_full(compare_places, NULL, NULL, task_free);
    raise_file_limit();
    return live;
}

LiveOutput *live_output_free(LiveOutput *live)
{
    if (!live)
        return NULL;
    live->timer = sd_event_source_disable_unref(live->timer);
    g_tree_unref(live->tasks);
    g_free(live);
    return NULL;
}

void live_output_set_watch(LiveOutput *live, const Watch *watch)
{
    live->watch = watch;
}

void live_output_set_progress(LiveOutput *live, Progress *progress)
{
    live->progress = progress;
}

bool live_output_is_idle(const LiveOutput *live)
{
    return live->stopped || g_tree_nnodes(live->tasks) == 0;
}

uint64_t live_output_unread(const LiveOutput *live)
{
    return live->unread;
}

void live_output_stop(LiveOutput *live)
{
    live->stopped = true;
}

static void broken(LiveOutput *live, int r)
{
    live_output_stop(live);
    live->handler->broken(r, live->userdata);
}

/* ---- the files */

static void report_unread(LiveStream *stream, const sd_bus_error *error)
{
    LiveOutput *live = stream->task->live;

    progress_clear(live->progress);
    if (live->unread++ == 0)
        (void) error_report(live->client, error, -EIO);
    output_error(_("the %s of task %" PRIu64 " is missing here"), stream->log.name, stream->log.task);
}

static void take_answer(LiveStream *stream, sd_bus_message *m)
{
    const LiveOutput *live = stream->task->live;
    const sd_bus_error *error = sd_bus_message_get_error(m);

    if (!error)
        stream->settled = log_stream_take(&stream->log, m) < 0;
    else if (error_is_transient(error)) /* the daemon that is there now is asked at the next look */
        stream->lost =
            !watch_is_connected(live->watch) || watch_generation(live->watch) == stream->generation;
    else if (strcmp(error->name, PAREXEC_ERROR_NO_OUTPUT) == 0)
        stream->settled = stream->asked_at_end;
    else {
        stream->settled = true;
        report_unread(stream, error);
    }
}

static int on_opened(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    LiveStream *stream = userdata;
    LiveOutput *live = stream->task->live;

    drop_question(stream);
    take_answer(stream, m);
    pump(live); /* the stream may be gone */
    if (live_output_is_idle(live))
        live->handler->idle(live->userdata);
    return 0;
}

static int ask(LiveStream *stream, bool at_end)
{
    LiveOutput *live = stream->task->live;
    g_autoptr(sd_bus_message) call = NULL;
    int r = log_stream_new_call(&stream->log, stream->task->attempt, &call);

    if (r < 0)
        return r;
    stream->asked_at_end = at_end;
    stream->generation = watch_generation(live->watch);
    r = connection_call_async(live->client, call, on_opened, stream, &stream->slot);
    if (r >= 0)
        live->calls++;
    return r;
}

/* Prints what is there. 1: the attempt has ended, and this was all of it. */
static int look_at_streams(LiveTask *task, bool over)
{
    LiveOutput *live = task->live;
    bool all = over;
    int r = 0;

    for (size_t i = 0; r >= 0 && i < G_N_ELEMENTS(task->streams); i++) {
        LiveStream *stream = &task->streams[i];
        bool wanted = stream->log.fd < 0 && !stream->settled && !stream->slot && !stream->lost;
        if (wanted && (over || task->looks % LOOKS_PER_OPEN == 0) && live->calls < CALLS_MAX)
            r = ask(stream, over);
        stream->log.progress = live->progress;
        if (r >= 0)
            r = log_stream_copy(&stream->log);
        all = all && (stream->log.fd >= 0 || stream->settled);
    }
    task->looks++;
    return r < 0 ? r : all;
}

/* ---- the attempts */

static void begin_attempt(LiveTask *task, uint32_t attempt)
{
    task->begun = true;
    task->attempt = attempt;
    task->looks = 0;
    for (size_t i = 0; i < G_N_ELEMENTS(task->streams); i++) {
        drop_question(&task->streams[i]);
        task->streams[i].settled = false;
        task->streams[i].lost = false;
    }
}

/* Prints what is left of it. 1: another may follow. */
static int end_attempt(LiveTask *task)
{
    bool any = false;
    int r = 0;

    for (size_t i = 0; r >= 0 && i < G_N_ELEMENTS(task->streams); i++) {
        any = any || task->streams[i].log.fd >= 0;
        r = log_stream_end(&task->streams[i].log);
    }
    if (r < 0)
        return r;
    return task->newest > task->attempt ||
           (task->unsure && task->attempt > 0 && (any || task->attempt == task->newest));
}

/* 1: it has been printed to its end. */
static int look_at_task(LiveTask *task)
{
    for (;;) {
        if (!task->begun && task->newest == 0 && !task->ended)
            return 0;
        if (!task->begun)
            begin_attempt(task, task->newest);
        int r = look_at_streams(task, task->ended || task->newest > task->attempt);
        if (r <= 0)
            return r;
        r = end_attempt(task);
        if (r <= 0)
            return r < 0 ? r : 1;
        begin_attempt(task, task->attempt + 1);
    }
}

/* ---- all of them */

typedef struct Round {
    GPtrArray *printed; /* LiveTask: to their end */
    bool running;
    int r;
} Round;

static int look_in_round(void *key, void *value, void *userdata)
{
    LiveTask *task = value;
    Round *round = userdata;

    round->r = look_at_task(task);
    round->running = round->running || !task->ended;
    if (round->r > 0)
        g_ptr_array_add(round->printed, task);
    return round->r < 0;
}

static void look_at_all(LiveOutput *live, Round *round)
{
    g_tree_foreach(live->tasks, look_in_round, round);
    for (guint i = 0; i < round->printed->len; i++)
        g_tree_remove(live->tasks, &((LiveTask *) round->printed->pdata[i])->place);
}

static void look_in_order(LiveOutput *live, Round *round)
{
    LiveTask *task;

    do {
        task = g_tree_lookup(live->tasks, &live->first);
        if (!task)
            return;
        round->r = look_at_task(task);
        round->running = round->r == 0 && !task->ended;
        if (round->r > 0) {
            g_tree_remove(live->tasks, &task->place);
            live->first++;
        }
    } while (round->r > 0);
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
    LiveOutput *live = userdata;

    pump(live);
    if (live_output_is_idle(live))
        live->handler->idle(live->userdata);
    return 0;
}

static int look_again_later(LiveOutput *live)
{
    if (!live->timer)
        return sd_event_add_time_relative(live->client->event, &live->timer, CLOCK_MONOTONIC, LOOK_USEC,
                                          LOOK_ACCURACY_USEC, on_time, live);
    int r = sd_event_source_get_enabled(live->timer, NULL);
    if (r != 0) /* it is set already: many changes are not to put it off */
        return r;
    r = sd_event_source_set_time_relative(live->timer, LOOK_USEC);
    return r < 0 ? r : sd_event_source_set_enabled(live->timer, SD_EVENT_ONESHOT);
}

static void pump(LiveOutput *live)
{
    g_autoptr(GPtrArray) printed = g_ptr_array_new();
    Round round = { .printed = printed };

    if (live->stopped)
        return;
    if (live->ordered)
        look_in_order(live, &round);
    else
        look_at_all(live, &round);
    if (round.r >= 0 && round.running && look_again_later(live) < 0)
        round.r = output_failure(live->client, EIO, _("cannot set up the event loop: %s"), g_strerror(EIO));
    if (round.r < 0)
        broken(live, round.r);
}

static LiveTask *task_new(LiveOutput *live, uint64_t place, uint64_t id, const char *tag)
{
    LiveTask *task = g_new0(LiveTask, 1);

    task->live = live;
    task->place = place;
    for (size_t i = 0; i < G_N_ELEMENTS(task->streams); i++) {
        task->streams[i].task = task;
        log_stream_init(&task->streams[i].log, live->client, id, /* standard_error= */ i == 1, tag,
                        /* lines= */ true);
    }
    g_tree_insert(live->tasks, &task->place, task);
    return task;
}

void live_output_changed(LiveOutput *live, uint64_t place, const TaskInfo *info, const char *tag)
{
    LiveTask *task = g_tree_lookup(live->tasks, &place);

    if (!task)
        task = task_new(live, place, info->id, tag);
    task->newest = MAX(task->newest, info->attempt);
    task->ended = task_state_is_end(info->state);
    task->unsure = task->ended && info->attempt == 0;
    int r = live->ordered || live->stopped ? 0 : look_at_task(task);
    if (r > 0)
        g_tree_remove(live->tasks, &place);
    if (r < 0)
        broken(live, r);
    else if (live->ordered)
        pump(live);
    else if (!live->stopped && r == 0 && !task->ended && look_again_later(live) < 0)
        broken(live,
               output_failure(live->client, EIO, _("cannot set up the event loop: %s"), g_strerror(EIO)));
}

void live_output_retry(LiveOutput *live)
{
    GTreeNode *node = g_tree_node_first(live->tasks);

    for (; node; node = g_tree_node_next(node)) {
        LiveTask *task = g_tree_node_value(node);
        for (size_t i = 0; i < G_N_ELEMENTS(task->streams); i++)
            task->streams[i].lost = false;
    }
    pump(live);
}
