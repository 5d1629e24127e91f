/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "store/store-database.h"
#include "store/store.h"

/* Operations: what travels from the loop's thread to the store's and back. An Op is the first member of a struct with
 * its arguments and results; only one thread at a time has it. */

typedef struct OpClass {
    /* On the store's thread; may be called again after a rollback. < 0: SQLite failed. What is refused for reasons of
     * its own goes to op->r, with nothing changed. */
    int (*run)(Database *database, Op *op);
    /* On the loop's thread. NULL: nobody waits for it. */
    void (*complete)(Op *op, const StoreEvents *events);
    void (*free)(Op *op);
    bool writes;
    bool durable; /* the commit must be on disk before it is answered */
    bool kept;    /* never refused: tried again until the disk takes it */
} OpClass;

struct Op {
    const OpClass *class;
    int r;
    bool
        again; /* has more to do: what was done is committed, the rest goes behind what has been queued meanwhile */
    unsigned commits;  /* how often that has happened */
    GPtrArray *ended;  /* BatchEnd; NULL: none */
    guint n_committed; /* of "ended": from earlier commits */
};

#define OP_INIT(class_) ((Op){ .class = &(class_) })

void op_free(Op *op);
void op_add_batch_end(Op *op, BatchEnd *end /* taken */);

void store_enqueue(Store *store, Op *op /* taken */);

/* The members of the port; each is in the file of its operation. */
void store_submit(StorePort *port, Submission *submission, StoreSubmitted done, void *userdata);
void store_discard_batch(StorePort *port, uint64_t batch);
void store_load_window(StorePort *port, uint32_t user, size_t limit, StoreWindow done, void *userdata);
void store_assign(StorePort *port, const Assignment *assignments, size_t n);
void store_started(StorePort *port, const Assignment *assignments, size_t n);
void store_settle(StorePort *port, Settlement *settlements, size_t n, StoreDone done, void *userdata);
void store_list(StorePort *port, TaskFilter *filter, StoreRows done, void *userdata);
void store_get(StorePort *port, uint64_t task, StoreRow done, void *userdata);
void store_examine(StorePort *port, TaskFilter *filter, uint32_t uid, StoreFacts done, void *userdata);
void store_cancel(StorePort *port, TaskFilter *filter, uint32_t only_uid, uint64_t now_usec,
                  StoreCancelled done, void *userdata);
void store_add_worker(StorePort *port, const WorkerRecord *record, StoreDone done, void *userdata);
void store_update_worker(StorePort *port, const WorkerRecord *record);
void store_forget_worker(StorePort *port, uint32_t number);
void store_set_enabled(StorePort *port, bool enabled, StoreDone done, void *userdata);

int snapshot_load(Database *database, StoreSnapshot **ret) _warn_unused_;

/* Queues the removal of what an earlier daemon left uncommitted. */
int submit_resume_discards(Store *store, Database *database) _warn_unused_;
