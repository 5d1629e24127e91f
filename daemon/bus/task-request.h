/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "bus/peer.h"
#include "core/ports.h"

#include <systemd/sd-bus.h>

/* What the dictionary of one task says, before it is checked as a whole. Texts marked "in the message" are not copied: a
 * request is never kept longer than the message it was read from. */
typedef struct TaskRequest {
    GBytes *argv, *cwd, *environment, *streams[_STREAM_MAX];
    GBytes *credentials;
    TaskFds *fds;
    const char *name;  /* in the message; NULL: none */
    const char *class; /* likewise */
    char *tags;
    int32_t priority;
    uint64_t first, last; /* of the array */
    bool is_array;
    uint64_t memory_max_bytes;
    bool memory_given, memory_auto_given, growth_given; /* by itself, not by the defaults */
    TaskPolicy policy; /* its rules are shared, never changed */
    bool retries_given;
    TaskDemand demand; /* its resources are shared, never changed */

    GArray *dependencies; /* Dependency; NULL: none */
    bool corresponding;   /* one of them is aftercorr */
    bool singleton, keep_unsatisfied, held;
    uint64_t not_before_usec, delay_usec;
    const char *queue; /* in the message; NULL: none */
    uint32_t parallel; /* 0: not given */
} TaskRequest;

/* With everything that the others share. defaults: NULL: none */
void task_request_init(TaskRequest *request, const TaskPolicy *policy, const TaskRequest *defaults);
void task_request_done(TaskRequest *request);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(TaskRequest, task_request_done)

/* Reads one a{sv}. */
int task_request_read(sd_bus_message *m, TaskRequest *request, sd_bus_error *error) _warn_unused_;
/* The same for the keys that tasks share: not those that belong to one. */
int task_request_read_defaults(sd_bus_message *m, TaskRequest *defaults, sd_bus_error *error) _warn_unused_;

/* Makes tasks of requests. Most have the surroundings of the one before, or just the defaults: then they share them. */
typedef struct TaskMaker {
    const Peer *peer;
    const TaskRequest *defaults;
    TaskContext *usual;    /* of the defaults as they are; made when first needed */
    TaskContext *previous; /* of the task before, which holds it; NULL: none */
} TaskMaker;

void task_maker_done(TaskMaker *maker);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(TaskMaker, task_maker_done)

/* Checks the request and takes what is in it. number: of the task in its call, from 1, for the sentences. */
int task_maker_make(TaskMaker *maker, TaskRequest *request, size_t number, TaskSpec **ret,
                    sd_bus_error *error) _warn_unused_;
