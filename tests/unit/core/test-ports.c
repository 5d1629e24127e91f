/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ports.c: the values that pass through the ports give back all they hold (the sanitizers watch), and take NULL. */
#include "core/ports.h"

static TaskSpec *spec_new(void)
{
    TaskSpec *spec = task_spec_new();

    spec->argv = g_bytes_new_static("true", 5);
    spec->context = task_context_new();
    return spec;
}

static void spec_free(gpointer spec)
{
    task_spec_free(spec);
}

static void test_null(void)
{
    g_assert_null(worker_record_free(NULL));
    g_assert_null(held_task_free(NULL));
    g_assert_null(store_snapshot_free(NULL));
    g_assert_null(submission_free(NULL));
    g_assert_null(task_row_free(NULL));
}

static void test_empty(void)
{
    g_assert_null(worker_record_free(g_new0(WorkerRecord, 1)));
    g_assert_null(held_task_free(g_new0(HeldTask, 1)));
    g_assert_null(store_snapshot_free(g_new0(StoreSnapshot, 1)));
    g_assert_null(submission_free(g_new0(Submission, 1)));
    g_assert_null(task_row_free(g_new0(TaskRow, 1)));
}

static void test_full(void)
{
    WorkerRecord *record = g_new0(WorkerRecord, 1);
    HeldTask *held = g_new0(HeldTask, 1);
    Submission *submission = g_new0(Submission, 1);
    TaskRow *row = g_new0(TaskRow, 1);
    AttemptRow *attempt = g_new0(AttemptRow, 1);

    record->spec = worker_spec_new();
    record->process = (WorkerProcess){ 1, 2, g_strdup("unit"), g_strdup("group") };
    worker_record_free(record);
    held->spec = spec_new();
    held_task_free(held);
    submission->tasks = g_ptr_array_new_with_free_func(spec_free);
    g_ptr_array_add(submission->tasks, spec_new());
    submission_free(submission);
    row->spec = spec_new();
    row->reason = g_strdup("why");
    row->result.stderr_tail = g_bytes_new_static("x", 1);
    row->attempts = attempt_rows_new();
    attempt->result.stderr_tail = g_bytes_new("y", 1);
    g_ptr_array_add(row->attempts, attempt);
    task_row_free(row);
}

static void test_done_twice(void)
{
    WorkerProcess process = { 1, 2, g_strdup("unit"), NULL };
    Settlement settlement = { .reason = g_strdup("why"), .result.stderr_tail = g_bytes_new("z", 1) };

    worker_process_done(&process);
    worker_process_done(&process);
    g_assert_null(process.unit);
    settlement_done(&settlement);
    settlement_done(&settlement);
    g_assert_null(settlement.reason);
    g_assert_null(settlement.result.stderr_tail);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ports/null", test_null);
    g_test_add_func("/ports/empty", test_empty);
    g_test_add_func("/ports/full", test_full);
    g_test_add_func("/ports/done-twice", test_done_twice);
    return g_test_run();
}
