/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The insides of the fake store, for the files that make it up. */

#include "fake-store.h"

typedef struct Op Op;
struct Op {
    void (*run)(FakeStore *store, Op *op);
    Submission *submission;
    TaskFilter *filter;
    WorkerRecord *record;
    Assignment *assignments;
    Settlement *settlements;
    size_t n, limit;
    QueuePlace after;
    uint64_t batch, boot_usec;
    uint32_t user;
    bool enabled;
    TaskAction action;
    TaskEdit *edit;
    char *name;
    union {
        StoreDone done;
        StoreSubmitted submitted;
        StoreWindow window;
        StoreCancelled cancelled;
        StoreRow row;
        StoreRows rows;
        StoreFacts facts;
        StoreInputs inputs;
        StoreModified modified;
        StoreExplained explained;
        StoreQueues queues;
        StorePruned pruned;
    };
    void *userdata;
};

void fake_store_ask(StorePort *port, const Op *op);
int fake_store_take_failure(FakeStore *store);
FakeTask *fake_store_find(FakeStore *store, uint64_t id);
void fake_store_note_ready(FakeStore *store, const FakeTask *task);
bool fake_store_matches(const TaskFilter *filter, const FakeTask *task);
void fake_store_modify(StorePort *port, TaskFilter *filter, uint32_t only_uid, TaskAction action,
                       TaskEdit *edit, StoreModified done, void *userdata);
void fake_store_wake(StorePort *port, uint64_t boot_usec, uint64_t realtime_usec);
void fake_store_prune(StorePort *port, uint64_t before_usec, StorePruned done, void *userdata);
void fake_store_load_inputs(StorePort *port, uint64_t task, StoreInputs done, void *userdata);
void fake_store_list(StorePort *port, TaskFilter *filter, StoreRows done, void *userdata);
void fake_store_examine(StorePort *port, TaskFilter *filter, uint32_t uid, StoreFacts done, void *userdata);
void fake_store_list_queues(StorePort *port, StoreQueues done, void *userdata);
void fake_store_set_queue(StorePort *port, const char *name, uint32_t parallel, StoreDone done,
                          void *userdata);
void fake_store_remove_queue(StorePort *port, const char *name, StoreDone done, void *userdata);
void fake_store_add_worker(StorePort *port, const WorkerRecord *record, StoreDone done, void *userdata);
void fake_store_update_worker(StorePort *port, const WorkerRecord *record);
void fake_store_get(StorePort *port, uint64_t task, StoreRow done, void *userdata);
void fake_store_explain(StorePort *port, uint64_t task, StoreExplained done, void *userdata);
void fake_store_forget_worker(StorePort *port, uint32_t number);
void fake_store_park(StorePort *port, const uint64_t *tasks, size_t n);
void fake_store_unpark(StorePort *port);
void fake_store_set_wish(StorePort *port, const char *key, const char *value, StoreDone done, void *userdata);
void fake_store_save_learned(StorePort *port, const LearnedRow *row);
void fake_store_set_enabled(StorePort *port, bool enabled, StoreDone done, void *userdata);
void fake_store_tell_due(FakeStore *store);
WorkerRecord *fake_store_record_copy(const WorkerRecord *record);
