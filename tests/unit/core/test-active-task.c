/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* active-task.c: the setter's matrix, and the table of what becomes of a task after an attempt. */
#include "core/active-task.h"

#include "core/worker.h"

static ActiveTask *example(Worker *worker)
{
    TaskSpec *spec = task_spec_new();

    spec->id = 17;
    spec->fence = 3;
    return active_task_new(spec, worker);
}

static void test_allowed(void)
{
    Worker *worker = worker_new(1, worker_spec_new());

    for (int from = 0; from < _TASK_STATE_MAX; from++)
        for (int to = 0; to < _TASK_STATE_MAX; to++) {
            ActiveTask *task = example(worker);
            task->state = (TaskState) from;
            if (task_state_may_follow((TaskState) from, (TaskState) to)) {
                active_task_set_state(task, (TaskState) to);
                g_assert_cmpint(task->state, ==, to);
            }
            active_task_free(task);
        }
    worker_free(worker);
}

static void test_forbidden(gconstpointer data)
{
    int from = GPOINTER_TO_INT(data) / _TASK_STATE_MAX, to = GPOINTER_TO_INT(data) % _TASK_STATE_MAX;

    if (g_test_subprocess()) {
        ActiveTask *task = example(worker_new(1, worker_spec_new()));
        task->state = (TaskState) from;
        active_task_set_state(task, (TaskState) to);
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_failed();
    g_test_trap_assert_stderr("*task_state_may_follow*");
}

typedef struct Case {
    Outcome outcome;
    int exit_status;
    bool attempted, cancelled, has_fds;
    uint32_t lost;       /* before */
    TaskState next;
    uint32_t lost_after;
    const char *reason;
    bool spends; /* it counts against its retries */
} Case;

#define FDS_REASON "its worker ended under it, and a task with passed file descriptors cannot be started again"

static const Case cases[] = {
    { OUTCOME_EXITED, 0, true, false, false, 0, TASK_SUCCEEDED, 0, NULL },
    { OUTCOME_EXITED, 0, true, true, false, 0, TASK_SUCCEEDED, 0, NULL }, /* it was faster than its cancellation */
    { OUTCOME_EXITED, 0, true, false, true, 5, TASK_SUCCEEDED, 5, NULL },
    { OUTCOME_EXITED, 1, true, false, false, 0, TASK_FAILED, 0, NULL, true },
    { OUTCOME_EXITED, 1, true, true, false, 0, TASK_CANCELLED, 0, NULL },
    { OUTCOME_SIGNALLED, 0, true, false, false, 0, TASK_FAILED, 0, NULL, true },
    { OUTCOME_TIMEOUT, 0, true, false, false, 0, TASK_FAILED, 0, NULL, true },
    { OUTCOME_OOM, 0, true, false, false, 0, TASK_FAILED, 0, NULL, true },
    { OUTCOME_SPAWN_FAILED, 0, true, false, false, 0, TASK_FAILED, 0, NULL, true },
    { OUTCOME_SPAWN_FAILED, 0, true, false, true, 0, TASK_FAILED, 0, NULL, true },
    { OUTCOME_ABORTED, 0, true, true, false, 0, TASK_CANCELLED, 0, NULL },
    { OUTCOME_ABORTED, 0, true, false, false, 0, TASK_QUEUED, 1, NULL },
    { OUTCOME_LOST, 0, true, false, false, 0, TASK_QUEUED, 1, NULL },
    { OUTCOME_LOST, 0, true, false, false, TASK_LOST_MAX - 1, TASK_QUEUED, TASK_LOST_MAX, NULL },
    { OUTCOME_LOST, 0, true, false, false, TASK_LOST_MAX, TASK_FAILED, TASK_LOST_MAX + 1, "6 workers ended under it" },
    { OUTCOME_LOST, 0, true, true, false, 0, TASK_CANCELLED, 0, NULL },
    { OUTCOME_LOST, 0, true, false, true, 0, TASK_FAILED, 1, FDS_REASON },
    { OUTCOME_ABORTED, 0, true, false, true, 0, TASK_FAILED, 1, FDS_REASON },
    { OUTCOME_LOST, 0, false, false, false, 2, TASK_QUEUED, 2, NULL },       /* it had not started: nothing is lost */
    { OUTCOME_NONE, 0, false, false, false, TASK_LOST_MAX, TASK_QUEUED, TASK_LOST_MAX, NULL },
    { OUTCOME_ABORTED, 0, false, true, false, 0, TASK_CANCELLED, 0, NULL },
    { OUTCOME_LOST, 0, false, false, true, 0, TASK_FAILED, 0, FDS_REASON },  /* the descriptors are gone with the worker */
    { OUTCOME_LOST, 0, false, true, true, 0, TASK_CANCELLED, 0, NULL },
};

static void test_settlement(void)
{
    Worker *worker = worker_new(9, worker_spec_new());

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Case *c = &cases[i];
        ActiveTask *task = example(worker);
        Settlement s = { 0 };
        g_autoptr(GBytes) tail = g_bytes_new_static("x", 1);
        TaskResult result = { .outcome = c->outcome, .exit_status = c->exit_status, .task = 99, .fence = 99, .stderr_tail = tail };

        g_test_message("case %zu", i);
        task->cancelled = c->cancelled;
        task->spec->has_fds = c->has_fds;
        task->spec->lost = c->lost;
        task->spec->attempts = 7;
        task->spec->spent = 2;
        task->spec->context = task_context_new();
        active_task_settlement(task, &result, c->attempted, &(SettlementFacts){ 1000, 0.5 }, &s);
        g_assert_cmpint(s.next, ==, c->next);
        g_assert_cmpuint(s.lost, ==, c->lost_after);
        g_assert_cmpstr(s.reason, ==, c->reason);
        g_assert_cmpuint(s.spent, ==, c->spends ? 3 : 2);
        g_assert_cmpuint(s.due_usec, ==, 0);
        g_assert_cmpuint(s.attempts, ==, c->attempted ? 8 : 7);
        g_assert_cmpint(s.attempted, ==, c->attempted);
        g_assert_cmpuint(s.worker, ==, 9);
        g_assert_cmpuint(s.result.task, ==, 17); /* the assignment's, whatever the result says */
        g_assert_cmpuint(s.result.fence, ==, 3);
        g_assert_true(s.result.stderr_tail == tail);
        g_free(s.reason);
        active_task_free(task);
    }
    worker_free(worker);
}

