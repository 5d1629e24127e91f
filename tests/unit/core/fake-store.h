/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/ports.h"

/* A store in memory. As the real one it answers later and in the order of the calls: nothing happens to a task before
 * fake_store_dispatch(). */
typedef struct FakeStore {
    StorePort port; /* first */
    StoreEvents events;
    GQueue ops;          /* what was asked for and not yet done */
    GTree *tasks;        /* uint64_t* (in the spec) → FakeTask */
    GHashTable *workers; /* number → WorkerRecord, as recorded */
    uint64_t next_task, next_batch, next_context;
    bool enabled;
    int fail;            /* the next operation that may fail does, with this; 0: none */
    unsigned n_calls, n_settle_calls, n_windows_loaded, n_wakes, n_prunes, n_hurries, n_unparks;
    GPtrArray *ready;    /* TaskSpec: to be told with the answer */
    GHashTable *wishes;  /* key → value */
    GPtrArray *learned;  /* LearnedRow, as they were saved */
    GHashTable *queues;  /* name → parallel */
    uint64_t due_told;   /* CLOCK_BOOTTIME */
    const char *known_key; /* of a submission that is known_batch already */
    uint64_t known_batch;
    uint64_t pruned_before_usec;
    bool prune_more;     /* what pruning answers */
} FakeStore;

typedef struct FakeTask {
    TaskSpec *spec;      /* fence: the latest one */
    TaskState state;     /* queued also while a worker holds it, not started */
    bool committed;
    uint32_t worker;     /* that holds it; 0: none */
    uint64_t start_usec;
    bool cancelled;
    unsigned n_attempts; /* recorded */
    uint64_t due_usec;   /* while it waits; CLOCK_BOOTTIME */
    Settlement last;     /* the latest one that counted */
} FakeTask;

void fake_store_init(FakeStore *store);
void fake_store_done(FakeStore *store);

/* Does and answers what has been asked for, also what is asked for from the answers. */
void fake_store_dispatch(FakeStore *store);
/* The same for the oldest question only. */
void fake_store_dispatch_one(FakeStore *store);

FakeTask *fake_store_task(FakeStore *store, uint64_t id); /* must exist */
StoreSnapshot *fake_store_snapshot(FakeStore *store);     /* what a daemon would start from now */
