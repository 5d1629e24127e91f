/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The manager's insides, for the files that make it up: manager.c (life, settings, time), manager-workers.c,
 * manager-tasks.c, recovery.c, dispatch.c. */

#include "core/manager.h"
#include "core/rate.h"
#include "core/run-times.h"
#include "core/task-window.h"

/* learning.c */
typedef struct Learning {
    GHashTable *classes;
    GQueue recent;      /* of them, the one used last first */
    GHashTable *of_users; /* uid → GQueue of the same, of that user */
    uint64_t save_usec; /* monotonic: when what changed is written */
} Learning;

/* scaling.c, scale-wish.c */
typedef struct Scaling {
    uint32_t target; /* SCALE_NONE */
    bool automatic;
    char *profile;         /* "": none */
    GPtrArray *built_in;   /* Profile, where the configuration has none */
    AutoScale state;
    unsigned failures;     /* of workers, one after the other */
    uint64_t next_usec;    /* monotonic: not before that one more is added or drained */
    uint64_t follow_usec;  /* monotonic: when queue and memory are looked at */
    char *reason;          /* NULL: nothing to say */
    bool refused;          /* that is what it says: no more worker could be added */
    uint32_t failed;       /* a worker that has ended, whose reason is to be looked up; 0: none */
    char *failure;         /* how the latest one failed; NULL */
    char *shortfall;       /* why there cannot be Min; NULL */
    char *shown;           /* of manager_scale_reason() */
    uint64_t configured_memory_bytes, configured_timeout_usec; /* where no profile says otherwise */
    char *configured_profile;   /* as the configuration had it when it was read last */
    bool configured_automatic;
    uint32_t configured_number; /* of workers, which the active profile wants; 0: there is none */
} Scaling;

struct Manager {
    ManagerPorts ports;
    Settings settings;
    GPtrArray *observers;
    GPtrArray *workers;       /* Worker, by number; owned */
    GHashTable *active;       /* uint64_t* (in the spec) → ActiveTask, owned */
    GPtrArray *windows;       /* TaskWindow, owned; the first is for any user's tasks */
    GHashTable *fds;          /* uint64_t* (own) → TaskFds: of tasks that wait */
    GHashTable *open_batches; /* uint64_t* (own) → the uid as a pointer */
    StoreCounts counts;
    Rate finished;
    uint32_t next_worker;
    uint32_t max_workers;
    bool enabled;
    int store_error;
    uint64_t started_usec;  /* CLOCK_REALTIME */
    RunTimes *run_times;    /* of batches whose tasks have timeouts relative to the others */
    uint64_t n_relative;    /* active tasks with such timeouts */
    GRand *random;          /* for the jitter of retries */
    uint64_t prune_usec;    /* monotonic: when history is looked at next */
    Learning learning;
    Scaling scaling;
    PressureLadder ladder;
    uint64_t pressure_usec; /* monotonic: when the ladder is looked at next */
    GPtrArray *limitings;   /* of limiting.c: likewise */
    char *fence_wish;       /* as it was remembered last */
    char *frozen_wish;      /* as it was remembered last */
    GPtrArray *freezings;   /* of freezing.c: what workers were asked and have not answered */
    uint64_t memory_total_bytes; /* of the machine; read at the start: tasks are compared with it by the thousand */
    GHashTable *unplaceable; /* uint64_t → char*: tasks of which it was told that they fit no worker, and why */
    GHashTable *parked;     /* uint64_t: ids that a window that is being loaded may bring back */
    bool has_unjudged;      /* many tasks have come, or workers have changed: some may fit none */
    GArray *unjudged;       /* uint64_t: these tasks have come */
    bool has_parked;        /* the store may have tasks that fitted no worker */
    uint64_t recovery_usec; /* monotonic: so long the workers of an earlier daemon are waited for */
};

