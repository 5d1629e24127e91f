/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the core needs of the world, as tables of functions. Adapters (store, engine, host, link, bus, journal) implement
 * them by embedding the table as the first member of their own struct; unit tests put fakes there. Calls never block.
 * What takes time is answered later, from the loop, never from inside the call: through the given function, or through
 * the events that an adapter was made with. */

#include "model/launch-record.h"
#include "model/machine.h"
#include "model/task-filter.h"
#include "model/task-spec.h"
#include "model/worker-spec.h"
#include "model/worker-state.h"

/* ------------------------------------------------------------------ store: the truth about tasks, on disk */

typedef struct WorkerProcess {
    int32_t pid;         /* 0: none yet */
    uint64_t start_time; /* field 22 of /proc/PID/stat: tells a reused pid */
    char *unit;          /* "parexec-w1.scope"; "" without systemd; NULL: not yet known */
    char *control_group; /* path below the hierarchy's root; "" or NULL: none */
} WorkerProcess;

/* A worker as it is remembered over a restart of the daemon. */
typedef struct WorkerRecord {
    uint32_t number;
    WorkerSpec *spec;
    WorkerState state;
    WorkerProcess process;
    uint8_t token[LAUNCH_TOKEN_BYTES];
    uint64_t added_usec; /* CLOCK_REALTIME */
    uint64_t tasks_done, tasks_failed;
} WorkerRecord;

WorkerRecord *worker_record_free(WorkerRecord *record);
void worker_process_done(WorkerProcess *process);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(WorkerRecord, worker_record_free)

typedef struct StoreCounts {
    uint64_t by_state[_TASK_STATE_MAX];
} StoreCounts;

/* A task that a worker held when the daemon went. */
typedef struct HeldTask {
    TaskSpec *spec; /* fence is that of the assignment */
    uint32_t worker;
    uint64_t start_usec; /* 0: not known to have started */
    bool cancelled;      /* Cancel was asked for */
} HeldTask;

HeldTask *held_task_free(HeldTask *held);

/* What tasks of one class took; see policy/learned.h. */
typedef struct LearnedRow {
    uint32_t uid;
    char *class;
    GBytes *data;
} LearnedRow;
GPtrArray *learned_rows_new(void); /* of LearnedRow, which it frees */
#define LEARNED_ROWS_MAX 10000U

/* What the daemon starts from. */
typedef struct StoreSnapshot {
    GPtrArray *workers; /* WorkerRecord */
    GPtrArray *held;    /* HeldTask */
    GHashTable *wishes; /* char* → char*: of set_wish() */
    GPtrArray *learned; /* LearnedRow */
    StoreCounts counts;
    uint32_t next_worker;
    bool enabled;
} StoreSnapshot;

StoreSnapshot *store_snapshot_free(StoreSnapshot *snapshot);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StoreSnapshot, store_snapshot_free)

typedef struct Assignment {
    uint64_t task, fence;
    uint32_t worker;
    uint64_t start_usec; /* only of started() */
} Assignment;

/* The end of an assignment: what came of it and what the task is next. */
typedef struct Settlement {
    TaskResult result; /* task and fence always; the rest if attempted */
    TaskState next;    /* queued, or an end */
    bool attempted;    /* an attempt was made and is to be recorded */
    uint32_t attempts; /* ended so far, this one included */
    uint32_t lost;
    uint32_t spent;
    uint32_t worker;
    uint64_t memory_max_bytes; /* of the next attempt; 0: as before */
    uint64_t due_usec; /* CLOCK_BOOTTIME, with next waiting: when it goes on */
    char *reason;      /* NULL: the result says it all */
} Settlement;

void settlement_done(Settlement *settlement);

/* When a batch is given up. */
typedef struct BatchHalt {
    uint64_t max_fails;       /* when so many have failed; UINT64_MAX: never */
    double max_fails_percent; /* or that part of its tasks; negative: never */
    uint64_t max_successes;   /* UINT64_MAX: never */
    bool now;               /* what runs is stopped, too */
} BatchHalt;

