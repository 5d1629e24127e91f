/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/manager.h"
#include "fake-store.h"

/* The world of a manager under test: every port is a fake that records what it was asked, time stands still until it is
 * moved, and nothing is answered before it is told to. What the link and the observers were told is kept as words, one
 * "verb worker ids" each, joined by "; ". */
typedef struct World {
    Manager *manager;
    Settings settings;
    FakeStore store;

    EnginePort engine;
    GString *engine_log;     /* "start w1", "kill w1", "adopt w1", "release w1" */
    GHashTable *processes;   /* pid → number of the worker it belongs to */
    EngineUsage usage;
    bool delegates;
    const char *not_enforced; /* one sentence, or NULL */
    LaunchRecord *launched;  /* of the latest start */

    LinkPort link;
    GString *link_log;       /* "run w1 17.1 18.1<2" (task.fence<inputs), "recall w1 18", "cancel w1 17", "timeout w1 17", "exit w1", "drop w1" */
    bool link_fds_seen;      /* a task that was run had descriptors */

    HostPort host;
    HostFacts facts;
    HostGroup group;           /* of all workers */
    HostGroup engine_groups[2]; /* of each engine's */
    HostGroup slices[2];       /* of the shared ones, of private ones */
    Machine machine;

    ClockPort clock;
    uint64_t now, real, boot, alarm;
    uint64_t wake_boot, wake_real; /* when manager_wake() was asked for */

    ObserverPort observer;
    GString *worker_log;     /* "added w1", "w1 starting→running", "removed w1" */
    GString *task_log;       /* "17 running w1 #1", "17 succeeded w1 #1 exited" */
    GString *news_log;       /* "7 unplaceable: WHY", "pressure RUNG" */
    GString *notes_log;      /* sentences for the journal */
    unsigned n_worker_changes, n_queue_changes, n_settings_changes, n_batches;

    unsigned n_answers;      /* of AddWorker */
    int answer_r;
    uint32_t answer_worker;
    char *answer_reason;
    unsigned n_done;         /* of all else: submitted, cancelled, stored */
    int done_r;
    uint64_t done_count, done_first, done_batch;
} World;

#define PID_OF(number) (1000 + (int32_t) (number))

/* Fixture functions for g_test_add(): a manager that has started on an empty store. */
void world_setup(World *world, const void *unused);
void world_teardown(World *world, const void *unused);
#define WORLD_TEST(path, function) g_test_add(path, World, NULL, world_setup, function, world_teardown)

/* What was told since the last call: the caller frees. */
char *world_take(GString *log);
#define assert_log(log, expected)                                                                               \
    do {                                                                                                        \
        g_autofree char *told_ = world_take(log);                                                               \
        g_assert_cmpstr(told_, ==, expected);                                                                   \
    } while (0)
void world_forget_logs(World *world);

/* Moves time, ringing the alarm whenever it is due. */
void world_advance(World *world, uint64_t usec);
/* The daemon dies and a new one starts from what is stored; what was not stored is lost. */
void world_restart(World *world);

/* ---- workers */
WorkerSpec *world_spec(uint32_t slots); /* 1 GiB each */
AdmissionVerdict world_add(World *world, WorkerSpec *spec /* taken */, char **ret_why); /* answers into world->answer_… */
void world_engine_started(World *world, uint32_t number);
int world_register(World *world, uint32_t number); /* with the right token and pid, holding nothing */
Worker *world_worker(World *world, uint32_t number); /* must exist */
/* All of that: a worker that runs. */
Worker *world_running_worker(World *world, uint32_t slots);
Worker *world_running_worker_of(World *world, uint32_t slots, uint32_t user);
Worker *world_running_worker_with(World *world, WorkerSpec *spec /* taken */);
WorkerSpec *world_spec_with(uint32_t slots, uint64_t memory_mib);
void world_gone(World *world, uint32_t number, const char *why);
void world_limits_set(World *world, uint32_t number, int r, const char *why); /* the engine answers */
/* The worker answers the oldest question about freezing: of that task, or of none (0). why: it could not be. */
void world_frozen(World *world, Worker *worker, uint64_t task, bool frozen, const char *why);
/* A callback as world_done(); why goes to world->answer_reason. */
void world_changed(int r, const char *why, void *world);

/* ---- tasks */
TaskSpec *world_task(uint32_t uid, int32_t priority); /* argv "true" */
/* Submits n tasks of uid 1000 (or one) and lets the store answer; returns the first id. */
uint64_t world_submit(World *world, size_t n);
uint64_t world_submit_one(World *world, TaskSpec *spec /* taken */);
uint64_t world_submit_array(World *world, uint64_t n);
TaskSpec *world_limited_task(uint64_t memory_mib); /* of uid 1000 */
uint64_t world_submit_limited(World *world, uint64_t memory_mib);
void world_started(World *world, Worker *worker, uint64_t task);
/* The worker reports the end of what it holds; the store has not answered yet. */
void world_finish(World *world, Worker *worker, uint64_t task, Outcome outcome, int exit_status);
uint64_t world_fence(World *world, uint64_t task); /* of the present assignment */
TaskState world_state(World *world, uint64_t task); /* as stored */
/* It ran and ended; the store has answered. */
void world_end(World *world, Worker *worker, uint64_t task, Outcome outcome);
void world_oom(World *world, Worker *worker, uint64_t task, OomCause cause);
void world_end_with_peak(World *world, Worker *worker, uint64_t task, uint64_t memory_mib, uint64_t usec);
char *world_explain(World *world, uint64_t task); /* "room: SENTENCE; …"; the caller frees */

/* A callback that counts into world->n_done and keeps r. */
void world_done(int r, void *world);
void world_cancelled(int r, uint64_t count, void *world);
void world_limited(int r, uint64_t count, const char *why, void *world); /* why: in answer_reason */
void world_submitted(int r, const Submission *submission, bool open, void *world);
TaskFilter *world_filter_ids(uint64_t first, uint64_t last);
