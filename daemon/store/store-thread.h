/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "store/store-flow.h"
#include "store/store-internal.h"

/* What the loop's thread and the store's thread share, and what only one of them uses. */
struct Store {
    StorePort port; /* first: a StorePort is a Store */
    StoreEvents events;
    GThread *thread;
    int fd;

    GMutex mutex;
    GCond wake;          /* for the store's thread: something is queued, or it is to stop */
    GPtrArray *queued;   /* Op */
    GPtrArray *answered; /* Op */
    bool stopping;
    bool urgent; /* somebody waits for one of those queued: see store-thread.c */

    /* the store's thread */
    Database *database;
    GPtrArray *stuck; /* Op: what must not be lost and could not be written, in order */
    Due due_told;
    StoreCounts told; /* the counts of the latest event */
    int failing;      /* why the latest write failed; 0: it did not */
    int failing_told;
    int64_t synced_at; /* CLOCK_MONOTONIC: when results were last brought to the disk */
    int64_t retry_at;  /* CLOCK_MONOTONIC */
    int64_t delay_usec;
};

gpointer store_thread(gpointer store);

/* Queues what tells of counts or of failing. */
Op *event_new_counts(const StoreCounts *counts);
Op *event_new_failing(int r);
Op *event_new_due(const Due *due);
