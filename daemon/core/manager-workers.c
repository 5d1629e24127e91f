/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What happens to workers: added, registered, drained, aborted, stalled, gone.
 *
 * A worker's record is on disk before its process exists, so that a daemon that dies in between knows of it. A worker ends
 * only when its engine says that no process of it lives any more (manager_worker_gone). */
#include <string.h>
#include <sys/random.h>

#include "core/manager-internal.h"
#include "util/parse-util.h"

#define ANSWER_USEC (20 * USEC_PER_SEC) /* AddWorker answers after that, running or not */

EnginePort *manager_engine(Manager *manager, const Worker *worker)
{
    return manager->ports.engines[worker->spec->engine];
}

bool manager_has_engine(const Manager *manager, EngineKind kind)
{
    return manager->ports.engines[kind] != NULL;
}

Worker *manager_find_worker(Manager *manager, uint32_t number)
{
    for (guint i = 0; i < manager->workers->len; i++) {
        Worker *worker = manager->workers->pdata[i];
        if (worker->number == number)
            return worker;
    }
    return NULL;
}

const GPtrArray *manager_workers(const Manager *manager)
{
    return manager->workers;
}

uint32_t manager_n_live_workers(const Manager *manager)
{
    uint32_t n = 0;

    for (guint i = 0; i < manager->workers->len; i++) {
        const Worker *worker = manager->workers->pdata[i];
        n += worker_state_is_live(worker->state);
    }
    return n;
}

void manager_save_worker(Manager *manager, const Worker *worker)
{
    WorkerRecord record = worker_record(worker);

    manager->ports.store->update_worker(manager->ports.store, &record);
}

static void answer(Worker *worker, int r)
{
    void (*function)(int, Worker *, void *) = worker->answer;

    worker->answer = NULL;
    worker->answer_usec = UINT64_MAX;
    if (function)
        function(r, worker, worker->answer_userdata);
}

static void remove_worker(Manager *manager, Worker *worker)
{
    NOTIFY(manager, worker_removed, worker);
    manager->ports.store->forget_worker(manager->ports.store, worker->number);
    g_ptr_array_remove(manager->workers, worker);
}

void manager_worker_set_state(Manager *manager, Worker *worker, WorkerState state)
{
    WorkerState old = worker_set_state(worker, state);

    if (!worker_state_is_live(state))
        worker->frozen = false;
    if (state == WORKER_FAILED)
        worker->deadline_usec = usec_add(manager_now(manager), manager->settings.keep_failed_usec);
    manager_save_worker(manager, worker);
    NOTIFY(manager, worker_state_changed, worker, old);
    if (state == WORKER_RUNNING) {
        worker->idle_since_usec = manager_now(manager);
        answer(worker, 0);
        parking_room_changed(manager, worker);
    }
    parking_workers_changed(manager);
    manager_move_fences(manager);
    if (state == WORKER_FAILED || state == WORKER_DEAD)
        answer(worker, -ECANCELED);
}

/* ---- adding */

static GBytes *launch_record(Manager *manager, const Worker *worker)
{
    LaunchRecord record = {
        .id = (char *) worker->id,
        .socket = (char *) manager->ports.socket_path,
        .output_directory = (char *) manager->ports.output_directory,
        .spool_directory = (char *) manager->ports.spool_directory,
        .slots = worker->spec->slots,
        .heartbeat_usec = manager->settings.heartbeat_usec,
        .orphan_usec = manager->settings.orphan_timeout_usec,
        .delegated = manager_engine(manager, worker)->delegates(manager_engine(manager, worker)),
        .environment = worker->spec->environment,
        .exec = worker->spec->exec,
        .class = worker->spec->class,
        .user = worker->spec->user,
        .recycle = worker->spec->recycle,
        .recycle_memory_bytes = worker->spec->recycle_memory_bytes,
    };

    memcpy(record.token, worker->token, sizeof record.token);
    return launch_record_serialize(&record);
}

typedef struct Adding {
    Manager *manager;
    uint32_t number;
} Adding;

static void on_worker_stored(int r, void *userdata)
{
    g_autofree Adding *adding = userdata;
    Manager *manager = adding->manager;
    Worker *worker = manager_find_worker(manager, adding->number);

    if (!worker)
        return;
    if (r < 0) {
        worker->reason = g_strdup_printf("it could not be recorded: %s", g_strerror(-r));
        answer(worker, r);
        g_ptr_array_remove(manager->workers, worker);
        manager_rescale(manager);
        return;
    }
    NOTIFY(manager, worker_added, worker);
    if (worker->aborting || worker->reason) { /* it was aborted, or its time was up, before it was recorded */
        manager_worker_gone(worker->number, "aborted", manager);
        return;
    }
    manager_move_fences(manager);
    g_autoptr(GBytes) record = launch_record(manager, worker);
    g_autoptr(WorkerSpec) spec = manager_spec_in_force(manager, worker);
    EngineStart start = { .number = worker->number, .spec = spec, .record = record };
    manager_engine(manager, worker)->start(manager_engine(manager, worker), &start);
}

