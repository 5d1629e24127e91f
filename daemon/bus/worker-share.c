/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who has what of the machine, for those who look: a view of the workers, without state. What the core has placed is taken as
 * it is: a list that cannot be read counts as empty. */
#include "bus/worker-share.h"

#include <stdlib.h>

#include "core/active-task.h"
#include "util/parse-util.h"

/* "0-3,8" has it? */
static bool list_has(const char *list, uint32_t number)
{
    while (list && *list) {
        char *end;
        unsigned long first = strtoul(list, &end, 10), last = first;
        if (end == list)
            return false;
        if (*end == '-')
            last = strtoul(end + 1, &end, 10);
        if (number >= first && number <= last)
            return true;
        list = *end == ',' ? end + 1 : NULL;
    }
    return false;
}

const char *worker_share_of_core(const GPtrArray *workers, const MachineCore *core)
{
    for (guint i = 0; i < workers->len; i++) {
        const Worker *worker = workers->pdata[i];
        if (worker_state_is_live(worker->state) && worker->spec->placement.pin &&
            list_has(worker->spec->limits.allowed_cpus, core->cpus[0]))
            return worker->id;
    }
    return "";
}

const char *worker_share_of_gpu(const GPtrArray *workers, uint32_t index)
{
    for (guint i = 0; i < workers->len; i++) {
        const Worker *worker = workers->pdata[i];
        if (worker_state_is_live(worker->state) && list_has(worker->spec->placement.gpu_list, index))
            return worker->id;
    }
    return "";
}

uint32_t worker_share_taken(const GPtrArray *workers, const char *resource)
{
    uint32_t taken = 0;

    for (guint i = 0; i < workers->len; i++) {
        const Worker *worker = workers->pdata[i];
        if (worker_state_is_live(worker->state))
            taken += resources_count(worker->spec->placement.resources, resource);
    }
    return taken;
}

uint64_t worker_share_frozen(const GPtrArray *workers)
{
    uint64_t frozen = 0;

    for (guint i = 0; i < workers->len; i++) {
        GHashTableIter iter;
        gpointer value;
        g_hash_table_iter_init(&iter, ((const Worker *) workers->pdata[i])->tasks);
        while (g_hash_table_iter_next(&iter, NULL, &value))
            frozen += ((const ActiveTask *) value)->state == TASK_RUNNING && ((const ActiveTask *) value)->frozen;
    }
    return frozen;
}

int worker_share_node(const WorkerSpec *spec)
{
    uint64_t node;

    if (spec->placement.numa == NUMA_NONE || !spec->limits.allowed_memory_nodes ||
        parse_uint64(spec->limits.allowed_memory_nodes, &node) < 0 || node > INT32_MAX)
        return NUMA_NONE;
    return (int) node;
}

uint64_t worker_share_memory(const Worker *worker)
{
    GHashTableIter iter;
    gpointer value;
    uint64_t sum = 0;

    g_hash_table_iter_init(&iter, worker->tasks);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const ActiveTask *task = value;
        uint64_t memory = task->state == TASK_RUNNING ? task_spec_memory(task->spec) : LIMIT_INFINITY;
        if (memory != LIMIT_INFINITY)
            sum += memory;
    }
    return sum;
}
