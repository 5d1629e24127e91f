/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waiting for tasks. Owned by the verb; the worst news is that of the lowest id, so that it is the same
 * every time. */

#include "client/waiting.h"

#include <inttypes.h>

#include "client/json-output.h"
#include "client/output.h"
#include "client/task-list.h"

struct Waiting {
    Client *client;
    Tracker *tracker;
    ProgressMode mode;
    uint64_t failed_id; /* the lowest one that did not succeed; 0: none */
    int failed_code;
    char *failed_how;
    bool
        running; /* the rows that are added before say that tasks have ended, too: the loop is not to leave for them */
};

Waiting *waiting_free(Waiting *waiting)
{
    if (!waiting)
        return NULL;
    waiting->tracker = tracker_free(waiting->tracker);
    g_free(waiting->failed_how);
    g_free(waiting);
    return NULL;
}

static void on_ended(const TaskInfo *info, void *userdata)
{
    Waiting *waiting = userdata;

    if (info->state != TASK_SUCCEEDED && (waiting->failed_id == 0 || info->id < waiting->failed_id)) {
        waiting->failed_id = info->id;
        waiting->failed_code = task_info_exit_code(info);
        g_free(waiting->failed_how);
        waiting->failed_how = task_info_describe_end(info);
    }
    if (waiting->running && tracker_all_ended(waiting->tracker))
        (void) sd_event_exit(waiting->client->event, PARCTL_OK);
}

int waiting_new(Client *client, ProgressMode progress, Waiting **ret)
{
    g_autoptr(Waiting) waiting = g_new0(Waiting, 1);

    waiting->client = client;
    waiting->mode = progress;
    int r = tracker_new(client, on_ended, waiting, &waiting->tracker);
    if (r < 0)
        return r;
    *ret = g_steal_pointer(&waiting);
    return 0;
}

void waiting_add_rows(Waiting *waiting, const GPtrArray *rows)
{
    for (guint i = 0; i < rows->len; i++)
        tracker_add(waiting->tracker, rows->pdata[i]);
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

static void print_json(const TrackerCounts *counts, int code)
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
    json_output_end_object(json);
    json_output_print(json);
}

static void print_result(const Waiting *waiting)
{
    const TrackerCounts *counts = tracker_counts(waiting->tracker);
    uint64_t bad = counts->ended - counts->succeeded;

    if (waiting->client->json)
        print_json(counts, waiting->failed_code);
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
    if (!tracker_all_ended(waiting->tracker)) {
        r = progress_new(waiting->client, waiting->mode, facts, waiting, &progress);
        if (r >= 0)
            r = sd_event_loop(waiting->client->event);
        progress = progress_free(progress);
    }
    if (r < 0)
        return output_failure(waiting->client, r, _("the event loop failed: %s"), g_strerror(-r));
    if (r > 0 || !tracker_all_ended(waiting->tracker)) /* the bus is gone, or the daemon refused to go on */
        return r > 0 ? r : PARCTL_FAILED;
    print_result(waiting);
    return waiting->failed_code;
}
