/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The properties of a worker's scope, as StartTransientUnit takes them. What is unlimited is not said, so
 * that the slice's and systemd's own defaults hold. */
#include "engine/limit-check.h"
#include "engine/systemd1.h"

#include <string.h>

#define STOP_TIMEOUT_USEC (2 * USEC_PER_SEC) /* then systemd kills what is left */

static int append_string(sd_bus_message *message, const char *name, const char *value)
{
    return sd_bus_message_append(message, "(sv)", name, "s", value);
}

static int append_number(sd_bus_message *message, const char *name, uint64_t value)
{
    return sd_bus_message_append(message, "(sv)", name, "t", value);
}

static int append_identity(sd_bus_message *message, const ScopeSpec *spec)
{
    int r = append_string(message, "Description", spec->description);

    if (r >= 0)
        r = append_string(message, "Slice", spec->slice);
    if (r >= 0)
        r = sd_bus_message_append(message, "(sv)", "PIDs", "au", 1, (uint32_t) spec->pid);
    /* Without it one OOM kill anywhere below stops the whole scope. */
    if (r >= 0)
        r = sd_bus_message_append(message, "(sv)", "Delegate", "b", true);
    if (r >= 0)
        r = append_string(message, "CollectMode", "inactive-or-failed");
    if (r >= 0)
        r = append_number(message, "TimeoutStopUSec", STOP_TIMEOUT_USEC);
    if (r >= 0 && spec->oom_policy)
        r = append_string(message, "OOMPolicy", "continue");
    return r;
}

static int append_cpus(sd_bus_message *message, const char *list)
{
    g_autoptr(GByteArray) mask = limit_cpu_mask(list);

    if (!mask)
        return -EINVAL;
    int r = sd_bus_message_open_container(message, 'r', "sv");
    if (r >= 0)
        r = sd_bus_message_append(message, "s", "AllowedCPUs");
    if (r >= 0)
        r = sd_bus_message_open_container(message, 'v', "ay");
    if (r >= 0)
        r = sd_bus_message_append_array(message, 'y', mask->data, mask->len);
    if (r >= 0)
        r = sd_bus_message_close_container(message);
    return r < 0 ? r : sd_bus_message_close_container(message);
}

static int append_limits(sd_bus_message *message, const WorkerLimits *limits)
{
    const struct {
        const char *name;
        uint64_t value, unset;
    } numbers[] = {
        { "MemoryMax", limits->memory_max_bytes, LIMIT_INFINITY },
        /* Else reaching the limit would only mean swapping. */
        { "MemorySwapMax", limits->memory_max_bytes == LIMIT_INFINITY ? LIMIT_INFINITY : 0, LIMIT_INFINITY },
        { "MemoryHigh", limits->memory_high_bytes, LIMIT_INFINITY },
        { "CPUQuotaPerSecUSec", limits->cpu_quota_usec_per_sec, LIMIT_INFINITY },
        { "CPUWeight", limits->cpu_weight, 0 },
        { "TasksMax", limits->tasks_max, LIMIT_INFINITY },
    };
    int r = 0;

    for (size_t i = 0; r >= 0 && i < G_N_ELEMENTS(numbers); i++)
        if (numbers[i].value != numbers[i].unset)
            r = append_number(message, numbers[i].name, numbers[i].value);
    return r < 0 || !limits->allowed_cpus ? r : append_cpus(message, limits->allowed_cpus);
}

int scope_append_properties(sd_bus_message *message, const ScopeSpec *spec)
{
    int r = sd_bus_message_open_container(message, 'a', "(sv)");

    if (r >= 0)
        r = append_identity(message, spec);
    if (r >= 0)
        r = append_limits(message, spec->limits);
    return r < 0 ? r : sd_bus_message_close_container(message);
}
