/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waiting for tasks. Entries are sorted by id; one never goes back from ended. Owned by the verb that waits.
 *
 * The signals are enough while the daemon stays: TasksChanged tells every end within a tenth of a second,
 * BatchFinished the end of a whole batch at once. Where they may have left something out (the daemon was
 * away, or dropped changes that were too many to tell), the open tasks are listed again, TASK_PAGE_MAX at
 * a time. */

#include "client/tracker.h"

#include "client/connection.h"
#include "client/error-report.h"
#include "client/output.h"
#include "client/status-info.h"
#include "client/task-list.h"

#define SETTLE_USEC (500 * USEC_PER_MSEC) /* so long after BatchFinished the last TasksChanged is out */

typedef struct Entry {
    uint64_t id, batch;
    TaskState state;
} Entry;

struct Tracker {
    Client *client;
    Watch *watch;
    TrackerEnded ended, changed; /* changed: NULL: nobody asks */
    void (*back)(void *userdata);
    void *userdata;
    GArray *entries; /* Entry, by id */
    TrackerCounts counts;
    guint asked;          /* while listing again: index behind the last entry that was asked for */
    guint asked_from;     /* and of the first one of the page */
    sd_bus_slot *listing; /* the page that is asked for; NULL: none */
    bool again;           /* something was missed while the listing went on */
    sd_event_source *settle;
};

Tracker *tracker_free(Tracker *tracker)
{
    if (!tracker)
        return NULL;
    tracker->listing = sd_bus_slot_unref(tracker->listing);
    tracker->settle = sd_event_source_disable_unref(tracker->settle);
    tracker->watch = watch_free(tracker->watch);
    g_array_unref(tracker->entries);
    g_free(tracker);
    return NULL;
}

const TrackerCounts *tracker_counts(const Tracker *tracker)
{
    return &tracker->counts;
}

bool tracker_all_ended(const Tracker *tracker)
{
    return tracker->counts.ended == tracker->counts.total;
}

const Watch *tracker_watch(const Tracker *tracker)
{
    return tracker->watch;
}

void tracker_on_daemon_back(Tracker *tracker, void (*back)(void *userdata))
{
    tracker->back = back;
}

void tracker_on_changed(Tracker *tracker, TrackerEnded changed)
{
    tracker->changed = changed;
}

