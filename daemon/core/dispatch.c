/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who gets what: gives the tasks at the head of the queue to the workers, a few ahead of need while tasks are short, and
 * takes back what was handed out too early. Runs after every event that frees a slot or fills the queue; what one round
 * hands out goes to the store in one call and to each worker in one message. */
#include "core/fitting.h"
#include "core/manager-internal.h"
#include "policy/ahead.h"

#define ANY_PRIORITY INT64_MAX

/* A task has to wait for room: a worker takes no others that need any until that one fits, so that smaller ones that
 * come after it do not have its room for ever. The other workers go on. */
typedef struct Kept {
    const TaskWindow *window;
    const Worker *worker;
    uint64_t task;
    int32_t priority;
} Kept;

/* What one round hands out. */
typedef struct Round {
    Manager *manager;
    GHashTable *by_worker; /* Worker* → GPtrArray of TaskSpec* (owned by the active tasks) */
    GArray *assignments;   /* Assignment */
    GArray *kept;          /* Kept */
} Round;

/* ---- handing out */

static bool claim_fds(Manager *manager, TaskSpec *spec)
{
    gpointer key, fds;

    if (!spec->has_fds)
        return true;
    if (!g_hash_table_steal_extended(manager->fds, &spec->id, &key, &fds))
        return false;
    g_free(key);
    spec->fds = fds;
    return true;
}

static bool is_kept(const Round *round, const Worker *worker)
{
    for (guint i = 0; i < round->kept->len; i++)
        if (g_array_index(round->kept, Kept, i).worker == worker)
            return true;
    return false;
}

/* It does not fit now, and keeps this worker, unless it keeps one already, or another does that comes before it. */
static void wait_for_room(Round *round, const Worker *worker, const TaskWindow *window, const TaskSpec *spec)
{
    for (guint i = 0; i < round->kept->len; i++) {
        const Kept *kept = &g_array_index(round->kept, Kept, i);
        bool before = kept->priority > spec->priority || (kept->priority == spec->priority && kept->task < spec->id);
        if (kept->task == spec->id || (kept->window == window && before))
            return;
    }
    if (fitting_fits_elsewhere(round->manager, worker, spec))
        return;
    Kept kept = { window, worker, spec->id, spec->priority };
    g_array_append_val(round->kept, kept);
}

/* What says nothing of what it takes does not wait behind what waits for room, but leaves it a slot. */
static bool has_spare_slot(const Worker *worker)
{
    return g_hash_table_size(worker->tasks) + 1 < worker->spec->slots;
}

#define KINDS_MAX 32U     /* so many kinds of tasks that do not fit are looked at, for one that does */
#define COMPARED_MAX 256U /* and so many that are too large for this worker, which costs less */

/* What has come of looking at the queue for one worker: tasks that ask for the same are judged once. */
typedef struct Kind {
    const TaskSpec *spec; /* the first of them */
    FitVerdict verdict;
} Kind;

typedef struct Look {
    Kind kinds[KINDS_MAX];
    unsigned n, n_compared;
    const TaskSpec *too_large; /* the latest */
} Look;

/* More than this worker has is passed over, however many there are: what comes after it may fit. True: it is. */
static bool pass_over(Round *round, const Worker *worker, const TaskSpec *spec, Look *look)
{
    if (look->too_large && fitting_is_alike(look->too_large, spec))
        return true;
    if (look->n == KINDS_MAX || look->n_compared == COMPARED_MAX) /* it is not looked at closely either way */
        return true;
    look->n_compared++;
    if (!fitting_is_too_large(round->manager, worker, spec))
        return false;
    look->too_large = spec;
    return true;
}

/* NULL: there have been enough. */
static const Kind *judge(Round *round, const Worker *worker, const TaskSpec *spec, Look *look)
{
    for (unsigned i = look->n; i > 0; i--)
        if (fitting_is_alike(look->kinds[i - 1].spec, spec))
            return &look->kinds[i - 1];
    if (look->n == KINDS_MAX)
        return NULL;
    Kind *kind = &look->kinds[look->n++];
    *kind = (Kind){ spec, fitting_judge(round->manager, worker, spec, NULL) };
    return kind;
}

