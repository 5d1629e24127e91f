/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The limits of a worker: values and their bounds. */
#include "model/limits.h"

#include <string.h>

#include "util/parse-util.h"

#define MEMORY_MAX_SANE_BYTES (UINT64_C(1) << 62) /* the kernel's page counter is exact below */

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

static int memory_check(const char *option, uint64_t bytes, char **ret_why)
{
    if (bytes == LIMIT_INFINITY || (bytes >= LIMIT_MEMORY_MIN_BYTES && bytes <= MEMORY_MAX_SANE_BYTES))
        return 0;
    *ret_why = g_strdup_printf("%s is %" G_GUINT64_FORMAT " bytes; a worker takes from %" G_GUINT64_FORMAT
                               " to %" G_GUINT64_FORMAT " bytes, or 2^64-1 for no limit",
                               option, bytes, LIMIT_MEMORY_MIN_BYTES, MEMORY_MAX_SANE_BYTES);
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
    if (r >= 0 && limits->cpu_quota_usec_per_sec != LIMIT_INFINITY)
        r = range_check("cpu-quota", limits->cpu_quota_usec_per_sec, LIMIT_CPU_QUOTA_MIN_USEC,
                        8192 * USEC_PER_SEC, ret_why);
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