/* One call of Submit. */
typedef struct Submission {
    GPtrArray *tasks; /* TaskSpec; ids and batch are filled in when it is stored; free function set */
    uint32_t uid;
    uint64_t batch; /* 0: a new one */
    bool commit;
    char *key;               /* NULL: none */
    BatchHalt halt;          /* counts with the committing call */
    uint64_t submitted_usec; /* CLOCK_REALTIME */
    uint64_t boot_usec;      /* CLOCK_BOOTTIME, then */
    uint64_t first, count;   /* result: ids */
    bool known;              /* result: there was a batch with that key; nothing was added */
    char *refusal;           /* result: a sentence with -EDOM (dependency), -ENOENT (task), -ENOKEY (queue) */
} Submission;

Submission *submission_free(Submission *submission);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Submission, submission_free)

typedef struct AttemptRow {
    uint32_t attempt, worker;
    TaskResult result;
} AttemptRow;

GPtrArray *attempt_rows_new(void); /* of AttemptRow, which it frees */

/* One task as it is shown. */
typedef struct TaskRow {
    TaskSpec *spec; /* array_count is 1; fds NULL; fence of the latest assignment */
    TaskState state;
    uint64_t submitted_usec;
    uint32_t attempt;    /* number of the latest one, running or ended; 0: none */
    uint32_t worker;     /* number; 0: none */
    uint64_t start_usec; /* of the latest attempt; 0: none */
    TaskResult result;   /* of the latest ended attempt; OUTCOME_NONE: none, or one is running. Its data: only of get() */
    char *reason;        /* NULL: none */
    char *queue;         /* NULL: none */
    char *after;         /* what it waits or waited for; NULL: nothing. Only of get() */
    uint64_t not_before_usec; /* CLOCK_REALTIME: when it goes on; 0: it does not wait for a time */
    bool frozen; /* it stands still; filled in by manager_complete_row() */
    GPtrArray *attempts; /* AttemptRow, oldest first; NULL in a listing */
} TaskRow;

TaskRow *task_row_free(TaskRow *row);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TaskRow, task_row_free)

typedef struct IdRange {
    uint64_t first, last;
    uint64_t batch; /* of cancelled tasks */
} IdRange;

/* What a filter matches, seen by one user. */
typedef struct FilterFacts {
    uint64_t missing_id; /* an id of the filter that does not exist; 0: all exist */
    bool missing_batch;
    uint64_t foreign;       /* live tasks of other users that match */
    uint64_t foreign_ended; /* of those that failed, were cancelled or skipped, which Retry is about */
} FilterFacts;

/* New limits of a task. */
typedef struct TaskLimits {
    uint64_t task;
    bool set_memory, set_cpu, set_tasks, set_io;
    uint64_t memory_max_bytes, cpu_quota_usec_per_sec, tasks_max;
    uint32_t io_weight;
} TaskLimits;

static inline bool task_limits_say_something(const TaskLimits *limits)
{
    return limits->set_memory || limits->set_cpu || limits->set_tasks || limits->set_io;
}

/* What is changed of tasks that have not started. */
typedef struct TaskEdit {
    bool set_priority;
    int32_t priority;
    GBytes *argv; /* NULL: stays */
    TaskLimits limits;
    char *queue; /* NULL: stays; "": none */
} TaskEdit;

TaskEdit *task_edit_free(TaskEdit *edit);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TaskEdit, task_edit_free)

/* TASK_LIMIT is TASK_EDIT for those that have started, too: memory counts for their next attempt. TASK_SELECT changes
 * nothing and names those that have started. */
typedef enum TaskAction { TASK_HOLD, TASK_RELEASE, TASK_RETRY, TASK_EDIT, TASK_LIMIT, TASK_SELECT } TaskAction;

/* What an action changed. */
typedef struct Modified {
    uint64_t count;
    GArray *unready; /* IdRange: not to be handed out as they were: held, or edited (then they are offered anew) */
    GArray *held;    /* uint64_t: with a worker; to be given back if they have not started */
    GArray *started; /* uint64_t: of TASK_LIMIT and TASK_SELECT: with a worker, and they have */
} Modified;

