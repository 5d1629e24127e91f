/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is done to workers and tasks when the machine is under pressure; policy/pressure-ladder says when. Each rung includes
 * those below it, and everything is undone on the way down, but for what was sent back to the queue or killed. */
#include <inttypes.h>

#include "core/manager-internal.h"
#include "util/parse-util.h"

#define THROTTLE_LEAST_BYTES (UINT64_C(64) << 20) /* a worker that is held at less only thrashes */

PressureRung manager_pressure_rung(const Manager *manager)
{
    return manager->ladder.rung;
}

bool manager_claims(const Manager *manager)
{
    return manager->ladder.rung == RUNG_CALM;
}

/* ---- the rungs */

/* For the journal: to whom something is done. */
static void note_task(Manager *manager, const ActiveTask *task, const char *what)
{
    g_autofree char *note =
        g_strdup_printf("Pressure: task %" PRIu64 " of w%u %s", task->spec->id, task->worker_number, what);

    NOTIFY(manager, noted, note);
}

static void note_throttle(Manager *manager, const Worker *worker, bool on)
{
    g_autofree char *high = format_bytes(MIN(worker->throttle_bytes, worker->spec->limits.memory_high_bytes));
    g_autofree char *note = on ? g_strdup_printf("Pressure: %s is to keep to %s of memory", worker->id, high)
                               : g_strdup_printf("Pressure: %s is throttled no more", worker->id);

    NOTIFY(manager, noted, note);
}

/* sure: it is known whether it was throttled before. */
static void throttle(Manager *manager, Worker *worker, bool on, bool sure)
{
    EngineUsage usage;

    if (worker->throttled == on || !worker_state_is_live(worker->state) || worker->limiting.done)
        return;
    if (on) {
        manager_worker_usage(manager, worker, &usage);
        if (usage.memory_bytes == UINT64_MAX)
            return;
        worker->throttle_bytes = MAX(usage.memory_bytes, THROTTLE_LEAST_BYTES);
    }
    worker->throttled = on;
    if (on || sure)
        note_throttle(manager, worker, on);
    manager_put_in_force(manager, worker);
}

void manager_throttle_follow(Manager *manager, Worker *worker)
{
    throttle(manager, worker, manager->ladder.rung >= RUNG_THROTTLE, true);
}

void manager_throttle_returned(Manager *manager, Worker *worker)
{
    bool sure = worker->throttled;

    worker->throttled |= worker->unsure; /* an earlier daemon may have done it */
    throttle(manager, worker, manager->ladder.rung >= RUNG_THROTTLE, sure);
}

static void throttle_all(Manager *manager, bool on)
{
    for (guint i = 0; i < manager->workers->len; i++)
        throttle(manager, manager->workers->pdata[i], on, true);
}

/* Of the lowest priority the one that has run for the shortest time: least is lost with it. */
static bool goes_before(const ActiveTask *a, const ActiveTask *b)
{
    if (a->spec->priority != b->spec->priority)
        return a->spec->priority < b->spec->priority;
    return a->start_usec != b->start_usec ? a->start_usec > b->start_usec : a->spec->id > b->spec->id;
}

/* Not one that is about to end, or that nobody can be told of. */
static bool is_at_hand(const ActiveTask *task)
{
    return task->start_usec > 0 && !task->settling && task->worker && task->worker->connected && !task->cancelled &&
           !task->timed_out && task->pressed == PRESSED_NOT_YET;
}

static ActiveTask *pick(Manager *manager, bool frozen, Pressed how)
{
    ActiveTask *best = NULL;
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, manager->active);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        ActiveTask *task = value;
        if (!is_at_hand(task) || (how == PRESSED_BACK && task->spec->has_fds)) /* such cannot run twice */
            continue;
        if (task->frozen_by_pressure != frozen || (!frozen && task->frozen))
            continue;
        if (!best || goes_before(task, best))
            best = task;
    }
    return best;
}

/* Whom this rung turns to next; NULL: it finds nobody. */
static ActiveTask *next_task(Manager *manager, PressureRung rung)
{
    if (rung == RUNG_FREEZE)
        return pick(manager, false, PRESSED_NOT_YET);
    Pressed how = rung == RUNG_REQUEUE ? PRESSED_BACK : PRESSED_OUT;
    ActiveTask *frozen = pick(manager, true, how);
    return frozen ? frozen : pick(manager, false, how);
}

