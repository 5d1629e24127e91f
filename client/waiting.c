/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waiting for tasks. Owned by the verb; the worst news is that of the lowest id, so that it is the same
 * every time. */

#include "client/waiting.h"

#include <inttypes.h>
#include <signal.h>

#include "client/joblog.h"
#include "client/json-output.h"
#include "client/output.h"
#include "client/task-list.h"
#include "client/task-printer.h"

#define RESULTS_MAX (TASK_PAGE_MAX + 1)

struct Waiting {
    Client *client;
    Tracker *tracker;
    Joblog *joblog;      /* NULL: none */
    TaskPrinter *output; /* NULL: it is not asked for */
    GHashTable *places;  /* with output: id (uint64_t) → place in the order */
    bool tag;
    ProgressMode mode;
    uint64_t failed_id; /* the lowest one that did not succeed; 0: none */
    int failed_code;
    GPtrArray *rows; /* TaskInfo: of all tasks when they have ended; NULL: not asked for */
    GArray *ended;   /* uint64_t: ids, while they are few enough for their results to be told */
    char *failed_how;
    int failed_error; /* why it could not be started, while that is all that is known; 0: it is not */
    bool running; /* rows that are added before may have ended, too: the loop is not to leave for them */
};

Waiting *waiting_free(Waiting *waiting)
{
    if (!waiting)
        return NULL;
    waiting->joblog = joblog_free(waiting->joblog);
    waiting->output = task_printer_free(waiting->output);
    g_clear_pointer(&waiting->places, g_hash_table_unref);
    waiting->tracker = tracker_free(waiting->tracker);
    g_clear_pointer(&waiting->ended, g_array_unref);
    g_clear_pointer(&waiting->rows, g_ptr_array_unref);
    g_free(waiting->failed_how);
    g_free(waiting);
    return NULL;
}

static bool is_over(const Waiting *waiting)
{
    return tracker_all_ended(waiting->tracker) && (!waiting->joblog || joblog_is_idle(waiting->joblog)) &&
           (!waiting->output || task_printer_is_idle(waiting->output));
}

/* The results of all tasks, where they are not too many: asked for while there is a connection, which the
 * event loop closes when it ends. */
static void fetch_results(Waiting *waiting)
{
    g_autoptr(TaskFilter) filter = task_filter_new();
    uint64_t cursor;

    if (!waiting->client->json || waiting->rows || waiting->ended->len == 0 ||
        waiting->ended->len >= RESULTS_MAX)
        return;
    filter->ids = g_array_ref(waiting->ended);
    waiting->rows = task_rows_new();
    (void) task_list_page(waiting->client, filter, waiting->rows, &cursor);
}

/* What the change has not told. */
static void fetch_failure(Waiting *waiting)
{
    const TaskInfo info = { .id = waiting->failed_id,
                            .state = TASK_FAILED,
                            .outcome = OUTCOME_SPAWN_FAILED,
                            .error = waiting->failed_error };

    if (waiting->failed_error == 0 || waiting->client->quiet)
        return;
    g_free(waiting->failed_how);
    waiting->failed_how = task_list_describe_end(waiting->client, &info);
    waiting->failed_error = 0;
}

static void on_idle(void *userdata)
{
    Waiting *waiting = userdata;

    if (!waiting->running || !is_over(waiting))
        return;
    fetch_results(waiting);
    fetch_failure(waiting);
    (void) sd_event_exit(waiting->client->event, PARCTL_OK);
}

static void on_daemon_back(void *userdata)
{
    Waiting *waiting = userdata;

    if (waiting->joblog)
        joblog_retry(waiting->joblog);
    if (waiting->output)
        task_printer_retry(waiting->output);
}

int waiting_set_joblog(Waiting *waiting, const char *path)
{
    return joblog_open(waiting->client, path, /* append= */ false, on_idle, waiting, &waiting->joblog);
}

static void on_broken(int r, void *userdata)
{
    Waiting *waiting = userdata;

    (void) sd_event_exit(waiting->client->event,
                         r == -EPIPE ? 128 + SIGPIPE : client_exit_code(waiting->client, r));
}

static void print_change(Waiting *waiting, const TaskInfo *info)
{
    g_autofree char *tag = waiting->tag ? g_strdup_printf("[%" PRIu64 "] ", info->id) : NULL;
    gpointer place;

    if (waiting->output && g_hash_table_lookup_extended(waiting->places, &info->id, NULL, &place))
        task_printer_changed(waiting->output, GPOINTER_TO_SIZE(place), info, tag);
}

static void on_changed(const TaskInfo *info, void *userdata)
{
    print_change(userdata, info);
}

void waiting_set_output(Waiting *waiting, const WaitingOutput *how)
{
    static const TaskPrinterHandler handler = { .idle = on_idle, .broken = on_broken };

    waiting->tag = how->tag;
    waiting->places = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    waiting->output = task_printer_new(waiting->client, how->ordered, how->lines, &handler, waiting);
    task_printer_set_watch(waiting->output, tracker_watch(waiting->tracker));
    tracker_on_changed(waiting->tracker, on_changed);
}

static void on_ended(const TaskInfo *info, void *userdata)
{
    Waiting *waiting = userdata;

    if (waiting->ended->len < RESULTS_MAX)
        g_array_append_val(waiting->ended, info->id);
    if (waiting->joblog)
        joblog_add(waiting->joblog, info->id, info->id);
    print_change(waiting, info);
    if (info->state != TASK_SUCCEEDED && (waiting->failed_id == 0 || info->id < waiting->failed_id)) {
        waiting->failed_id = info->id;
        waiting->failed_code = task_info_exit_code(info);
        g_free(waiting->failed_how);
        waiting->failed_how = task_info_describe_end(info);
        waiting->failed_error = info->outcome == OUTCOME_SPAWN_FAILED && !info->note ? info->error : 0;
    }
    on_idle(waiting);
}

