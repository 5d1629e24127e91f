/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is done with workers: AddWorker, and Drain, Abort, Freeze, Thaw and SetLimits of a worker that has been found. The
 * tables of methods are in manager-bus.c and worker-bus.c. */
#include "bus/worker-methods.h"

#include <stddef.h>

#include "bus/manager-methods.h"
#include "bus/options.h"
#include "bus/worker-request.h"

/* ---- AddWorker */

static void on_worker_added(int r, Worker *worker, void *userdata)
{
    g_autoptr(sd_bus_message) m = answer_end(userdata);

    if (r < 0) {
        (void) sd_bus_reply_method_errorf(
            m, r == -ENOSPC ? PAREXEC_ERROR_STORAGE_FULL : PAREXEC_ERROR_WORKER_START_FAILED,
            "Worker %s: %s.", worker->id, worker->reason ? worker->reason : "it was aborted");
        return;
    }
    g_autofree char *path = worker_bus_path(worker);
    (void) sd_bus_reply_method_return(m, "o", path);
}

static const char *refusal_name(const AddVerdict *verdict)
{
    static const char *const admissions[] = {
        [REFUSED_TOO_MANY_WORKERS] = PAREXEC_ERROR_TOO_MANY_WORKERS,
        [REFUSED_USER_SHARE] = PAREXEC_ERROR_TOO_MANY_WORKERS,
        [REFUSED_USER_MEMORY] = PAREXEC_ERROR_INSUFFICIENT_MEMORY,
        [REFUSED_CORES] = PAREXEC_ERROR_INSUFFICIENT_CORES,
        [REFUSED_MEMORY] = PAREXEC_ERROR_INSUFFICIENT_MEMORY,
    };
    static const char *const placings[] = {
        [REFUSED_NO_SUCH_NODE] = PAREXEC_ERROR_NO_SUCH_NODE,
        [REFUSED_NODE_MEMORY] = PAREXEC_ERROR_INSUFFICIENT_MEMORY,
        [REFUSED_PINNED_CORES] = PAREXEC_ERROR_INSUFFICIENT_RESOURCES,
        [REFUSED_GPUS] = PAREXEC_ERROR_INSUFFICIENT_RESOURCES,
        [REFUSED_RESOURCE] = PAREXEC_ERROR_INSUFFICIENT_RESOURCES,
    };

    if (verdict->admission != ADMITTED)
        return admissions[verdict->admission];
    return verdict->placing != PLACED ? placings[verdict->placing] : PAREXEC_ERROR_FAILED;
}

/* The sentence; what forcing it would mean stands below, each on a line of its own that begins with "- ". */
static int refuse_worker(const AddVerdict *verdict, sd_bus_error *error)
{
    g_autoptr(GString) message = g_string_new(NULL);

    g_string_printf(message, PAREXEC_NO_WORKER_ADDED "%s.", verdict->why);
    for (char **risk = verdict->risks; risk && *risk; risk++)
        g_string_append_printf(message, "\n- %s", *risk);
    return sd_bus_error_set(error, refusal_name(verdict), message->str);
}

static const Profile *active_profile(Manager *manager)
{
    const GPtrArray *profiles = manager_profiles(manager);

    return profiles ? profile_find(profiles, manager_profile(manager)) : NULL;
}

int worker_method_add(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Bus *bus = userdata;
    g_autoptr(WorkerSpec) spec = NULL;
    AddVerdict verdict = { 0 };
    Peer *peer;

    int r = bus_check(bus, m, NULL, &peer, error);
    if (r <= 0)
        return r < 0 ? r : 1;
    r = worker_request_read(m, manager_settings(bus->manager), active_profile(bus->manager), peer, &spec,
                            error);
    if (r < 0)
        return r;
    r = bus_check(bus, m, PAREXEC_ACTION_MANAGE_WORKERS, &peer, error);
    if (r <= 0)
        return r < 0 ? r : 1;
    if (!manager_has_engine(bus->manager, spec->engine)) {
        call_done(bus->calls, m);
        return sd_bus_error_setf(error, PAREXEC_ERROR_WORKER_START_FAILED,
                                 "The engine \"%s\" is not to be had here: there is no systemd on this bus.",
                                 engine_kind_to_string(spec->engine));
    }
    Answer *answer = answer_new(bus, m);
    r = manager_add_worker(bus->manager, g_steal_pointer(&spec), on_worker_added, answer, &verdict);
    if (r >= 0)
        return 1;
    sd_bus_message_unref(answer_end(answer));
    r = refuse_worker(&verdict, error);
    add_verdict_done(&verdict);
    return r;
}

