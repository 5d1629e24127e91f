/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "tests/unit/store/store-fixture.h"

/* What the queue should be, by definition: plain arrays, everything looked at anew after each step. Tasks and batches that
 * are forgotten stay in them, marked, and conditions on them stay what they were. */

#define MODEL_GATED 10 /* queued, but its queue or lane is full */

typedef struct ModelTask {
    uint64_t id, batch;
    uint64_t first, count; /* of its array; count 0: it is not of one */
    int state;             /* as it is shown, or MODEL_GATED */
    int32_t priority;
    uint32_t attempts;
    uint64_t fence;
    bool taken, cancelled; /* a worker has it; Cancel was asked for */
    Outcome outcome;       /* of the latest attempt */
    int status;
    guint queue, lane; /* 0: none */
    uint64_t due;      /* what it waits for, or would; 0: nothing */
    bool wall;
    const struct ModelGate *gate; /* NULL: none */
    int before;                   /* state before the step; -1: it was not to be seen */
    bool quiet;                   /* given back by its worker in this step: the core knows */
} ModelTask;

typedef struct ModelGate {
    uint64_t first;
    GArray *conditions; /* Dependency */
    bool keep;
} ModelGate;

typedef enum ModelPhase { MODEL_OPEN, MODEL_COMMITTED, MODEL_GONE } ModelPhase;

typedef struct ModelBatch {
    ModelPhase phase;
    uint64_t max_fails;
    bool gated;                              /* one of its tasks has a gate */
    bool halted, halts, ended, ended_before; /* halts: in this step */
} ModelBatch;

typedef struct ModelLane {
    char *name;        /* of a queue, or the lane's key */
    uint32_t parallel; /* 0: any number */
    bool gone;
} ModelLane;

typedef struct Model {
    GPtrArray *tasks;   /* ModelTask: id n is at n - 1 */
    GPtrArray *batches; /* ModelBatch: id n is at n - 1 */
    GPtrArray *gates;
    GArray *queues, *lanes; /* ModelLane: number n is at n - 1 */
    uint64_t time;          /* since TEST_NOW and TEST_BOOT */
} Model;

Model *model_new(void);
Model *model_copy(const Model *m); /* gates are shared: they never change */
void model_free(Model *m);
ModelTask *model_task(const Model *m, uint64_t id);
ModelBatch *model_batch(const Model *m, uint64_t id);
bool model_is_visible(const Model *m, const ModelTask *task);
bool model_is_live(const Model *m, const ModelTask *task); /* visible, and has not ended */
uint64_t model_batch_count(const Model *m, uint64_t batch, int state /* -1: any */);

/* ---- steps: each is a change, model_settle() brings about what follows from it */
void model_begin_step(Model *m);
bool model_may_go_on(const Model *m, const ModelTask *task); /* waits for nobody */
void model_go_on(ModelTask *task);                           /* to what keeps it back after that */
void model_settle(Model *m);
void model_settle_batches(Model *m); /* at the end of the transaction */

/* One that waits for a task of the batch, or for all of it, which must not be forgotten; NULL: there is none. */
const ModelTask *model_waits_for_batch(const Model *m, uint64_t batch);

/* ---- what is to be seen */
char *model_states(const Model *m); /* "3q 4b": every visible task */
char *model_window(const Model *m); /* ids in the order of the queue */
char *model_queues(const Model *m); /* as list_queues() */
/* Is it the time of the next one, or of one that is forgotten meanwhile? UINT64_MAX: there is none. */
bool model_is_due(const Model *m, bool wall, uint64_t due);
