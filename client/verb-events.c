/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parctl events: what happens, a line at a time, until Ctrl-C. */

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "client/json-output.h"
#include "client/output.h"
#include "client/text.h"
#include "client/verb.h"
#include "client/watch.h"
#include "util/parse-util.h"

typedef struct Events {
    Client *client;
} Events;

/* Every event ends with this: whoever reads gets it at once, and when nobody reads any more it is over. */
static void flush(Events *events)
{
    int r = output_flush(events->client);

    if (r < 0)
        (void) sd_event_exit(events->client->event, client_exit_code(events->client, r));
}

/* "12:00:01 [w1] …" */
static void print_event(Events *events, const char *worker, Color color, const char *text)
{
    time_t now = time(NULL);
    char clock[16] = "";
    struct tm tm;

    if (localtime_r(&now, &tm))
        (void) strftime(clock, sizeof clock, "%H:%M:%S", &tm);
    printf("%s%s%s ", color_begin(COLOR_DIM), clock, color_end(COLOR_DIM));
    if (worker && *worker)
        printf("%s[%s]%s ", color_begin(COLOR_BOLD), worker, color_end(COLOR_BOLD));
    printf("%s%s%s\n", color_begin(color), text, color_end(color));
    flush(events);
}

static JsonOutput *json_event(const char *event)
{
    JsonOutput *json = json_output_new();
    g_autofree char *now = format_timestamp((uint64_t) g_get_real_time());

    json_output_begin_object(json);
    json_output_key(json, "time");
    json_output_string(json, now);
    json_output_key(json, "event");
    json_output_string(json, event);
    return json;
}

static void json_text(JsonOutput *json, const char *key, const char *value)
{
    if (!value || !*value)
        return;
    json_output_key(json, key);
    json_output_string(json, value);
}

static void json_number(JsonOutput *json, const char *key, uint64_t value)
{
    json_output_key(json, key);
    json_output_uint64(json, value);
}

static void json_time(JsonOutput *json, const char *key, uint64_t usec)
{
    g_autofree char *time = usec > 0 ? format_timestamp(usec) : NULL;

    if (time)
        json_text(json, key, time);
}

static void json_end(Events *events, JsonOutput *json)
{
    json_output_end_object(json);
    json_output_print_line(json);
    flush(events);
}

static void json_how(JsonOutput *json, const TaskInfo *info)
{
    json_text(json, "outcome", info->outcome_word);
    if (info->outcome == OUTCOME_EXITED)
        json_number(json, "exit-status", (uint64_t) info->exit_status);
    if (info->signal > 0)
        json_number(json, "signal", (uint64_t) info->signal);
    if (info->outcome == OUTCOME_SPAWN_FAILED)
        json_number(json, "errno", (uint64_t) info->error);
}

static void on_task_changed(const TaskInfo *change, void *userdata)
{
    Events *events = userdata;

    if (events->client->json) {
        g_autoptr(JsonOutput) json = json_event("task");
        json_number(json, "task", change->id);
        json_number(json, "batch", change->batch);
        json_text(json, "state", change->state_word);
        json_text(json, "worker", change->worker);
        if (change->attempt > 0)
            json_number(json, "attempt", change->attempt);
        json_time(json, "started", change->started_usec);
        json_time(json, "finished", change->finished_usec);
        json_how(json, change);
        json_end(events, json);
        return;
    }
    g_autofree char *how = task_state_is_end(change->state) && change->state != TASK_SUCCEEDED
                               ? task_info_describe_end(change)
                               : NULL;
    g_autofree char *raw = g_strdup_printf(_("task %" PRIu64 " %s%s%s"), change->id, change->state_word,
                                           how && strcmp(how, change->state_word) != 0 ? ": " : "",
                                           how && strcmp(how, change->state_word) != 0 ? how : "");
    g_autofree char *text = text_printable(raw);
    print_event(events, change->worker, change->state == TASK_FAILED ? COLOR_RED : COLOR_NONE, text);
}

