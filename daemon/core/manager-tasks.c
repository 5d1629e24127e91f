/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What happens to tasks: submitted, started, finished, lost, cancelled.
 *
 * An assignment ends in one way only: a Settlement goes to the store, and when it is on disk (on_settled) the task leaves
 * "active", is announced, and is queued again if that is what it became. */
#include "core/fitting.h"
#include "core/manager-internal.h"

/* ---- submitting */

typedef struct Submitting {
    Manager *manager;
    ManagerSubmitted done;
    void *userdata;
} Submitting;

static uint64_t *key_new(uint64_t key)
{
    uint64_t *copy = g_new(uint64_t, 1);

    *copy = key;
    return copy;
}

static void keep_fds(Manager *manager, TaskSpec *spec)
{
    if (spec->fds)
        g_hash_table_insert(manager->fds, key_new(spec->id), g_steal_pointer(&spec->fds));
}

static bool is_gated(const Submission *submission)
{
    for (guint i = 0; i < submission->tasks->len; i++)
        if (((const TaskSpec *) submission->tasks->pdata[i])->gate)
            return true;
    return false;
}

/* A few tasks are offered to the windows; many are better read from the store, and so are those of earlier calls. What may
 * have to wait the store tells by itself when it need not. */
static void offer_submission(Manager *manager, const Submission *submission, bool has_more)
{
    const guint few = 64;
    bool simple = !has_more && submission->tasks->len <= few && submission->count == submission->tasks->len;

    if (!has_more && is_gated(submission))
        return;

    for (guint i = 0; simple && i < submission->tasks->len; i++)
        windows_offer(manager, submission->tasks->pdata[i]);
    if (!simple)
        windows_invalidate(manager);
}

static void on_submitted(int r, Submission *submission, void *userdata)
{
    g_autofree Submitting *submitting = userdata;
    Manager *manager = submitting->manager;
    bool was_open = false;

    if (r >= 0 && submission->known)
        was_open = false;
    else if (r >= 0 && submission->commit)
        was_open = g_hash_table_remove(manager->open_batches, &submission->batch);
    else if (r >= 0)
        g_hash_table_insert(manager->open_batches, key_new(submission->batch),
                            GUINT_TO_POINTER(submission->uid));
    for (guint i = 0; r >= 0 && !submission->known && i < submission->tasks->len; i++)
        keep_fds(manager, submission->tasks->pdata[i]);
    submitting->done(r, submission, !submission->commit && !submission->known, submitting->userdata);
    if (r >= 0 && submission->commit && !submission->known) {
        offer_submission(manager, submission, was_open);
        dispatch(manager);
    }
}

int manager_submit(Manager *manager, Submission *submission, ManagerSubmitted done, void *userdata)
{
    g_autoptr(Submission) taken = submission;
    gpointer uid;

    if (taken->batch != 0 &&
        (!g_hash_table_lookup_extended(manager->open_batches, &taken->batch, NULL, &uid) ||
         GPOINTER_TO_UINT(uid) != taken->uid))
        return -ESRCH;
    Submitting *submitting = g_new(Submitting, 1);
    *submitting = (Submitting){ manager, done, userdata };
    taken->submitted_usec = manager_realtime(manager);
    taken->boot_usec = manager_boot_time(manager);
    manager->ports.store->submit(manager->ports.store, g_steal_pointer(&taken), on_submitted, submitting);
    return 0;
}

void manager_discard_batch(Manager *manager, uint64_t batch)
{
    if (g_hash_table_remove(manager->open_batches, &batch))
        manager->ports.store->discard_batch(manager->ports.store, batch);
}

/* ---- the end of assignments */

typedef struct Settling {
    Manager *manager;
    GArray *settled; /* uint64_t */
    GArray *results; /* TaskResult; the stderr tails are not ours */
    StoreDone done;  /* NULL: nobody asks */
    void *userdata;
    GArray *settlements; /* Settlement, until it goes to the store */
} Settling;

static Settling *settling_new(Manager *manager, StoreDone done, void *userdata)
{
    Settling *settling = g_new(Settling, 1);

    *settling = (Settling){
        .manager = manager,
        .settled = g_array_new(FALSE, FALSE, sizeof(uint64_t)),
        .results = g_array_new(FALSE, FALSE, sizeof(TaskResult)),
        .done = done,
        .userdata = userdata,
        .settlements = g_array_new(FALSE, FALSE, sizeof(Settlement)),
    };
    return settling;
}

