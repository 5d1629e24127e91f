/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* StartTransientUnit, until systemd has finished with it; owned by the systemd engine.
 *
 *   CALLED ── reply ──► JOB ── JobRemoved "done" ──► settled, up
 *     │ PropertyReadOnly: once more without OOMPolicy
 *     │ UnitExists: ResetFailedUnit and once more, then under other names
 *     └─ error ──► settled, failed
 *   no answer, or no JobRemoved ──► failed; stays until JobRemoved, then the unit is stopped
 *
 * As long as one is here its process is not reaped, so that systemd cannot be handed a number that has
 * become another's. */
#include "engine/scope-start.h"
#include "engine/worker-group.h"
#include "model/ids.h"
#include "util/parse-util.h"
#include "util/sd-bus-util.h"

#include <fcntl.h>
#include <string.h>

#define UNIT_NAMES_MAX 10U

struct ScopeStarts {
    sd_event *event;
    Systemd1 *systemd;
    uint64_t timeout_usec;
    ScopeStartsEvents events;
    GPtrArray *list;
    bool oom_policy; /* does this systemd know it? */
};

typedef struct ScopeStart {
    ScopeStarts *starts;
    uint32_t number;  /* 0: the worker does not wait for it any more */
    char *unit, *slice, *job; /* job is NULL before the reply */
    unsigned names;   /* that were taken */
    WorkerLimits limits;
    Launched process; /* with a descriptor of its own */
    bool oom_policy;
    bool late; /* no reply came in time, but JobRemoved still may */
    sd_bus_slot *slot;
    sd_event_source *timer;
} ScopeStart;

static void start_call(ScopeStart *start);

static void start_free(void *data)
{
    ScopeStart *start = data;

    sd_bus_slot_unref(start->slot);
    sd_event_source_disable_unref(start->timer);
    worker_limits_done(&start->limits);
    launched_done(&start->process);
    g_free(start->unit);
    g_free(start->slice);
    g_free(start->job);
    g_free(start);
}

/* systemd has finished with it: it is gone after this. */
static void start_settle(ScopeStart *start)
{
    ScopeStarts *starts = start->starts;
    g_autofree char *end = NULL;
    uint32_t number = start->number;

    if (number == 0)
        (void) !launch_reap(&start->process, &end);
    g_ptr_array_remove_fast(starts->list, start);
    if (number != 0)
        starts->events.settled(number, starts->events.userdata);
}

static void start_fail(ScopeStart *start, int r, char *why /* taken */)
{
    ScopeStarts *starts = start->starts;
    g_autofree char *sentence = why;
    uint32_t number = start->number;

    start_settle(start);
    if (number != 0)
        starts->events.failed(number, r, sentence, starts->events.userdata);
}

static void start_done(ScopeStart *start, const char *result)
{
    ScopeStarts *starts = start->starts;
    g_autofree char *unit = g_strdup(start->unit);
    uint32_t number = start->number;

    if (number == 0) {
        start_settle(start);
        systemd1_stop_unit(starts->systemd, unit);
    } else if (strcmp(result, "done") == 0) {
        start_settle(start);
        starts->events.up(number, unit, starts->events.userdata);
    } else {
        start_fail(start, -EIO,
                   g_strdup_printf("systemd could not start %s: the job ended as \"%s\"", unit, result));
    }
}

/* systemd owes an answer still; the worker waits no longer. */
static void start_is_late(ScopeStart *start, const char *what)
{
    ScopeStarts *starts = start->starts;
    g_autofree char *span = format_timespan(starts->timeout_usec);
    g_autofree char *why = g_strdup_printf("systemd did not %s %s within %s", what, start->unit, span);
    uint32_t number = start->number;

    start->late = true;
    start->number = 0;
    if (number != 0)
        starts->events.failed(number, -ETIMEDOUT, why, starts->events.userdata);
}

static int on_job_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
    start_is_late(userdata, "finish starting");
    return 0;
}

static void on_reset_failed(const Systemd1Reply *reply, void *userdata)
{
    start_call(userdata);
}

/* The name is taken, by a worker of a database that is no more. If its unit has only failed, the name can
 * be had; else another is tried. */
static bool start_rename(ScopeStart *start)
{
    char id[WORKER_ID_MAX];

    if (start->number == 0 || start->names >= UNIT_NAMES_MAX)
        return false;
    start->names++;
    start->slot = sd_bus_slot_unref(start->slot);
    if (start->names == 1)
        return systemd1_reset_failed(start->starts->systemd, start->unit, on_reset_failed, start,
                                     &start->slot) >= 0;
    worker_id_format(id, start->number);
    g_free(start->unit);
    start->unit = g_strdup_printf("parexec-%s-%u.scope", id, start->names);
    start_call(start);
    return true;
}

/* 252 upstream does not know OOMPolicy= of scopes, Debian's does: asking is the only way to know. */
static bool start_without_oom_policy(ScopeStart *start, const char *error)
{
    if (!start->oom_policy || (strcmp(error, SD_BUS_ERROR_PROPERTY_READ_ONLY) != 0 &&
                               strcmp(error, SD_BUS_ERROR_UNKNOWN_PROPERTY) != 0))
        return false;
    start->oom_policy = false;
    start_call(start);
    return true;
}

