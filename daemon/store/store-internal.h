/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "store/store-database.h"
#include "store/store.h"

/* Operations: what travels from the loop's thread to the store's and back. An Op is the first member of a struct with
 * its arguments and results; only one thread at a time has it. */

typedef struct Effects Effects;

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
    bool refused; /* run() returned op->r, which is no failure of SQLite: rolled back and answered */
    bool
        again; /* has more to do: what was done is committed, the rest goes behind what has been queued meanwhile */
    unsigned commits; /* how often that has happened */
    Effects *effects; /* what the core is told of beside the answer; NULL: nothing */
};

#define READY_TOLD_MAX 64U /* of more the core reads its windows anew */

/* What is told in the order of the answers. */
struct Effects {
    GPtrArray *ended;   /* BatchEnd */
    GArray *halted;     /* Halted */
    GPtrArray *ready;   /* TaskSpec, at most READY_TOLD_MAX */
    bool more_ready;    /* and others */
    GArray *skipped;    /* IdRange */
    struct {
        guint ended, halted, ready, skipped;
        bool more_ready;
    } committed; /* of them: from earlier commits */
};

typedef struct Halted {
    uint64_t batch;
    bool now;
} Halted;

Effects *op_effects(Op *op); /* makes them if there are none */
void op_forget_effects(Op *op); /* of this run: it starts over */
void op_keep_effects(Op *op);   /* they were committed */

#define OP_INIT(class_) ((Op){ .class = &(class_) })

void op_free(Op *op);
void op_add_batch_end(Op *op, BatchEnd *end /* taken */);
void op_add_halt(Op *op, uint64_t batch, bool now);

void store_enqueue(Store *store, Op *op /* taken */);

/* The members of the port; each is in the file of its operation. */
void store_submit(StorePort *port, Submission *submission, StoreSubmitted done, void *userdata);
void store_discard_batch(StorePort *port, uint64_t batch);
void store_load_window(StorePort *port, uint32_t user, const char *class, QueuePlace after, size_t limit, StoreWindow done,
                       void *userdata);
void store_load_inputs(StorePort *port, uint64_t task, StoreInputs done, void *userdata);
void store_modify(StorePort *port, TaskFilter *filter, uint32_t only_uid, TaskAction action, TaskEdit *edit,
                  StoreModified done, void *userdata);
void store_wake(StorePort *port, uint64_t boot_usec, uint64_t realtime_usec);
void store_explain(StorePort *port, uint64_t task, StoreExplained done, void *userdata);
void store_list_queues(StorePort *port, StoreQueues done, void *userdata);
void store_set_queue(StorePort *port, const char *name, uint32_t parallel, StoreDone done, void *userdata);
void store_remove_queue(StorePort *port, const char *name, StoreDone done, void *userdata);
void store_prune(StorePort *port, uint64_t before_usec, StorePruned done, void *userdata);
void store_assign(StorePort *port, const Assignment *assignments, size_t n);
void store_started(StorePort *port, const Assignment *assignments, size_t n);
void store_settle(StorePort *port, Settlement *settlements, size_t n, StoreDone done, void *userdata);
void store_hurry(StorePort *port);
void store_park(StorePort *port, const uint64_t *tasks, size_t n);
void store_unpark(StorePort *port);
void store_set_wish(StorePort *port, const char *key, const char *value, StoreDone done, void *userdata);
void store_save_learned(StorePort *port, const LearnedRow *row);
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
