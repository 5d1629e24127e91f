/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/ports.h"
#include "model/ids.h"

/* One worker. Owned by the manager; changed only through the functions here and in the manager's files. */
struct Worker {
    uint32_t number;
    char id[WORKER_ID_MAX];
    WorkerSpec *spec;
    WorkerState state; /* worker_set_state() only */
    WorkerProcess process;
    uint8_t token[LAUNCH_TOKEN_BYTES];
    uint64_t added_usec;     /* CLOCK_REALTIME */
    uint64_t heartbeat_usec; /* CLOCK_REALTIME of the last sign of life; 0: none */
    uint64_t heartbeat_monotonic_usec;
    uint64_t deadline_usec; /* monotonic: of the start (starting), of removal (failed); UINT64_MAX: none */
    uint64_t answer_usec;   /* monotonic: when AddWorker is answered at the latest; UINT64_MAX: it was */
    bool stalled;           /* no heartbeat for too long */
    bool frozen;            /* every process of it stands still */
    bool unsure;            /* whether its tasks stand still is looked after when it is back */
    bool throttled;         /* its memory.high was lowered because of pressure, */
    uint64_t throttle_bytes; /* to this */
    char *fence;            /* the CPUs that pinned workers leave it, as its engine was told last; NULL: all */
    bool connected;         /* its program has registered and the connection stands */
    bool expected;               /* of an earlier daemon, and its first report has not been dealt with yet */
    bool reporting;              /* its report is being dealt with: what it is given now would not be in it */
    bool aborting;          /* it was told to end, its end is no failure */
    char *reason;           /* why it failed; NULL */
    char **not_enforced;    /* limits that do not hold; never NULL */
    GHashTable *tasks; /* uint64_t* (in the ActiveTask) → ActiveTask*, owned by the manager: what it holds */
    uint64_t tasks_done, tasks_failed;
    struct {
        WorkerLimits before;
        bool forced; /* the machine does not carry the new ones */
        void (*done)(int r, const char *why, void *userdata); /* of SetLimits; NULL: nobody waits */
        void *userdata;
    } limiting;
    uint64_t idle_since_usec;            /* monotonic: when it last had a task, or began */
    double mean_usec;                    /* running mean of its tasks' run time; 0: not known */
    uint64_t cpu_nsec, cpu_sampled_usec; /* the latest sample, for the percentage */
    double cpu_percent;
    void (*answer)(int r, Worker *worker, void *userdata); /* of AddWorker; NULL: answered */
    void *answer_userdata;
};

Worker *worker_new(uint32_t number, WorkerSpec *spec /* taken */);
Worker *worker_free(Worker *worker);

/* The only way a state changes: asserts that it may, and returns the old one. */
WorkerState worker_set_state(Worker *worker, WorkerState state);

/* Does it take tasks now? */
bool worker_is_ready(const Worker *worker);
/* Tasks that it holds without being able to start them yet. */
size_t worker_n_ahead(const Worker *worker);

/* A task took so long. */
void worker_add_duration(Worker *worker, uint64_t usec);

/* For the store: shares pointers with the worker, not to be freed. */
WorkerRecord worker_record(const Worker *worker);

/* Percent of one CPU between the samples; keeps the last value when asked again within 100 ms. */
void worker_sample_cpu(Worker *worker, uint64_t cpu_nsec, uint64_t monotonic_usec);