#define NOTIFY(manager, member, ...)                                                                         \
    do {                                                                                                     \
        for (guint o_ = 0; o_ < (manager)->observers->len; o_++) {                                           \
            ObserverPort *observer_ = (manager)->observers->pdata[o_];                                       \
            if (observer_->member)                                                                           \
                observer_->member(observer_, ##__VA_ARGS__);                                                 \
        }                                                                                                    \
    } while (0)

uint64_t manager_now(Manager *manager); /* monotonic */
uint64_t manager_realtime(Manager *manager);
uint64_t manager_boot_time(Manager *manager); /* CLOCK_BOOTTIME */
void manager_rearm(Manager *manager); /* sets the alarm to the next deadline */

/* manager-workers.c */
void manager_worker_set_state(Manager *manager, Worker *worker, WorkerState state);
void manager_worker_started(uint32_t number, int r, const WorkerProcess *process, const char *why,
                            void *manager);
void manager_worker_gone(uint32_t number, const char *why, void *manager);
void manager_adopt_worker(Manager *manager, WorkerRecord *record);
void manager_tick_worker(Manager *manager, Worker *worker, uint64_t now);
uint64_t manager_worker_deadline(const Manager *manager, const Worker *worker);
void manager_drain_if_empty(Manager *manager, Worker *worker); /* a draining worker that holds nothing ends */
EnginePort *manager_engine(Manager *manager, const Worker *worker);
void manager_save_worker(Manager *manager, const Worker *worker);

/* admit.c */
void manager_admission_facts(Manager *manager, const WorkerSpec *spec, const HostFacts *host, AdmissionFacts *ret);
WorkerSpec *manager_usual_worker(Manager *manager); /* of the active profile, or the configuration */
bool manager_admit(Manager *manager, WorkerSpec *spec, AddVerdict *ret); /* places it, too */

/* manager-limits.c */
void manager_worker_limits_set(uint32_t number, int r, const char *why, void *manager);
void manager_forget_worker_limits(Worker *worker); /* it has ended: who waits is told */

/* manager.c */
GPtrArray *manager_live_specs(Manager *manager); /* const WorkerSpec, of the live workers: a new array */
/* Remembers a wish that nobody waits for, if it is another than the last one, which it keeps there. value: NULL: none. */
void manager_keep_wish(Manager *manager, const char *key, const char *value, char **last);

/* fence.c */
WorkerSpec *manager_spec_in_force(Manager *manager, Worker *worker); /* a copy, with what holds for the time being; to be told to its engine */
void manager_put_in_force(Manager *manager, Worker *worker);
void manager_move_fences(Manager *manager); /* pinned workers may have come or gone */
void manager_recall_fences(Manager *manager, const char *wish);

/* limiting.c */
GPtrArray *limitings_new(void);
void manager_forget_limiting(Manager *manager, Worker *worker); /* it does not answer any more */

/* freezing.c */
void manager_forget_freezing(Manager *manager, Worker *worker);
void manager_freeze_list(Manager *manager, const GArray *tasks /* uint64_t */, bool frozen);
void manager_thaw_to_end(Manager *manager, Worker *worker); /* it drains */
void manager_keep_frozen(Manager *manager, Worker *worker); /* tasks have started on it */
void manager_freeze_returned(Manager *manager, Worker *worker);

/* freeze-wish.c */
void manager_remember_frozen(Manager *manager); /* what is frozen may have changed */
void manager_recall_frozen(Manager *manager, const char *wish);

/* learning.c */
void learning_init(Learning *learning);
void learning_done(Learning *learning);
void learning_load(Learning *learning, const GPtrArray *rows /* LearnedRow */);
void manager_learn(Manager *manager, const TaskSpec *spec, const TaskResult *result);
uint64_t manager_learned_memory(Manager *manager, const TaskSpec *spec); /* what to ask for */
uint64_t manager_learned_time(Manager *manager, const TaskSpec *spec); /* the median; 0: not known */
void manager_save_learned(Manager *manager);
void manager_tick_learning(Manager *manager, uint64_t now);

/* scale-wish.c */
void scaling_init(Manager *manager);
void scaling_reload(Manager *manager); /* the settings are new */
void scaling_load(Manager *manager, GHashTable *wishes);
const Profile *manager_active_profile(const Manager *manager); /* NULL: none */

/* scaling.c */
void scaling_done(Manager *manager);
uint32_t scaling_n_counted(const Manager *manager); /* workers that the target is about, and that do not end */
void scaling_set_reason(Manager *manager, char *reason /* taken; NULL */);
void scaling_forget_failures(Manager *manager);
void manager_rescale(Manager *manager);
void manager_scaled_worker_ended(Manager *manager, const Worker *worker, bool failed);
void manager_tick_scaling(Manager *manager, uint64_t now);
uint64_t manager_scaling_deadline(Manager *manager);

/* pressure.c */
bool manager_claims(const Manager *manager); /* may anything new be handed out? */
void manager_throttle_follow(Manager *manager, Worker *worker); /* its limits could not be changed until now */
void manager_throttle_returned(Manager *manager, Worker *worker); /* it has come, or is back: before manager_freeze_returned() */
void manager_tick_pressure(Manager *manager, uint64_t now);

/* manager-tasks.c */
void manager_adopt_task(Manager *manager, HeldTask *held);
/* Ends the assignments of a worker that is gone. */
void manager_settle_one(Manager *manager, ActiveTask *task, const TaskResult *result /* contents taken */,
                        bool attempted);
void manager_lose_tasks(Manager *manager, Worker *worker, Outcome outcome);
void manager_fail_queued(Manager *manager, TaskSpec *spec /* taken */, const char *reason);

/* The reports of a worker, when nothing in them is unknown any more. */
void manager_settle_reports(Manager *manager, Worker *worker, const HeldReport *held, size_t n_held,
                            TaskResult *results /* contents taken */, size_t n_results, StoreDone done,
                            void *userdata);

GArray *manager_active_in_range(Manager *manager, const IdRange *range); /* uint64_t: ids; a new array */

void manager_apply_modified(Manager *manager, const Modified *modified, TaskAction action);

/* manager-modify.c: what the store or somebody changes about tasks */
void manager_halt_batch(uint64_t batch, bool now, void *manager);
void manager_tasks_ready(GPtrArray *tasks, bool more, void *manager);
void manager_tasks_skipped(const GArray *skipped, void *manager);
void manager_forget_range(Manager *manager, const IdRange *range); /* not to be handed out any more */
void manager_stop_tasks(Manager *manager, const GArray *ids /* uint64_t */, Outcome outcome);

/* hand-over.c: asks for the results that the task waits for, then sends it to its worker */
void hand_over_later(Manager *manager, ActiveTask *task);

/* timeouts.c: those that are relative to the run time of others */
uint64_t manager_timeout_deadline(Manager *manager);
void manager_tick_timeouts(Manager *manager, uint64_t now);

#define PRUNE_FIRST_USEC (60 * USEC_PER_SEC)
#define PRUNE_INTERVAL_USEC (600 * USEC_PER_SEC)
#define PRUNE_NEXT_USEC (200 * USEC_PER_MSEC)

/* recovery.c */
#define RECOVERY_USEC (3 * USEC_PER_SEC) /* three times the longest pause between a worker's attempts to connect */
bool manager_is_recovering(Manager *manager);
uint64_t manager_recovery_deadline(Manager *manager);
void manager_tick_recovery(Manager *manager, uint64_t now);

/* dispatch.c */
void dispatch(Manager *manager);
void dispatch_recall_all(Manager *manager, Worker *worker);  /* everything that it has not started */

/* parking.c */
void parking_offered(Manager *manager, const TaskSpec *spec); /* it has come into a window, perhaps */
void parking_judge(Manager *manager);
void parking_look_again(Manager *manager); /* what was put aside may fit now */
void parking_workers_changed(Manager *manager); /* there may be less room than there was */
void parking_room_changed(Manager *manager, const Worker *worker); /* it has come, or has more or less */

/* windows.c */
TaskWindow *windows_find(Manager *manager, const Worker *worker); /* where it finds its next tasks */
void windows_narrow(Manager *manager, const Worker *worker); /* all that it finds there is too large for it */
void windows_widen(Manager *manager); /* what was too large for a narrow one may not be any more */
void windows_tidy(Manager *manager);                         /* narrow ones that are not wanted any more */
void windows_offer(Manager *manager, const TaskSpec *spec); /* newly queued */
void windows_remove(Manager *manager, uint64_t task);
void windows_remove_range(Manager *manager, uint64_t first, uint64_t last);
void windows_note_parked(Manager *manager, uint64_t task); /* taken out, and the store is still to be told */
void windows_invalidate(Manager *manager); /* what is queued has changed in ways that were not told */
void windows_load(Manager *manager);
