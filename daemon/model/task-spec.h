/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/dependency.h"
#include "model/task-demand.h"
#include "model/task-policy.h"
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
    GBytes *credentials; /* strv-blob of NAME=/path, read as the submitter when it starts; NULL: none */
    TaskPolicy policy;
    TaskDemand demand;
} TaskContext;

TaskContext *task_context_new(void); /* everything empty, memory unlimited, cwd NULL */
TaskContext *task_context_copy(const TaskContext *context); /* with id 0, not stored */
TaskContext *task_context_ref(TaskContext *context);
void task_context_unref(TaskContext *context); /* thread-safe: the store has references too */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TaskContext, task_context_unref)
bool task_context_equal(const TaskContext *a, const TaskContext *b); /* ids are not compared */
char *task_context_digest(const TaskContext *context); /* SHA-256 in hex over every field but the id */

/* Policy and demand as one line of words, for the store and the worker. */
char *task_context_terms(const TaskContext *context);
int task_context_read_terms(TaskContext *context, const char *terms) _warn_unused_;

/* The descriptors a submitter handed over for a task; kept in memory only. */
typedef struct TaskFds {
    int fds[_STREAM_MAX]; /* -EBADF: not given */
} TaskFds;

/* What a task waits for before it may be handed out, as it was submitted; the store alone keeps it later. */
typedef struct TaskGate {
    GArray *dependencies;  /* Dependency; NULL: none */
    bool keep_unsatisfied; /* stays blocked when they can no longer hold, instead of being skipped */
    bool singleton;        /* one at a time of this name and user */
    bool held;
    uint64_t not_before_usec; /* CLOCK_REALTIME; 0: at once */
    uint64_t delay_usec;      /* after the submission; 0: none */
    char *queue;              /* NULL: none */
    uint32_t parallel;        /* of an array: so many at once; 0: any number */
} TaskGate;

TaskGate *task_gate_new(void);
TaskGate *task_gate_free(TaskGate *gate); /* takes NULL, returns NULL */

/* The result of a task that this one waited for. */
typedef struct TaskInput {
    char *name; /* of the other task, or its id; a plain file name */
    GBytes *data;
} TaskInput;
GPtrArray *task_inputs_new(void); /* of TaskInput, which it frees */
#define RESULT_BYTES_MAX (UINT64_C(64) << 10)
#define INPUTS_BYTES_MAX (UINT64_C(16) << 20) /* of one task, together */

/* What is to be run. In a submission with array_count > 1 it stands for a whole array: the ids are id … id + count - 1
 * and the indices array_index … */
typedef struct TaskSpec {
    uint64_t id, batch;
    uint64_t array_index; /* ARRAY_INDEX_NONE */
    uint64_t array_count; /* 1, or more in a submission */
    int32_t priority;
    uint32_t attempts; /* ended so far */
    uint32_t lost;     /* of them, through no fault of the task */
    uint32_t
        spent; /* of them, since it was submitted or retried by hand, those that count against its retries */
    uint64_t fence;        /* of the latest assignment; 0: none yet */
    uint64_t memory_max_bytes; /* of the next attempt's cgroup, where it is not as the context says; 0: it is */
    char *gpus;                /* on its way to a worker: those that it may use, "0,2"; NULL: says nothing */
    bool has_fds;          /* was given descriptors: cannot run twice */
    bool has_dependencies;
    bool has_inputs; /* one of those that it waited for has a result */
    char *name;            /* never NULL */
    char *tags;            /* "\n"-separated, NULL: none */
    GBytes *argv;          /* strv-blob, not empty */
    TaskContext *context;
    char *class;       /* of programs that do such tasks; NULL: a command, for ordinary workers */
    TaskFds *fds;      /* NULL: none, or lost with an earlier daemon */
    TaskGate *gate;    /* in a submission only; NULL: none */
    GPtrArray *inputs; /* TaskInput; on its way to a worker only; NULL: none */
} TaskSpec;

TaskSpec *task_spec_new(void);
uint64_t task_spec_memory(const TaskSpec *spec); /* the limit of the next attempt; LIMIT_INFINITY: none */
TaskSpec *task_spec_copy(const TaskSpec *spec); /* without descriptors, gate and inputs */
TaskSpec *task_spec_free(TaskSpec *spec);       /* closes the descriptors; takes NULL, returns NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TaskSpec, task_spec_free)
TaskFds *task_fds_new(void);
TaskFds *task_fds_free(TaskFds *fds);

/* Whose memory ran out. */
typedef enum OomCause {
    OOM_TASK,   /* the task's own limit was reached */
    OOM_WORKER, /* its worker's limit */
    OOM_HOST,   /* the machine's, or that of a cgroup above the worker's: the kernel chose it */
    OOM_OOMD,   /* systemd-oomd(8) killed the worker's cgroup, or the task's */
    _OOM_CAUSE_MAX,
} OomCause;
DECLARE_STRING_TABLE(oom_cause, OomCause); /* "task", "worker", "host", "oomd" */

/* Where an attempt's output lies: in a file of its own, or packed with others. */
typedef struct OutputPlace {
    bool packed;
    uint64_t offset, size; /* in the pack */
} OutputPlace;

/* How one attempt ended. */
typedef struct TaskResult {
    uint64_t task, fence;
    Outcome outcome;
    int exit_status, signal, error; /* of exited, signalled/oom, spawn-failed */
    uint64_t start_usec, end_usec;  /* CLOCK_REALTIME */
    uint64_t cpu_nsec;
    uint64_t memory_peak_bytes; /* MEMORY_UNKNOWN */
    GBytes *stderr_tail;        /* NULL: none */
    GBytes *data; /* what it wrote to $PAREXEC_RESULT, at most RESULT_BYTES_MAX; NULL: nothing */
    char *note;   /* a sentence on what went wrong beside the outcome; NULL: nothing */
    uint64_t dropped_bytes[_STREAM_MAX]; /* of its output, over output-max */
    OutputPlace places[_STREAM_MAX];     /* of stdout and stderr */
    OomCause oom_cause;                  /* with outcome oom */
    uint64_t memory_max_bytes; /* the limit it had; LIMIT_INFINITY: none; 0: not known. The daemon fills it in */
} TaskResult;

void task_result_done(TaskResult *result);
/* Did the attempt do what it was to do? exited with status 0. */
bool task_result_is_success(const TaskResult *result);
