/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "store/store-database.h"

/* What the tables tasks and ranges say of a task. */
typedef struct StoredTask {
    uint64_t id, spec, batch;
    uint32_t uid;
    int state; /* as in the table: STATE_TAKEN for what a worker holds */
    int32_t priority;
    uint32_t attempts, lost, spent;
    uint64_t fence, since_usec;
    int64_t class, queue, lane;
    uint64_t memory_bytes; /* of the next attempt; 0: as its context says */
    bool virtual;  /* an element of a range */
    uint64_t last; /* of that range; else the id */
} StoredTask;

/* A row of ranges. */
typedef struct StoredRange {
    uint64_t first, last, spec, batch;
    uint32_t uid;
    int state;
    int32_t priority;
    uint64_t since_usec;
    int64_t class, queue, lane;
} StoredRange;

/* The task that a worker holds. */
typedef struct StoredAssignment {
    uint64_t task, fence, batch, start_usec;
    uint32_t worker;
    bool cancelled;
} StoredAssignment;

#define TASK_COLUMNS                                                                                         \
    "id, ifnull(spec, id), batch, uid, state, priority, attempts, lost, fence, since, class, queue, lane, spent,"   \
    " ifnull(memory, 0)"
#define RANGE_COLUMNS "first, last, spec, batch, uid, state, priority, since, class, queue, lane"
void row_read_task(sqlite3_stmt *statement, StoredTask *ret);
void row_read_range(sqlite3_stmt *statement, StoredRange *ret);

/* 1: found; 0: there is none, or it is hidden. */
int row_find_task(Database *database, uint64_t id, StoredTask *ret) _warn_unused_;
int row_find_range(Database *database, uint64_t id, StoredRange *ret) _warn_unused_;
int row_find_assignment(Database *database, uint64_t task, StoredAssignment *ret) _warn_unused_;

/* What all elements from first on have in common. */
void row_of_range(const StoredRange *range, uint64_t first, StoredTask *ret);

/* The command and its surroundings. */
int row_load_spec(Database *database, const StoredTask *task, TaskSpec **ret) _warn_unused_;
/* A copy for another element of the same array. */
TaskSpec *row_spec_for_element(const TaskSpec *element, uint64_t id);

/* As it is shown. */
int row_load(Database *database, const StoredTask *task, TaskRow **ret) _warn_unused_;
/* What it wrote to $PAREXEC_RESULT, if anything. */
int row_add_data(Database *database, TaskRow *row) _warn_unused_;
int row_load_attempts(Database *database, uint64_t task, GPtrArray **ret) _warn_unused_;

/* Of a task in state STATE_TAKEN: running, or still queued. */
TaskState row_state(const StoredTask *task, const StoredAssignment *assignment);

#define ATTEMPT_COLUMNS                                                                                      \
    "attempt, worker, outcome, exit_status, signal, errno, start, finish, cpu_nsec, memory_peak, stderr_tail,"   \
    " note, stdout_dropped, stderr_dropped, stdout_at, stdout_size, stderr_at, stderr_size, memory_max"
#define ATTEMPT_SELECT_LATEST                                                                                \
    "SELECT " ATTEMPT_COLUMNS " FROM attempts WHERE task = ?1 ORDER BY attempt DESC LIMIT 1"
void row_read_attempt(sqlite3_stmt *statement, uint64_t task, AttemptRow *ret);