static void on_batch_finished(uint64_t batch, const BatchResult *result, void *userdata)
{
    Events *events = userdata;

    if (events->client->json) {
        g_autoptr(JsonOutput) json = json_event("batch-finished");
        json_number(json, "batch", batch);
        json_number(json, "count", result->count);
        json_number(json, "succeeded", result->succeeded);
        json_number(json, "failed", result->failed);
        json_number(json, "cancelled", result->cancelled);
        json_number(json, "skipped", result->skipped);
        json_end(events, json);
        return;
    }
    g_autofree char *text = g_strdup_printf(
        _("batch %" PRIu64 " finished: %" PRIu64 " succeeded, %" PRIu64 " failed, %" PRIu64 " cancelled"),
        batch, result->succeeded, result->failed, result->cancelled);
    print_event(events, NULL, COLOR_BOLD, text);
}

static void worker_event(Events *events, const char *event, const char *id, const char *old, const char *new,
                         const char *text)
{
    g_autofree char *worker = text_printable(id), *shown = text_printable(text);

    if (!events->client->json) {
        print_event(events, worker, g_strcmp0(new, "failed") == 0 ? COLOR_RED : COLOR_NONE, shown);
        return;
    }
    g_autoptr(JsonOutput) json = json_event(event);
    json_text(json, "worker", id);
    json_text(json, "old", old);
    json_text(json, "state", new);
    json_end(events, json);
}

static void on_worker_added(const char *id, void *userdata)
{
    worker_event(userdata, "worker-added", id, NULL, NULL, _("added"));
}

static void on_worker_removed(const char *id, void *userdata)
{
    worker_event(userdata, "worker-removed", id, NULL, NULL, _("removed"));
}

static void on_worker_state_changed(const char *id, const char *old, const char *new, void *userdata)
{
    g_autofree char *text = g_strdup_printf(output_unicode() ? "%s → %s" : "%s -> %s", old, new);

    worker_event(userdata, "worker-state", id, old, new, text);
}

static void on_task_unplaceable(uint64_t task, const char *why, void *userdata)
{
    Events *events = userdata;

    if (events->client->json) {
        g_autoptr(JsonOutput) json = json_event("task-unplaceable");
        json_number(json, "task", task);
        json_text(json, "why", why);
        json_end(events, json);
        return;
    }
    g_autofree char *shown = text_printable(why);
    g_autofree char *text = g_strdup_printf(_("task %" PRIu64 " fits no worker: %s"), task, shown);
    print_event(events, NULL, COLOR_YELLOW, text);
}

static void on_pressure_changed(const char *rung, const char *why, void *userdata)
{
    Events *events = userdata;

    if (events->client->json) {
        g_autoptr(JsonOutput) json = json_event("pressure");
        json_text(json, "rung", rung);
        json_text(json, "why", why);
        json_end(events, json);
        return;
    }
    g_autofree char *raw = g_strdup_printf(_("pressure: %s: %s"), rung, why);
    g_autofree char *text = text_printable(raw);
    print_event(events, NULL, COLOR_YELLOW, text);
}

static const WatchHandler events_handler = {
    .task_changed = on_task_changed,
    .batch_finished = on_batch_finished,
    .worker_added = on_worker_added,
    .worker_removed = on_worker_removed,
    .worker_state_changed = on_worker_state_changed,
    .task_unplaceable = on_task_unplaceable,
    .pressure_changed = on_pressure_changed,
};

static int run_events(Client *client, const void *settings, char **argv)
{
    g_autoptr(Watch) watch = NULL;
    Events events = { .client = client };
    int r = watch_new(client, &events_handler, &events, /* tasks= */ true, &watch);

    if (r < 0)
        return r;
    r = sd_event_loop(client->event);
    return r < 0 ? output_failure(client, r, _("the event loop failed: %s"), g_strerror(-r)) : r;
}

static const char *const events_examples[] = {
    "parctl events --json | jq 'select(.state == \"failed\")'",
    N_("for programs: one object a line"),
    NULL,
};

const Verb verb_events = {
    .name = "events",
    .arguments = "",
    .run = run_events,
    .summary = N_("Tell what happens to workers and tasks, until Ctrl-C."),
    .examples = events_examples,
};