int waiting_new(Client *client, ProgressMode progress, Waiting **ret)
{
    g_autoptr(Waiting) waiting = g_new0(Waiting, 1);

    waiting->client = client;
    waiting->mode = progress;
    waiting->ended = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    int r = tracker_new(client, on_ended, waiting, &waiting->tracker);
    if (r < 0)
        return r;
    tracker_on_daemon_back(waiting->tracker, on_daemon_back);
    *ret = g_steal_pointer(&waiting);
    return 0;
}

static void add_place(Waiting *waiting, const TaskInfo *info)
{
    if (waiting->places && !g_hash_table_contains(waiting->places, &info->id))
        g_hash_table_insert(waiting->places, g_memdup2(&info->id, sizeof info->id),
                            GSIZE_TO_POINTER((gsize) g_hash_table_size(waiting->places)));
}

void waiting_add_rows(Waiting *waiting, const GPtrArray *rows)
{
    for (guint i = 0; i < rows->len; i++) {
        add_place(waiting, rows->pdata[i]);
        tracker_add(waiting->tracker, rows->pdata[i]);
    }
}

int waiting_add_submitted(Waiting *waiting, uint64_t batch, uint64_t first, uint64_t last, uint64_t count)
{
    if (last - first + 1 == count) {
        tracker_add_new(waiting->tracker, first, count, batch);
        return 0;
    }
    g_autoptr(TaskFilter) filter = task_filter_new();
    g_autoptr(GPtrArray) rows = task_rows_new();
    filter->batch = batch;
    int r = task_list_all(waiting->client, filter, UINT64_MAX, rows, NULL);
    if (r >= 0)
        waiting_add_rows(waiting, rows);
    return r;
}

uint64_t waiting_unfinished(const Waiting *waiting)
{
    const TrackerCounts *counts = tracker_counts(waiting->tracker);

    return counts->total - counts->ended;
}

static void facts(ProgressFacts *ret, void *userdata)
{
    const Waiting *waiting = userdata;
    const TrackerCounts *counts = tracker_counts(waiting->tracker);

    *ret = (ProgressFacts){
        .total = counts->total,
        .done = counts->ended,
        .failed = counts->ended - counts->succeeded,
        .running = counts->running,
    };
}

static void add_results(const Waiting *waiting, JsonOutput *json)
{
    if (!waiting->rows)
        return;
    json_output_key(json, "results");
    json_output_begin_object(json);
    for (guint i = 0; i < waiting->rows->len; i++) {
        const TaskInfo *info = waiting->rows->pdata[i];
        if (!info->result || !*info->result)
            continue;
        g_autofree char *id = g_strdup_printf("%" PRIu64, info->id);
        json_output_key(json, id);
        json_output_json_or_string(json, info->result);
    }
    json_output_end_object(json);
}

static void print_json(const Waiting *waiting, const TrackerCounts *counts, int code)
{
    g_autoptr(JsonOutput) json = json_output_new();
    const struct {
        const char *key;
        uint64_t value;
    } members[] = {
        { "tasks", counts->total },     { "succeeded", counts->succeeded },
        { "failed", counts->failed },   { "cancelled", counts->cancelled },
        { "skipped", counts->skipped }, { "exit-code", (uint64_t) code },
    };

    json_output_begin_object(json);
    for (size_t i = 0; i < G_N_ELEMENTS(members); i++) {
        json_output_key(json, members[i].key);
        json_output_uint64(json, members[i].value);
    }
    add_results(waiting, json);
    json_output_end_object(json);
    json_output_print(json);
}

static void print_result(const Waiting *waiting)
{
    const TrackerCounts *counts = tracker_counts(waiting->tracker);
    uint64_t bad = counts->ended - counts->succeeded;

    if (waiting->client->json)
        print_json(waiting, counts, waiting->failed_code);
    if (bad == 0)
        return;
    if (counts->total == 1)
        output_note(waiting->client, _("task %" PRIu64 ": %s"), waiting->failed_id, waiting->failed_how);
    else
        output_note(waiting->client,
                    ngettext("%" PRIu64 " of %" PRIu64 " tasks did not succeed: task %" PRIu64 " %s",
                             "%" PRIu64 " of %" PRIu64 " tasks did not succeed; the first, task %" PRIu64
                             ", %s",
                             bad),
                    bad, counts->total, waiting->failed_id, waiting->failed_how);
}

int waiting_run(Waiting *waiting)
{
    g_autoptr(Progress) progress = NULL;
    int r = 0;

    waiting->running = true;
    if (is_over(waiting)) {
        fetch_results(waiting);
        fetch_failure(waiting);
    } else {
        r = progress_new(waiting->client, waiting->mode, facts, waiting, &progress);
        if (waiting->output)
            task_printer_set_progress(waiting->output, progress);
        if (r >= 0)
            r = sd_event_loop(waiting->client->event);
        if (waiting->output)
            task_printer_set_progress(waiting->output, NULL);
        progress = progress_free(progress);
    }
    if (r < 0)
        return output_failure(waiting->client, r, _("the event loop failed: %s"), g_strerror(-r));
    if (r > 0 || !tracker_all_ended(waiting->tracker)) /* the bus is gone, or the daemon refused to go on */
        return r > 0 ? r : PARCTL_FAILED;
    print_result(waiting);
    return waiting->failed_code == 0 && waiting->output && task_printer_unread(waiting->output) > 0
               ? PARCTL_FAILED
               : waiting->failed_code;
}
