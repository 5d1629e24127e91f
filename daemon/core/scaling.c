/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How many workers there are to be: a target that somebody set, a profile's, or one that follows queue and memory
 * (policy/autoscale).
 *
 *   fewer live workers than the target   one is added; after a failure only when a pause is over that doubles each time
 *   more                                 one is drained: an idle one first, those of AddWorker last
 *
 * Looked at after whatever may change it, and at `scale_usec`. Profile, target and autoscale are remembered as wishes. */
#include <inttypes.h>
#include <string.h>

#include "core/manager-internal.h"
#include "util/parse-util.h"

#define PAUSE_FIRST_USEC USEC_PER_SEC
#define PAUSE_LONGEST_USEC (300 * USEC_PER_SEC)
#define STEADY_USEC (60 * USEC_PER_SEC) /* who lived so long did not fail to start */
#define STEP_USEC (200 * USEC_PER_MSEC) /* between two workers, so that what one takes is seen before the next */

/* ---- what is wanted */

const Profile *manager_active_profile(const Manager *manager)
{
    return *manager->scaling.profile ? profile_find(manager_profiles(manager), manager->scaling.profile) : NULL;
}

const GPtrArray *manager_profiles(const Manager *manager)
{
    return manager->settings.profiles ? manager->settings.profiles : manager->scaling.built_in;
}

uint32_t manager_scale_target(const Manager *manager)
{
    return manager->scaling.target;
}

bool manager_autoscales(const Manager *manager)
{
    return manager->scaling.automatic;
}

const char *manager_profile(const Manager *manager)
{
    return manager->scaling.profile;
}

const char *manager_scale_reason(const Manager *manager)
{
    return manager->scaling.reason ? manager->scaling.reason : "";
}

static void set_reason(Manager *manager, char *reason)
{
    g_free(manager->scaling.reason);
    manager->scaling.reason = reason;
    manager->scaling.refused = false;
}

static void set_refusal(Manager *manager, char *reason)
{
    set_reason(manager, reason);
    manager->scaling.refused = true;
}

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

static uint32_t n_counted(const Manager *manager)
{
    uint32_t n = 0;

    for (guint i = 0; i < manager->workers->len; i++)
        n += is_counted(manager->workers->pdata[i]);
    return n;
}

/* ---- remembering */

static void ignore_done(int r, void *userdata)
{
}

static void remember(Manager *manager, const char *key, const char *value, StoreDone done, void *userdata)
{
    manager->ports.store->set_wish(manager->ports.store, key, value, done ? done : ignore_done, userdata);
}

static void remember_target(Manager *manager, StoreDone done, void *userdata)
{
    g_autofree char *value = g_strdup_printf("%" PRIu32, manager->scaling.target);

    remember(manager, "target", manager->scaling.target == SCALE_NONE ? NULL : value, done, userdata);
}

static uint32_t cores(Manager *manager)
{
    HostFacts host;

    manager->ports.host->facts(manager->ports.host, &host);
    return MAX(1U, manager->settings.use_smt ? host.cpus : host.cores);
}

/* ---- setting it */

int manager_scale(Manager *manager, uint32_t target, StoreDone done, void *userdata)
{
    Scaling *scaling = &manager->scaling;

    if (target != SCALE_NONE && target > manager->max_workers)
        return -ERANGE;
    scaling->target = target;
    scaling->automatic = false;
    scaling->failures = 0;
    scaling->next_usec = 0;
    set_reason(manager, NULL);
    remember(manager, "autoscale", "no", NULL, NULL); /* whatever the configuration says */
    remember_target(manager, done, userdata);
    NOTIFY(manager, settings_changed);
    manager_rescale(manager);
    return 0;
}

/* Following begins with what there is. */
static uint32_t where_it_begins(Manager *manager)
{
    uint32_t min = manager->settings.autoscale.min, max = manager->max_workers;

    if (manager->settings.autoscale.max > 0)
        max = MIN(max, manager->settings.autoscale.max);
    return CLAMP(n_counted(manager), min, MAX(min, max));
}

void manager_set_autoscale(Manager *manager, bool automatic, StoreDone done, void *userdata)
{
    Scaling *scaling = &manager->scaling;

    scaling->automatic = automatic;
    scaling->state = (AutoScale){ 0 };
    scaling->failures = 0;
    if (automatic && scaling->target == SCALE_NONE)
        scaling->target = where_it_begins(manager);
    if (!automatic) /* it stays where it was followed to */
        remember_target(manager, NULL, NULL);
    remember(manager, "autoscale", automatic ? "yes" : "no", done, userdata);
    NOTIFY(manager, settings_changed);
    manager_rescale(manager);
}

/* What AddWorker and Submit do not say comes from the profile; a timeout only if the configuration has none. */
void scaling_apply_profile(Manager *manager)
{
    Scaling *scaling = &manager->scaling;
    Settings *settings = &manager->settings;
    const Profile *profile = manager_active_profile(manager);

    settings->limits.memory_max_bytes = profile ? profile->memory_max_bytes : scaling->configured_memory_bytes;
    settings->policy.timeout_usec = profile && scaling->configured_timeout_usec == UINT64_MAX
                                        ? profile->timeout_usec
                                        : scaling->configured_timeout_usec;
}

void scaling_configure(Manager *manager)
{
    manager->scaling.configured_memory_bytes = manager->settings.limits.memory_max_bytes;
    manager->scaling.configured_timeout_usec = manager->settings.policy.timeout_usec;
    scaling_apply_profile(manager);
}

