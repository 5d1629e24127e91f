/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The properties of a worker's scope, as StartTransientUnit and SetUnitProperties take them. What is unlimited is not said, so
 * that the slice's and systemd's own defaults hold; but where it was limited, it has to be. */
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

/* NULL: an empty one, which lifts the limit. */
static int append_mask(sd_bus_message *message, const char *name, const char *list)
{
    g_autoptr(GByteArray) mask = list ? limit_cpu_mask(list) : g_byte_array_new();

    if (!mask)
        return -EINVAL;
    int r = sd_bus_message_open_container(message, 'r', "sv");
    if (r >= 0)
        r = sd_bus_message_append(message, "s", name);
    if (r >= 0)
        r = sd_bus_message_open_container(message, 'v', "ay");
    if (r >= 0)
        r = sd_bus_message_append_array(message, 'y', mask->data, mask->len);
    if (r >= 0)
        r = sd_bus_message_close_container(message);
    return r < 0 ? r : sd_bus_message_close_container(message);
}

/* A limit that is said: it is there, or it was and is not any more. */
static bool says(uint64_t value, uint64_t before, uint64_t unset)
{
    return value != unset || before != unset;
}

/* Else reaching the limit would only mean swapping. */
static uint64_t swap_max(const WorkerLimits *limits)
{
    return limits->memory_max_bytes == LIMIT_INFINITY ? LIMIT_INFINITY : 0;
}

/* systemd takes the same number, 2^64-1, for no limit and for the default weight. */
static uint64_t weight(uint64_t value)
{
    return value == 0 ? LIMIT_INFINITY : value;
}

static int append_limits(sd_bus_message *message, const WorkerLimits *limits, const WorkerLimits *before)
{
    const struct {
        const char *name;
        uint64_t value, before;
    } numbers[] = {
        { "MemoryMax", limits->memory_max_bytes, before->memory_max_bytes },
        { "MemorySwapMax", swap_max(limits), swap_max(before) },
        { "MemoryHigh", limits->memory_high_bytes, before->memory_high_bytes },
        { "CPUQuotaPerSecUSec", limits->cpu_quota_usec_per_sec, before->cpu_quota_usec_per_sec },
        { "CPUWeight", weight(limits->cpu_weight), weight(before->cpu_weight) },
        { "IOWeight", weight(limits->io_weight), weight(before->io_weight) },
        { "TasksMax", limits->tasks_max, before->tasks_max },
    };
    int r = 0;

    for (size_t i = 0; r >= 0 && i < G_N_ELEMENTS(numbers); i++)
        if (says(numbers[i].value, numbers[i].before, LIMIT_INFINITY))
            r = append_number(message, numbers[i].name, numbers[i].value);
    if (r >= 0 && (limits->allowed_cpus || before->allowed_cpus))
        r = append_mask(message, "AllowedCPUs", limits->allowed_cpus);
    if (r >= 0 && (limits->allowed_memory_nodes || before->allowed_memory_nodes))
        r = append_mask(message, "AllowedMemoryNodes", limits->allowed_memory_nodes);
    return r;
}

int scope_append_properties(sd_bus_message *message, const ScopeSpec *spec)
{
    WorkerLimits none;

    worker_limits_init(&none);
    int r = sd_bus_message_open_container(message, 'a', "(sv)");
    if (r >= 0)
        r = append_identity(message, spec);
    if (r >= 0)
        r = append_limits(message, spec->limits, &none);
    return r < 0 ? r : sd_bus_message_close_container(message);
}

int scope_append_changes(sd_bus_message *message, const WorkerLimits *limits, const WorkerLimits *before)
{
    /* of one that was taken over it is not known what it had: everything is said */
    const WorkerLimits anything = { .cpu_weight = 1, .io_weight = 1 };

    int r = sd_bus_message_open_container(message, 'a', "(sv)");
    if (r >= 0)
        r = append_limits(message, limits, before ? before : &anything);
    return r < 0 ? r : sd_bus_message_close_container(message);
}
