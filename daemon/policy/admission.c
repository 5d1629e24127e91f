/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Admission: pure decisions on whether the machine can carry one more worker. What is not known binds nothing; what the live
 * workers may still take is counted as taken, so that limits can be kept however late they are used. */
#include "policy/admission.h"

#include <math.h>

#include "util/parse-util.h"

#define CORES_EPSILON 1e-6 /* sums of quotas such as 0.1 are not exact */

double admission_cores(uint64_t cpu_quota_usec_per_sec)
{
    return cpu_quota_usec_per_sec == UINT64_MAX ? 1 : (double) cpu_quota_usec_per_sec / (double) USEC_PER_SEC;
}

/* ------------------------------------------------------------------ what is left */

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static bool memory_counts(const AdmissionFacts *facts)
{
    return facts->memory_max_bytes != UINT64_MAX && facts->memory_max_bytes > 0;
}

/* UINT64_MAX: not known */
static uint64_t machine_spare_bytes(const AdmissionFacts *facts)
{
    if (facts->available_bytes == UINT64_MAX)
        return UINT64_MAX;
    return less(less(facts->available_bytes, facts->reserve_bytes), facts->committed_bytes);
}

/* By the workers below the cgroups that bind. */
static uint64_t group_committed_bytes(const AdmissionFacts *facts)
{
    return less(facts->committed_bytes, facts->committed_elsewhere_bytes);
}

static double group_cores_taken(const AdmissionFacts *facts)
{
    return facts->cores_taken - facts->cores_elsewhere;
}

static uint64_t group_spare_bytes(const AdmissionFacts *facts)
{
    if (facts->group_free_bytes == UINT64_MAX)
        return UINT64_MAX;
    return less(facts->group_free_bytes, group_committed_bytes(facts));
}

/* Of the cores, or of the CPU time of the cgroups; INFINITY: not known, or no limit. */
static double known_cores(double cores)
{
    return cores > 0 ? cores : INFINITY;
}

static double wanted_cores(const AdmissionFacts *facts, double whole)
{
    return facts->worker_cores <= 1 ? fmin(facts->worker_cores, whole) : facts->worker_cores;
}

/* How many more, of these cores. */
static uint64_t more_of(const AdmissionFacts *facts, double cores, double taken)
{
    double whole = known_cores(cores), wanted = wanted_cores(facts, whole);

    if (isinf(whole) || !(wanted > 0))
        return UINT64_MAX;
    double more = floor((whole - taken) / wanted + CORES_EPSILON);
    return more > 0 ? (uint64_t) fmin(more, UINT32_MAX) : 0;
}

static uint64_t more_by_cores(const AdmissionFacts *facts)
{
    return more_of(facts, facts->cores, facts->cores_taken);
}

static uint64_t more_by_group_cpus(const AdmissionFacts *facts)
{
    return more_of(facts, facts->group_cpus, group_cores_taken(facts));
}

static uint64_t more_by_memory(const AdmissionFacts *facts, uint64_t spare)
{
    return !memory_counts(facts) || spare == UINT64_MAX ? UINT64_MAX : spare / facts->memory_max_bytes;
}

void admission_add_slice(AdmissionFacts *facts, const AdmissionSlice *slice)
{
    bool limits_memory = slice->free_bytes != UINT64_MAX;

    if (more_of(facts, slice->cpus, slice->cores_taken) < more_by_group_cpus(facts)) {
        facts->group_cpus = slice->cpus;
        facts->cores_elsewhere = facts->cores_taken - slice->cores_taken;
    }
    if (limits_memory && less(slice->free_bytes, slice->committed_bytes) < group_spare_bytes(facts)) {
        facts->group_free_bytes = slice->free_bytes;
        facts->committed_elsewhere_bytes = less(facts->committed_bytes, slice->committed_bytes);
    }
}

/* ------------------------------------------------------------------ the verdict */

static const char *plural(double n)
{
    return n == 1 ? "" : "s";
}

static char *cores_sentence(const AdmissionFacts *facts)
{
    GString *text = g_string_new(NULL);

    if (more_by_cores(facts) > 0) {
        g_string_printf(
            text, "needs %.3g core%s; of the %.3g that the cgroups above the workers allow, %.3g taken",
            facts->worker_cores, plural(facts->worker_cores), facts->group_cpus, group_cores_taken(facts));
        return g_string_free(text, FALSE);
    }
    g_string_printf(text, "needs %.3g core%s; of %.3g %s%s, %.3g taken", facts->worker_cores,
                    plural(facts->worker_cores), facts->cores,
                    facts->use_smt ? "hardware thread" : "physical core", plural(facts->cores),
                    facts->cores_taken);
    if (!facts->use_smt && facts->threads > facts->cores)
        g_string_append_printf(text, "; UseSMT=yes would count %u hardware threads", facts->threads);
    return g_string_free(text, FALSE);
}

static char *memory_sentence(const AdmissionFacts *facts)
{
    g_autofree char *needs = format_bytes(facts->memory_max_bytes),
                    *kept = format_bytes(facts->reserve_bytes),
                    *committed = format_bytes(facts->committed_bytes);

    if (machine_spare_bytes(facts) >= facts->memory_max_bytes) {
        g_autofree char *left = format_bytes(facts->group_free_bytes),
                        *due = format_bytes(group_committed_bytes(facts));
        return g_strdup_printf(
            "needs %s; %s free below the limits of the cgroups above the workers, of it %s still due "
            "to running workers",
            needs, left, due);
    }
    g_autofree char *available = format_bytes(facts->available_bytes);
    return g_strdup_printf("needs %s; %s free, of it %s kept for the system, %s still due to running workers",
                           needs, available, kept, committed);
}

