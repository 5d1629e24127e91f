/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/ports.h"
#include "store/sqlite-util.h"

/* What the store's thread works with: the connection, and what it keeps in memory of the tables. Everything here is
 * undone with the transaction. */

typedef struct Op Op;
typedef struct ContextCache ContextCache;

/* tasks.state of a task that a worker holds; whether it runs is told by assignments.start. */
#define STATE_TAKEN TASK_RUNNING

/* tasks.state and ranges.state of a queued task that has to wait for room in its queue or lane. */
#define STATE_GATED 10

/* Of one that fits no worker that there is. */
#define STATE_PARKED 11

static inline TaskState state_shown(int state)
{
    return state == STATE_GATED ? TASK_QUEUED : state == STATE_PARKED ? TASK_BLOCKED : (TaskState) state;
}

typedef enum BatchPhase { BATCH_OPEN = 0, BATCH_COMMITTED = 1, BATCH_DISCARDED = 2 } BatchPhase;

/* The numbers of the table counters. */
typedef struct Counters {
    StoreCounts counts;
    uint64_t next_task, next_batch, next_worker, enabled;
} Counters;

/* Ids that exist but must not be seen: of a batch that is not committed. */
typedef struct HiddenIds {
    uint64_t first, last, batch;
} HiddenIds;

/* What a transaction does to a batch. */
typedef struct BatchDelta {
    uint64_t batch;
    int64_t succeeded, failed, cancelled, skipped, started;
    Op *op; /* the latest that contributed */
} BatchDelta;

/* What an operation brought about that others have to be looked at for; dealt with by flow_settle() at its end. */
typedef struct Consequences {
    GArray *ended;    /* IdRange: for those that wait for them; batch is the epoch then */
    GArray *started;  /* uint64_t */
    GArray *reopened; /* IdRange: ended, and live again */
    GArray *batches;  /* uint64_t: watched ones whose sums have changed */
    GArray *lanes;    /* LaneKey: something has left them */
    GHashTable *recounted; /* uint64_t: spec of a gate → epoch at which it was counted anew, as a pointer */
    uint64_t epoch;        /* so many were */
} Consequences;

typedef struct Database {
    Sql sql;
    Counters counters, committed;
    GArray *hidden;        /* HiddenIds, by first, not overlapping */
    GArray *hidden_before; /* as it was before the transaction; NULL: unchanged */
    GArray *deltas;        /* BatchDelta */
    GHashTable *delta_of;  /* batch → position in deltas + 1 */
    ContextCache *contexts;
    Consequences consequences;
    GHashTable *watched; /* batches that somebody waits for → what was told of them */
    int64_t n_gates, n_by_element, n_waits, n_lanes, n_results; /* roughly: 0 if and only if there are none */
    bool waits_asked;   /* the core wants to hear of it even if it is not */
    bool waits_changed; /* when the next task's time comes may be another */
    Op *op; /* the one that is being run */
    bool synchronous_full;
} Database;

/* -EBUSY: another daemon has it. */
int database_open(const char *path, Database **ret) _warn_unused_;
Database *database_free(Database *database);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Database, database_free)

/* durable: the commit is to reach the disk. */
int database_begin(Database *database, bool writes, bool durable) _warn_unused_;
/* Writes the sums that the operations left behind; batches that ended are appended to Op.ended. */
int database_commit(Database *database) _warn_unused_;
void database_rollback(Database *database);

/* The hidden ids that include this one, or NULL. */
const HiddenIds *database_find_hidden(const Database *database, uint64_t id);
void database_hide(Database *database, uint64_t batch, uint64_t first, uint64_t last);
void database_unhide(Database *database, uint64_t batch);
bool database_hides_batch(const Database *database, uint64_t batch);

/* n tasks of this batch went from one state, as in the table, to another; _TASK_STATE_MAX: they come from nowhere. */
void database_count(Database *database, uint64_t batch, int from, int to, uint64_t n);
/* n of them have started for the first time, or ended without; < 0: they live again. */
void database_count_started(Database *database, uint64_t batch, int64_t n);
/* Its sums as the tables and this transaction have them. */
typedef struct BatchSums {
    uint64_t uid, count, succeeded, failed, cancelled, skipped, started;
} BatchSums;
int database_batch_sums(Database *database, uint64_t batch, BatchSums *ret) _warn_unused_; /* 0: there is none */
/* Has a look at the batch at the end of the transaction, whether anything was counted or not. */
void database_touch_batch(Database *database, uint64_t batch);
