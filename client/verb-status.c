/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parctl status: everything a person wants at a glance, once or again and again. */

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "client/connection.h"
#include "client/json-output.h"
#include "client/output.h"
#include "client/progress.h"
#include "client/status-info.h"
#include "client/text.h"
#include "client/verb.h"
#include "client/worker-table.h"
#include "util/parse-util.h"

#define WATCH_USEC (2 * USEC_PER_SEC)
#define BAR_COLUMNS 16U

typedef struct StatusSettings {
    bool watch;
} StatusSettings;

static const VerbOption status_options[] = {
    VERB_OPTION("watch", 'w', OPTION_FLAG, StatusSettings, watch, NULL,
                N_("show it again every 2 seconds, or every SECONDS")),
    {},
};

static void append_part(GString *line, const char *part)
{
    if (line->len > 0)
        g_string_append(line, output_unicode() ? " · " : ", ");
    g_string_append(line, part);
}

/* "12 running, 340 queued, 7 failed" */
static char *queue_text(const StatusInfo *status)
{
    g_autoptr(GString) text = g_string_new(NULL);
    uint64_t running = status->queue[TASK_RUNNING], waiting = status_info_waiting(status);
    uint64_t held = status->queue[TASK_HELD], failed = status->queue[TASK_FAILED],
             frozen = status->frozen_tasks;

    g_string_append_printf(text, ngettext("%" PRIu64 " running", "%" PRIu64 " running", running), running);
    if (frozen > 0)
        g_string_append_printf(text, ngettext(" (%" PRIu64 " frozen)", " (%" PRIu64 " frozen)", frozen), frozen);
    g_string_append(text, ", ");
    g_string_append_printf(text, ngettext("%" PRIu64 " queued", "%" PRIu64 " queued", waiting), waiting);
    if (held > 0) {
        g_string_append(text, ", ");
        g_string_append_printf(text, ngettext("%" PRIu64 " held", "%" PRIu64 " held", held), held);
    }
    if (failed > 0) {
        g_string_append_printf(text, ", %s", color_begin(COLOR_RED));
        g_string_append_printf(text, ngettext("%" PRIu64 " failed", "%" PRIu64 " failed", failed), failed);
        g_string_append(text, color_end(COLOR_RED));
    }
    return g_steal_pointer(&text->str);
}

/* By what such tasks took before, or else as fast as in the last minute; UINT64_MAX: not known. */
static uint64_t time_left(const StatusInfo *status, uint64_t open)
{
    ProgressFacts facts = { .total = open };

    if (status->time_left_usec > 0)
        return status->time_left_usec;
    return status->per_minute > 0 ? progress_rate_left_usec(&facts, status->per_minute / 60) : UINT64_MAX;
}

static void append_pace(GString *line, const StatusInfo *status)
{
    uint64_t open = status_info_waiting(status) + status->queue[TASK_RUNNING], left = time_left(status, open),
             per_minute = (uint64_t) (status->per_minute + 0.5);

    if (status->per_minute > 0) {
        g_autofree char *pace =
            g_strdup_printf(ngettext("%" PRIu64 " task/min", "%" PRIu64 " tasks/min", per_minute), per_minute);
        append_part(line, pace);
    }
    if (open == 0 || left == UINT64_MAX || !status->enabled)
        return;
    g_autofree char *span = format_timespan(MAX(left - left % USEC_PER_SEC, USEC_PER_SEC));
    g_autofree char *part = g_strdup_printf(_("about %s left"), span);
    append_part(line, part);
}

static void print_head(const StatusInfo *status)
{
    g_autoptr(GString) line = g_string_new(NULL);
    g_autofree char *queue = queue_text(status);
    uint64_t now = (uint64_t) g_get_real_time();
    unsigned most = MAX(status->admissible, status->active);

    g_string_append_printf(line, "%sparexec %s%s", color_begin(COLOR_BOLD), status->version ?: "",
                           color_end(COLOR_BOLD));
    if (status->started_usec > 0 && status->started_usec <= now) {
        uint64_t up = now - status->started_usec;
        g_autofree char *span = format_timespan(MAX(up - up % USEC_PER_SEC, USEC_PER_SEC));
        g_autofree char *part = g_strdup_printf(_("up %s"), span);
        append_part(line, part);
    }
    g_autofree char *workers =
        g_strdup_printf(ngettext("%u of %u worker", "%u of %u workers", most), status->active, most);
    append_part(line, workers);
    append_part(line, queue);
    append_pace(line, status);
    printf("%s\n", line->str);
    if (!status->enabled) {
        g_autofree char *disabled = output_commands(_("disabled: nothing new starts (parctl enable)"));
        printf("%s%s%s\n", color_begin(COLOR_YELLOW), disabled, color_end(COLOR_YELLOW));
    }
    if (status->storage_error)
        printf("%s%s: %s%s\n", color_begin(COLOR_RED), _("the disk refuses writes, nothing can be submitted"),
               status->storage_error, color_end(COLOR_RED));
}

