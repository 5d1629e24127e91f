/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How many workers there are to be: a target that somebody set, a profile's (scale-wish.c), or one that follows queue and
 * memory (policy/autoscale).
 *
 *   fewer live workers than the target   one is added; after a failure only when a pause is over that doubles each time
 *   more                                 one is drained: an idle one first, those of AddWorker last
 *
 * Looked at after whatever may change it, and at `scale_usec`. */
#include "core/manager-internal.h"
#include "util/parse-util.h"

#define PAUSE_FIRST_USEC USEC_PER_SEC
#define PAUSE_LONGEST_USEC (300 * USEC_PER_SEC)
#define STEADY_USEC (60 * USEC_PER_SEC) /* who lived so long did not fail to start */
#define STEP_USEC (200 * USEC_PER_MSEC) /* between two workers, so that what one takes is seen first */

void scaling_done(Manager *manager)
{
    Scaling *scaling = &manager->scaling;

    g_free(scaling->profile);
    g_free(scaling->configured_profile);
    g_free(scaling->reason);
    g_free(scaling->failure);
    g_free(scaling->shortfall);
    g_free(scaling->shown);
    g_ptr_array_unref(scaling->built_in);
}

/* ---- who counts */

/* The target is about those that run commands of anybody: not programs, not private ones. */
static bool is_of_the_kind(const Worker *worker)
{
    return !worker->spec->exec && worker->spec->user == UID_ANYBODY;
}

/* And not about those that end. */
static bool is_counted(const Worker *worker)
{
    return (worker->state == WORKER_RUNNING || worker->state == WORKER_STARTING) && !worker->aborting &&
           is_of_the_kind(worker);
}

uint32_t scaling_n_counted(const Manager *manager)
{
    uint32_t n = 0;

    for (guint i = 0; i < manager->workers->len; i++)
        n += is_counted(manager->workers->pdata[i]);
    return n;
}

static uint32_t n_running(const Manager *manager)
{
    uint32_t n = 0;

    for (guint i = 0; i < manager->workers->len; i++) {
        const Worker *worker = manager->workers->pdata[i];
        n += is_counted(worker) && worker->state == WORKER_RUNNING;
    }
    return n;
}

uint32_t manager_n_scaled_workers(const Manager *manager)
{
    uint32_t n = 0;

    for (guint i = 0; i < manager->workers->len; i++) {
        const Worker *worker = manager->workers->pdata[i];
        n += worker_state_is_live(worker->state) && is_of_the_kind(worker);
    }
    return n;
}

/* ---- what is said about it */

void scaling_set_reason(Manager *manager, char *reason)
{
    g_free(manager->scaling.reason);
    manager->scaling.reason = reason;
    manager->scaling.refused = false;
}

static void set_refusal(Manager *manager, char *reason)
{
    scaling_set_reason(manager, reason);
    manager->scaling.refused = true;
    g_clear_pointer(&manager->scaling.failure, g_free); /* this is newer */
}

void scaling_forget_failures(Manager *manager)
{
    manager->scaling.failures = 0;
    manager->scaling.failed = 0;
    g_clear_pointer(&manager->scaling.failure, g_free);
}

static void set_failure(Manager *manager, const Worker *worker)
{
    Scaling *scaling = &manager->scaling;
    g_autofree char *row =
        scaling->failures > 1 ? g_strdup_printf(" (%u in a row)", scaling->failures) : g_strdup("");

    g_free(scaling->failure);
    scaling->failure = g_strdup_printf("%s failed%s: %s", worker->id, row, worker->reason);
    scaling->failed = 0;
}

/* Why the latest worker failed, and when another comes; NULL: there are as many as there are to be. */
static char *failure_sentence(Manager *manager)
{
    const Scaling *scaling = &manager->scaling;
    uint32_t n = n_running(manager);
    uint64_t now = manager_now(manager);

    if (!scaling->failure || scaling->target == SCALE_NONE || n >= scaling->target)
        return NULL;
    if (scaling_n_counted(manager) > n)
        return g_strdup_printf("%u of %u workers: %s; another one is being started", n, scaling->target,
                               scaling->failure);
    uint64_t seconds =
        scaling->next_usec > now ? (scaling->next_usec - now + USEC_PER_SEC - 1) / USEC_PER_SEC : 0;
    g_autofree char *pause = format_timespan(MAX(seconds, 1) * USEC_PER_SEC);
    return g_strdup_printf("%u of %u workers: %s; the next attempt comes in %s", n, scaling->target,
                           scaling->failure, pause);
}

