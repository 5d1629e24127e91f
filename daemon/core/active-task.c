/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A task in the hands of a worker, and the decision what becomes of it when the attempt is over. */
#include "core/active-task.h"

#include "core/worker.h"
#include "policy/memory-growth.h"
#include "policy/retry.h"
#include "util/parse-util.h"

ActiveTask *active_task_new(TaskSpec *spec, Worker *worker)
{
    ActiveTask *task = g_new0(ActiveTask, 1);

    task->spec = spec;
    task->worker = worker;
    task->worker_number = worker->number;
    task->state = TASK_QUEUED;
    g_hash_table_insert(worker->tasks, &task->spec->id, task);
    return task;
}

void active_task_leave_worker(ActiveTask *task)
{
    if (!task->worker)
        return;
    g_hash_table_remove(task->worker->tasks, &task->spec->id);
    task->worker = NULL;
}

void active_task_free(gpointer data)
{
    ActiveTask *task = data;

    active_task_leave_worker(task);
    task_spec_free(task->spec);
    g_free(task);
}

GHashTable *active_tasks_by_worker_new(void)
{
    return g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify) g_array_unref);
}

void active_tasks_by_worker_add(GHashTable *by_worker, const ActiveTask *task)
{
    GArray *ids = g_hash_table_lookup(by_worker, GUINT_TO_POINTER(task->worker_number));

    if (!ids) {
        ids = g_array_new(FALSE, FALSE, sizeof(uint64_t));
        g_hash_table_insert(by_worker, GUINT_TO_POINTER(task->worker_number), ids);
    }
    g_array_append_val(ids, task->spec->id);
}

void active_task_set_state(ActiveTask *task, TaskState state)
{
    g_assert(task_state_may_follow(task->state, state));
    task->state = state;
}

static bool through_no_fault(const TaskResult *result)
{
    return result->outcome == OUTCOME_LOST || result->outcome == OUTCOME_ABORTED;
}

static TaskState state_after_loss(const ActiveTask *task, Settlement *s)
{
    if (task->spec->has_fds) {
        s->reason = g_strdup(
            "its worker ended under it, and a task with passed file descriptors cannot be started again");
        return TASK_FAILED;
    }
    if (s->lost > TASK_LOST_MAX) {
        s->reason = g_strdup_printf("%u workers ended under it", s->lost);
        return TASK_FAILED;
    }
    if (s->attempted && s->result.outcome == OUTCOME_LOST && retry_forbids_lost(&task->spec->context->policy)) {
        s->reason = g_strdup("its worker ended under it, and it is not to be tried again then");
        return TASK_FAILED;
    }
    return task->hold ? TASK_HELD : TASK_QUEUED;
}

/* It ran out of its own memory, and is to get more: such attempts cost no retries, since each gets more than the one before. */
static bool grows(const ActiveTask *task, const SettlementFacts *facts, Settlement *s)
{
    const TaskDemand *demand = &task->spec->context->demand;
    uint64_t next;

    if (s->result.outcome != OUTCOME_OOM || s->result.oom_cause > OOM_WORKER || task->spec->has_fds ||
        (demand->memory_factor == 0 && demand->n_memory_steps == 0))
        return false;
    next = memory_growth_next(demand, facts->memory_had_bytes, facts->memory_most_bytes);
    if (next > 0) {
        s->memory_max_bytes = next;
        return true;
    }
    g_autofree char *had = format_bytes(facts->memory_had_bytes), *most = format_bytes(facts->memory_most_bytes);
    s->reason = g_strdup_printf("out of memory with %s, and no worker has more to give (the largest has %s)", had, most);
    return false;
}

/* It is to blame itself. */
static TaskState state_after_failure(const ActiveTask *task, const SettlementFacts *facts, Settlement *s)
{
    const TaskPolicy *policy = &task->spec->context->policy;
    RetryVerdict verdict;

    if (grows(task, facts, s))
        return task->hold ? TASK_HELD : TASK_QUEUED;
    s->spent++;
    verdict = retry_judge(policy, &s->result, s->spent, facts->random);

    if (verdict.action == RETRY_HOLD) {
        g_free(s->reason);
        s->reason = g_strdup_printf("held after attempt %u, as its policy says", s->attempts);
        return TASK_HELD;
    }
    if (verdict.action == RETRY_FAIL || task->spec->has_fds)
        return TASK_FAILED;
    s->due_usec = usec_add(facts->boot_usec, verdict.delay_usec);
    return TASK_WAITING;
}

void active_task_settlement(const ActiveTask *task, const TaskResult *result, bool attempted,
                            const SettlementFacts *facts, Settlement *ret)
{
    Settlement s = {
        .result = *result,
        .attempted = attempted,
        .attempts = task->spec->attempts + attempted,
        .lost = task->spec->lost,
        .spent = task->spec->spent,
        .worker = task->worker_number,
    };

    s.result.task = task->spec->id;
    s.result.fence = task->spec->fence;
    if (attempted && task_result_is_success(result))
        s.next = TASK_SUCCEEDED;
    else if (task->cancelled)
        s.next = TASK_CANCELLED;
    else if (!attempted && !through_no_fault(result)) /* given back */
        s.next = task->hold ? TASK_HELD : TASK_QUEUED;
    else if (task->pressed == PRESSED_OUT && result->outcome == OUTCOME_ABORTED) {
        s.reason = g_strdup("killed, since the machine was under pressure");
        s.next = TASK_FAILED;
    } else if (through_no_fault(result)) {
        s.lost += attempted && task->pressed != PRESSED_BACK;
        s.next = state_after_loss(task, &s);
    } else {
        s.next = state_after_failure(task, facts, &s);
    }
    *ret = s;
}