/* Why a task does not run, as far as the store knows. */
typedef struct Condition {
    const char *kind; /* "held", "dependency", "time", "queue", "array", "singleton", "order" */
    char *text;       /* a sentence */
} Condition;
GPtrArray *conditions_new(void); /* of Condition, which it frees */
void conditions_add(GPtrArray *conditions, const char *kind, char *text /* taken */);

typedef struct QueueRow {
    char *name;
    uint32_t parallel; /* 0: any number */
    uint64_t active, queued;
} QueueRow;
GPtrArray *queue_rows_new(void); /* of QueueRow, which it frees */

/* Every task of a batch has ended. */
typedef struct BatchEnd {
    uint64_t batch, count, succeeded, failed, cancelled, skipped;
    uint64_t single;   /* the task, in a batch of one; else 0 */
    uint32_t worker;   /* of the single one; 0: none */
    TaskResult result; /* of the single one; OUTCOME_NONE: it never ran */
} BatchEnd;

/* r < 0: -ENOSPC (the disk is full) or another errno; nothing was changed. Callbacks come in the order of the calls. */
typedef void (*StoreDone)(int r, void *userdata);
typedef void (*StoreSubmitted)(int r, Submission *submission /* still the store's */, void *userdata);
/* That of the task with this id and priority, whether there is one or not. */
typedef struct QueuePlace {
    int32_t priority;
    uint64_t id;
} QueuePlace;

#define QUEUE_HEAD ((QueuePlace){ INT32_MAX, 0 })

typedef void (*StoreWindow)(int r, GPtrArray *tasks /* TaskSpec; taken */, bool complete, void *userdata);
typedef void (*StoreRows)(int r, GPtrArray *rows /* TaskRow; taken */, uint64_t cursor, void *userdata);
typedef void (*StoreRow)(int r /* -ENOENT */, TaskRow *row /* taken */, void *userdata);
typedef void (*StoreFacts)(int r, const FilterFacts *facts, void *userdata);
typedef void (*StoreModified)(int r /* -ENOKEY: no such queue */, const Modified *modified, void *userdata);
typedef void (*StoreInputs)(int r, GPtrArray *inputs /* TaskInput; taken */, void *userdata);
typedef void (*StoreExplained)(int r /* -ENOENT */, TaskRow *row /* taken */, GPtrArray *conditions /* taken */,
                               void *userdata);
typedef void (*StoreQueues)(int r, GPtrArray *queues /* QueueRow; taken */, void *userdata);
typedef void (*StorePruned)(int r, bool more, void *userdata);
typedef void (*StoreCancelled)(int r, GArray *cancelled /* IdRange */,
                               GArray *held /* uint64_t: with a worker */, void *userdata);

typedef struct StorePort StorePort;
struct StorePort {
    /* Durable before it answers. Takes the submission. */
    void (*submit)(StorePort *store, Submission *submission, StoreSubmitted done, void *userdata);
    /* Drops a batch that was never committed. */
    void (*discard_batch)(StorePort *store, uint64_t batch);

    /* The tasks that are next: queued, with no worker, of this user (UID_ANYBODY: all) and class (NULL: commands), by
     * priority, then id, from behind a place on; at most limit. complete: there are no others. Arrays come as single tasks. */
    void (*load_window)(StorePort *store, uint32_t user, const char *class, QueuePlace after, size_t limit,
                        StoreWindow done, void *userdata);
    /* The results of those that the task waited for. -E2BIG: over INPUTS_BYTES_MAX. */
    void (*load_inputs)(StorePort *store, uint64_t task, StoreInputs done, void *userdata);

    /* Written without waiting for the disk; never refused: if the disk is full they are tried again. */
    void (*assign)(StorePort *store, const Assignment *assignments, size_t n);
    void (*started)(StorePort *store, const Assignment *assignments, size_t n);

