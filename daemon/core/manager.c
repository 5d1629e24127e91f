/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The manager's life, settings, counts and time. Owns every domain object; see manager-workers.c for what happens to
 * workers, manager-tasks.c for tasks, dispatch.c for who gets what.
 *
 * Invariant: a queued task is in exactly one place: in a window or still on disk only, or in "active" with the worker
 * that holds it. It moves back only when the store has answered, and the store answers in order. */
#include "core/manager-internal.h"

static void window_free(gpointer window)
{
    task_window_free(window);
}

static void worker_destroy(gpointer worker)
{
    worker_free(worker);
}

static void fds_destroy(gpointer fds)
{
    task_fds_free(fds);
}

static void settings_copy(Settings *to, const Settings *from)
{
    WorkerLimits limits;
    TaskPolicy policy;

    worker_limits_init(&limits);
    worker_limits_copy(&limits, &from->limits);
    task_policy_init(&policy);
    task_policy_copy(&policy, &from->policy);
    settings_done(to);
    *to = *from;
    to->limits = limits;
    to->policy = policy;
    to->profiles = from->profiles ? g_ptr_array_ref(from->profiles) : NULL;
    to->resources = from->resources ? g_array_ref(from->resources) : NULL;
    to->profile = g_strdup(from->profile);
}

Manager *manager_new(const Settings *settings)
{
    Manager *manager = g_new0(Manager, 1);

    settings_copy(&manager->settings, settings);
    manager->max_workers = settings->max_workers;
    manager->observers = g_ptr_array_new();
    manager->workers = g_ptr_array_new_with_free_func(worker_destroy);
    manager->active = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, active_task_free);
    manager->windows = g_ptr_array_new_with_free_func(window_free);
    g_ptr_array_add(manager->windows, task_window_new(UID_ANYBODY, NULL, NULL));
    manager->unplaceable = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    manager->unjudged = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    manager->parked = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    manager->fds = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, fds_destroy);
    manager->open_batches = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    manager->run_times = run_times_new();
    manager->random = g_rand_new();
    manager->freezings = g_ptr_array_new();
    manager->limitings = limitings_new();
    manager->pressure_usec = UINT64_MAX;
    manager->has_parked = true;
    learning_init(&manager->learning);
    scaling_init(manager);
    return manager;
}

void manager_free(Manager *manager)
{
    if (!manager)
        return;
    g_hash_table_unref(manager->active);
    g_hash_table_unref(manager->fds);
    g_hash_table_unref(manager->parked);
    g_array_unref(manager->unjudged);
    g_hash_table_unref(manager->unplaceable);
    g_hash_table_unref(manager->open_batches);
    run_times_free(manager->run_times);
    g_rand_free(manager->random);
    g_ptr_array_unref(manager->freezings);
    g_ptr_array_unref(manager->limitings);
    g_free(manager->frozen_wish);
    g_free(manager->fence_wish);
    learning_done(&manager->learning);
    scaling_done(manager);
    g_ptr_array_unref(manager->windows);
    g_ptr_array_unref(manager->workers);
    g_ptr_array_unref(manager->observers);
    settings_done(&manager->settings);
    g_free(manager);
}

void manager_add_observer(Manager *manager, ObserverPort *observer)
{
    g_ptr_array_add(manager->observers, observer);
}

static void on_counts_changed(const StoreCounts *counts, void *userdata)
{
    Manager *manager = userdata;

    manager->counts = *counts;
    NOTIFY(manager, queue_changed);
}

static void on_batch_ended(const BatchEnd *end, void *userdata)
{
    Manager *manager = userdata;

    run_times_forget(manager->run_times, end->batch);
    NOTIFY(manager, batch_ended, end);
}

static void on_due_changed(uint64_t boot_usec, uint64_t realtime_usec, void *userdata)
{
    Manager *manager = userdata;

    manager->ports.clock->set_wake(manager->ports.clock, boot_usec, realtime_usec);
}

static void on_store_failing(int r, void *userdata)
{
    Manager *manager = userdata;

    manager->store_error = r;
}