static void announce_settled(Manager *manager, const ActiveTask *task, const TaskResult *result)
{
    TaskChange change = {
        .task = task->spec->id,
        .batch = task->spec->batch,
        .state = task->state,
        .attempt = task->spec->attempts,
        .worker = task->worker_number,
        .start_usec = result->start_usec,
        .result = result->outcome == OUTCOME_NONE ? NULL : result,
    };

    NOTIFY(manager, task_changed, &change);
}

static void on_settled(int r, void *userdata)
{
    Settling *settling = userdata;
    Manager *manager = settling->manager;
    bool requeued = false;

    for (guint i = 0; r >= 0 && i < settling->settled->len; i++) {
        uint64_t id = g_array_index(settling->settled, uint64_t, i);
        ActiveTask *task = g_hash_table_lookup(manager->active, &id);
        if (!task)
            continue;
        announce_settled(manager, task, &g_array_index(settling->results, TaskResult, i));
        g_hash_table_steal(manager->active, &id);
        requeued |= task->state == TASK_QUEUED;
        if (task->state == TASK_QUEUED && !task->stale)
            windows_offer(manager, task->spec);
        else if (task->state == TASK_QUEUED) /* the store has it as it was edited */
            windows_invalidate(manager);
        manager->n_relative -= task->spec->context->policy.timeout_percent > 0;
        active_task_free(task);
    }
    if (settling->done)
        settling->done(r, settling->userdata);
    g_array_unref(settling->settled);
    g_array_unref(settling->results);
    g_free(settling);
    if (requeued)
        dispatch(manager);
}

static SettlementFacts settlement_facts(Manager *manager, const ActiveTask *task, const TaskResult *result)
{
    SettlementFacts facts = { .boot_usec = manager_boot_time(manager), .random = g_rand_double(manager->random) };

    if (result->outcome != OUTCOME_OOM)
        return facts;
    facts.memory_most_bytes = fitting_most_memory(manager, task->spec);
    facts.memory_had_bytes = task_spec_memory(task->spec);
    if (task->worker && (facts.memory_had_bytes == LIMIT_INFINITY || result->oom_cause == OOM_WORKER))
        facts.memory_had_bytes = MIN(facts.memory_had_bytes, task->worker->spec->limits.memory_max_bytes);
    return facts;
}

/* The assignment is over; takes the result's contents. The slot is free at once, the rest follows when it is on disk. */
static void settle(Settling *settling, ActiveTask *task, const TaskResult *result, bool attempted)
{
    Settlement settlement;

    const SettlementFacts facts = settlement_facts(settling->manager, task, result);

    active_task_settlement(task, result, attempted, &facts, &settlement);
    settlement.result.memory_max_bytes = task_spec_memory(task->spec);
    if (settlement.next != task->state)
        active_task_set_state(task, settlement.next);
    task->settling = true;
    task->spec->attempts = settlement.attempts;
    task->spec->lost = settlement.lost;
    task->spec->spent = settlement.spent;
    if (settlement.memory_max_bytes > 0)
        task->spec->memory_max_bytes = settlement.memory_max_bytes;
    if (task->worker)
        task->worker->idle_since_usec = manager_now(settling->manager);
    active_task_leave_worker(task);
    g_array_append_val(settling->settled, task->spec->id);
    g_array_append_val(settling->results, settlement.result);
    if (!attempted)
        g_array_index(settling->results, TaskResult, settling->results->len - 1).outcome = OUTCOME_NONE;
    g_array_append_val(settling->settlements, settlement);
}

static void settling_submit(Settling *settling)
{
    StorePort *store = settling->manager->ports.store;
    g_autoptr(GArray) settlements = g_steal_pointer(&settling->settlements);

    store->settle(store, (Settlement *) settlements->data, settlements->len, on_settled, settling);
}

static ActiveTask *find_assignment(Manager *manager, const Worker *worker, uint64_t id, uint64_t fence)
{
    ActiveTask *task = g_hash_table_lookup(manager->active, &id);

    return task && task->worker == worker && !task->settling && (fence == 0 || task->spec->fence == fence)
               ? task
               : NULL;
}

static void count_result(Manager *manager, Worker *worker, const ActiveTask *task, const TaskResult *result)
{
    if (task_result_is_success(result))
        worker->tasks_done++;
    else if (!task->cancelled && result->outcome != OUTCOME_ABORTED)
        worker->tasks_failed++;
    if (result->start_usec > 0 && result->end_usec >= result->start_usec)
        worker_add_duration(worker, result->end_usec - result->start_usec);
    if (task->spec->context->policy.timeout_percent > 0 && task_result_is_success(result) &&
        result->end_usec >= result->start_usec)
        run_times_add(manager->run_times, task->spec->batch, result->end_usec - result->start_usec);
    manager_learn(manager, task->spec, result);
    rate_add(&manager->finished, manager_now(manager), 1);
}