    /* Durable before it answers; tried again until it succeeds. Takes what the settlements own. A settlement whose fence
     * is not the task's latest is ignored. */
    void (*settle)(StorePort *store, Settlement *settlements, size_t n, StoreDone done, void *userdata);

    /* What was queued so far is carried out without waiting for more to gather. */
    void (*hurry)(StorePort *store);

    void (*list)(StorePort *store, TaskFilter *filter /* taken */, StoreRows done, void *userdata);
    void (*get)(StorePort *store, uint64_t task, StoreRow done, void *userdata);
    void (*examine)(StorePort *store, TaskFilter *filter /* taken */, uint32_t uid, StoreFacts done,
                    void *userdata);

    /* Ends the matching tasks that wait; marks those that a worker holds as to be cancelled and returns them. Only the
     * tasks of only_uid, unless it is UID_ANYBODY. Durable before it answers. */
    void (*cancel)(StorePort *store, TaskFilter *filter /* taken */, uint32_t only_uid, uint64_t now_usec,
                   StoreCancelled done, void *userdata);

    /* Changes the matching tasks of only_uid (UID_ANYBODY: of anybody). Durable before it answers. */
    void (*modify)(StorePort *store, TaskFilter *filter /* taken */, uint32_t only_uid, TaskAction action,
                   TaskEdit *edit /* taken; of TASK_EDIT and TASK_LIMIT */, StoreModified done, void *userdata);
    /* It is that late: tasks whose time has come go on. */
    void (*wake)(StorePort *store, uint64_t boot_usec, uint64_t realtime_usec);
    void (*explain)(StorePort *store, uint64_t task, StoreExplained done, void *userdata);

    /* These fit no worker that there is: they are blocked, with the elements of arrays that come after them in one range.
     * unpark: there may be one now; they are queued again. */
    void (*park)(StorePort *store, const uint64_t *tasks, size_t n);
    void (*unpark)(StorePort *store);

    void (*list_queues)(StorePort *store, StoreQueues done, void *userdata);
    void (*set_queue)(StorePort *store, const char *name, uint32_t parallel, StoreDone done, void *userdata);
    /* -ENOKEY: there is none; -EBUSY: it has tasks that have not ended. */
    void (*remove_queue)(StorePort *store, const char *name, StoreDone done, void *userdata);

    /* Forgets some batches that ended before that time (CLOCK_REALTIME); more: there are others. */
    void (*prune)(StorePort *store, uint64_t before_usec, StorePruned done, void *userdata);

    /* Durable before it answers: a number that was once given out must not come again. Copies. */
    void (*add_worker)(StorePort *store, const WorkerRecord *record, StoreDone done, void *userdata);
    void (*update_worker)(StorePort *store, const WorkerRecord *record); /* state, process, counters */
    void (*forget_worker)(StorePort *store, uint32_t number);
    void (*set_enabled)(StorePort *store, bool enabled, StoreDone done, void *userdata);
    /* Remembers what somebody wants of the service; value NULL: nothing any more. Durable before it answers. Copies. done
     * may be NULL. */
    void (*set_wish)(StorePort *store, const char *key, const char *value, StoreDone done, void *userdata);
    /* Written some time; data NULL: it is forgotten. Copies. */
    void (*save_learned)(StorePort *store, const LearnedRow *row);
};

typedef struct StoreEvents {
    void (*counts_changed)(const StoreCounts *counts, void *userdata);
    void (*batch_ended)(const BatchEnd *end, void *userdata);
    /* As many of a batch have failed or succeeded as it was to be given up at. */
    void (*batch_halted)(uint64_t batch, bool now, void *userdata);
    /* These have become ready to be handed out by the end of others, by time or by an action; more: and others. Told in
     * the order of the answers. */
    void (*tasks_ready)(GPtrArray *tasks /* TaskSpec; still the store's */, bool more, void *userdata);
    /* These can no longer run. */
    void (*tasks_skipped)(const GArray *skipped /* IdRange */, void *userdata);
    /* When to call wake() next; UINT64_MAX: never, by that clock. */
    void (*due_changed)(uint64_t boot_usec, uint64_t realtime_usec, void *userdata);
    void (*failing)(int r, void *userdata); /* the disk refuses writes (r < 0), or takes them again (0) */
    void *userdata;
} StoreEvents;