typedef struct RetryCase {
    const char *cause, *action; /* a rule; NULL: none */
    Outcome outcome;
    int exit_status;
    bool hold, has_fds;
    uint32_t spent;    /* before */
    uint32_t retries;
    TaskState next;
    uint64_t due_usec; /* at boot 1000 s, first delay 8 s, factor 3, chance 0 */
    const char *reason;
} RetryCase;

#define SEC USEC_PER_SEC

static const RetryCase retry_cases[] = {
    { NULL, NULL, OUTCOME_EXITED, 1, false, false, 0, 3, TASK_WAITING, 1008 * SEC, NULL },
    { NULL, NULL, OUTCOME_EXITED, 1, false, false, 1, 3, TASK_WAITING, 1024 * SEC, NULL },
    { NULL, NULL, OUTCOME_TIMEOUT, 0, false, false, 2, 3, TASK_WAITING, 1060 * SEC, NULL }, /* at most 60 s */
    { NULL, NULL, OUTCOME_OOM, 0, false, false, 3, 3, TASK_FAILED, 0, NULL },
    { NULL, NULL, OUTCOME_EXITED, 1, false, true, 0, 3, TASK_FAILED, 0, NULL }, /* descriptors cannot be passed twice */
    { NULL, NULL, OUTCOME_EXITED, 0, false, false, 0, 3, TASK_SUCCEEDED, 0, NULL },
    { "exit=75", "fail", OUTCOME_EXITED, 75, false, false, 0, 3, TASK_FAILED, 0, NULL },
    { "exit=75", "fail", OUTCOME_EXITED, 74, false, false, 0, 3, TASK_WAITING, 1008 * SEC, NULL },
    { "exit", "hold", OUTCOME_EXITED, 1, false, false, 0, 3, TASK_HELD, 0, "held after attempt 8, as its policy says" },
    { "exit", "hold", OUTCOME_EXITED, 1, false, false, 0, 0, TASK_HELD, 0, "held after attempt 8, as its policy says" },
    { "lost", "fail", OUTCOME_LOST, 0, false, false, 0, 3, TASK_FAILED, 0,
      "its worker ended under it, and it is not to be tried again then" },
    { "lost", "fail", OUTCOME_ABORTED, 0, false, false, 0, 3, TASK_QUEUED, 0, NULL },
    { NULL, NULL, OUTCOME_LOST, 0, false, false, 0, 0, TASK_QUEUED, 0, NULL },
    { NULL, NULL, OUTCOME_LOST, 0, true, false, 0, 0, TASK_HELD, 0, NULL },
};