/* The first of the queue that this worker has room for. ahead: that needs no room of its own. */
static const TaskSpec *choose(Round *round, const Worker *worker, TaskWindow *window, bool ahead)
{
    bool kept = is_kept(round, worker);
    Look look = { .n = 0 };

    for (const TaskSpec *next, *spec = task_window_first(window); spec; spec = next) {
        next = task_window_next(window, spec);
        if (kept && !has_spare_slot(worker))
            return NULL;
        if (!fitting_is_demanding(spec))
            return spec;
        if (ahead)
            return NULL;
        if (kept)
            continue;
        if (pass_over(round, worker, spec, &look))
            continue;
        const Kind *kind = judge(round, worker, spec, &look);
        if (!kind)
            continue;
        if (kind->verdict == FITS)
            return spec;
        if (kind->verdict == FITS_LATER && kind->spec == spec) {
            wait_for_room(round, worker, window, spec);
            kept = is_kept(round, worker);
        }
    }
    if (look.too_large && !kept)
        windows_narrow(round->manager, worker);
    return NULL;
}

static TaskSpec *next_task(Round *round, const Worker *worker, bool ahead)
{
    Manager *manager = round->manager;
    TaskWindow *window = windows_find(manager, worker);
    const TaskSpec *chosen;

    if (ahead && is_kept(round, worker))
        return NULL;
    while ((chosen = choose(round, worker, window, ahead))) {
        TaskSpec *spec = task_window_take(window, chosen);
        windows_remove(manager, spec->id);
        if (claim_fds(manager, spec))
            return spec;
        manager_fail_queued(
            manager, spec, "the file descriptors it was submitted with were lost when the service restarted");
    }
    return NULL;
}

static bool hand_out(Round *round, Worker *worker, bool ahead)
{
    TaskSpec *spec = next_task(round, worker, ahead);
    GPtrArray *list = g_hash_table_lookup(round->by_worker, worker);

    if (!spec)
        return false;
    spec->fence++;
    fitting_hand_out(round->manager, worker, spec);
    ActiveTask *task = active_task_new(spec, worker);
    g_hash_table_insert(round->manager->active, &spec->id, task);
    Assignment assignment = { spec->id, spec->fence, worker->number, 0 };
    g_array_append_val(round->assignments, assignment);
    round->manager->n_relative += spec->context->policy.timeout_percent > 0;
    if (spec->has_inputs) { /* it goes when they are here */
        hand_over_later(round->manager, task);
        return true;
    }
    if (!list) {
        list = g_ptr_array_new();
        g_hash_table_insert(round->by_worker, worker, list);
    }
    g_ptr_array_add(list, spec);
    return true;
}

/* One task for each free slot, the workers in turn, so that a few tasks spread over all of them. */
static void fill_slots_of(Round *round, bool private)
{
    const GPtrArray *workers = round->manager->workers;
    bool progress = true;

    while (progress) {
        progress = false;
        for (guint i = 0; i < workers->len; i++) {
            Worker *worker = workers->pdata[i];
            if (worker_is_ready(worker) && (worker->spec->user != UID_ANYBODY) == private &&
                g_hash_table_size(worker->tasks) < worker->spec->slots)
                progress |= hand_out(round, worker, false);
        }
    }
}

/* Who has workers of one's own uses them first, and leaves the others to others. */
static void fill_slots(Round *round)
{
    fill_slots_of(round, true);
    fill_slots_of(round, false);
}

static size_t n_ready(Manager *manager)
{
    size_t n = 0;

    for (guint i = 0; i < manager->workers->len; i++)
        n += worker_is_ready(manager->workers->pdata[i]);
    return n;
}

static void fill_ahead(Round *round)
{
    Manager *manager = round->manager;
    const Profile *profile = manager_active_profile(manager);
    size_t ready = n_ready(manager), most = profile && profile->ahead > 0 ? profile->ahead : SIZE_MAX;

    for (guint i = 0; i < manager->workers->len; i++) {
        Worker *worker = manager->workers->pdata[i];
        if (!worker_is_ready(worker))
            continue;
        size_t queued = task_window_size(windows_find(manager, worker));
        size_t target = MIN(most, ahead_target(worker->spec->slots, worker->mean_usec, queued, ready));
        size_t ahead = worker_n_ahead(worker);
        if (ahead > target / 2) /* topped up in gulps, not one by one */
            continue;
        while (ahead++ < target && hand_out(round, worker, true))
            ;
    }
}