int manager_add_worker(Manager *manager, WorkerSpec *spec, void (*done)(int, Worker *, void *), void *userdata,
                       AddVerdict *ret)
{
    g_autoptr(WorkerSpec) taken = spec;

    if (!manager_admit(manager, taken, ret))
        return -EPERM;
    Worker *worker = worker_new(manager->next_worker++, g_steal_pointer(&taken));
    uint64_t now = manager_now(manager);
    worker->added_usec = manager_realtime(manager);
    worker->answer = done;
    worker->answer_userdata = userdata;
    worker->answer_usec = now + ANSWER_USEC;
    worker->deadline_usec = usec_add(now, manager->settings.worker_start_timeout_usec);
    if (getrandom(worker->token, sizeof worker->token, 0) != sizeof worker->token)
        g_error(
            "getrandom() gave no bytes"); /* cannot fail for so few once the pool is up; nothing is safe without */
    g_ptr_array_add(manager->workers, worker);

    Adding *adding = g_new(Adding, 1);
    *adding = (Adding){ manager, worker->number };
    WorkerRecord record = worker_record(worker);
    manager->ports.store->add_worker(manager->ports.store, &record, on_worker_stored, adding);
    manager_rearm(manager);
    return 0;
}

static void fail_worker(Manager *manager, Worker *worker, const char *why)
{
    char *reason = g_strdup(why); /* it may be the one that is there */

    g_free(worker->reason);
    worker->reason = reason;
    manager_worker_set_state(manager, worker, WORKER_FAILED);
}

void manager_worker_started(uint32_t number, int r, const WorkerProcess *process, const char *why,
                            void *userdata)
{
    Manager *manager = userdata;
    Worker *worker = manager_find_worker(manager, number);

    if (!worker)
        return;
    if (r < 0) {
        g_autofree char *reason = g_strdup_printf("it could not be started: %s", why);
        manager_worker_gone(number, reason, manager);
        return;
    }
    worker_process_done(&worker->process);
    worker->process = (WorkerProcess){ process->pid, process->start_time, g_strdup(process->unit),
                                       g_strdup(process->control_group) };
    g_strfreev(worker->not_enforced);
    worker->not_enforced =
        manager_engine(manager, worker)->not_enforced(manager_engine(manager, worker), number, worker->spec);
    manager_save_worker(manager, worker);
    NOTIFY(manager, worker_changed, worker);
}

/* ---- the handshake */

static bool token_equal(const uint8_t *a, const uint8_t *b)
{
    uint8_t difference = 0;

    for (size_t i = 0; i < LAUNCH_TOKEN_BYTES; i++) /* in constant time */
        difference |= a[i] ^ b[i];
    return difference == 0;
}

static void sign_of_life(Manager *manager, Worker *worker)
{
    worker->heartbeat_usec = manager_realtime(manager);
    worker->heartbeat_monotonic_usec = manager_now(manager);
    worker->stalled = false;
}

int manager_worker_register(Manager *manager, uint32_t number, const uint8_t token[static LAUNCH_TOKEN_BYTES],
                            int32_t pid)
{
    Worker *worker = manager_find_worker(manager, number);

    if (!worker)
        return -ESRCH;
    if (!token_equal(worker->token, token) ||
        !manager_engine(manager, worker)->owns(manager_engine(manager, worker), number, pid))
        return -EACCES;
    if (!worker_state_is_live(worker->state) || worker->reason)
        return -EALREADY;
    if (worker->aborting && worker->state != WORKER_DRAINING) /* a drained one is told to exit once more */
        return -EALREADY;
    worker->connected = true;
    sign_of_life(manager, worker);
    if (worker->state == WORKER_STARTING)
        manager_worker_set_state(manager, worker, WORKER_RUNNING);
    manager_rearm(manager);
    return 0;
}

void manager_worker_disconnected(Manager *manager, uint32_t number)
{
    Worker *worker = manager_find_worker(manager, number);

    if (!worker)
        return;
    worker->connected = false;
    manager_forget_freezing(manager, worker);
    manager_forget_limiting(manager, worker);
}

void manager_worker_heartbeat(Manager *manager, Worker *worker)
{
    sign_of_life(manager, worker);
    NOTIFY(manager, worker_changed, worker);
    manager_rearm(manager);
}

/* ---- ending */

void manager_drain_if_empty(Manager *manager, Worker *worker)
{
    if (worker->state == WORKER_DRAINING && worker->connected && g_hash_table_size(worker->tasks) == 0) {
        worker->aborting = true; /* its end is what we ask for */
        manager->ports.link->exit(manager->ports.link, worker->number);
    }
}

int manager_drain(Manager *manager, Worker *worker)
{
    if (!worker_state_is_live(worker->state))
        return -EALREADY;
    if (worker->state == WORKER_DRAINING) { /* it may have been frozen since */
        manager_thaw_to_end(manager, worker);
        return 0;
    }
    if (worker->state == WORKER_STARTING) /* it holds nothing yet */
        return manager_abort(manager, worker);
    manager_worker_set_state(manager, worker, WORKER_DRAINING);
    manager_thaw_to_end(manager, worker);
    dispatch_recall_all(manager, worker);
    manager_drain_if_empty(manager, worker);
    dispatch(manager); /* what fits no other is put aside */
    return 0;
}