static void freeze_one(Manager *manager)
{
    g_autoptr(GArray) list = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    ActiveTask *task = next_task(manager, RUNG_FREEZE);

    if (!task)
        return;
    task->frozen_by_pressure = true;
    note_task(manager, task, "is to stand still");
    g_array_append_val(list, task->spec->id);
    manager_freeze_list(manager, list, true);
}

static void thaw_all(Manager *manager)
{
    g_autoptr(GArray) list = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, manager->active);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        ActiveTask *task = value;
        if (!task->frozen_by_pressure)
            continue;
        if (task->worker && !task->worker->connected) { /* manager_freeze_returned() */
            if (!task->worker->unsure)
                note_task(manager, task, "may go on when its worker is connected again");
            task->worker->unsure = true;
            continue;
        }
        task->frozen_by_pressure = false;
        if (task->worker && task->worker->frozen)
            continue;
        note_task(manager, task, "may go on");
        g_array_append_val(list, task->spec->id);
    }
    manager_freeze_list(manager, list, false);
}

static void end_one(Manager *manager, PressureRung rung)
{
    g_autoptr(GArray) list = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    ActiveTask *task = next_task(manager, rung);

    if (!task)
        return;
    task->pressed = rung == RUNG_REQUEUE ? PRESSED_BACK : PRESSED_OUT;
    note_task(manager, task, rung == RUNG_REQUEUE ? "is to go back to the queue" : "is to be killed");
    g_array_append_val(list, task->spec->id);
    manager_stop_tasks(manager, list, OUTCOME_ABORTED);
}

/* ---- steps */

static void climb(Manager *manager, PressureRung rung)
{
    switch (rung) {
    case RUNG_CALM:
        break;
    case RUNG_CLOSED:
        for (guint i = 0; i < manager->workers->len; i++)
            dispatch_recall_all(manager, manager->workers->pdata[i]);
        break;
    case RUNG_THROTTLE:
        throttle_all(manager, true);
        break;
    case RUNG_FREEZE:
        freeze_one(manager);
        break;
    case RUNG_REQUEUE:
    case RUNG_KILL:
        end_one(manager, rung);
        break;
    case _RUNG_MAX:
        g_assert_not_reached();
    }
}

static void descend(Manager *manager, PressureRung rung)
{
    if (rung < RUNG_FREEZE)
        thaw_all(manager);
    if (rung < RUNG_THROTTLE)
        throttle_all(manager, false);
    if (rung == RUNG_CALM)
        dispatch(manager);
}

static char *sentence(const PressureFacts *facts)
{
    return g_strdup_printf("in the last 10 s tasks waited %.1f %% of the time for memory, %.1f %% for CPUs, %.1f %% for disks",
                           MAX(facts->memory_percent, 0), MAX(facts->cpu_percent, 0), MAX(facts->io_percent, 0));
}

/* Once more what finds nobody is no news. */
static void tell(Manager *manager, const PressureFacts *facts, bool again)
{
    PressureRung rung = manager->ladder.rung;
    g_autofree char *why = sentence(facts);

    if (!again || next_task(manager, rung))
        NOTIFY(manager, pressure_changed, pressure_rung_to_string(rung), why);
}

static void step(Manager *manager)
{
    PressureRung before = manager->ladder.rung;
    bool again = false;
    HostFacts host;

    manager->ports.host->facts(manager->ports.host, &host);
    const PressureFacts facts = { manager_now(manager), host.memory_pressure_percent, host.cpu_pressure_percent,
                                  host.io_pressure_percent };
    if (pressure_ladder_step(&manager->settings.pressure, &manager->ladder, &facts, &again,
                             &manager->pressure_usec))
        tell(manager, &facts, again);
    if (manager->ladder.rung > before || again)
        climb(manager, manager->ladder.rung);
    else if (manager->ladder.rung < before)
        descend(manager, manager->ladder.rung);
    manager_rearm(manager);
}

void manager_pressure(Manager *manager, PressureKind kind)
{
    step(manager);
}

void manager_tick_pressure(Manager *manager, uint64_t now)
{
    if (manager->pressure_usec <= now)
        step(manager);
}