/* ------------------------------------------------------------------ engine: starting and limiting workers */

typedef struct EngineStart {
    uint32_t number;
    const WorkerSpec *spec;
    GBytes *record; /* the launch record, for LAUNCH_RECORD_FD */
} EngineStart;

/* What the kernel says; UINT64_MAX: not known. */
typedef struct EngineUsage {
    uint64_t memory_bytes, memory_peak_bytes, cpu_nsec;
} EngineUsage;

typedef struct EnginePort EnginePort;
struct EnginePort {
    /* Answered by events.started. */
    void (*start)(EnginePort *engine, const EngineStart *start);
    /* Takes a worker of an earlier daemon over; answered by events.gone if it is not there any more. */
    void (*adopt)(EnginePort *engine, uint32_t number, const WorkerProcess *process);
    /* Kills every process of the worker, also one that is only starting; answered by events.gone. */
    void (*kill)(EnginePort *engine, uint32_t number);
    /* Forgets a worker that is gone. */
    void (*release)(EnginePort *engine, uint32_t number);
    /* Does this process belong to the worker? */
    bool (*owns)(EnginePort *engine, uint32_t number, int32_t pid);
    void (*usage)(EnginePort *engine, uint32_t number, EngineUsage *ret);
    /* One sentence for each limit of the spec that the kernel does not enforce; a strv, empty if all hold. */
    char **(*not_enforced)(EnginePort *engine, uint32_t number, const WorkerSpec *spec);
    /* The limits of the spec, which have changed; answered by events.limits_set. */
    void (*set_limits)(EnginePort *engine, uint32_t number, const WorkerSpec *spec);
    /* Will the worker be able to make cgroups below its own? Goes into the launch record. */
    bool (*delegates)(EnginePort *engine);
};

typedef struct EngineEvents {
    /* r = 0: the worker's program is being executed inside its limits. Else nothing is left of it, and why is a sentence. */
    void (*started)(uint32_t number, int r, const WorkerProcess *process, const char *why, void *userdata);
    /* No process of the worker lives any more. why: "exited with status 1", "killed by signal 9", "not found", with its
     * last words if it had any. */
    void (*gone)(uint32_t number, const char *why, void *userdata);
    /* r < 0: it stays as it was, why is a sentence. */
    void (*limits_set)(uint32_t number, int r, const char *why, void *userdata);
    void *userdata;
} EngineEvents;

/* ------------------------------------------------------------------ host: what the machine has */

typedef struct HostFacts {
    uint64_t memory_total_bytes, memory_available_bytes; /* /proc/meminfo */
    double memory_pressure_percent;                      /* PSI some avg10; negative: not known */
    double cpu_pressure_percent, io_pressure_percent;
    double cpu_percent;   /* of all CPUs, since the call before; negative: not known */
    uint32_t cpus, cores; /* logical, physical */
} HostFacts;

/* What cgroups leave to the workers below them. */
typedef struct HostGroup {
    uint64_t free_bytes; /* below the memory limit that binds first; UINT64_MAX: no limit */
    double cpus;         /* the least CPU quota; infinity: none */
} HostGroup;

typedef struct HostGroups {
    HostGroup all;    /* the daemon's own cgroup and those above it: what is above the next is among them */
    HostGroup engine; /* what all workers of the same engine are in; as the next without limits while it is not there yet */
    HostGroup slice;  /* what a worker is in with those of the same engine and user only */
} HostGroups;

typedef struct HostPort HostPort;
struct HostPort {
    void (*facts)(HostPort *host, HostFacts *ret);
    void (*groups)(HostPort *host, const WorkerSpec *spec, HostGroups *ret); /* that such a worker is, or is to be in */
    const Machine *(*machine)(HostPort *host); /* the host's own */
};

