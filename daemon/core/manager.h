/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/active-task.h"
#include "core/ports.h"
#include "core/settings.h"
#include "core/worker.h"
#include "policy/admission.h"
#include "policy/learned.h"
#include "policy/placing.h"

/* The domain: workers, the queue, who runs what. It owns all of them, decides, and speaks to the world through ports.
 * Single-threaded; nothing here blocks. Functions that the user may not call in the present state answer with -errno:
 * -ESRCH no such worker or batch, -EBUSY wrong state, -EALREADY it has ended. */
typedef struct Manager Manager;

typedef struct ManagerPorts {
    StorePort *store;
    EnginePort *engines[_ENGINE_MAX]; /* NULL: not to be had here */
    LinkPort *link;
    HostPort *host;
    ClockPort *clock;
    const char *socket_path, *output_directory, *spool_directory; /* for the workers' launch records */
} ManagerPorts;

Manager *manager_new(const Settings *settings);
void manager_free(Manager *manager);

/* The tables of functions that store and engines report through. */
StoreEvents manager_store_events(Manager *manager);
EngineEvents manager_engine_events(Manager *manager);

void manager_add_observer(Manager *manager, ObserverPort *observer);

/* Begins: takes the workers and tasks of an earlier daemon over. The ports stay valid as long as the manager. */
void manager_start(Manager *manager, const ManagerPorts *ports, StoreSnapshot *snapshot /* taken */);

/* The service ends: what was kept in memory goes to the store. */
void manager_stop(Manager *manager);

/* The alarm that was set has rung. */
void manager_tick(Manager *manager);
/* The time for tasks that wait for one has come. */
void manager_wake(Manager *manager);

/* ---- settings */
void manager_reload(Manager *manager, const Settings *settings);
uint32_t manager_max_workers(const Manager *manager);
void manager_set_max_workers(Manager *manager, uint32_t max_workers);
bool manager_is_enabled(const Manager *manager);
void manager_set_enabled(Manager *manager, bool enabled, StoreDone done, void *userdata);
const Settings *manager_settings(const Manager *manager);
const Machine *manager_machine(const Manager *manager); /* the host's */

/* ---- workers */
bool manager_has_engine(const Manager *manager, EngineKind kind);
Worker *manager_find_worker(Manager *manager, uint32_t number);
const GPtrArray *manager_workers(const Manager *manager); /* Worker, oldest first */
uint32_t manager_n_live_workers(const Manager *manager);

/* Why a worker was not added; ADMITTED and PLACED: nothing is in the way. */
typedef struct AddVerdict {
    AdmissionVerdict admission;
    PlacingVerdict placing;
    char *why;    /* a sentence with the numbers; NULL: it was added */
    char **risks; /* what forcing it would mean, a sentence each; NULL: it cannot be forced */
} AddVerdict;
void add_verdict_done(AddVerdict *verdict);

/* done: r = 0: it runs, or is still starting after 20 s; r < 0: it failed, worker->reason says why (worker may be NULL
 * if it could not be recorded). 0; -EPERM: refused, *ret says why, and done is not called. */
int manager_add_worker(Manager *manager, WorkerSpec *spec /* taken */,
                       void (*done)(int r, Worker *worker, void *userdata), void *userdata,
                       AddVerdict *ret) _warn_unused_;
int manager_drain(Manager *manager, Worker *worker) _warn_unused_;
int manager_abort(Manager *manager, Worker *worker) _warn_unused_;

/* r < 0: it stays as it was, why is a sentence. */
typedef void (*ManagerWorkerDone)(int r, const char *why, void *userdata);
/* 0: done is called; -EALREADY: it has ended; -EPERM: the machine cannot carry it, *ret_why is a sentence. force: it is to carry
 * it all the same; the worker counts as forced then. */
int manager_set_worker_limits(Manager *manager, Worker *worker, const WorkerLimits *limits, bool force,
                              ManagerWorkerDone done, void *userdata, char **ret_why) _warn_unused_;
int manager_freeze_worker(Manager *manager, Worker *worker, bool frozen, bool reclaim, ManagerWorkerDone done,
                          void *userdata) _warn_unused_;

/* ---- scaling (scaling.c) */
#define SCALE_NONE UINT32_MAX
uint32_t manager_scale_target(const Manager *manager); /* SCALE_NONE: there is none */
/* Remembered over restarts: done is called when it is on disk. -ERANGE: over MaxWorkers. */
int manager_scale(Manager *manager, uint32_t target /* or SCALE_NONE */, StoreDone done, void *userdata) _warn_unused_;
bool manager_autoscales(const Manager *manager);
void manager_set_autoscale(Manager *manager, bool autoscale, StoreDone done, void *userdata);
const char *manager_profile(const Manager *manager); /* "": none */
const GPtrArray *manager_profiles(const Manager *manager); /* Profile */
/* -ENOENT: there is none of that name; "": none. */
int manager_set_profile(Manager *manager, const char *name, StoreDone done, void *userdata) _warn_unused_;
/* A sentence on what hinders it, or on its latest step; "". Valid until it is asked again. */
const char *manager_scale_reason(Manager *manager);
uint32_t manager_n_scaled_workers(const Manager *manager); /* alive, and of the kind that the target is about */

/* ---- pressure (pressure.c) */
void manager_pressure(Manager *manager, PressureKind kind); /* a line was crossed */
PressureRung manager_pressure_rung(const Manager *manager);

