/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Why a task does not run: what the store has found, and what it has to do with workers. */
#include "core/fitting.h"
#include "core/manager-internal.h"

typedef struct Explaining {
    Manager *manager;
    StoreExplained done;
    void *userdata;
} Explaining;

typedef struct WorkerFacts {
    unsigned fitting, ready, slots, busy;
} WorkerFacts;

static WorkerFacts count_workers(Manager *manager, const TaskSpec *spec)
{
    WorkerFacts facts = { 0 };

    for (guint i = 0; i < manager->workers->len; i++) {
        const Worker *worker = manager->workers->pdata[i];
        if (!worker_state_is_live(worker->state) || !fitting_may_run(worker, spec))
            continue;
        facts.fitting++;
        if (!worker_is_ready(worker))
            continue;
        facts.ready++;
        facts.slots += worker->spec->slots;
        facts.busy += MIN(g_hash_table_size(worker->tasks), worker->spec->slots);
    }
    return facts;
}

static char *none_ready(const WorkerFacts *facts)
{
    if (facts->fitting == 1)
        return g_strdup("the one worker that may run it takes no tasks now: it starts, drains, stands still (parctl thaw "
                        "lets it go on) or is not connected");
    return g_strdup_printf("none of the %u workers that may run it takes tasks now: they start, drain, stand "
                           "still (parctl thaw lets them go on) or are not connected",
                           facts->fitting);
}

static char *none_free(const WorkerFacts *facts)
{
    g_autofree char *taken =
        facts->slots == 1 ? g_strdup("the one slot that there is for it is taken")
                          : g_strdup_printf("all %u slots of %u worker%s are taken", facts->slots, facts->ready,
                                            facts->ready == 1 ? "" : "s");

    return g_strdup_printf("%s; it starts when one falls free, parctl add-worker adds more", taken);
}

static void explain_workers(Manager *manager, const TaskSpec *spec, GPtrArray *conditions)
{
    WorkerFacts facts = count_workers(manager, spec);

    if (facts.fitting == 0 && spec->class)
        conditions_add(
            conditions, "class",
            g_strdup_printf("no worker does tasks of class %s; parctl add-worker --worker-class %s "
                            "--exec PROGRAM adds one",
                            spec->class, spec->class));
    else if (facts.fitting == 0)
        conditions_add(conditions, "workers",
                       g_strdup_printf("there is no worker for it; parctl add-worker adds one"));
    else if (facts.ready == 0)
        conditions_add(conditions, "workers", none_ready(&facts));
    else if (facts.busy >= facts.slots)
        conditions_add(conditions, "workers", none_free(&facts));
}

/* Put aside: as the store does not know why. */
static void explain_hopeless(Manager *manager, const TaskSpec *spec, GPtrArray *conditions)
{
    g_autofree char *why = NULL;

    if (fitting_is_hopeless(manager, spec, &why))
        conditions_add(conditions, "room",
                       g_strdup_printf("it fits no worker: %s; parctl add-worker adds a larger one, parctl set changes "
                                       "the task or a worker",
                                       why));
    else
        conditions_add(conditions, "room", g_strdup("it fitted no worker and waits for one that it fits"));
}

/* With a worker that has a free slot: what it lacks. */
static void explain_room(Manager *manager, const TaskSpec *spec, GPtrArray *conditions)
{
    if (fitting_is_hopeless(manager, spec, NULL)) {
        explain_hopeless(manager, spec, conditions);
        return;
    }
    for (guint i = 0; i < manager->workers->len; i++) {
        const Worker *worker = manager->workers->pdata[i];
        g_autofree char *why = NULL;
        if (!worker_is_ready(worker) || !fitting_may_run(worker, spec) ||
            g_hash_table_size(worker->tasks) >= worker->spec->slots ||
            fitting_judge(manager, worker, spec, &why) != FITS_LATER)
            continue;
        conditions_add(conditions, "room", g_strdup_printf("worker %s: %s", worker->id, why));
        return;
    }
}

static void explain_handed_out(Manager *manager, const TaskRow *row, GPtrArray *conditions)
{
    const ActiveTask *task = manager_find_active(manager, row->spec->id);

    if (!task || !task->worker)
        return;
    conditions_add(
        conditions, "workers",
        g_strdup_printf("worker %s has it and starts it when what runs there has ended", task->worker->id));
}

/* It runs, but stands still. */
static void explain_frozen(Manager *manager, uint64_t id, GPtrArray *conditions)
{
    const ActiveTask *task = manager_find_active(manager, id);

    if (!task || !task->worker)
        return;
    if (task->worker->frozen)
        conditions_add(conditions, "frozen",
                       g_strdup_printf("it stands still, since worker %s does; parctl thaw %s ends that", task->worker->id,
                                       task->worker->id));
    else if (task->frozen_by_pressure)
        conditions_add(conditions, "frozen",
                       g_strdup("it stands still, since the machine is under pressure, and goes on when that ends"));
    else if (task->frozen)
        conditions_add(conditions, "frozen",
                       g_strdup_printf("it stands still; parctl thaw %" G_GUINT64_FORMAT " lets it go on", id));
}

static void on_explained(int r, TaskRow *row, GPtrArray *conditions, void *userdata)
{
    g_autofree Explaining *explaining = userdata;
    Manager *manager = explaining->manager;

    if (r >= 0 && row->state == TASK_QUEUED) {
        if (!manager->enabled)
            conditions_add(conditions, "disabled",
                           g_strdup("the queue is disabled: nothing new starts; parctl enable ends that"));
        if (manager_is_recovering(manager))
            conditions_add(conditions, "recovering",
                           g_strdup("the service has just started and waits up to 3 s for its workers"));
        if (manager_find_active(manager, row->spec->id))
            explain_handed_out(manager, row, conditions);
        else
            explain_workers(manager, row->spec, conditions);
        if (!manager_claims(manager))
            conditions_add(conditions, "pressure",
                           g_strdup("the machine is under pressure: nothing new starts until that ends"));
        if (!manager_find_active(manager, row->spec->id) && fitting_is_demanding(row->spec))
            explain_room(manager, row->spec, conditions);
    }
    if (r >= 0 && row->state == TASK_RUNNING)
        explain_frozen(manager, row->spec->id, conditions);
    if (r >= 0 && row->state == TASK_BLOCKED && conditions->len == 0)
        explain_hopeless(manager, row->spec, conditions);
    if (r >= 0 && row->state == TASK_SKIPPED && row->reason)
        conditions_add(conditions, "dependency", g_strdup(row->reason));
    explaining->done(r, row, conditions, explaining->userdata);
}

void manager_explain(Manager *manager, uint64_t task, StoreExplained done, void *userdata)
{
    Explaining *explaining = g_new(Explaining, 1);

    *explaining = (Explaining){ manager, done, userdata };
    manager->ports.store->explain(manager->ports.store, task, on_explained, explaining);
}
