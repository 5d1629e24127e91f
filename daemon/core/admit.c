/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether the machine carries one more worker, and where it goes: gathers the facts for policy/admission and policy/placing. */
#include "core/manager-internal.h"

void add_verdict_done(AddVerdict *verdict)
{
    g_clear_pointer(&verdict->why, g_free);
    g_clear_pointer(&verdict->risks, g_strfreev);
}

/* What a live worker may still take: all of its limit before it runs. */
static uint64_t due_bytes(Manager *manager, Worker *worker)
{
    uint64_t limit = worker->spec->limits.memory_max_bytes;
    EngineUsage usage;

    if (limit == LIMIT_INFINITY)
        return 0;
    manager_worker_usage(manager, worker, &usage);
    if (usage.memory_bytes == UINT64_MAX)
        return limit;
    return limit > usage.memory_bytes ? limit - usage.memory_bytes : 0;
}

/* Pinned cores are its own, whether it uses them or not. */
static double cores_of(const WorkerSpec *spec)
{
    return spec->placement.pin ? placing_units(spec) : admission_cores(spec->limits.cpu_quota_usec_per_sec);
}

/* Those that the new worker is to be in with some of the others only. */
typedef struct Slices {
    AdmissionSlice engine, user;
} Slices;

static void add_to_slice(AdmissionSlice *slice, double cores, uint64_t bytes)
{
    slice->cores_taken += cores;
    slice->committed_bytes += bytes;
}

/* What the live workers have, all together and in the new one's slices. */
static void count_workers(Manager *manager, const WorkerSpec *spec, AdmissionFacts *facts, Slices *slices)
{
    for (guint i = 0; i < manager->workers->len; i++) {
        Worker *worker = manager->workers->pdata[i];
        if (!worker_state_is_live(worker->state))
            continue;
        bool of_user = worker->spec->user == spec->user, of_engine = worker->spec->engine == spec->engine;
        double cores = cores_of(worker->spec);
        uint64_t due = due_bytes(manager, worker);
        facts->active++;
        facts->user_active += of_user;
        if (of_user)
            facts->user_committed_bytes = usec_add(facts->user_committed_bytes, worker->spec->limits.memory_max_bytes);
        facts->cores_taken += cores;
        facts->committed_bytes += due;
        if (of_engine)
            add_to_slice(&slices->engine, cores, due);
        if (of_engine && of_user)
            add_to_slice(&slices->user, cores, due);
    }
}

void manager_admission_facts(Manager *manager, const WorkerSpec *spec, const HostFacts *host, AdmissionFacts *ret)
{
    HostGroups groups;

    manager->ports.host->groups(manager->ports.host, spec, &groups);
    Slices slices = { { .cpus = groups.engine.cpus, .free_bytes = groups.engine.free_bytes },
                      { .cpus = groups.slice.cpus, .free_bytes = groups.slice.free_bytes } };
    AdmissionFacts facts = {
        .max_workers = manager->max_workers,
        .user_max = spec->user == UID_ANYBODY ? UINT32_MAX : manager->settings.max_user_workers,
        .user_max_bytes = spec->user == UID_ANYBODY ? UINT64_MAX : manager->settings.max_user_memory_bytes,
        .cores = manager->settings.use_smt ? host->cpus : host->cores,
        .use_smt = manager->settings.use_smt,
        .threads = host->cpus,
        .group_cpus = groups.all.cpus,
        .available_bytes = host->memory_available_bytes,
        .reserve_bytes = manager->settings.memory_reserve_bytes,
        .group_free_bytes = groups.all.free_bytes,
        .worker_cores = cores_of(spec),
        .memory_max_bytes = spec->limits.memory_max_bytes,
        .force = spec->forced,
    };

    count_workers(manager, spec, &facts, &slices);
    admission_add_slice(&facts, &slices.engine);
    admission_add_slice(&facts, &slices.user);
    *ret = facts;
}

WorkerSpec *manager_usual_worker(Manager *manager)
{
    WorkerSpec *spec = worker_spec_new();

    worker_limits_copy(&spec->limits, &manager->settings.limits);
    spec->slots = manager->settings.slots;
    spec->engine = manager->settings.engine;
    return spec;
}

static PlacingVerdict place(Manager *manager, WorkerSpec *spec, char **ret_why)
{
    g_autoptr(GPtrArray) others = manager_live_specs(manager);
    PlacingFacts facts = {
        .machine = manager->ports.host->machine(manager->ports.host),
        .use_smt = manager->settings.use_smt,
        .others = others,
        .resources = manager->settings.resources,
    };

    return placing_decide(&facts, spec, ret_why);
}

/* *ret_forced: it would not have been placed without. */
static PlacingVerdict place_by_force(Manager *manager, WorkerSpec *spec, char **ret_why, bool *ret_forced)
{
    bool forced = spec->forced;
    PlacingVerdict verdict;

    *ret_forced = spec->forced = false;
    verdict = place(manager, spec, ret_why);
    spec->forced = forced;
    if (verdict != REFUSED_NODE_MEMORY || !forced)
        return verdict;
    g_clear_pointer(ret_why, g_free);
    *ret_forced = true;
    return place(manager, spec, ret_why);
}

static char **node_risks(void)
{
    static const char *const risks[] = { "The node may run out of memory, however much other nodes have: the kernel may kill "
                                         "running tasks of the workers that keep to it; what they have done would be lost.",
                                         NULL };

    return g_strdupv((char **) risks);
}

bool manager_admit(Manager *manager, WorkerSpec *spec, AddVerdict *ret)
{
    bool forced_place = false;
    AdmissionFacts facts;
    HostFacts host;

    *ret = (AddVerdict){ 0 };
    manager->ports.host->facts(manager->ports.host, &host);
    manager_admission_facts(manager, spec, &host, &facts);
    ret->admission = admission_decide(&facts, &ret->why);
    if (ret->admission == ADMITTED)
        ret->placing = place_by_force(manager, spec, &ret->why, &forced_place);
    if (ret->admission == REFUSED_CORES || ret->admission == REFUSED_MEMORY)
        ret->risks = admission_risks(&facts);
    if (ret->placing == REFUSED_NODE_MEMORY)
        ret->risks = node_risks();
    if (ret->admission != ADMITTED || ret->placing != PLACED)
        return false;
    facts.force = false;
    g_autofree char *ignored = NULL;
    spec->forced = forced_place || (spec->forced && admission_decide(&facts, &ignored) != ADMITTED);
    return true;
}