/* ---- what tasks took before (learning.c) */
typedef struct StatisticsRow {
    char *class; /* the tasks' name, else their program */
    uint32_t owner;
    LearnedFigures figures;
    uint64_t next_memory_bytes; /* what memory-auto would ask for */
    uint64_t order;             /* the larger, the later it learned */
} StatisticsRow;

typedef struct StatisticsFilter {
    uint32_t only_uid; /* UID_ANYBODY: everybody's */
    const char *class; /* NULL: all */
    uint64_t before;   /* only those whose order is less; UINT64_MAX: from the latest on */
    uint32_t limit;    /* at most so many: each may have to be worked out */
} StatisticsFilter;
/* StatisticsRow, which it frees; the one that learned last first. */
GPtrArray *manager_statistics(Manager *manager, const StatisticsFilter *filter);
void manager_worker_usage(Manager *manager, Worker *worker, EngineUsage *ret);

/* ---- tasks */
/* open: the batch waits for more. With -EDOM, -ENOENT and -ENOKEY submission->refusal is a sentence on a dependency, a
 * task, a queue. */
typedef void (*ManagerSubmitted)(int r, const Submission *submission, bool open, void *userdata);
int manager_submit(Manager *manager, Submission *submission /* taken */, ManagerSubmitted done,
                   void *userdata) _warn_unused_;
void manager_discard_batch(Manager *manager, uint64_t batch);

/* count: how many tasks were cancelled. */
typedef void (*ManagerCancelled)(int r, uint64_t count, void *userdata);
void manager_cancel(Manager *manager, TaskFilter *filter /* taken */, uint32_t only_uid,
                    ManagerCancelled done, void *userdata);

typedef void (*ManagerModified)(int r, uint64_t count, void *userdata);
void manager_modify(Manager *manager, TaskFilter *filter /* taken */, uint32_t only_uid, TaskAction action,
                    TaskEdit *edit /* taken; NULL but for TASK_EDIT */, ManagerModified done, void *userdata);

/* Those that run get them at once, the others for their next attempt. limits->task is not looked at. why: of a task that keeps
 * what it has, part of a sentence; NULL: all of them have been changed. */
typedef void (*ManagerLimited)(int r, uint64_t count, const char *why, void *userdata);
void manager_set_task_limits(Manager *manager, TaskFilter *filter /* taken */, uint32_t only_uid,
                             const TaskLimits *limits, ManagerLimited done, void *userdata);
/* Of the matching tasks those that run. */
void manager_freeze_tasks(Manager *manager, TaskFilter *filter /* taken */, uint32_t only_uid, bool frozen,
                          bool reclaim, ManagerModified done, void *userdata);

/* Why a task does not run: Conditions of the store, and what the core knows. */
void manager_explain(Manager *manager, uint64_t task, StoreExplained done, void *userdata);

StorePort *manager_store(Manager *manager); /* for questions: list, get, examine; and the queues */
GArray *manager_active_tasks(Manager *manager); /* uint64_t: ids of those that workers hold; a new array */
ActiveTask *manager_find_active(Manager *manager, uint64_t task);
void manager_complete_row(Manager *manager, TaskRow *row); /* what the store does not know of it */

/* ---- what is shown */
typedef struct ManagerStatus {
    StoreCounts counts;
    HostFacts host;
    double throughput_per_minute;
    uint64_t started_usec;
    uint32_t admissible, active;
    const char *binding; /* "max-workers", "cores", "memory", "cgroup-memory", "cgroup-cpu" */
    AdmissionFacts admission; /* of one more worker as the active profile or the configuration has it */
    int store_error;     /* 0, or why the disk takes no writes */
} ManagerStatus;
void manager_status(Manager *manager, ManagerStatus *ret);
/* Of everything that waits and runs, by what such tasks took before; UINT64_MAX: not known. */
uint64_t manager_time_left(Manager *manager);
uint64_t manager_queue_length(const Manager *manager);
uint64_t manager_n_running(const Manager *manager);

/* ---- from the link: what the workers say. -EACCES: not that worker; -ESRCH: unknown; -EALREADY: ended. */
typedef struct HeldReport {
    uint64_t task, fence, start_usec; /* 0: ahead, not started */
} HeldReport;

int manager_worker_register(Manager *manager, uint32_t number, const uint8_t token[static LAUNCH_TOKEN_BYTES],
                            int32_t pid) _warn_unused_;
/* What a worker that has just registered holds, and what it finished meanwhile; then it gets work. */
void manager_worker_reports(Manager *manager, Worker *worker, const HeldReport *held, size_t n_held,
                            TaskResult *results /* contents taken */, size_t n_results, StoreDone done,
                            void *userdata);
/* What came of LinkPort.limit; why: NULL if it was done. */
void manager_task_limited(Manager *manager, Worker *worker, uint64_t task, const char *why);
/* What came of LinkPort.freeze. */
typedef struct FrozenFailure {
    uint64_t task;
    const char *why;
} FrozenFailure;
void manager_tasks_frozen(Manager *manager, Worker *worker, const uint64_t *tasks, size_t n, bool frozen,
                          const FrozenFailure *failures, size_t n_failures);
void manager_worker_disconnected(Manager *manager, uint32_t number);
void manager_worker_heartbeat(Manager *manager, Worker *worker);
void manager_tasks_started(Manager *manager, Worker *worker, const HeldReport *held, size_t n);
/* done: the results are on disk; the worker may forget them. */
void manager_tasks_finished(Manager *manager, Worker *worker, TaskResult *results /* contents taken */,
                            size_t n, StoreDone done, void *userdata);
void manager_tasks_given_back(Manager *manager, Worker *worker, const uint64_t *tasks, size_t n);
