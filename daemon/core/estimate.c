/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How long what there is to do will take, by what such tasks took before: those that run by what is left of them, those that
 * wait like the first of them, shared among the slots. An estimate: what is not known takes as long as the others do. */
#include "core/manager-internal.h"

#define SAMPLE_MAX 256U /* of those that wait */

typedef struct Mean {
    double sum;
    uint64_t n;
} Mean;

typedef struct Estimate {
    Manager *manager;
    Mean running, waiting; /* how long such take, of those of which it is known */
    double left;           /* of those that run */
    uint64_t n_running, longest_usec;
} Estimate;

/* 0: not known. */
static uint64_t add(Estimate *estimate, Mean *mean, const TaskSpec *spec)
{
    uint64_t median = manager_learned_time(estimate->manager, spec);

    mean->sum += (double) median;
    mean->n += median > 0;
    return median;
}

static void add_running(Estimate *estimate, const ActiveTask *task, uint64_t now)
{
    uint64_t median = add(estimate, &estimate->running, task->spec), spent = 0, left;

    estimate->n_running++;
    if (median == 0)
        return;
    if (task->start_usec > 0 && now > task->started_monotonic_usec)
        spent = now - task->started_monotonic_usec;
    left = median > spent ? median - spent : 0;
    estimate->left += (double) left;
    estimate->longest_usec = MAX(estimate->longest_usec, left);
}

static void add_waiting(Estimate *estimate, const TaskWindow *window)
{
    unsigned n = 0;

    for (const TaskSpec *spec = task_window_first(window); spec && n < SAMPLE_MAX; spec = task_window_next(window, spec), n++)
        (void) add(estimate, &estimate->waiting, spec);
}

static uint64_t count_slots(Manager *manager)
{
    uint64_t n = 0;

    for (guint i = 0; i < manager->workers->len; i++) {
        const Worker *worker = manager->workers->pdata[i];
        if (worker_is_ready(worker))
            n += worker->spec->slots;
    }
    return n;
}

/* What waits, and what runs and is not in "active" any more: its end is being written. */
static uint64_t count_waiting(const Manager *manager, const Estimate *estimate)
{
    uint64_t all = manager_queue_length(manager) + manager_n_running(manager);

    return all > estimate->n_running ? all - estimate->n_running : 0;
}

/* One of them is known of. */
static double mean_of(const Mean *mean, const Mean *other)
{
    return mean->n > 0 ? mean->sum / (double) mean->n : other->sum / (double) other->n;
}

uint64_t manager_time_left(Manager *manager)
{
    Estimate estimate = { .manager = manager };
    uint64_t slots = count_slots(manager), now = manager_now(manager);
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, manager->active);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        add_running(&estimate, value, now);
    add_waiting(&estimate, manager->windows->pdata[0]);
    if (slots == 0 || estimate.running.n + estimate.waiting.n == 0 || !manager->enabled)
        return UINT64_MAX;
    double unknown = (double) (estimate.n_running - estimate.running.n) * mean_of(&estimate.running, &estimate.waiting),
           waiting = (double) count_waiting(manager, &estimate) * mean_of(&estimate.waiting, &estimate.running),
           all = (estimate.left + unknown + waiting) / (double) slots;
    return MAX((uint64_t) MIN(all, 1e18), estimate.longest_usec);
}