StoreEvents manager_store_events(Manager *manager)
{
    return (StoreEvents){
        .counts_changed = on_counts_changed,
        .batch_ended = on_batch_ended,
        .batch_halted = manager_halt_batch,
        .tasks_ready = manager_tasks_ready,
        .tasks_skipped = manager_tasks_skipped,
        .due_changed = on_due_changed,
        .failing = on_store_failing,
        .userdata = manager,
    };
}

EngineEvents manager_engine_events(Manager *manager)
{
    return (EngineEvents){ .started = manager_worker_started, .gone = manager_worker_gone, .limits_set = manager_worker_limits_set, .userdata = manager };
}

void manager_start(Manager *manager, const ManagerPorts *ports, StoreSnapshot *snapshot)
{
    g_autoptr(StoreSnapshot) taken = snapshot;
    HostFacts host;

    manager->ports = *ports;
    manager->ports.host->facts(manager->ports.host, &host);
    manager->memory_total_bytes = host.memory_total_bytes;
    manager->counts = taken->counts;
    manager->next_worker = taken->next_worker;
    manager->enabled = taken->enabled;
    manager->started_usec = manager_realtime(manager);
    manager->recovery_usec = usec_add(manager_now(manager), RECOVERY_USEC);
    manager->prune_usec = usec_add(manager_now(manager), PRUNE_FIRST_USEC);
    for (guint i = 0; i < taken->workers->len; i++)
        manager_adopt_worker(manager, taken->workers->pdata[i]);
    for (guint i = 0; i < taken->held->len; i++)
        manager_adopt_task(manager, taken->held->pdata[i]);
    learning_load(&manager->learning, taken->learned);
    scaling_load(manager, taken->wishes);
    parking_look_again(manager); /* the one before may not have come to it */
    manager_recall_fences(manager, taken->wishes ? g_hash_table_lookup(taken->wishes, "fence") : NULL);
    manager_recall_frozen(manager, taken->wishes ? g_hash_table_lookup(taken->wishes, "frozen") : NULL);
    windows_load(manager);
    manager_rearm(manager);
}

/* ---- for the other files of the manager */

GPtrArray *manager_live_specs(Manager *manager)
{
    GPtrArray *specs = g_ptr_array_new();

    for (guint i = 0; i < manager->workers->len; i++) {
        const Worker *worker = manager->workers->pdata[i];
        if (worker_state_is_live(worker->state))
            g_ptr_array_add(specs, worker->spec);
    }
    return specs;
}

void manager_keep_wish(Manager *manager, const char *key, const char *value, char **last)
{
    if (g_strcmp0(value, *last) == 0)
        return;
    manager->ports.store->set_wish(manager->ports.store, key, value, NULL, NULL);
    g_free(*last);
    *last = g_strdup(value);
}

void manager_stop(Manager *manager)
{
    manager_save_learned(manager);
}

/* ---- time */

uint64_t manager_now(Manager *manager)
{
    return manager->ports.clock->monotonic_usec(manager->ports.clock);
}

uint64_t manager_realtime(Manager *manager)
{
    return manager->ports.clock->realtime_usec(manager->ports.clock);
}

uint64_t manager_boot_time(Manager *manager)
{
    return manager->ports.clock->boot_usec(manager->ports.clock);
}

void manager_wake(Manager *manager)
{
    manager->ports.store->wake(manager->ports.store, manager_boot_time(manager), manager_realtime(manager));
}

static void on_pruned(int r, bool more, void *userdata)
{
    Manager *manager = userdata;

    if (r >= 0 && more) /* the rest soon, and not at once: there is no hurry */
        manager->prune_usec = usec_add(manager_now(manager), PRUNE_NEXT_USEC);
    manager_rearm(manager);
}

static void manager_tick_prune(Manager *manager, uint64_t now)
{
    uint64_t realtime = manager_realtime(manager), keep = manager->settings.keep_history_usec;

    if (manager->prune_usec > now)
        return;
    manager->prune_usec = usec_add(now, PRUNE_INTERVAL_USEC);
    if (keep < realtime)
        manager->ports.store->prune(manager->ports.store, realtime - keep, on_pruned, manager);
}

