/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the daemon wants of a worker's tasks. Part of the runner; each order leaves the runner's lists whole, and what it
 * brings about is done by runner.c. */
#include "worker/runner-internal.h"

#include <inttypes.h>

#include "util/log.h"
#include "worker/slot-time.h"

void runner_add_context(Runner *runner, TaskContext *context)
{
    Surroundings *surroundings;

    if (g_hash_table_contains(runner->contexts, &context->id))
        return;
    surroundings = surroundings_new(context, runner->site->record->environment);
    g_hash_table_insert(runner->contexts, &surroundings->context->id, surroundings);
}

/* A task that cannot be started has a result all the same, or the daemon would wait for it. */
static void runner_refuse(Runner *runner, const RunnerTask *task, Outcome outcome)
{
    uint64_t now = (uint64_t) g_get_real_time();
    TaskResult result = { .task = task->id, .fence = task->fence, .outcome = outcome, .end_usec = now,
                          .memory_peak_bytes = MEMORY_UNKNOWN };

    result_queue_push(runner->results, &result);
}

void runner_add(Runner *runner, RunnerTask *task)
{
    const RunnerTask *held = g_hash_table_lookup(runner->tasks, &task->id);
    Surroundings *surroundings = g_hash_table_lookup(runner->contexts, &task->context);

    if (runner->stopping || (held && held->fence == task->fence)) {
        log_warning("Task %" PRIu64 " was given %s, ignoring.", task->id,
                    held ? "twice" : "while the worker ends");
        (void) runner_task_free(task);
        return;
    }
    if (held || !surroundings) {
        log_error(held ? "Task %" PRIu64 " was given while an earlier attempt is still here." :
                         "Task %" PRIu64 " was given without its context.", task->id);
        runner_refuse(runner, task, OUTCOME_LOST);
        (void) runner_task_free(task);
        return;
    }
    task->surroundings = surroundings_ref(surroundings);
    task_limits_begin(task);
    g_queue_push_tail(&runner->ahead, task);
    task->link = runner->ahead.tail;
    g_hash_table_insert(runner->tasks, &task->id, task);
}

static void runner_forget_ahead(Runner *runner, RunnerTask *task)
{
    g_hash_table_remove(runner->tasks, &task->id);
    g_queue_delete_link(&runner->ahead, task->link);
    (void) runner_task_free(task);
}

bool runner_recall(Runner *runner, uint64_t id)
{
    RunnerTask *task = g_hash_table_lookup(runner->tasks, &id);

    if (!task || task->slot)
        return false;
    runner_forget_ahead(runner, task);
    return true;
}

void runner_stop_task(Runner *runner, uint64_t id, Outcome outcome)
{
    RunnerTask *task = g_hash_table_lookup(runner->tasks, &id);

    if (!task)
        return;
    if (!task->slot) {
        runner_refuse(runner, task, outcome);
        runner_forget_ahead(runner, task);
        runner_report(runner);
        return;
    }
    slot_thaw(task->slot);
    if (slot_time_stop(task->slot, outcome, runner->n_running == 1))
        runner_kill_on(runner, task->slot);
    runner_watch_time(runner, task->slot);
}

char *runner_limit(Runner *runner, const LimitOrder *order)
{
    RunnerTask *task = g_hash_table_lookup(runner->tasks, &order->task);

    return task ? task_limits_change(task, order) : NULL;
}

const char *runner_freeze(Runner *runner, uint64_t id, bool frozen, bool reclaim)
{
    RunnerTask *task = g_hash_table_lookup(runner->tasks, &id);
    bool more = false;
    const char *why;

    if (!task)
        return NULL;
    if (!task->slot)
        return frozen ? "it has not started" : NULL;
    why = slot_freeze(task->slot, frozen, reclaim, &more);
    if (more)
        (void) sd_event_source_set_enabled(runner->reclaim, SD_EVENT_ONESHOT);
    runner_watch_time(runner, task->slot);
    return why;
}

void runner_drop_ahead(Runner *runner)
{
    while (runner->ahead.length > 0)
        runner_forget_ahead(runner, runner->ahead.head->data);
}