static void settle_results(Settling *settling, Worker *worker, TaskResult *results, size_t n)
{
    Manager *manager = settling->manager;

    for (size_t i = 0; i < n; i++) {
        ActiveTask *task = find_assignment(manager, worker, results[i].task, results[i].fence);
        if (!task) { /* of an assignment that is over: it was applied once already, or belongs to somebody else */
            task_result_done(&results[i]);
            continue;
        }
        count_result(manager, worker, task, &results[i]);
        settle(settling, task, &results[i],
               results[i].start_usec > 0 || results[i].outcome == OUTCOME_SPAWN_FAILED);
    }
}

/* Its slot idles, and what has just ended may be what others wait for. */
static void hurry_if_idle(Manager *manager, const Worker *worker)
{
    const uint64_t *n = manager->counts.by_state;

    if (worker_is_ready(worker) && g_hash_table_size(worker->tasks) < worker->spec->slots &&
        n[TASK_BLOCKED] + n[TASK_QUEUED] > 0)
        manager->ports.store->hurry(manager->ports.store);
}

void manager_tasks_finished(Manager *manager, Worker *worker, TaskResult *results, size_t n, StoreDone done,
                            void *userdata)
{
    Settling *settling = settling_new(manager, done, userdata);

    settle_results(settling, worker, results, n);
    settling_submit(settling);
    NOTIFY(manager, worker_changed, worker);
    manager_drain_if_empty(manager, worker);
    dispatch(manager);
    hurry_if_idle(manager, worker);
    if (manager->n_relative > 0) /* there is another median */
        manager_rearm(manager);
}

void manager_tasks_given_back(Manager *manager, Worker *worker, const uint64_t *tasks, size_t n)
{
    Settling *settling = settling_new(manager, NULL, NULL);

    for (size_t i = 0; i < n; i++) {
        ActiveTask *task = find_assignment(manager, worker, tasks[i], 0);
        if (task && task->start_usec == 0)
            settle(settling, task, &(TaskResult){ 0 }, false);
    }
    settling_submit(settling);
    manager_drain_if_empty(manager, worker);
}

void manager_settle_one(Manager *manager, ActiveTask *task, const TaskResult *result, bool attempted)
{
    Settling *settling = settling_new(manager, NULL, NULL);

    settle(settling, task, result, attempted);
    settling_submit(settling);
}

void manager_lose_tasks(Manager *manager, Worker *worker, Outcome outcome)
{
    Settling *settling = settling_new(manager, NULL, NULL);
    g_autoptr(GList) held = g_hash_table_get_values(worker->tasks);

    for (GList *l = held; l; l = l->next) {
        ActiveTask *task = l->data;
        TaskResult result = { .outcome = outcome,
                              .start_usec = task->start_usec,
                              .end_usec = manager_realtime(manager),
                              .memory_peak_bytes = MEMORY_UNKNOWN };
        settle(settling, task, &result, task->start_usec > 0);
    }
    settling_submit(settling);
}

/* ---- what runs */

static void mark_started(Manager *manager, ActiveTask *task, uint64_t start_usec)
{
    task->start_usec = start_usec;
    task->started_monotonic_usec = manager_now(manager);
    active_task_set_state(task, TASK_RUNNING);
    TaskChange change = {
        .task = task->spec->id,
        .batch = task->spec->batch,
        .state = TASK_RUNNING,
        .attempt = task->spec->attempts + 1,
        .worker = task->worker_number,
        .start_usec = start_usec,
    };
    NOTIFY(manager, task_changed, &change);
}

void manager_tasks_started(Manager *manager, Worker *worker, const HeldReport *held, size_t n)
{
    g_autoptr(GArray) started = g_array_new(FALSE, FALSE, sizeof(Assignment));

    for (size_t i = 0; i < n; i++) {
        ActiveTask *task = find_assignment(manager, worker, held[i].task, held[i].fence);
        if (!task || task->start_usec > 0 || held[i].start_usec == 0)
            continue;
        mark_started(manager, task, held[i].start_usec);
        Assignment assignment = { held[i].task, held[i].fence, worker->number, held[i].start_usec };
        g_array_append_val(started, assignment);
    }
    if (started->len == 0)
        return;
    manager->ports.store->started(manager->ports.store, (Assignment *) started->data, started->len);
    NOTIFY(manager, worker_changed, worker);
    manager_keep_frozen(manager, worker);
    if (manager->n_relative > 0)
        manager_rearm(manager);
}

