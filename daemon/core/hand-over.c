/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tasks that are given the results of others: assigned at once, as any, and sent to the worker when the store has read
 * them. What became of the assignment meanwhile is told by its fence. */
#include "core/manager-internal.h"

typedef struct HandOver {
    Manager *manager;
    uint64_t task, fence;
} HandOver;

static void send(Manager *manager, ActiveTask *task, GPtrArray *inputs)
{
    TaskSpec *spec = task->spec;

    spec->inputs = inputs;
    manager->ports.link->run(manager->ports.link, task->worker_number, &spec, 1);
    g_clear_pointer(&spec->inputs, g_ptr_array_unref);
    spec->fds = task_fds_free(spec->fds);
}

static void refuse(Manager *manager, ActiveTask *task, int r)
{
    TaskResult result = { .outcome = OUTCOME_SPAWN_FAILED,
                          .error = r == -E2BIG ? E2BIG : EIO,
                          .end_usec = manager_realtime(manager),
                          .memory_peak_bytes = MEMORY_UNKNOWN,
                          .note = r == -E2BIG ? g_strdup("the results it depends on are over 16 MiB together")
                                              : g_strdup("the results it depends on could not be read") };

    manager_settle_one(manager, task, &result, true);
}

static void on_inputs(int r, GPtrArray *inputs, void *userdata)
{
    g_autofree HandOver *over = userdata;
    Manager *manager = over->manager;
    g_autoptr(GPtrArray) taken = inputs;
    ActiveTask *task = manager_find_active(manager, over->task);

    if (!task || task->spec->fence != over->fence || task->settling || !task->worker)
        return;
    task->awaits_inputs = false;
    if (task->cancelled || task->recalled) /* the worker never had it */
        manager_settle_one(manager, task, &(TaskResult){ 0 }, false);
    else if (r < 0)
        refuse(manager, task, r);
    else
        send(manager, task, g_steal_pointer(&taken));
}

void hand_over_later(Manager *manager, ActiveTask *task)
{
    HandOver *over = g_new(HandOver, 1);

    *over = (HandOver){ manager, task->spec->id, task->spec->fence };
    task->awaits_inputs = true;
    manager->ports.store->load_inputs(manager->ports.store, over->task, on_inputs, over);
}
