/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a task takes of its worker, and new limits of tasks, as they were asked for. Resources are replaced as a whole and
 * never changed in place: many requests share them. */
#include "bus/demand-request.h"

#include <string.h>

#include "bus/options.h"
#include "util/parse-util.h"

int demand_request_read_memory_max(sd_bus_message *m, const char *option, void *target, sd_bus_error *error)
{
    TaskRequest *request = target;

    request->memory_given = true;
    return options_read_memory_max(m, option, &request->memory_max_bytes, error);
}

int demand_request_read_memory_auto(sd_bus_message *m, const char *option, void *target, sd_bus_error *error)
{
    TaskRequest *request = target;
    int automatic, r = sd_bus_message_read_basic(m, 'b', &automatic);

    if (r < 0)
        return r;
    request->memory_auto_given = request->demand.memory_auto = automatic;
    return r;
}

/* A task whose own limit is none, or over the steps that all others take, is not wrong: those are not for it. */
static void drop_growth_of_others(TaskRequest *request)
{
    g_autofree char *why = NULL;

    if (!request->memory_given || request->growth_given ||
        task_demand_check_growth(&request->demand, request->memory_max_bytes, &why) >= 0)
        return;
    request->demand.memory_factor = 0;
    request->demand.n_memory_steps = 0;
}

int demand_request_choose_memory(TaskRequest *request, sd_bus_error *error)
{
    if (request->memory_given && request->memory_auto_given) {
        g_autofree char *limit = format_bytes(request->memory_max_bytes);
        return options_invalid(error, "memory-max is %s, and memory-auto would find it out: a task takes one of them.",
                               limit);
    }
    if (request->memory_given)
        request->demand.memory_auto = false;
    if (request->memory_auto_given)
        request->memory_max_bytes = LIMIT_INFINITY;
    drop_growth_of_others(request);
    return 0;
}

static int read_io_weight(sd_bus_message *m, const char *option, uint32_t *ret, sd_bus_error *error)
{
    uint64_t weight;
    int r = sd_bus_message_read_basic(m, 't', &weight);

    if (r >= 0 && (weight == 0 || weight > 10000))
        return options_invalid(error, "%s is %" G_GUINT64_FORMAT "; it must lie between 1 and 10000.", option,
                               weight);
    if (r >= 0)
        *ret = (uint32_t) weight;
    return r;
}

int demand_request_read_io_weight(sd_bus_message *m, const char *option, void *target, sd_bus_error *error)
{
    return read_io_weight(m, option, &((TaskRequest *) target)->demand.io_weight, error);
}

int demand_request_read_retry_memory(sd_bus_message *m, const char *option, void *target, sd_bus_error *error)
{
    TaskRequest *request = target;
    TaskDemand *demand = &request->demand;
    g_autofree char *why = NULL;
    const char *text;
    int r = sd_bus_message_read_basic(m, 's', &text);

    request->growth_given = true;
    if (r >= 0 && task_demand_parse_retry_memory(text, demand, &why) < 0)
        return options_invalid(error, "retry-memory: %s.", why);
    if (r >= 0 && demand->n_memory_steps > 0)
        r = options_check_task_memory(demand->memory_steps[0], "The first step of retry-memory", error);
    return r;
}

int demand_request_read_resources(sd_bus_message *m, const char *option, void *target, sd_bus_error *error)
{
    return options_read_resources(m, &((TaskRequest *) target)->demand.resources, error);
}

/* ---- SetTaskLimits */

static int read_memory_max(sd_bus_message *m, const char *option, void *target, sd_bus_error *error)
{
    TaskLimits *limits = target;

    limits->set_memory = true;
    return options_read_memory_max(m, option, &limits->memory_max_bytes, error);
}

static int read_cpu_quota(sd_bus_message *m, const char *option, void *target, sd_bus_error *error)
{
    TaskLimits *limits = target;

    limits->set_cpu = true;
    return sd_bus_message_read_basic(m, 't', &limits->cpu_quota_usec_per_sec);
}

static int read_tasks_max(sd_bus_message *m, const char *option, void *target, sd_bus_error *error)
{
    TaskLimits *limits = target;

    limits->set_tasks = true;
    return sd_bus_message_read_basic(m, 't', &limits->tasks_max);
}

static int read_limits_io_weight(sd_bus_message *m, const char *option, void *target, sd_bus_error *error)
{
    TaskLimits *limits = target;

    limits->set_io = true;
    return read_io_weight(m, option, &limits->io_weight, error);
}

static const Option limit_options[] = {
    { "memory-max", "t", .read = read_memory_max },
    { "cpu-quota", "t", .read = read_cpu_quota },
    { "tasks-max", "t", .read = read_tasks_max },
    { "io-weight", "t", .read = read_limits_io_weight },
    { NULL },
};

int demand_request_read_limit(sd_bus_message *m, const char *option, TaskLimits *limits, sd_bus_error *error)
{
    for (const Option *known = limit_options; known->name; known++)
        if (strcmp(known->name, option) == 0)
            return known->read(m, option, limits, error);
    g_assert_not_reached();
}

/* As Submit would have them. */
int demand_request_check_limits(const TaskLimits *limits, sd_bus_error *error)
{
    g_autofree char *why = NULL;
    TaskDemand demand;

    task_demand_init(&demand);
    if (limits->set_cpu)
        demand.cpu_quota_usec_per_sec = limits->cpu_quota_usec_per_sec;
    if (limits->set_tasks)
        demand.tasks_max = limits->tasks_max;
    return task_demand_check(&demand, &why) < 0 ? options_invalid(error, "%s.", why) : 0;
}

int demand_request_read_limits(sd_bus_message *m, TaskLimits *ret, sd_bus_error *error)
{
    TaskLimits limits = { 0 };
    int r = options_read_changes(m, limit_options, &limits, error);

    if (r >= 0)
        r = demand_request_check_limits(&limits, error);
    if (r >= 0)
        *ret = limits;
    return r;
}
