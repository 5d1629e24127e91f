/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* worker.c: the setter's matrix, readiness, means and samples. */
#include "core/worker.h"

#include "core/active-task.h"

static Worker *example(uint32_t slots)
{
    WorkerSpec *spec = worker_spec_new();

    spec->slots = slots;
    return worker_new(7, spec);
}

static void test_new(void)
{
    Worker *worker = example(3);

    g_assert_cmpstr(worker->id, ==, "w7");
    g_assert_cmpint(worker->state, ==, WORKER_STARTING);
    g_assert_cmpuint(worker->deadline_usec, ==, UINT64_MAX);
    g_assert_cmpuint(worker->answer_usec, ==, UINT64_MAX);
    g_assert_nonnull(worker->not_enforced);
    g_assert_null(worker->not_enforced[0]);
    g_assert_false(worker_is_ready(worker));
    g_assert_null(worker_free(worker));
    g_assert_null(worker_free(NULL));
}

/* Every transition there is: what the table allows is done, and ends the deadline. */
static void test_allowed(void)
{
    for (int from = 0; from < _WORKER_STATE_MAX; from++)
        for (int to = 0; to < _WORKER_STATE_MAX; to++) {
            Worker *worker = example(1);
            worker->state = (WorkerState) from;
            worker->deadline_usec = 5;
            if (worker_state_may_follow((WorkerState) from, (WorkerState) to)) {
                g_assert_cmpint(worker_set_state(worker, (WorkerState) to), ==, from);
                g_assert_cmpint(worker->state, ==, to);
                g_assert_cmpuint(worker->deadline_usec, ==, UINT64_MAX);
            }
            worker_free(worker);
        }
}