static void start_refused(ScopeStart *start, const Systemd1Reply *reply)
{
    if (reply->r == -ETIMEDOUT || strcmp(reply->error, SD_BUS_ERROR_NO_REPLY) == 0) {
        start_is_late(start, "answer about");
        return;
    }
    if (start_without_oom_policy(start, reply->error))
        return;
    if (strcmp(reply->error, "org.freedesktop.systemd1.UnitExists") == 0 && start_rename(start))
        return;
    start_fail(start, reply->r, g_strdup_printf("systemd refused to start %s: %s", start->unit, reply->why));
}

static void on_start_reply(const Systemd1Reply *reply, void *userdata)
{
    ScopeStart *start = userdata;

    if (reply->r < 0) {
        start_refused(start, reply);
        return;
    }
    start->starts->oom_policy = start->oom_policy; /* what worked is what the next one says */
    start->job = g_strdup(reply->value ? reply->value : "");
    int r = sd_event_add_time_relative(start->starts->event, &start->timer, CLOCK_MONOTONIC,
                                       start->starts->timeout_usec, 0, on_job_timeout, start);
    g_assert(r >= 0); /* only for want of memory */
}

static void start_call(ScopeStart *start)
{
    ScopeStarts *starts = start->starts;
    char id[WORKER_ID_MAX];

    start->slot = sd_bus_slot_unref(start->slot);
    if (start->number == 0) {
        start_settle(start);
        return;
    }
    worker_id_format(id, start->number);
    g_autofree char *description = g_strdup_printf("parexec worker %s", id);
    ScopeSpec spec = {
        .unit = start->unit,
        .description = description,
        .slice = start->slice,
        .pid = start->process.pid,
        .limits = &start->limits,
        .oom_policy = start->oom_policy,
    };
    int r = systemd1_start_scope(starts->systemd, &spec, on_start_reply, start, &start->slot);
    if (r < 0)
        start_fail(start, r,
                   g_strdup_printf("cannot ask systemd to start %s: %s", start->unit, g_strerror(-r)));
}

/* ---- what the engine uses ---- */

void scope_starts_add(ScopeStarts *starts, uint32_t number, const char *unit, const char *slice, const Launched *process,
                      const WorkerLimits *limits)
{
    ScopeStart *start = g_new0(ScopeStart, 1);

    start->starts = starts;
    start->number = number;
    start->unit = g_strdup(unit);
    start->slice = g_strdup(slice);
    start->oom_policy = starts->oom_policy;
    start->process = (Launched) {
        .pid = process->pid,
        .pidfd = fcntl(process->pidfd, F_DUPFD_CLOEXEC, 3),
        .release_fd = -EBADF,
    };
    worker_limits_init(&start->limits);
    worker_limits_copy(&start->limits, limits);
    g_ptr_array_add(starts->list, start);
    start_call(start);
}

bool scope_starts_abandon(ScopeStarts *starts, uint32_t number)
{
    for (guint i = 0; i < starts->list->len; i++) {
        ScopeStart *start = g_ptr_array_index(starts->list, i);
        if (start->number != number)
            continue;
        start->number = 0;
        return true;
    }
    return false;
}

void scope_starts_job_removed(ScopeStarts *starts, const char *job, const char *unit, const char *result)
{
    for (guint i = 0; i < starts->list->len; i++) {
        ScopeStart *start = g_ptr_array_index(starts->list, i);
        bool is_it =
            start->job ? strcmp(start->job, job) == 0 : start->late && strcmp(start->unit, unit) == 0;
        if (!is_it)
            continue;
        start_done(start, result);
        return;
    }
}

/* JobRemoved may have been lost with the old PID 1; that the process is in its scope says the same. */
void scope_starts_systemd_restarted(ScopeStarts *starts)
{
    for (guint i = starts->list->len; i-- > 0;) {
        ScopeStart *start = g_ptr_array_index(starts->list, i);
        g_autofree char *marker = g_strconcat("/", start->unit, NULL);
        WorkerGroup group = { 0 };
        if (start->job && worker_group_find(&group, start->process.pid, marker) == 0)
            start_done(start, "done");
        worker_group_done(&group);
    }
}

ScopeStarts *scope_starts_new(sd_event *event, Systemd1 *systemd, uint64_t timeout_usec, const ScopeStartsEvents *events)
{
    ScopeStarts *starts = g_new0(ScopeStarts, 1);

    starts->event = sd_event_ref(event);
    starts->systemd = systemd;
    starts->events = *events;
    starts->list = g_ptr_array_new_with_free_func(start_free);
    starts->timeout_usec = timeout_usec;
    starts->oom_policy = true;
    return starts;
}

ScopeStarts *scope_starts_free(ScopeStarts *starts)
{
    if (!starts)
        return NULL;
    g_ptr_array_unref(starts->list);
    sd_event_unref(starts->event);
    g_free(starts);
    return NULL;
}