const char *manager_scale_reason(Manager *manager)
{
    Scaling *scaling = &manager->scaling;
    g_autofree char *failure = failure_sentence(manager);
    const char *reason = scaling->reason ? scaling->reason : "", *latest = failure ? failure : reason,
               *shortfall = scaling->shortfall ? scaling->shortfall : "";

    g_free(scaling->shown);
    scaling->shown = g_strdup_printf("%s%s%s", shortfall, *shortfall && *latest ? "; " : "", latest);
    return scaling->shown;
}

/* ---- reaching it */

static uint64_t pause_usec(const Scaling *scaling)
{
    uint64_t pause = PAUSE_FIRST_USEC << MIN(scaling->failures - 1, 10U);

    return MIN(pause, PAUSE_LONGEST_USEC);
}

static void note_failure(Manager *manager)
{
    Scaling *scaling = &manager->scaling;

    scaling->failures++;
    scaling->next_usec = usec_add(manager_now(manager), pause_usec(scaling));
}

/* Its reason is not written down yet: note_reason(). */
void manager_scaled_worker_ended(Manager *manager, const Worker *worker, bool failed)
{
    Scaling *scaling = &manager->scaling;

    if (scaling->target == SCALE_NONE || !is_of_the_kind(worker))
        return;
    if (!failed) {
        g_clear_pointer(&scaling->failure, g_free); /* it is missing for another reason than that */
        return;
    }
    if (manager_realtime(manager) > usec_add(worker->added_usec, STEADY_USEC))
        scaling->failures = 0;
    note_failure(manager);
    scaling->failed = worker->number;
}

static void note_reason(Manager *manager)
{
    const Worker *worker =
        manager->scaling.failed > 0 ? manager_find_worker(manager, manager->scaling.failed) : NULL;

    if (worker && worker->reason)
        set_failure(manager, worker);
}

/* -ECANCELED: it has ended, which is told by manager_scaled_worker_ended(). */
static void on_scaled_added(int r, Worker *worker, void *userdata)
{
    Manager *manager = userdata;

    if (r >= 0 || r == -ECANCELED || manager->scaling.target == SCALE_NONE)
        return;
    note_failure(manager);
    set_failure(manager, worker);
}

static void add_one(Manager *manager, uint64_t now)
{
    Scaling *scaling = &manager->scaling;
    WorkerSpec *spec = manager_usual_worker(manager);
    AddVerdict verdict;

    spec->scaled = true;
    scaling->next_usec = usec_add(now, MAX(manager->settings.autoscale.interval_usec, USEC_PER_SEC));
    if (!manager_has_engine(manager, spec->engine)) {
        set_refusal(manager, g_strdup_printf("%u of %u workers: the engine \"%s\" is not to be had here",
                                             scaling_n_counted(manager), scaling->target,
                                             engine_kind_to_string(spec->engine)));
        worker_spec_free(spec);
        return;
    }
    if (manager_add_worker(manager, spec, on_scaled_added, manager, &verdict) < 0) {
        set_refusal(manager, g_strdup_printf("%u of %u workers: %s", scaling_n_counted(manager),
                                             scaling->target, verdict.why));
        add_verdict_done(&verdict);
        return;
    }
    scaling->next_usec = usec_add(now, STEP_USEC);
    if (scaling->refused)
        scaling_set_reason(manager, NULL);
}

/* Draining costs least where nothing runs; what somebody added by hand goes last. */
static int drain_cost(const Worker *worker)
{
    return (worker->spec->scaled ? 0 : 4) + (g_hash_table_size(worker->tasks) > 0 ? 2 : 0) +
           (worker->state == WORKER_STARTING ? 0 : 1);
}

static void drain_one(Manager *manager, uint64_t now)
{
    Worker *best = NULL;

    for (guint i = 0; i < manager->workers->len; i++) {
        Worker *worker = manager->workers->pdata[i];
        if (!is_counted(worker))
            continue;
        if (!best || drain_cost(worker) <= drain_cost(best)) /* the youngest of equals */
            best = worker;
    }
    manager->scaling.next_usec = usec_add(now, STEP_USEC);
    if (best)
        (void) !manager_drain(manager, best);
}