static char *bar(double percent)
{
    g_autofree char *text = progress_bar(percent / 100, BAR_COLUMNS, output_unicode());
    Color color = percent >= 90 ? COLOR_RED : percent >= 75 ? COLOR_YELLOW : COLOR_GREEN;

    return g_strdup_printf("%s%s%s", color_begin(color), text, color_end(color));
}

static char *memory_text(const StatusInfo *status)
{
    uint64_t available = MIN(status->memory_available_bytes, status->memory_total_bytes);
    g_autofree char *used = format_bytes(status->memory_total_bytes - available),
                    *total = format_bytes(status->memory_total_bytes);
    g_autofree char *drawn = bar(status->memory_percent);
    GString *text = g_string_new(NULL);

    /* TRANSLATORS: a bar, what is used, what there is */
    g_string_append_printf(text, _("memory %s %s of %s"), drawn, used, total);
    if (status->memory_pressure >= 0) {
        g_string_append(text, output_unicode() ? " · " : " - ");
        g_string_append_printf(text, _("pressure %.1f %%"), status->memory_pressure);
    }
    return g_string_free(text, FALSE);
}

static char *cpu_text(const StatusInfo *status)
{
    if (status->cpu_percent < 0)
        return g_strdup_printf(ngettext("%u cpu", "%u cpus", status->cpus), status->cpus);
    g_autofree char *drawn = bar(status->cpu_percent);
    /* TRANSLATORS: the %s is a bar */
    return g_strdup_printf(ngettext("cpu %s %.0f %% of %u core", "cpu %s %.0f %% of %u cores", status->cpus),
                           drawn, status->cpu_percent, status->cpus);
}

static void print_machine(const StatusInfo *status)
{
    g_autofree char *memory = memory_text(status), *cpu = cpu_text(status);
    unsigned columns = output_columns(STDOUT_FILENO), bars = 2 * BAR_COLUMNS;

    if (columns > 0 && columns < bars + 70) /* two bars and their figures */
        printf("%s\n%s\n", memory, cpu);
    else
        printf("%s     %s\n", memory, cpu);
}

/* What one more would meet first, with its numbers. */
static char *binding_text(const StatusInfo *status)
{
    const char *binding = status->binding ?: "";
    g_autofree char *available = format_bytes(status->memory_available_bytes),
                    *reserve = format_bytes(status->memory_reserve_bytes),
                    *committed = format_bytes(status->committed_bytes),
                    *wanted = format_bytes(status->next_memory_bytes);

    if (strcmp(binding, "memory") == 0)
        return g_strdup_printf(
            _("memory binds: %s available, of which %s are reserved and %s may still be taken; one "
              "more takes %s"),
            available, reserve, committed, wanted);
    if (strcmp(binding, "cores") == 0)
        return g_strdup_printf(_("cores bind: %g of %g are taken"), status->cores_taken, status->cores);
    if (strcmp(binding, "max-workers") == 0)
        return g_strdup_printf(_("MaxWorkers binds: %u"), status->admissible);
    if (strcmp(binding, "user-share") == 0)
        return g_strdup(_("the user's share binds"));
    if (strcmp(binding, "cgroup-memory") == 0)
        return g_strdup(_("a memory limit above the workers binds: their slice, or a container"));
    if (strcmp(binding, "cgroup-cpu") == 0)
        return g_strdup(_("a CPU limit above the workers binds: their slice, or a container"));
    return g_strdup(binding);
}

static void print_room(const StatusInfo *status)
{
    g_autofree char *why = binding_text(status);
    uint32_t room = status->admissible > status->active ? status->admissible - status->active : 0;

    if (status->can_add)
        printf(ngettext("can add %u more worker (%s)\n", "can add %u more workers (%s)\n", room), room, why);
    else
        printf(_("cannot add a worker (%s)\n"), why);
}

static void print_scale(const ScaleInfo *scale)
{
    g_autofree char *reason = text_printable(scale->reason ?: ""),
                    *profile = text_printable(scale->profile ?: "");
    g_autoptr(GString) line = g_string_new(NULL);

    if (scale->target != SCALE_TARGET_NONE) {
        g_autofree char *target = g_strdup_printf(
            ngettext("%u worker is kept", "%u workers are kept", scale->target), scale->target);
        append_part(line, target);
    }
    if (scale->automatic)
        append_part(line, _("their number follows the load"));
    if (*profile) {
        g_autofree char *part = g_strdup_printf(_("profile %s"), profile);
        append_part(line, part);
    }
    if (*reason && line->len > 0)
        append_part(line, reason);
    if (line->len > 0)
        printf("%s\n", line->str);
}