static void send_round(Round *round)
{
    Manager *manager = round->manager;
    GHashTableIter iter;
    gpointer worker, list;

    if (round->assignments->len > 0)
        manager->ports.store->assign(manager->ports.store, (Assignment *) round->assignments->data,
                                     round->assignments->len);
    g_hash_table_iter_init(&iter, round->by_worker);
    while (g_hash_table_iter_next(&iter, &worker, &list)) {
        const GPtrArray *tasks = list;
        manager->ports.link->run(manager->ports.link, ((Worker *) worker)->number,
                                 (TaskSpec *const *) tasks->pdata, tasks->len);
        for (guint i = 0; i < tasks->len; i++) { /* the worker has its own copies of the descriptors now */
            TaskSpec *spec = tasks->pdata[i];
            spec->fds = task_fds_free(spec->fds);
        }
    }
}

/* ---- taking back */

static void recall(Manager *manager, Worker *worker, size_t most, int64_t below_priority)
{
    g_autoptr(GArray) ids = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, worker->tasks);
    while (ids->len < most && g_hash_table_iter_next(&iter, NULL, &value)) {
        ActiveTask *task = value;
        if (task->start_usec > 0 || task->recalled || task->cancelled || task->spec->has_fds ||
            task->spec->priority >= below_priority)
            continue;
        task->recalled = true;
        g_array_append_val(ids, task->spec->id);
    }
    if (ids->len > 0)
        manager->ports.link->recall(manager->ports.link, worker->number, (uint64_t *) ids->data, ids->len);
}

void dispatch_recall_all(Manager *manager, Worker *worker)
{
    if (worker->connected)
        recall(manager, worker, SIZE_MAX, ANY_PRIORITY);
}

/* Ahead, and not asked for already. */
static size_t n_recallable(const Worker *worker)
{
    size_t ahead = worker_n_ahead(worker), recalled = 0;
    GHashTableIter iter;
    gpointer task;

    g_hash_table_iter_init(&iter, worker->tasks);
    while (ahead > 0 && g_hash_table_iter_next(&iter, NULL, &task))
        recalled += ((ActiveTask *) task)->recalled;
    return ahead > recalled ? ahead - recalled : 0;
}

/* The queue is empty, a slot idles, and another worker has tasks ahead: it gives half of them back. */
static void rebalance(Manager *manager)
{
    Worker *richest = NULL;
    bool idle = false;

    for (guint i = 0; i < manager->workers->len; i++) {
        Worker *worker = manager->workers->pdata[i];
        if (!worker_is_ready(worker) || task_window_size(windows_find(manager, worker)) > 0)
            continue;
        idle |= g_hash_table_size(worker->tasks) < worker->spec->slots;
        if (n_recallable(worker) > 1 && (!richest || n_recallable(worker) > n_recallable(richest)))
            richest = worker;
    }
    if (idle && richest)
        recall(manager, richest, n_recallable(richest) / 2, ANY_PRIORITY);
}

/* Something more urgent waits than what was handed out ahead. */
static void recall_less_urgent(Manager *manager)
{
    for (guint i = 0; i < manager->workers->len; i++) {
        Worker *worker = manager->workers->pdata[i];
        const TaskSpec *first = task_window_first(windows_find(manager, worker));
        if (first && worker_is_ready(worker) && worker_n_ahead(worker) > 0)
            recall(manager, worker, SIZE_MAX, first->priority);
    }
}

void dispatch(Manager *manager)
{
    Round round = { .manager = manager };

    if (!manager->enabled || manager_is_recovering(manager) || !manager_claims(manager))
        return;
    round.by_worker = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify) g_ptr_array_unref);
    round.assignments = g_array_new(FALSE, FALSE, sizeof(Assignment));
    round.kept = g_array_new(FALSE, FALSE, sizeof(Kept));
    parking_judge(manager);
    windows_tidy(manager);
    fill_slots(&round);
    fill_ahead(&round);
    send_round(&round);
    rebalance(manager);
    recall_less_urgent(manager);
    g_hash_table_unref(round.by_worker);
    g_array_unref(round.assignments);
    g_array_unref(round.kept);
    windows_load(manager);
}