/* ---- following queue and memory */

/* Tasks that one more worker would run: not those that workers have, nor those of programs. */
static uint64_t n_waiting(const Manager *manager)
{
    return manager->enabled && manager_claims(manager) ? task_window_size(manager->windows->pdata[0]) : 0;
}

static void autoscale_facts(Manager *manager, uint64_t now, AutoScaleFacts *ret)
{
    AdmissionFacts admission;
    const char *binding;
    HostFacts host;
    uint32_t others = manager_n_live_workers(manager) - manager_n_scaled_workers(manager);
    g_autoptr(WorkerSpec) spec = manager_usual_worker(manager);
    AutoScaleFacts facts = { .now_usec = now,
                             .target = manager->scaling.target,
                             .waiting = n_waiting(manager) };

    for (guint i = 0; i < manager->workers->len; i++) {
        const Worker *worker = manager->workers->pdata[i];
        if (!worker_state_is_live(worker->state) || !is_of_the_kind(worker))
            continue;
        facts.active++; /* one that drains has its memory yet */
        if (!worker_is_ready(worker) || g_hash_table_size(worker->tasks) > 0)
            continue;
        facts.idle++;
        facts.idle_usec = MAX(facts.idle_usec, now - MIN(now, worker->idle_since_usec));
    }
    manager->ports.host->facts(manager->ports.host, &host);
    manager_admission_facts(manager, spec, &host, &admission);
    facts.admissible = admission_admissible(&admission, &binding);
    facts.admissible -= MIN(others, facts.admissible); /* the target is not about them */
    facts.max_workers = manager->max_workers - MIN(others, manager->max_workers);
    if (host.memory_total_bytes > 0 && host.memory_available_bytes <= host.memory_total_bytes)
        facts.memory_percent = 100.0 * (double) (host.memory_total_bytes - host.memory_available_bytes) /
                               (double) host.memory_total_bytes;
    facts.pressure_percent = host.memory_pressure_percent;
    *ret = facts;
}

static void follow(Manager *manager, uint64_t now)
{
    AutoScaleSettings settings = manager->settings.autoscale;
    AutoScaleFacts facts;
    const char *why = "";
    uint32_t target;

    if (!manager->scaling.automatic)
        return;
    settings.enabled = true;
    autoscale_facts(manager, now, &facts);
    g_free(manager->scaling.shortfall);
    manager->scaling.shortfall = autoscale_shortfall(&settings, &facts);
    target = autoscale_decide(&settings, &manager->scaling.state, &facts, &why);
    if (target == manager->scaling.target)
        return;
    manager->scaling.target = target;
    scaling_set_reason(manager, g_strdup(why));
    NOTIFY(manager, settings_changed);
}

/* ---- time */

void manager_rescale(Manager *manager)
{
    Scaling *scaling = &manager->scaling;
    uint64_t now = manager_now(manager);
    uint32_t n;

    note_reason(manager);
    if (scaling->target == SCALE_NONE || manager_is_recovering(manager) || scaling->next_usec > now) {
        manager_rearm(manager);
        return;
    }
    n = scaling_n_counted(manager);
    if (n < scaling->target)
        add_one(manager, now);
    else if (n > scaling->target)
        drain_one(manager, now);
    manager_rearm(manager);
}

void manager_tick_scaling(Manager *manager, uint64_t now)
{
    Scaling *scaling = &manager->scaling;

    if (manager_is_recovering(manager))
        return;
    if (scaling->automatic && scaling->follow_usec <= now) {
        scaling->follow_usec =
            usec_add(now, MAX(manager->settings.autoscale.interval_usec, 100 * USEC_PER_MSEC));
        follow(manager, now);
    }
    if (scaling->target != SCALE_NONE && scaling->next_usec <= now &&
        scaling_n_counted(manager) != scaling->target)
        manager_rescale(manager);
}

uint64_t manager_scaling_deadline(Manager *manager)
{
    const Scaling *scaling = &manager->scaling;
    uint64_t next = scaling->automatic ? scaling->follow_usec : UINT64_MAX;

    if (manager_is_recovering(manager)) /* afterwards */
        return UINT64_MAX;
    if (scaling->target != SCALE_NONE && scaling_n_counted(manager) != scaling->target)
        next = MIN(next, scaling->next_usec);
    return next;
}