int manager_set_profile(Manager *manager, const char *name, StoreDone done, void *userdata)
{
    Scaling *scaling = &manager->scaling;
    const Profile *profile = *name ? profile_find(manager_profiles(manager), name) : NULL;

    if (*name && !profile)
        return -ENOENT;
    g_free(scaling->profile);
    scaling->profile = g_strdup(name);
    scaling->failures = 0;
    scaling_apply_profile(manager);
    if (profile)
        scaling->target = MIN(profile_workers(profile, cores(manager)), manager->max_workers);
    remember_target(manager, NULL, NULL);
    remember(manager, "profile", name, done, userdata); /* "": none, whatever the configuration says */
    NOTIFY(manager, settings_changed);
    manager_rescale(manager);
    return 0;
}

void scaling_init(Manager *manager)
{
    manager->scaling = (Scaling){ .target = SCALE_NONE, .profile = g_strdup(""), .built_in = profiles_new() };
    scaling_configure(manager);
}

void scaling_done(Manager *manager)
{
    g_free(manager->scaling.profile);
    g_free(manager->scaling.reason);
    g_ptr_array_unref(manager->scaling.built_in);
}

/* What was wished for counts more than what is configured. */
void scaling_load(Manager *manager, GHashTable *wishes)
{
    Scaling *scaling = &manager->scaling;
    const char *target = wishes ? g_hash_table_lookup(wishes, "target") : NULL,
               *automatic = wishes ? g_hash_table_lookup(wishes, "autoscale") : NULL,
               *profile = wishes ? g_hash_table_lookup(wishes, "profile") : NULL;
    uint64_t number;

    if (!profile)
        profile = manager->settings.profile ? manager->settings.profile : "";
    if (*profile && profile_find(manager_profiles(manager), profile)) {
        g_free(scaling->profile);
        scaling->profile = g_strdup(profile);
        scaling_apply_profile(manager);
    }
    if (target && parse_uint64(target, &number) >= 0 && number < SCALE_NONE)
        scaling->target = (uint32_t) number;
    else if (manager_active_profile(manager))
        scaling->target =
            MIN(profile_workers(manager_active_profile(manager), cores(manager)), manager->max_workers);
    scaling->automatic = automatic ? strcmp(automatic, "yes") == 0 : manager->settings.autoscale.enabled;
    if (scaling->automatic) /* nobody has written down where it was followed to */
        scaling->target = where_it_begins(manager);
    scaling->next_usec = usec_add(manager_now(manager), STEP_USEC);
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

void manager_scaled_worker_ended(Manager *manager, const Worker *worker, bool failed)
{
    Scaling *scaling = &manager->scaling;

    if (!failed || scaling->target == SCALE_NONE || !is_of_the_kind(worker))
        return;
    if (manager_realtime(manager) > usec_add(worker->added_usec, STEADY_USEC))
        scaling->failures = 0;
    note_failure(manager);
}

/* -ECANCELED: it has ended, which is told by manager_scaled_worker_ended(). */
static void on_scaled_added(int r, Worker *worker, void *userdata)
{
    Manager *manager = userdata;

    if (r >= 0 || r == -ECANCELED || manager->scaling.target == SCALE_NONE)
        return;
    note_failure(manager);
    set_refusal(manager, g_strdup_printf("%u of %u workers: %s", n_counted(manager) - is_counted(worker),
                                         manager->scaling.target, worker->reason));
}

static void add_one(Manager *manager, uint64_t now)
{
    Scaling *scaling = &manager->scaling;
    WorkerSpec *spec = manager_usual_worker(manager);
    AddVerdict verdict;

    spec->scaled = true;
    scaling->next_usec = usec_add(now, MAX(manager->settings.autoscale.interval_usec, USEC_PER_SEC));
    if (!manager_has_engine(manager, spec->engine)) {
        set_refusal(manager,
                    g_strdup_printf("%u of %u workers: the engine \"%s\" is not to be had here",
                                    n_counted(manager), scaling->target, engine_kind_to_string(spec->engine)));
        worker_spec_free(spec);
        return;
    }
    if (manager_add_worker(manager, spec, on_scaled_added, manager, &verdict) < 0) {
        set_refusal(manager, g_strdup_printf("%u of %u workers: %s", n_counted(manager), scaling->target,
                                             verdict.why));
        add_verdict_done(&verdict);
        return;
    }
    scaling->next_usec = usec_add(now, STEP_USEC);
    if (scaling->refused)
        set_reason(manager, NULL);
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
    settings.max = settings.max > 0 ? MIN(settings.max, manager->max_workers) : manager->max_workers;
    autoscale_facts(manager, now, &facts);
    target = autoscale_decide(&settings, &manager->scaling.state, &facts, &why);
    if (target == manager->scaling.target)
        return;
    manager->scaling.target = target;
    set_reason(manager, g_strdup(why));
    NOTIFY(manager, settings_changed);
}

/* ---- time */

void manager_rescale(Manager *manager)
{
    Scaling *scaling = &manager->scaling;
    uint64_t now = manager_now(manager);
    uint32_t n;

    if (scaling->target == SCALE_NONE || manager_is_recovering(manager) || scaling->next_usec > now) {
        manager_rearm(manager);
        return;
    }
    n = n_counted(manager);
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
        scaling->follow_usec = usec_add(now, MAX(manager->settings.autoscale.interval_usec, 100 * USEC_PER_MSEC));
        follow(manager, now);
    }
    if (scaling->target != SCALE_NONE && scaling->next_usec <= now && n_counted(manager) != scaling->target)
        manager_rescale(manager);
}

uint64_t manager_scaling_deadline(Manager *manager)
{
    const Scaling *scaling = &manager->scaling;
    uint64_t next = scaling->automatic ? scaling->follow_usec : UINT64_MAX;

    if (manager_is_recovering(manager)) /* afterwards */
        return UINT64_MAX;
    if (scaling->target != SCALE_NONE && n_counted(manager) != scaling->target)
        next = MIN(next, scaling->next_usec);
    return next;
}