/* The index of the first entry whose id is not less. */
static guint entry_position(const Tracker *tracker, uint64_t id)
{
    guint low = 0, high = tracker->entries->len;

    while (low < high) {
        guint middle = low + (high - low) / 2;
        if (g_array_index(tracker->entries, Entry, middle).id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static Entry *entry_find(const Tracker *tracker, uint64_t id)
{
    guint i = entry_position(tracker, id);
    Entry *entry = i < tracker->entries->len ? &g_array_index(tracker->entries, Entry, i) : NULL;

    return entry && entry->id == id ? entry : NULL;
}

static void count_end(TrackerCounts *counts, TaskState state)
{
    counts->ended++;
    counts->succeeded += state == TASK_SUCCEEDED;
    counts->failed += state == TASK_FAILED;
    counts->cancelled += state == TASK_CANCELLED;
    counts->skipped += state == TASK_SKIPPED;
}

static void entry_update(Tracker *tracker, Entry *entry, const TaskInfo *info)
{
    if (task_state_is_end(entry->state))
        return;
    tracker->counts.running -= entry->state == TASK_RUNNING;
    tracker->counts.running += info->state == TASK_RUNNING;
    entry->state = info->state;
    if (!task_state_is_end(info->state)) {
        if (tracker->changed)
            tracker->changed(info, tracker->userdata);
        return;
    }
    count_end(&tracker->counts, info->state);
    tracker->ended(info, tracker->userdata);
}

static void on_task_changed(const TaskInfo *change, void *userdata)
{
    Tracker *tracker = userdata;
    Entry *entry = entry_find(tracker, change->id);

    if (entry)
        entry_update(tracker, entry, change);
}

/* ---- listing what is open once more */

static void list_again(Tracker *tracker);

/* The entry is open and the daemon does not know it: it was in a batch that was dropped, or is long
 * forgotten. */
static void entry_vanished(Tracker *tracker, Entry *entry)
{
    g_auto(TaskInfo) info;

    task_info_init(&info);
    info.id = entry->id;
    info.batch = entry->batch;
    info.state = TASK_FAILED;
    info.reason = g_strdup(_("parexecd does not know it any more"));
    entry_update(tracker, entry, &info);
}

static void apply_page(Tracker *tracker, const GPtrArray *rows)
{
    g_autoptr(GHashTable) known = g_hash_table_new(g_int64_hash, g_int64_equal);

    for (guint i = 0; i < rows->len; i++) {
        TaskInfo *info = rows->pdata[i];
        g_hash_table_add(known, &info->id);
        on_task_changed(info, tracker);
    }
    for (guint i = tracker->asked_from; i < tracker->asked; i++) {
        Entry *entry = &g_array_index(tracker->entries, Entry, i);
        if (!task_state_is_end(entry->state) && !g_hash_table_contains(known, &entry->id))
            entry_vanished(tracker, entry);
    }
}

static int list_next_page(Tracker *tracker);

static int on_page(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    g_autoptr(GPtrArray) rows = task_rows_new();
    Tracker *tracker = userdata;
    uint64_t cursor;
    int r;

    tracker->listing = sd_bus_slot_unref(tracker->listing);
    if (sd_bus_message_is_method_error(m, NULL)) {
        if (error_is_transient(sd_bus_message_get_error(m))) /* daemon_back will ask again */
            return 0;
        (void) error_report(tracker->client, sd_bus_message_get_error(m), -EIO);
        return sd_event_exit(tracker->client->event, tracker->client->failure);
    }
    r = task_list_read(m, rows, &cursor);
    if (r < 0)
        return connection_report_message(tracker->client, r);
    apply_page(tracker, rows);
    return list_next_page(tracker);
}

/* The open entries of the next page; false: none are left. */
static bool next_open(Tracker *tracker, TaskFilter *filter)
{
    filter->ids = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    tracker->asked_from = tracker->asked;
    while (tracker->asked < tracker->entries->len && filter->ids->len < TASK_PAGE_MAX) {
        const Entry *entry = &g_array_index(tracker->entries, Entry, tracker->asked++);
        if (!task_state_is_end(entry->state))
            g_array_append_val(filter->ids, entry->id);
    }
    return filter->ids->len > 0;
}

static int list_next_page(Tracker *tracker)
{
    g_autoptr(TaskFilter) filter = task_filter_new();
    g_autoptr(sd_bus_message) call = NULL;

    if (!next_open(tracker, filter)) {
        if (tracker->again)
            list_again(tracker);
        return 0;
    }
    int r = task_list_new_call(tracker->client, filter, &call);
    return r < 0 ? r : connection_call_async(tracker->client, call, on_page, tracker, &tracker->listing);
}

static void list_again(Tracker *tracker)
{
    tracker->again = tracker->listing != NULL;
    if (tracker->listing)
        return;
    tracker->asked = 0;
    if (list_next_page(tracker) < 0)
        (void) sd_event_exit(tracker->client->event, client_exit_code(tracker->client, -EIO));
}

/* ---- signals */

static void batch_succeeded(Tracker *tracker, uint64_t batch)
{
    for (guint i = 0; i < tracker->entries->len; i++) {
        Entry *entry = &g_array_index(tracker->entries, Entry, i);
        if (entry->batch != batch)
            continue;
        g_auto(TaskInfo) info;
        task_info_init(&info);
        info.id = entry->id;
        info.batch = batch;
        info.state = TASK_SUCCEEDED;
        info.outcome = OUTCOME_EXITED;
        entry_update(tracker, entry, &info);
    }
}

static int on_settled(sd_event_source *source, uint64_t usec, void *userdata)
{
    Tracker *tracker = userdata;

    if (!tracker_all_ended(tracker) && watch_is_connected(tracker->watch))
        list_again(tracker);
    return 0;
}

static void on_batch_finished(uint64_t batch, const BatchResult *result, void *userdata)
{
    Tracker *tracker = userdata;

    if (result->single.id > 0)
        on_task_changed(&result->single, tracker);
    else if (result->succeeded == result->count)
        batch_succeeded(tracker, batch);
    else if (sd_event_source_set_time_relative(tracker->settle, SETTLE_USEC) >= 0)
        (void) sd_event_source_set_enabled(tracker->settle, SD_EVENT_ONESHOT);
}

static void on_daemon_back(void *userdata)
{
    Tracker *tracker = userdata;

    tracker->listing = sd_bus_slot_unref(tracker->listing); /* it was asked of the daemon of before */
    list_again(tracker);
    if (tracker->back)
        tracker->back(tracker->userdata);
}

/* A worker that goes may have been the last one. */
static void on_worker_state_changed(const char *id, const char *old, const char *new, void *userdata)
{
    Tracker *tracker = userdata;
    int state = worker_state_from_string(new);

    if (state >= 0 && (WorkerState) state != WORKER_STARTING && (WorkerState) state != WORKER_RUNNING &&
        !tracker_all_ended(tracker))
        status_warn_if_nothing_runs(tracker->client);
}

static const WatchHandler tracker_handler = {
    .task_changed = on_task_changed,
    .batch_finished = on_batch_finished,
    .worker_state_changed = on_worker_state_changed,
    .daemon_back = on_daemon_back,
};

/* ---- what is waited for */

static void entry_insert(Tracker *tracker, const Entry *entry)
{
    guint position = entry_position(tracker, entry->id);

    g_array_insert_val(tracker->entries, position, *entry);
    tracker->counts.total++;
}

void tracker_add_new(Tracker *tracker, uint64_t first, uint64_t count, uint64_t batch)
{
    for (uint64_t id = first; id < first + count; id++) {
        Entry entry = { .id = id, .batch = batch, .state = TASK_QUEUED };
        entry_insert(tracker, &entry);
    }
}

void tracker_add(Tracker *tracker, const TaskInfo *info)
{
    Entry entry = { .id = info->id, .batch = info->batch, .state = TASK_QUEUED };

    if (entry_find(tracker, info->id))
        return;
    entry_insert(tracker, &entry);
    on_task_changed(info, tracker);
}

int tracker_new(Client *client, TrackerEnded ended, void *userdata, Tracker **ret)
{
    g_autoptr(Tracker) tracker = g_new0(Tracker, 1);

    tracker->client = client;
    tracker->ended = ended;
    tracker->userdata = userdata;
    tracker->entries = g_array_new(FALSE, FALSE, sizeof(Entry));
    int r = watch_new(client, &tracker_handler, tracker, /* tasks= */ true, &tracker->watch);
    if (r < 0)
        return r;
    r = sd_event_add_time_relative(client->event, &tracker->settle, CLOCK_MONOTONIC, 0, 0, on_settled,
                                   tracker);
    if (r >= 0)
        r = sd_event_source_set_enabled(tracker->settle, SD_EVENT_OFF);
    if (r < 0)
        return output_failure(client, r, _("cannot set up the event loop: %s"), g_strerror(-r));
    *ret = g_steal_pointer(&tracker);
    return 0;
}