/* Pressure stall information says that a line was crossed, by a trigger of the kernel's: nothing is polled. Told again at
 * most once a second while it lasts. */
typedef enum PressureKind { PRESSURE_MEMORY, PRESSURE_CPU, PRESSURE_IO, _PRESSURE_MAX } PressureKind;
DECLARE_STRING_TABLE(pressure_kind, PressureKind); /* "memory", "cpu", "io" */
typedef struct HostEvents {
    void (*pressure)(PressureKind kind, void *userdata);
    void *userdata;
} HostEvents;

/* ------------------------------------------------------------------ link: talking to the workers' programs */

typedef struct LinkPort LinkPort;
struct LinkPort {
    void (*run)(LinkPort *link, uint32_t worker, TaskSpec *const *tasks, size_t n);
    void (*recall)(LinkPort *link, uint32_t worker, const uint64_t *tasks,
                   size_t n); /* manager_tasks_given_back() */
    /* outcome: aborted or timeout */
    void (*stop)(LinkPort *link, uint32_t worker, const uint64_t *tasks, size_t n, Outcome outcome);
    /* Of a task that it holds; UINT64_MAX and 0 (weight) stand for no limit, and are set, too. */
    void (*limit)(LinkPort *link, uint32_t worker, const TaskLimits *limits);
    /* Answered by manager_tasks_frozen() for those that are, and for each that could not be. */
    void (*freeze)(LinkPort *link, uint32_t worker, const uint64_t *tasks, size_t n, bool frozen, bool reclaim);
    void (*exit)(LinkPort *link, uint32_t worker);
    void (*drop)(LinkPort *link, uint32_t worker); /* closes the connection, if there is one */
};

/* ------------------------------------------------------------------ observers: who is told (bus, journal) */

typedef struct Worker Worker;

/* What changed about a task, for those who watch. */
typedef struct TaskChange {
    uint64_t task, batch;
    TaskState state;
    uint32_t attempt;         /* 0: never ran */
    uint32_t worker;          /* number; 0: none */
    uint64_t start_usec;      /* 0: not started */
    const TaskResult *result; /* NULL: did not end */
} TaskChange;

typedef struct ObserverPort ObserverPort;
struct ObserverPort { /* any member may be NULL */
    void (*worker_added)(ObserverPort *observer, Worker *worker);
    void (*worker_state_changed)(ObserverPort *observer, Worker *worker, WorkerState old);
    void (*worker_changed)(ObserverPort *observer, Worker *worker); /* flags, counters, tasks */
    void (*worker_removed)(ObserverPort *observer, Worker *worker);
    void (*task_changed)(ObserverPort *observer, const TaskChange *change);
    void (*batch_ended)(ObserverPort *observer, const BatchEnd *end);
    void (*queue_changed)(ObserverPort *observer);    /* counts */
    void (*settings_changed)(ObserverPort *observer); /* enabled, max-workers, profile, autoscale, target */
    void (*task_unplaceable)(ObserverPort *observer, uint64_t task, const char *why);
    void (*pressure_changed)(ObserverPort *observer, const char *rung, const char *why);
    void (*noted)(ObserverPort *observer, const char *sentence); /* for the journal alone */
};

/* ------------------------------------------------------------------ clock */

typedef struct ClockPort ClockPort;
struct ClockPort {
    uint64_t (*monotonic_usec)(ClockPort *clock);
    uint64_t (*realtime_usec)(ClockPort *clock);
    uint64_t (*boot_usec)(ClockPort *clock); /* CLOCK_BOOTTIME: goes on while the machine sleeps */
    /* Asks for one manager_tick() at that monotonic time; UINT64_MAX: none. Replaces the one before. */
    void (*set_alarm)(ClockPort *clock, uint64_t monotonic_usec);
    /* Asks for one manager_wake() at whichever comes first, also when the wall clock is set. Replaces the one before. */
    void (*set_wake)(ClockPort *clock, uint64_t boot_usec, uint64_t realtime_usec);
};
