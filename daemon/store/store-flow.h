/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "store/store-row.h"

/* The way of a task to where it can be handed out. What keeps it back, in this order:
 *
 *   held ──► blocked ──► waiting ──► gated ──► queued
 *   (Hold)   (gates)     (waits)     (queue    (ready: the core's windows)
 *                                     or lane full)
 *
 * flow_enter() puts tasks to the first of these that applies. What an operation brings about for others (those that wait for
 * a task that ended, or for room) is noted while it runs and dealt with at its end by flow_settle(), in the same transaction. */

void flow_init(Database *database);
int flow_load(Database *database) _warn_unused_;
void flow_done(Database *database);
void flow_forget(Database *database); /* after a rollback */

/* Tasks of one batch between two ids that are in one state: rows and elements of ranges, hidden ones too. */
typedef struct FlowSet {
    uint64_t first, last;
    int state;
} FlowSet;

/* GArray of StoredTask. */
int flow_collect(Database *database, const FlowSet *set, GArray *ret) _warn_unused_;

/* Puts one task, or all elements of a range that are named by task->id and task->last, into another state, and takes note of
 * all that follows from it. */
int flow_move(Database *database, const StoredTask *task, int state) _warn_unused_;

/* To where it belongs now. least: obstacles before this state are known to be out of the way (TASK_HELD: none is,
 * TASK_BLOCKED: it is not held, TASK_WAITING: and waits for nobody, STATE_GATED: and for no time). */
int flow_enter(Database *database, const StoredTask *task, int least) _warn_unused_;

/* A state that others wait for was entered elsewhere. */
void flow_note_ended(Database *database, uint64_t first, uint64_t last);
void flow_note_started(Database *database, uint64_t task);
void flow_note_reopened(Database *database, uint64_t first, uint64_t last);
int flow_note_ready(Database *database, const StoredTask *task) _warn_unused_; /* may be handed out */
void flow_note_left(Database *database, int64_t queue, int64_t lane); /* of what was queued or handed out */

/* A gate was counted anew; and was it, after that epoch? Then what had ended by then is in the count already. */
void flow_note_recounted(Database *database, uint64_t spec);
bool flow_was_recounted(Database *database, uint64_t spec, uint64_t epoch);

/* Deals with all consequences, and theirs. */
int flow_settle(Database *database) _warn_unused_;

/* ---- times */

typedef struct Due {
    uint64_t boot_usec, realtime_usec; /* UINT64_MAX: none */
} Due;

typedef struct Wait {
    uint64_t first, last;
    bool wall;
    uint64_t due_usec, realtime_usec;
} Wait;
int wait_insert(Database *database, const Wait *wait) _warn_unused_;
/* Of one task, until that time of CLOCK_BOOTTIME. */
int wait_insert_task(Database *database, uint64_t task, uint64_t due_usec) _warn_unused_;
int wait_find(Database *database, uint64_t task, Wait *ret) _warn_unused_; /* 1, or 0: none */
int wait_next(Database *database, Due *ret) _warn_unused_;
int wait_load(Database *database) _warn_unused_; /* at the start */

/* ---- queues and lanes: see store-lane.c */

typedef struct LaneKey {
    int64_t queue, lane; /* 0: none */
} LaneKey;

/* Lets in as many as there is room for. */
int lanes_refill(Database *database, const LaneKey *key) _warn_unused_;
/* *ret: 0 for an empty name. 0: there is no such queue. */
int queue_find(Database *database, const char *name, int64_t *ret) _warn_unused_;
char *queue_name(Database *database, int64_t queue); /* NULL: none */
int lane_get(Database *database, const char *key, uint32_t parallel, int64_t *ret) _warn_unused_;
typedef struct LaneFacts {
    int64_t parallel, active; /* parallel 0: any number */
    char *key;                /* of a lane; a queue's name */
} LaneFacts;
int queue_facts(Database *database, int64_t queue, LaneFacts *ret) _warn_unused_; /* 1, or 0: none */
int lane_facts(Database *database, int64_t lane, LaneFacts *ret) _warn_unused_;

/* ---- classes */
int class_load(Database *database, int64_t class, char **ret) _warn_unused_;
/* -1: no task of that class was ever submitted. */
int class_find(Database *database, const char *name, int64_t *ret) _warn_unused_;
int class_get(Database *database, const char *name /* NULL: none */, int64_t *ret) _warn_unused_;