void manager_rearm(Manager *manager)
{
    uint64_t next = manager_recovery_deadline(manager);

    if (manager->settings.keep_history_usec != UINT64_MAX)
        next = MIN(next, manager->prune_usec);
    next = MIN(next, manager_timeout_deadline(manager));
    next = MIN(next, manager_scaling_deadline(manager));
    next = MIN(next, MIN(manager->learning.save_usec, manager->pressure_usec));

    for (guint i = 0; i < manager->workers->len; i++)
        next = MIN(next, manager_worker_deadline(manager, manager->workers->pdata[i]));
    manager->ports.clock->set_alarm(manager->ports.clock, next);
}

void manager_tick(Manager *manager)
{
    uint64_t now = manager_now(manager);

    manager_tick_recovery(manager, now);
    manager_tick_prune(manager, now);
    manager_tick_timeouts(manager, now);
    manager_tick_learning(manager, now);
    manager_tick_pressure(manager, now);
    for (guint i = manager->workers->len; i > 0; i--) /* backwards: a worker may be removed */
        manager_tick_worker(manager, manager->workers->pdata[i - 1], now);
    manager_tick_scaling(manager, now);
    manager_rearm(manager);
}

/* ---- settings */

void manager_reload(Manager *manager, const Settings *settings)
{
    settings_copy(&manager->settings, settings);
    manager_set_max_workers(manager, settings->max_workers);
    scaling_reload(manager);
    manager_rearm(manager);
}

uint32_t manager_max_workers(const Manager *manager)
{
    return manager->max_workers;
}

void manager_set_max_workers(Manager *manager, uint32_t max_workers)
{
    if (manager->max_workers == max_workers)
        return;
    manager->max_workers = max_workers;
    NOTIFY(manager, settings_changed);
}

bool manager_is_enabled(const Manager *manager)
{
    return manager->enabled;
}

typedef struct Enabling {
    Manager *manager;
    bool enabled;
    StoreDone done;
    void *userdata;
} Enabling;

static void on_enabled_stored(int r, void *userdata)
{
    g_autofree Enabling *enabling = userdata;
    Manager *manager = enabling->manager;

    if (r >= 0 && manager->enabled != enabling->enabled) {
        manager->enabled = enabling->enabled;
        NOTIFY(manager, settings_changed);
        for (guint i = 0; !manager->enabled && i < manager->workers->len; i++)
            dispatch_recall_all(manager, manager->workers->pdata[i]);
        dispatch(manager);
    }
    enabling->done(r, enabling->userdata);
}

void manager_set_enabled(Manager *manager, bool enabled, StoreDone done, void *userdata)
{
    Enabling *enabling = g_new(Enabling, 1);

    *enabling = (Enabling){ manager, enabled, done, userdata };
    manager->ports.store->set_enabled(manager->ports.store, enabled, on_enabled_stored, enabling);
}

const Settings *manager_settings(const Manager *manager)
{
    return &manager->settings;
}

const Machine *manager_machine(const Manager *manager)
{
    return manager->ports.host->machine(manager->ports.host);
}

StorePort *manager_store(Manager *manager)
{
    return manager->ports.store;
}

/* ---- what is shown */

void manager_status(Manager *manager, ManagerStatus *ret)
{
    *ret = (ManagerStatus){
        .counts = manager->counts,
        .throughput_per_minute = rate_per_minute(&manager->finished, manager_now(manager)),
        .started_usec = manager->started_usec,
        .active = manager_n_live_workers(manager),
        .store_error = manager->store_error,
    };
    manager->ports.host->facts(manager->ports.host, &ret->host);
    g_autoptr(WorkerSpec) usual = manager_usual_worker(manager);
    manager_admission_facts(manager, usual, &ret->host, &ret->admission);
    ret->admissible = admission_admissible(&ret->admission, &ret->binding);
}

uint64_t manager_queue_length(const Manager *manager)
{
    const uint64_t *n = manager->counts.by_state;

    return n[TASK_QUEUED] + n[TASK_BLOCKED] + n[TASK_WAITING];
}

uint64_t manager_n_running(const Manager *manager)
{
    return manager->counts.by_state[TASK_RUNNING];
}
