/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>
#include <systemd/sd-bus.h>

#include "model/task-state.h"

/* A "task row" of the API, as far as it was told: in full from a listing, in part from a change. */
typedef struct TaskInfo {
    uint64_t id, batch;
    TaskState state;
    Outcome outcome;
    char *name; /* NULL or "": none */
    int32_t priority;
    uint32_t owner;
    uint64_t submitted_usec, started_usec, finished_usec; /* 0: not yet */
    uint64_t array_index;                                 /* UINT64_MAX: not of an array */
    uint32_t attempt;
    char *worker; /* NULL or "": none */
    int32_t exit_status, signal, error;
    uint64_t cpu_usage_nsec;
    uint64_t memory_peak_bytes; /* UINT64_MAX: not known */
    uint64_t memory_max_bytes;  /* of an attempt; UINT64_MAX: none, or not known */
    bool frozen;                /* it runs, and stands still */
    char **tags;
    char *reason;
    char *queue, *class;      /* NULL or "": none */
    uint64_t not_before_usec; /* 0: it does not wait for a time */
    uint32_t retries_spent;
    char *note; /* what went wrong beside the outcome */
    uint64_t stdout_dropped, stderr_dropped;
    char *stderr_tail, *result; /* NULL: none, or not ours to see */
    char **argv;                /* NULL: not ours to see */
    char *cwd;
    char *state_word, *outcome_word; /* as they came */
} TaskInfo;

void task_info_init(TaskInfo *info);
void task_info_done(TaskInfo *info);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(TaskInfo, task_info_done)
TaskInfo *task_info_new(void);
void task_info_free(TaskInfo *info);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TaskInfo, task_info_free)

/* Reads a row into an initialised one. -EBADMSG: it has no known state. */
int task_info_read(sd_bus_message *m, TaskInfo *info) _warn_unused_;

/* The batch that has ended, as BatchFinished tells it. */
typedef struct BatchResult {
    uint64_t count, succeeded, failed, cancelled, skipped;
    TaskInfo single; /* of a batch of one task: id is not 0 */
} BatchResult;

int batch_result_read(sd_bus_message *m, BatchResult *result) _warn_unused_; /* into a zeroed one */
void batch_result_done(BatchResult *result);

/* The exit code that stands for an ended task: its own, 128 + signal, 137 for oom, 124 for timeout, 127 or
 * 126 if the command could not be started, 1 otherwise. */
int task_info_exit_code(const TaskInfo *info);

/* "running, frozen" */
char *task_info_state(const TaskInfo *info);

/* "exited with status 3", "killed by signal 9 (KILL)", "ran out of memory" …; for tasks that have ended. */
char *task_info_describe_end(const TaskInfo *info);