static void print_rung(const StatusInfo *status)
{
    static const struct {
        const char *rung, *text;
    } rungs[] = {
        { "closed", N_("under pressure: nothing new is started") },
        { "throttle", N_("under pressure: the workers are slowed down") },
        { "freeze", N_("under pressure: the youngest tasks stand still") },
        { "requeue", N_("under pressure: the youngest tasks go back to the queue") },
        { "kill", N_("under pressure: the youngest tasks are ended") },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rungs); i++)
        if (g_strcmp0(status->rung, rungs[i].rung) == 0)
            printf("%s%s%s\n", color_begin(COLOR_YELLOW), _(rungs[i].text), color_end(COLOR_YELLOW));
}

static void print_status(const StatusInfo *status)
{
    print_head(status);
    print_machine(status);
    print_rung(status);
    printf("\n");
    if (status->workers->len > 0)
        worker_table_print(status, /* wide= */ false);
    else {
        g_autofree char *none = output_commands(_("no workers; to start one: parctl add-worker --memory 2G"));
        printf("%s\n", none);
    }
    print_room(status);
    print_scale(&status->scale);
}

static int show(Client *client, bool again)
{
    g_autoptr(sd_bus_message) reply = NULL;
    g_autoptr(StatusInfo) status = NULL;
    int r = status_info_get(client, &status, &reply);

    if (r < 0)
        return r;
    if (client->json) {
        g_autoptr(JsonOutput) json = json_output_new();
        r = json_output_message(json, reply);
        if (r < 0)
            return connection_report_message(client, r);
        if (again)
            json_output_print_line(json);
        else
            json_output_print(json);
    } else if (client->quiet)
        worker_table_print_ids(status);
    else
        print_status(status);
    return output_flush(client);
}

/* Where each picture takes the place of the one before. */
static bool redraws(const Client *client)
{
    return !client->json && output_is_terminal(STDOUT_FILENO);
}

/* One snapshot after the other. */
typedef struct StatusWatch {
    Client *client;
    uint64_t interval_usec;
} StatusWatch;

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
    StatusWatch *watch = userdata;
    Client *client = watch->client;

    if (redraws(client))
        printf("\033[H\033[J");
    int r = show(client, /* again= */ true);
    if (r < 0)
        return sd_event_exit(client->event, client_exit_code(client, r));
    if (!redraws(client) && !client->json)
        printf("\n");
    r = sd_event_source_set_time_relative(source, watch->interval_usec);
    return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int watch_status(Client *client, uint64_t interval_usec)
{
    StatusWatch watch = { .client = client, .interval_usec = interval_usec };
    int r = connection_attach(client);

    if (r < 0)
        return r;
    r = sd_event_add_time_relative(client->event, NULL, CLOCK_MONOTONIC, 0, 0, on_time, &watch);
    if (r >= 0)
        r = sd_event_loop(client->event);
    return r < 0 ? output_failure(client, r, _("the event loop failed: %s"), g_strerror(-r)) : r;
}

static int run_status(Client *client, const void *s, char **argv)
{
    const StatusSettings *settings = s;
    uint64_t interval = WATCH_USEC;

    if (argv[0] && !settings->watch)
        return output_usage_error(client, _("SECONDS goes with --watch"));
    if (argv[0] &&
        (parse_timespan(argv[0], &interval) < 0 || interval < USEC_PER_SEC / 10 || interval == UINT64_MAX))
        return output_usage_error(client, _("--watch takes a number of seconds from 0.1, not \"%s\""),
                                  argv[0]);
    return settings->watch ? watch_status(client, interval) : show(client, /* again= */ false);
}

static const char *const status_examples[] = {
    "parctl status --watch 5",
    N_("every five seconds, until Ctrl-C"),
    "parctl status --json | jq .queue",
    N_("for programs"),
    NULL,
};

const Verb verb_status = {
    .name = "status",
    .arguments = N_("[SECONDS]"),
    .max = 1,
    .options = status_options,
    .settings_size = sizeof(StatusSettings),
    .run = run_status,
    .summary = N_("Show workers, queue and machine at a glance."),
    .details =
        N_("This is also what parctl does without a verb. With --json: the dictionary that the D-Bus method "
           "Status answers; sizes are bytes, times RFC 3339, what is unlimited or not known is null."),
    .examples = status_examples,
};
