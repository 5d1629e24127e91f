/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Freeing the values that pass through the ports. */
#include "core/ports.h"

void worker_process_done(WorkerProcess *process)
{
    g_clear_pointer(&process->unit, g_free);
    g_clear_pointer(&process->control_group, g_free);
}

WorkerRecord *worker_record_free(WorkerRecord *record)
{
    if (!record)
        return NULL;
    worker_spec_free(record->spec);
    worker_process_done(&record->process);
    g_free(record);
    return NULL;
}

HeldTask *held_task_free(HeldTask *held)
{
    if (!held)
        return NULL;
    task_spec_free(held->spec);
    g_free(held);
    return NULL;
}

static void learned_row_free(gpointer data)
{
    LearnedRow *row = data;

    g_free(row->class);
    g_clear_pointer(&row->data, g_bytes_unref);
    g_free(row);
}

GPtrArray *learned_rows_new(void)
{
    return g_ptr_array_new_with_free_func(learned_row_free);
}

StoreSnapshot *store_snapshot_free(StoreSnapshot *snapshot)
{
    if (!snapshot)
        return NULL;
    g_clear_pointer(&snapshot->workers, g_ptr_array_unref);
    g_clear_pointer(&snapshot->held, g_ptr_array_unref);
    g_clear_pointer(&snapshot->wishes, g_hash_table_unref);
    g_clear_pointer(&snapshot->learned, g_ptr_array_unref);
    g_free(snapshot);
    return NULL;
}

void settlement_done(Settlement *settlement)
{
    task_result_done(&settlement->result);
    g_clear_pointer(&settlement->reason, g_free);
}

Submission *submission_free(Submission *submission)
{
    if (!submission)
        return NULL;
    g_clear_pointer(&submission->tasks, g_ptr_array_unref);
    g_free(submission->key);
    g_free(submission->refusal);
    g_free(submission);
    return NULL;
}

static void attempt_row_free(gpointer data)
{
    AttemptRow *row = data;

    task_result_done(&row->result);
    g_free(row);
}

TaskRow *task_row_free(TaskRow *row)
{
    if (!row)
        return NULL;
    task_spec_free(row->spec);
    task_result_done(&row->result);
    g_free(row->reason);
    g_free(row->queue);
    g_free(row->after);
    g_clear_pointer(&row->attempts, g_ptr_array_unref);
    g_free(row);
    return NULL;
}

GPtrArray *attempt_rows_new(void)
{
    return g_ptr_array_new_with_free_func(attempt_row_free);
}

TaskEdit *task_edit_free(TaskEdit *edit)
{
    if (!edit)
        return NULL;
    g_clear_pointer(&edit->argv, g_bytes_unref);
    g_free(edit->queue);
    g_free(edit);
    return NULL;
}

static void condition_free(gpointer data)
{
    Condition *condition = data;

    g_free(condition->text);
    g_free(condition);
}

GPtrArray *conditions_new(void)
{
    return g_ptr_array_new_with_free_func(condition_free);
}

void conditions_add(GPtrArray *conditions, const char *kind, char *text)
{
    Condition *condition = g_new(Condition, 1);

    *condition = (Condition){ kind, text };
    g_ptr_array_add(conditions, condition);
}

static void queue_row_free(gpointer data)
{
    QueueRow *row = data;

    g_free(row->name);
    g_free(row);
}

GPtrArray *queue_rows_new(void)
{
    return g_ptr_array_new_with_free_func(queue_row_free);
}