/* ---- a worker has come back */

static void cancel_strangers(Manager *manager, Worker *worker, const HeldReport *held, size_t n)
{
    g_autoptr(GArray) unwanted = g_array_new(FALSE, FALSE, sizeof(uint64_t));

    for (size_t i = 0; i < n; i++) {
        const ActiveTask *task = find_assignment(manager, worker, held[i].task, held[i].fence);
        if (!task || task->cancelled)
            g_array_append_val(unwanted, held[i].task);
    }
    if (unwanted->len > 0)
        manager->ports.link->stop(manager->ports.link, worker->number, (uint64_t *) unwanted->data,
                                  unwanted->len, OUTCOME_ABORTED);
}

/* What we think it holds and it does not never reached it, or was lost with an earlier life of its program. */
static void settle_missing(Settling *settling, Worker *worker, const HeldReport *held, size_t n)
{
    g_autoptr(GHashTable) known = g_hash_table_new(g_int64_hash, g_int64_equal);
    g_autoptr(GList) tasks = g_hash_table_get_values(worker->tasks);

    for (size_t i = 0; i < n; i++)
        g_hash_table_add(known, (gpointer) &held[i].task);
    for (GList *l = tasks; l; l = l->next) {
        ActiveTask *task = l->data;
        if (g_hash_table_contains(known, &task->spec->id))
            continue;
        TaskResult result = { .outcome = OUTCOME_LOST,
                              .start_usec = task->start_usec,
                              .end_usec = manager_realtime(settling->manager),
                              .memory_peak_bytes = MEMORY_UNKNOWN };
        settle(settling, task, &result, task->start_usec > 0);
    }
}

void manager_settle_reports(Manager *manager, Worker *worker, const HeldReport *held, size_t n_held,
                            TaskResult *results, size_t n_results, StoreDone done, void *userdata)
{
    Settling *settling = settling_new(manager, done, userdata);

    cancel_strangers(manager, worker, held, n_held);
    settle_results(settling, worker, results, n_results);
    settle_missing(settling, worker, held, n_held);
    manager_tasks_started(manager, worker, held, n_held);
    settling_submit(settling);
    manager_throttle_returned(manager, worker);
    manager_freeze_returned(manager, worker);
    manager_drain_if_empty(manager, worker);
    dispatch(manager);
    manager_rescale(manager); /* it may be the last that was waited for */
}

/* The worker of the task is not there any more, only its results are. */
void manager_adopt_task(Manager *manager, HeldTask *held)
{
    Worker *worker = manager_find_worker(manager, held->worker);

    if (!worker) {
        Assignment unknown = { held->spec->id, held->spec->fence, held->worker, 0 };
        Settlement settlement = { .result = { .task = unknown.task, .fence = unknown.fence },
                                  .next = TASK_QUEUED,
                                  .attempts = held->spec->attempts,
                                  .lost = held->spec->lost,
                                  .spent = held->spec->spent,
                                  .worker = held->worker };
        manager->ports.store->settle(manager->ports.store, &settlement, 1, NULL, NULL);
        return;
    }
    ActiveTask *task = active_task_new(g_steal_pointer(&held->spec), worker);
    task->start_usec = held->start_usec;
    task->cancelled = held->cancelled;
    if (held->start_usec > 0)
        active_task_set_state(task, TASK_RUNNING);
    task->started_monotonic_usec = manager_now(manager); /* it is given the benefit of the doubt */
    manager->n_relative += task->spec->context->policy.timeout_percent > 0;
    g_hash_table_insert(manager->active, &task->spec->id, task);
}

void manager_fail_queued(Manager *manager, TaskSpec *spec, const char *reason)
{
    Settlement settlement = {
        .result = { .task = spec->id, .fence = spec->fence, .memory_peak_bytes = MEMORY_UNKNOWN },
        .next = TASK_FAILED,
        .attempts = spec->attempts,
        .lost = spec->lost,
        .spent = spec->spent,
        .reason = g_strdup(reason),
    };
    TaskChange change = {
        .task = spec->id, .batch = spec->batch, .state = TASK_FAILED, .attempt = spec->attempts
    };

    manager->ports.store->settle(manager->ports.store, &settlement, 1, NULL, NULL);
    NOTIFY(manager, task_changed, &change);
    task_spec_free(spec);
}

