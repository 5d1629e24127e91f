/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/task-state.h"
#include "util/macro.h"

#define ARRAY_INDEX_NONE UINT64_MAX
#define MEMORY_UNKNOWN UINT64_MAX
#define TASK_LOST_MAX 5U /* so many workers may die under a task before it is thought to kill them */

typedef enum StdStream { STREAM_STDIN, STREAM_STDOUT, STREAM_STDERR, _STREAM_MAX } StdStream;
DECLARE_STRING_TABLE(std_stream, StdStream);

/* The surroundings that a command runs in: who, where, with which environment. Tasks of one submission share it, the
 * store keeps one row for each distinct one. Immutable, counted. */
typedef struct TaskContext {
    gatomicrefcount refs;
    uint64_t id; /* the store's; 0 before it is stored */
    uint32_t uid, gid;
    uint32_t *groups; /* supplementary */
    size_t n_groups;
    GBytes *cwd;                  /* absolute, closed by NUL */
    GBytes *environment;          /* strv-blob */
    GBytes *streams[_STREAM_MAX]; /* absolute paths closed by NUL; NULL: the default */
    uint64_t memory_max_bytes;    /* of the task's own cgroup; LIMIT_INFINITY: none */
} TaskContext;

TaskContext *task_context_new(void); /* everything empty, memory unlimited, cwd NULL */
TaskContext *task_context_ref(TaskContext *context);
void task_context_unref(TaskContext *context); /* thread-safe: the store has references too */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TaskContext, task_context_unref)
bool task_context_equal(const TaskContext *a, const TaskContext *b); /* ids are not compared */
char *task_context_digest(const TaskContext *context); /* SHA-256 in hex over every field but the id */

/* The descriptors a submitter handed over for a task; kept in memory only. */
typedef struct TaskFds {
    int fds[_STREAM_MAX]; /* -EBADF: not given */
} TaskFds;

/* What is to be run. In a submission with array_count > 1 it stands for a whole array: the ids are id … id + count - 1
 * and the indices array_index … */
typedef struct TaskSpec {
    uint64_t id, batch;
    uint64_t array_index; /* ARRAY_INDEX_NONE */
    uint64_t array_count; /* 1, or more in a submission */
    int32_t priority;
    uint32_t attempts; /* ended so far */
    uint32_t lost;     /* of them, through no fault of the task */
    uint64_t fence;    /* of the latest assignment; 0: none yet */
    bool has_fds;      /* was given descriptors: cannot run twice */
    char *name;        /* never NULL */
    char *tags;        /* "\n"-separated, NULL: none */
    GBytes *argv;      /* strv-blob, not empty */
    TaskContext *context;
    TaskFds *fds; /* NULL: none, or lost with an earlier daemon */
} TaskSpec;

TaskSpec *task_spec_new(void);
TaskSpec *task_spec_copy(const TaskSpec *spec); /* without the descriptors */
TaskSpec *task_spec_free(TaskSpec *spec);       /* closes the descriptors; takes NULL, returns NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TaskSpec, task_spec_free)
TaskFds *task_fds_new(void);
TaskFds *task_fds_free(TaskFds *fds);

/* How one attempt ended. Plain data. */
typedef struct TaskResult {
    uint64_t task, fence;
    Outcome outcome;
    int exit_status, signal, error; /* of exited, signalled/oom, spawn-failed */
    uint64_t start_usec, end_usec;  /* CLOCK_REALTIME */
    uint64_t cpu_nsec;
    uint64_t memory_peak_bytes; /* MEMORY_UNKNOWN */
    GBytes *stderr_tail;        /* NULL: none */
} TaskResult;

void task_result_done(TaskResult *result);
/* Did the attempt do what it was to do? exited with status 0. */
bool task_result_is_success(const TaskResult *result);