/* Anything else is an assertion: one process for each pair. */
static void test_forbidden(gconstpointer data)
{
    int from = GPOINTER_TO_INT(data) / _WORKER_STATE_MAX, to = GPOINTER_TO_INT(data) % _WORKER_STATE_MAX;

    if (g_test_subprocess()) {
        Worker *worker = example(1);
        worker->state = (WorkerState) from;
        (void) worker_set_state(worker, (WorkerState) to);
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_failed();
    g_test_trap_assert_stderr("*worker_state_may_follow*");
}

static void test_ready(void)
{
    for (int state = 0; state < _WORKER_STATE_MAX; state++)
        for (int flags = 0; flags < 4; flags++) {
            Worker *worker = example(1);
            worker->state = (WorkerState) state;
            worker->connected = flags & 1;
            worker->aborting = flags & 2;
            g_assert_cmpint(worker_is_ready(worker), ==, state == WORKER_RUNNING && flags == 1);
            worker_free(worker);
        }
}

static void test_ahead(void)
{
    Worker *worker = example(2);
    ActiveTask *tasks[5];

    for (size_t i = 0; i < G_N_ELEMENTS(tasks); i++) {
        TaskSpec *spec = task_spec_new();
        spec->id = i + 1;
        tasks[i] = active_task_new(spec, worker);
        g_assert_cmpuint(worker_n_ahead(worker), ==, i < 2 ? 0 : i - 1);
    }
    active_task_leave_worker(tasks[0]);
    g_assert_cmpuint(worker_n_ahead(worker), ==, 2);
    active_task_leave_worker(tasks[0]); /* twice */
    g_assert_cmpuint(worker_n_ahead(worker), ==, 2);
    for (size_t i = 0; i < G_N_ELEMENTS(tasks); i++)
        active_task_free(tasks[i]);
    g_assert_cmpuint(g_hash_table_size(worker->tasks), ==, 0);
    worker_free(worker);
}

static void test_duration(void)
{
    Worker *worker = example(1);

    worker_add_duration(worker, 1000);
    g_assert_cmpfloat(worker->mean_usec, ==, 1000);
    worker_add_duration(worker, 2000);
    g_assert_cmpfloat_with_epsilon(worker->mean_usec, 1100, 1e-6);
    for (unsigned i = 0; i < 200; i++)
        worker_add_duration(worker, 0);
    g_assert_cmpfloat(worker->mean_usec, >, 0); /* 0 would mean "not known" */
    g_assert_cmpfloat(worker->mean_usec, <, 2);
    worker_free(worker);
}

static void test_record(void)
{
    Worker *worker = example(1);

    worker->process = (WorkerProcess){ 42, 43, g_strdup("unit"), g_strdup("group") };
    worker->added_usec = 44;
    worker->tasks_done = 45;
    worker->tasks_failed = 46;
    for (size_t i = 0; i < LAUNCH_TOKEN_BYTES; i++)
        worker->token[i] = (uint8_t) (i + 1);
    WorkerRecord record = worker_record(worker);
    g_assert_cmpuint(record.number, ==, 7);
    g_assert_true(record.spec == worker->spec);
    g_assert_cmpint(record.state, ==, WORKER_STARTING);
    g_assert_cmpint(record.process.pid, ==, 42);
    g_assert_cmpuint(record.process.start_time, ==, 43);
    g_assert_cmpstr(record.process.unit, ==, "unit");
    g_assert_cmpstr(record.process.control_group, ==, "group");
    g_assert_cmpmem(record.token, LAUNCH_TOKEN_BYTES, worker->token, LAUNCH_TOKEN_BYTES);
    g_assert_cmpuint(record.added_usec, ==, 44);
    g_assert_cmpuint(record.tasks_done, ==, 45);
    g_assert_cmpuint(record.tasks_failed, ==, 46);
    worker_free(worker);
}

static void test_cpu(void)
{
    Worker *worker = example(1);
    uint64_t now = 100 * USEC_PER_SEC;

    worker_sample_cpu(worker, 500, now);
    g_assert_cmpfloat(worker->cpu_percent, ==, 0); /* one sample says nothing */
    worker_sample_cpu(worker, 500 + UINT64_C(500000000), now + USEC_PER_SEC);
    g_assert_cmpfloat_with_epsilon(worker->cpu_percent, 50, 1e-9);
    worker_sample_cpu(worker, UINT64_C(10000000000), now + USEC_PER_SEC + 99999); /* too soon */
    g_assert_cmpfloat_with_epsilon(worker->cpu_percent, 50, 1e-9);
    worker_sample_cpu(worker, UINT64_MAX, now + 2 * USEC_PER_SEC); /* not known */
    g_assert_cmpfloat_with_epsilon(worker->cpu_percent, 50, 1e-9);
    worker_sample_cpu(worker, 500 + UINT64_C(2500000000), now + 2 * USEC_PER_SEC);
    g_assert_cmpfloat_with_epsilon(worker->cpu_percent, 200, 1e-9);
    worker_sample_cpu(worker, 0, now + 3 * USEC_PER_SEC); /* it fell: a counter that began anew */
    g_assert_cmpfloat_with_epsilon(worker->cpu_percent, 200, 1e-9);
    worker_sample_cpu(worker, UINT64_C(1000000000), now + 4 * USEC_PER_SEC);
    g_assert_cmpfloat_with_epsilon(worker->cpu_percent, 100, 1e-9);
    worker_free(worker);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/worker/new", test_new);
    g_test_add_func("/worker/state/allowed", test_allowed);
    for (int i = 0; i < _WORKER_STATE_MAX * _WORKER_STATE_MAX; i++) {
        WorkerState from = (WorkerState) (i / _WORKER_STATE_MAX), to = (WorkerState) (i % _WORKER_STATE_MAX);
        g_autofree char *path = g_strdup_printf("/worker/state/forbidden/%s-%s", worker_state_to_string(from), worker_state_to_string(to));
        if (!worker_state_may_follow(from, to))
            g_test_add_data_func(path, GINT_TO_POINTER(i), test_forbidden);
    }
    g_test_add_func("/worker/ready", test_ready);
    g_test_add_func("/worker/ahead", test_ahead);
    g_test_add_func("/worker/duration", test_duration);
    g_test_add_func("/worker/record", test_record);
    g_test_add_func("/worker/cpu", test_cpu);
    return g_test_run();
}