/* ---- cancelling */

typedef struct Cancelling {
    Manager *manager;
    ManagerCancelled done;
    void *userdata;
} Cancelling;

#define ANNOUNCED_MAX 1000U /* cancelled tasks told one by one; of more, their batches tell */

static uint64_t forget_range(Manager *manager, const IdRange *range, uint64_t announced)
{
    manager_forget_range(manager, range);
    for (uint64_t id = range->first; id <= range->last && announced < ANNOUNCED_MAX; id++, announced++) {
        TaskChange change = { .task = id, .batch = range->batch, .state = TASK_CANCELLED };
        g_hash_table_remove(manager->fds, &id);
        NOTIFY(manager, task_changed, &change);
    }
    return announced;
}

void manager_stop_tasks(Manager *manager, const GArray *ids_to_stop, Outcome outcome)
{
    g_autoptr(GHashTable) by_worker = active_tasks_by_worker_new();
    GHashTableIter iter;
    gpointer number, ids;

    for (guint i = 0; i < ids_to_stop->len; i++) {
        uint64_t id = g_array_index(ids_to_stop, uint64_t, i);
        const ActiveTask *task = g_hash_table_lookup(manager->active, &id);
        if (!task || !task->worker)
            continue;
        active_tasks_by_worker_add(by_worker, task);
    }
    g_hash_table_iter_init(&iter, by_worker);
    while (g_hash_table_iter_next(&iter, &number, &ids)) {
        const GArray *list = ids;
        manager->ports.link->stop(manager->ports.link, GPOINTER_TO_UINT(number), (uint64_t *) list->data,
                                  list->len, outcome);
    }
}

static void cancel_held(Manager *manager, const GArray *held)
{
    for (guint i = 0; i < held->len; i++) {
        ActiveTask *task = g_hash_table_lookup(manager->active, &g_array_index(held, uint64_t, i));
        if (task && task->worker)
            task->cancelled = true;
    }
    manager_stop_tasks(manager, held, OUTCOME_ABORTED);
}

/* What was handed out between the question and the answer: stored as cancelled, but with a worker. */
static void cancel_overtaken(Manager *manager, const IdRange *range)
{
    g_autoptr(GArray) overtaken = manager_active_in_range(manager, range);

    cancel_held(manager, overtaken);
}

static void on_cancelled(int r, GArray *cancelled, GArray *held, void *userdata)
{
    g_autofree Cancelling *cancelling = userdata;
    uint64_t count = 0, announced = 0;

    for (guint i = 0; r >= 0 && i < cancelled->len; i++) {
        const IdRange *range = &g_array_index(cancelled, IdRange, i);
        count += range->last - range->first + 1;
        cancel_overtaken(cancelling->manager, range);
        announced = forget_range(cancelling->manager, range, announced);
    }
    if (r >= 0) {
        count += held->len;
        cancel_held(cancelling->manager, held);
    }
    cancelling->done(r, count, cancelling->userdata);
    dispatch(cancelling->manager);
}

void manager_cancel(Manager *manager, TaskFilter *filter, uint32_t only_uid, ManagerCancelled done,
                    void *userdata)
{
    Cancelling *cancelling = g_new(Cancelling, 1);

    *cancelling = (Cancelling){ manager, done, userdata };
    manager->ports.store->cancel(manager->ports.store, filter, only_uid, manager_realtime(manager),
                                 on_cancelled, cancelling);
}

GArray *manager_active_in_range(Manager *manager, const IdRange *range)
{
    GArray *ids = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    GHashTableIter iter;
    gpointer key;

    g_hash_table_iter_init(&iter, manager->active);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        uint64_t id = *(uint64_t *) key;
        if (id >= range->first && id <= range->last)
            g_array_append_val(ids, id);
    }
    return ids;
}

GArray *manager_active_tasks(Manager *manager)
{
    return manager_active_in_range(manager, &(IdRange){ .first = 1, .last = UINT64_MAX });
}

void manager_complete_row(Manager *manager, TaskRow *row)
{
    const ActiveTask *task = manager_find_active(manager, row->spec->id);

    if (!task || row->state != TASK_RUNNING)
        return;
    row->frozen = task->frozen;
    row->spec->memory_max_bytes = task->spec->memory_max_bytes;
}

ActiveTask *manager_find_active(Manager *manager, uint64_t task)
{
    return g_hash_table_lookup(manager->active, &task);
}