static bool enough_cores(const AdmissionFacts *facts)
{
    return more_by_cores(facts) > 0 && more_by_group_cpus(facts) > 0;
}

static bool enough_memory(const AdmissionFacts *facts)
{
    return more_by_memory(facts, machine_spare_bytes(facts)) > 0 &&
           more_by_memory(facts, group_spare_bytes(facts)) > 0;
}

/* Of one without a limit nobody knows what it takes. */
static uint64_t more_by_user_memory(const AdmissionFacts *facts)
{
    if (facts->user_max_bytes == UINT64_MAX)
        return UINT64_MAX;
    if (facts->memory_max_bytes == UINT64_MAX || facts->user_committed_bytes > facts->user_max_bytes)
        return 0;
    return facts->memory_max_bytes == 0
               ? UINT64_MAX
               : (facts->user_max_bytes - facts->user_committed_bytes) / facts->memory_max_bytes;
}

static char *user_memory_sentence(const AdmissionFacts *facts)
{
    g_autofree char *most = format_bytes(facts->user_max_bytes), *taken = format_bytes(facts->user_committed_bytes),
                    *wanted = format_bytes(facts->memory_max_bytes);

    if (facts->memory_max_bytes == UINT64_MAX)
        return g_strdup_printf("private workers need a limit of memory here: those of one user may have %s in all", most);
    if (facts->user_committed_bytes == UINT64_MAX)
        return g_strdup_printf("needs %s; the private workers of this user may have %s in all, and one of them has no limit",
                               wanted, most);
    return g_strdup_printf("needs %s; the private workers of this user may have %s in all, and %s of it is promised",
                           wanted, most, taken);
}

AdmissionVerdict admission_decide(const AdmissionFacts *facts, char **ret_why)
{
    *ret_why = NULL;
    if (facts->active >= facts->max_workers) {
        *ret_why = g_strdup_printf("%u of at most %u workers run already", facts->active, facts->max_workers);
        return REFUSED_TOO_MANY_WORKERS;
    }
    if (facts->user_active >= facts->user_max) {
        *ret_why = g_strdup_printf("%u of at most %u private workers of this user run already",
                                   facts->user_active, facts->user_max);
        return REFUSED_USER_SHARE;
    }
    if (more_by_user_memory(facts) == 0) {
        *ret_why = user_memory_sentence(facts);
        return REFUSED_USER_MEMORY;
    }
    if (facts->force)
        return ADMITTED;
    if (!enough_cores(facts)) {
        *ret_why = cores_sentence(facts);
        return REFUSED_CORES;
    }
    if (!enough_memory(facts)) {
        *ret_why = memory_sentence(facts);
        return REFUSED_MEMORY;
    }
    return ADMITTED;
}

uint32_t admission_admissible(const AdmissionFacts *facts, const char **ret_binding)
{
    const struct {
        const char *binding;
        uint64_t more;
    } bounds[] = {
        { "max-workers", less(facts->max_workers, facts->active) },
        { "user-share",
          facts->user_max == UINT32_MAX ? UINT64_MAX : less(facts->user_max, facts->user_active) },
        { "user-share", more_by_user_memory(facts) },
        { "cores", more_by_cores(facts) },
        { "cgroup-cpu", more_by_group_cpus(facts) },
        { "memory", more_by_memory(facts, machine_spare_bytes(facts)) },
        { "cgroup-memory", more_by_memory(facts, group_spare_bytes(facts)) },
    };
    size_t least = 0;

    for (size_t i = 1; i < G_N_ELEMENTS(bounds); i++)
        if (bounds[i].more < bounds[least].more)
            least = i;
    *ret_binding = bounds[least].binding;
    /* no more than max-workers, of which there may be more already since it was lowered */
    return MIN(facts->active, facts->max_workers) + (uint32_t) bounds[least].more;
}

/* ------------------------------------------------------------------ the risks */

static void add_core_risks(const AdmissionFacts *facts, GPtrArray *risks)
{
    double whole = known_cores(facts->cores), all = facts->cores_taken + facts->worker_cores;
    double group = known_cores(facts->group_cpus), below = group_cores_taken(facts) + facts->worker_cores;

    if (group / below < whole / all) {
        whole = group;
        all = below;
    }
    g_ptr_array_add(
        risks,
        g_strdup_printf("The workers may use %.3g cores at once where there are %.3g: all of them, and "
                        "whoever works at this machine, may get as little as %.0f %% of their speed.",
                        all, whole, floor(100 * whole / all)));
}

static void add_memory_risks(const AdmissionFacts *facts, GPtrArray *risks)
{
    uint64_t spare = machine_spare_bytes(facts);
    bool machine = spare < facts->memory_max_bytes;
    g_autofree char *over = format_bytes(facts->memory_max_bytes - MIN(spare, group_spare_bytes(facts))),
                    *kept = format_bytes(facts->reserve_bytes);

    g_ptr_array_add(
        risks, g_strdup_printf("The workers may take %s more memory than %s.", over,
                               machine ? "the machine can give them" : "the cgroups above them are allowed"));
    if (machine)
        g_ptr_array_add(
            risks, g_strdup_printf("The machine may become slow, and the kernel may kill other programs: the "
                                   "%s kept for the system would not be safe.",
                                   kept));
    g_ptr_array_add(risks, g_strdup("The kernel may kill running tasks; what they have done would be lost."));
}

char **admission_risks(const AdmissionFacts *facts)
{
    g_autoptr(GPtrArray) risks = g_ptr_array_new();

    if (!enough_cores(facts))
        add_core_risks(facts, risks);
    if (!enough_memory(facts))
        add_memory_risks(facts, risks);
    g_ptr_array_add(risks, NULL);
    return (char **) g_ptr_array_free(g_steal_pointer(&risks), FALSE);
}
