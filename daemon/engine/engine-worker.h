/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-event.h>

#include "core/ports.h"
#include "engine/launch.h"
#include "engine/worker-group.h"

/* The processes of one worker as both engines see them: launched or adopted, watched by a pidfd, killed as
 * a whole. */

/* How an engine is made. Strings are copied. */
typedef struct EngineOptions {
    const char *runtime_directory; /* "/run/parexec": the workers' logs go to worker/ below it */
    const char *slice;             /* "parexec.slice"; systemd only. Workers are in slices below it, one for each user */
    bool user_mode;                /* the user's own systemd */
    uint64_t timeout_usec;         /* so long systemd may take to answer, and again for the job; 0: 10 s */
    bool processes_only;           /* cgroup only: make no cgroups, even where that is possible */
    const Machine *machine;        /* whose GPUs are given out; it outlives the engine. NULL: not known */
} EngineOptions;

typedef struct EngineWorker EngineWorker;

/* Nothing of the worker lives any more. Called once, from the loop. */
typedef void (*EngineWorkerEnded)(EngineWorker *worker, void *userdata);

struct EngineWorker {
    uint32_t number;
    WorkerProcess process;
    Launched launched; /* of an adopted one only the pidfd */
    WorkerGroup group; /* without paths: it is only a process */
    char *log_path;
    char *end; /* how it ended; NULL: it lives, or that is not known */
    bool adopted;
    bool keep_zombie;  /* its pid must not be used again yet */
    bool only_process; /* its tree is hunted through /proc */
    /* only_process: what a dead worker left behind; or NULL */
    void (*find_orphans)(GArray *pids, void *userdata);
    bool dead, ended;
    GArray *hunted;      /* pidfds (int) of what was killed through /proc */
    uint64_t sweep_usec; /* until the next look */

    sd_event *event;
    sd_event_source *watch, *timer, *deferred;
    EngineWorkerEnded on_ended;
    void *userdata;
    void (*deferred_call)(EngineWorker *worker, void *userdata);
};

EngineWorker *engine_worker_new(sd_event *event, uint32_t number, const char *runtime_directory,
                                EngineWorkerEnded on_ended, void *userdata);
EngineWorker *engine_worker_free(EngineWorker *worker); /* ends no process that was released */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EngineWorker, engine_worker_free)

/* Forks the held process and watches it. */
int engine_worker_launch(EngineWorker *worker, GBytes *record) _warn_unused_;

/* Watches a process of an earlier daemon. -ESRCH: it is gone, or its number is another's. */
int engine_worker_adopt(EngineWorker *worker, const WorkerProcess *process) _warn_unused_;

/* It is not that process after all: it must not be touched. */
void engine_worker_disown(EngineWorker *worker);

/* Kills everything again and again until nothing lives; then on_ended. */
void engine_worker_kill(EngineWorker *worker);

bool engine_worker_owns(const EngineWorker *worker, int32_t pid);

/* Calls the function from the loop; what it called before and did not happen yet is forgotten. */
void engine_worker_defer(EngineWorker *worker, void (*call)(EngineWorker *worker, void *userdata));

/* The pid may be used again. */
void engine_worker_reap(EngineWorker *worker);

/* "killed by signal KILL: its last words" */
char *engine_worker_why(const EngineWorker *worker);