/* ---- Drain, Abort */

int worker_bus_end(Bus *bus, sd_bus_message *m, Worker *worker, int (*end)(Manager *, Worker *),
                   sd_bus_error *error)
{
    g_autofree char *subject = g_strdup_printf("worker %s", worker->id);
    int r = end(bus->manager, worker);

    call_done(bus->calls, m);
    if (r < 0)
        return bus_error_set(error, r, subject);
    return sd_bus_reply_method_return(m, NULL);
}

/* ---- Freeze, Thaw, SetLimits */

/* One that is under way: the worker may be forgotten before it ends. */
typedef struct WorkerChange {
    Answer *answer;
    char *worker;
} WorkerChange;

static WorkerChange *worker_change_new(Bus *bus, sd_bus_message *m, const Worker *worker)
{
    WorkerChange *change = g_new(WorkerChange, 1);

    *change = (WorkerChange){ answer_new(bus, m), g_strdup(worker->id) };
    return change;
}

static void worker_change_free(WorkerChange *change)
{
    g_free(change->worker);
    g_free(change);
}

static void on_worker_changed(int r, const char *why, void *userdata)
{
    WorkerChange *change = userdata;
    g_autoptr(sd_bus_message) m = answer_end(change->answer);

    if (r < 0)
        (void) sd_bus_reply_method_errorf(
            m, r == -EALREADY || r == -EBUSY ? PAREXEC_ERROR_INVALID_STATE : PAREXEC_ERROR_FAILED,
            "Worker %s: %s.", change->worker, why ? why : g_strerror(-r));
    else
        (void) sd_bus_reply_method_return(m, NULL);
    worker_change_free(change);
}

/* The core has not taken it on. why: a sentence; NULL: r says it all */
static int refuse_change(WorkerChange *change, const Worker *worker, int r, const char *why,
                         sd_bus_error *error)
{
    g_autofree char *subject = g_strdup_printf("worker %s", change->worker);

    sd_bus_message_unref(answer_end(change->answer));
    if (worker->state == WORKER_STARTING)
        r = sd_bus_error_setf(error, PAREXEC_ERROR_INVALID_STATE, "Worker %s has not started yet.",
                              change->worker);
    else if (r == -EBUSY)
        r = sd_bus_error_setf(error, PAREXEC_ERROR_INVALID_STATE,
                              "Worker %s is being changed by another call; try again.", change->worker);
    else if (r == -EPERM && why)
        r = sd_bus_error_setf(error, PAREXEC_ERROR_INSUFFICIENT_MEMORY,
                              "The limits of worker %s stay as they are: %s.", change->worker, why);
    else
        r = bus_error_set(error, r, subject);
    worker_change_free(change);
    return r;
}

int worker_bus_freeze(Bus *bus, sd_bus_message *m, Worker *worker, bool frozen, bool reclaim,
                      sd_bus_error *error)
{
    WorkerChange *change = worker_change_new(bus, m, worker);
    int r = manager_freeze_worker(bus->manager, worker, frozen, reclaim, on_worker_changed, change);

    return r < 0 ? refuse_change(change, worker, r, NULL, error) : 1;
}

int worker_bus_set_limits(Bus *bus, sd_bus_message *m, Worker *worker, sd_bus_error *error)
{
    g_autofree char *why = NULL;
    LimitsRequest request = { .force = false };

    worker_limits_init(&request.limits);
    worker_limits_copy(&request.limits, &worker->spec->limits);
    int r = worker_request_read_limits(m, &request, error);
    if (r < 0) {
        call_done(bus->calls, m);
        worker_limits_done(&request.limits);
        return r;
    }
    WorkerChange *change = worker_change_new(bus, m, worker);
    r = manager_set_worker_limits(bus->manager, worker, &request.limits, request.force, on_worker_changed, change,
                                  &why);
    worker_limits_done(&request.limits);
    return r < 0 ? refuse_change(change, worker, r, why, error) : 1;
}