static void set_policy(TaskPolicy *policy, const RetryCase *c)
{
    policy->retries = c->retries;
    policy->backoff_first_usec = 8 * SEC;
    policy->backoff_longest_usec = 60 * SEC;
    policy->backoff_factor = 3;
    if (c->cause)
        g_assert_cmpint(task_policy_add_rule(policy, c->cause, c->action), ==, 0);
}

static void test_retries(void)
{
    Worker *worker = worker_new(9, worker_spec_new());

    for (size_t i = 0; i < G_N_ELEMENTS(retry_cases); i++) {
        const RetryCase *c = &retry_cases[i];
        ActiveTask *task = example(worker);
        Settlement s = { 0 };
        TaskResult result = { .outcome = c->outcome, .exit_status = c->exit_status };

        g_test_message("case %zu", i);
        task->spec->context = task_context_new();
        set_policy(&task->spec->context->policy, c);
        task->spec->spent = c->spent;
        task->spec->attempts = 7;
        task->spec->has_fds = c->has_fds;
        task->hold = c->hold;
        active_task_settlement(task, &result, true, &(SettlementFacts){ 1000 * SEC, 0 }, &s);
        g_assert_cmpstr(task_state_to_string(s.next), ==, task_state_to_string(c->next));
        g_assert_cmpuint(s.due_usec, ==, c->due_usec);
        g_assert_cmpstr(s.reason, ==, c->reason);
        g_free(s.reason);
        active_task_free(task);
    }
    worker_free(worker);
}

/* Held when it comes back from the worker without having started. */
static void test_hold(void)
{
    Worker *worker = worker_new(9, worker_spec_new());
    ActiveTask *task = example(worker);
    Settlement s = { 0 };

    task->spec->context = task_context_new();
    task->hold = true;
    active_task_settlement(task, &(TaskResult){ 0 }, false, &(SettlementFacts){ 0, 0 }, &s);
    g_assert_cmpint(s.next, ==, TASK_HELD);
    g_assert_cmpuint(s.spent, ==, 0);
    task->cancelled = true;
    active_task_settlement(task, &(TaskResult){ 0 }, false, &(SettlementFacts){ 0, 0 }, &s);
    g_assert_cmpint(s.next, ==, TASK_CANCELLED);
    active_task_free(task);
    worker_free(worker);
}

static void test_worker(void)
{
    Worker *worker = worker_new(9, worker_spec_new());
    ActiveTask *task = example(worker);

    g_assert_true(g_hash_table_lookup(worker->tasks, &task->spec->id) == task);
    g_assert_cmpint(task->state, ==, TASK_QUEUED);
    g_assert_cmpuint(task->worker_number, ==, 9);
    active_task_leave_worker(task);
    g_assert_null(task->worker);
    g_assert_cmpuint(task->worker_number, ==, 9);
    g_assert_cmpuint(g_hash_table_size(worker->tasks), ==, 0);
    worker_free(worker); /* before the task */
    active_task_free(task);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/active-task/state/allowed", test_allowed);
    for (int i = 0; i < _TASK_STATE_MAX * _TASK_STATE_MAX; i++) {
        TaskState from = (TaskState) (i / _TASK_STATE_MAX), to = (TaskState) (i % _TASK_STATE_MAX);
        g_autofree char *path = g_strdup_printf("/active-task/state/forbidden/%s-%s", task_state_to_string(from), task_state_to_string(to));
        if (!task_state_may_follow(from, to))
            g_test_add_data_func(path, GINT_TO_POINTER(i), test_forbidden);
    }
    g_test_add_func("/active-task/settlement", test_settlement);
    g_test_add_func("/active-task/retries", test_retries);
    g_test_add_func("/active-task/hold", test_hold);
    g_test_add_func("/active-task/worker", test_worker);
    return g_test_run();
}
