/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The limits of a worker: values and their bounds. */
#include "model/limits.h"

#include <string.h>

#include "util/parse-util.h"

#define MEMORY_MAX_SANE_BYTES (UINT64_C(1) << 62) /* the kernel's page counter is exact below */
#define CPU_QUOTA_MAX_USEC (8192 * USEC_PER_SEC)           /* more CPUs than any kernel takes */

void worker_limits_init(WorkerLimits *limits)
{
    *limits = (WorkerLimits){
        .memory_max_bytes = LIMIT_INFINITY,
        .memory_high_bytes = LIMIT_INFINITY,
        .cpu_quota_usec_per_sec = LIMIT_INFINITY,
        .tasks_max = LIMIT_INFINITY,
    };
}

void worker_limits_done(WorkerLimits *limits)
{
    g_clear_pointer(&limits->allowed_cpus, g_free);
    g_clear_pointer(&limits->allowed_memory_nodes, g_free);
}

void worker_limits_copy(WorkerLimits *to, const WorkerLimits *from)
{
    char *cpus = g_strdup(from->allowed_cpus), *nodes = g_strdup(from->allowed_memory_nodes);

    worker_limits_done(to);
    *to = *from;
    to->allowed_cpus = cpus;
    to->allowed_memory_nodes = nodes;
}

char *limit_format_bytes(uint64_t bytes)
{
    g_autofree char *shown = format_bytes(bytes);

    if (bytes < 1024)
        return g_steal_pointer(&shown);
    return g_strdup_printf("%s (%" G_GUINT64_FORMAT " bytes)", shown, bytes);
}

static int memory_check(const char *option, uint64_t bytes, char **ret_why)
{
    g_autofree char *shown = limit_format_bytes(bytes), *least = limit_format_bytes(LIMIT_MEMORY_MIN_BYTES);

    if (bytes == LIMIT_INFINITY || (bytes >= LIMIT_MEMORY_MIN_BYTES && bytes <= MEMORY_MAX_SANE_BYTES))
        return 0;
    if (bytes < LIMIT_MEMORY_MIN_BYTES)
        *ret_why =
            g_strdup_printf("%s is %s; a worker takes at least %s, or 2^64-1 for no limit", option, shown, least);
    else
        *ret_why = g_strdup_printf("%s is %s, more than any machine has; a worker without a limit has 2^64-1",
                                   option, shown);
    return -EINVAL;
}

/* "0.5 % of a CPU (5000 µs per second)", "2 CPUs (…)" */
static char *format_cpu_quota(uint64_t usec_per_sec)
{
    double cpus = (double) usec_per_sec / USEC_PER_SEC;

    return g_strdup_printf("%g %s (%" G_GUINT64_FORMAT " µs per second)", cpus < 1 ? cpus * 100 : cpus,
                           cpus < 1    ? "% of a CPU"
                           : cpus == 1 ? "CPU"
                                       : "CPUs",
                           usec_per_sec);
}

int limit_check_cpu_quota(const char *option, uint64_t usec_per_sec, uint64_t most, char **ret_why)
{
    if (usec_per_sec == LIMIT_INFINITY || (usec_per_sec >= LIMIT_CPU_QUOTA_MIN_USEC && usec_per_sec <= most))
        return 0;
    bool less = usec_per_sec < LIMIT_CPU_QUOTA_MIN_USEC;
    g_autofree char *shown = format_cpu_quota(usec_per_sec),
                    *bound = format_cpu_quota(less ? LIMIT_CPU_QUOTA_MIN_USEC : most);
    *ret_why = g_strdup_printf("%s is %s; it is at %s %s", option, shown, less ? "least" : "most", bound);
    return -EINVAL;
}

static int range_check(const char *option, uint64_t value, uint64_t min, uint64_t max, char **ret_why)
{
    if (value >= min && value <= max)
        return 0;
    *ret_why = g_strdup_printf("%s is %" G_GUINT64_FORMAT "; it must lie between %" G_GUINT64_FORMAT
                               " and %" G_GUINT64_FORMAT,
                               option, value, min, max);
    return -EINVAL;
}

int worker_limits_check(const WorkerLimits *limits, char **ret_why)
{
    int r = memory_check("memory-max", limits->memory_max_bytes, ret_why);

    if (r >= 0)
        r = memory_check("memory-high", limits->memory_high_bytes, ret_why);
    if (r >= 0)
        r = limit_check_cpu_quota("cpu-quota", limits->cpu_quota_usec_per_sec, CPU_QUOTA_MAX_USEC, ret_why);
    if (r >= 0 && limits->cpu_weight != 0)
        r = range_check("cpu-weight", limits->cpu_weight, 1, 10000, ret_why);
    if (r >= 0 && limits->tasks_max != LIMIT_INFINITY)
        r = range_check("tasks-max", limits->tasks_max, LIMIT_TASKS_MIN, UINT64_C(4194304), ret_why);
    if (r >= 0 && limits->io_weight != 0)
        r = range_check("io-weight", limits->io_weight, 1, 10000, ret_why);
    if (r >= 0 && limits->allowed_cpus && !cpu_list_valid(limits->allowed_cpus)) {
        g_autofree char *shown = format_foreign(limits->allowed_cpus);
        *ret_why = g_strdup_printf("allowed-cpus is \"%s\"; expected a list such as \"0-3,8\"", shown);
        r = -EINVAL;
    }
    if (r >= 0 && limits->allowed_memory_nodes && !cpu_list_valid(limits->allowed_memory_nodes)) {
        g_autofree char *shown = format_foreign(limits->allowed_memory_nodes);
        *ret_why = g_strdup_printf("the memory nodes are \"%s\"; expected a list such as \"0-1\"", shown);
        r = -EINVAL;
    }
    return r;
}