int manager_abort(Manager *manager, Worker *worker)
{
    if (!worker_state_is_live(worker->state))
        return -EALREADY;
    worker->aborting = true;
    manager->ports.link->drop(manager->ports.link, worker->number);
    manager_engine(manager, worker)->kill(manager_engine(manager, worker), worker->number);
    return 0;
}

void manager_worker_gone(uint32_t number, const char *why, void *userdata)
{
    Manager *manager = userdata;
    Worker *worker = manager_find_worker(manager, number);

    if (!worker || !worker_state_is_live(worker->state))
        return;
    bool drained = worker->state == WORKER_DRAINING && g_hash_table_size(worker->tasks) == 0;
    bool wanted = worker->aborting || drained;
    worker->connected = false;
    worker->process.pid = 0;
    manager->ports.link->drop(manager->ports.link, number);
    manager_engine(manager, worker)->release(manager_engine(manager, worker), number);
    manager_forget_worker_limits(worker);
    manager_forget_freezing(manager, worker);
    manager_forget_limiting(manager, worker);
    manager_scaled_worker_ended(manager, worker, !wanted);
    manager_lose_tasks(manager, worker, wanted ? OUTCOME_ABORTED : OUTCOME_LOST);
    if (wanted) {
        manager_worker_set_state(manager, worker, WORKER_DEAD);
        remove_worker(manager, worker);
    } else
        fail_worker(manager, worker, worker->reason ? worker->reason : why);
    manager_rescale(manager);
    dispatch(manager);
}

/* ---- over a restart */

void manager_adopt_worker(Manager *manager, WorkerRecord *record)
{
    if (!worker_state_is_live(record->state) || !manager->ports.engines[record->spec->engine]) {
        manager->ports.store->forget_worker(manager->ports.store, record->number);
        return;
    }
    Worker *worker = worker_new(record->number, g_steal_pointer(&record->spec));
    worker->state = record->state;
    worker->process = record->process;
    record->process = (WorkerProcess){ 0 };
    memcpy(worker->token, record->token, sizeof worker->token);
    worker->added_usec = record->added_usec;
    worker->tasks_done = record->tasks_done;
    worker->tasks_failed = record->tasks_failed;
    worker->expected = worker->unsure = true;
    worker->heartbeat_monotonic_usec = manager_now(manager); /* it has as long as any to be heard of */
    if (worker->state == WORKER_STARTING)
        worker->deadline_usec = usec_add(manager_now(manager), manager->settings.worker_start_timeout_usec);
    g_ptr_array_add(manager->workers, worker);
    NOTIFY(manager, worker_added, worker);
    EnginePort *engine = manager_engine(manager, worker);
    engine->adopt(engine, worker->number, &worker->process);
    g_strfreev(worker->not_enforced);
    worker->not_enforced = engine->not_enforced(engine, worker->number, worker->spec);
}

/* ---- time */

uint64_t manager_worker_deadline(const Manager *manager, const Worker *worker)
{
    uint64_t next = MIN(worker->deadline_usec, worker->answer_usec);

    if (worker->state != WORKER_STARTING && worker_state_is_live(worker->state) && !worker->stalled)
        next = MIN(next, usec_add(worker->heartbeat_monotonic_usec, manager->settings.stalled_after_usec));
    return next;
}

static void start_timed_out(Manager *manager, Worker *worker)
{
    g_autofree char *limit = format_timespan(manager->settings.worker_start_timeout_usec);

    worker->reason = g_strdup_printf("it did not report within %s of being started", limit);
    worker->deadline_usec = UINT64_MAX;
    manager_engine(manager, worker)->kill(manager_engine(manager, worker), worker->number);
}

void manager_tick_worker(Manager *manager, Worker *worker, uint64_t now)
{
    if (worker->answer_usec <= now)
        answer(worker, 0);
    if (worker_state_is_live(worker->state) && worker->state != WORKER_STARTING && !worker->stalled &&
        usec_add(worker->heartbeat_monotonic_usec, manager->settings.stalled_after_usec) <= now) {
        worker->stalled = true;
        NOTIFY(manager, worker_changed, worker);
    }
    if (worker->deadline_usec > now)
        return;
    if (worker->state == WORKER_STARTING)
        start_timed_out(manager, worker);
    else if (worker->state == WORKER_FAILED)
        remove_worker(manager, worker);
}

void manager_worker_usage(Manager *manager, Worker *worker, EngineUsage *ret)
{
    *ret = (EngineUsage){ UINT64_MAX, UINT64_MAX, UINT64_MAX };
    if (!worker_state_is_live(worker->state))
        return;
    manager_engine(manager, worker)->usage(manager_engine(manager, worker), worker->number, ret);
    worker_sample_cpu(worker, ret->cpu_nsec, manager_now(manager));
}
