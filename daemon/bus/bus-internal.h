/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of this folder share: bus.c (set-up), announcer.c (signals), one *-bus.c per interface. */

#include "bus/announcer.h"
#include "bus/authorize.h"
#include "bus/bus-error.h"
#include "bus/bus.h"
#include "bus/call.h"
#include "bus/peer.h"
#include "dbus/parexec-dbus.h"
#include "util/sd-bus-util.h"

struct Bus {
    ObserverPort port; /* first */
    sd_bus *connection;
    Manager *manager;
    BusOptions options;
    char *output_directory;
    Calls *calls;
    Peers *peers;
    Announcer *announcer;
};

/* Each file that exports an interface has one of these. */
int manager_bus_export(Bus *bus) _warn_unused_;
int worker_bus_export(Bus *bus) _warn_unused_;
int task_bus_export(Bus *bus) _warn_unused_;

/* worker-bus.c */
char *worker_bus_path(const Worker *worker);

/* task-action.c: what is to be done with the tasks of a filter. */
typedef enum TaskDeedKind { DEED_CANCEL, DEED_MODIFY, DEED_LIMIT, DEED_FREEZE } TaskDeedKind;

typedef struct TaskDeed {
    TaskDeedKind kind;
    TaskAction action;    /* of DEED_MODIFY */
    TaskEdit *edit;       /* of TASK_EDIT */
    TaskLimits limits;    /* of DEED_LIMIT */
    bool frozen, reclaim; /* of DEED_FREEZE; frozen: else thawed */
    bool one;             /* of Task1: no count in the reply, but an error if nothing was changed */
} TaskDeed;

/* Does it after looking whose the tasks are; takes the filter and the edit. The handler is run again until it is done. */
int task_action_run(Bus *bus, sd_bus_message *m, TaskFilter *filter, TaskDeed deed, sd_bus_error *error);

/* What a worker has was decided when it was handed out: the store does not know it yet. */
void bus_complete_row(Bus *bus, TaskRow *row);

/* What a callback needs to answer a call. */
typedef struct Answer {
    Bus *bus;
    sd_bus_message *m;
} Answer;

Answer *answer_new(Bus *bus, sd_bus_message *m);
/* The call is over; the message is the caller's to unref. */
sd_bus_message *answer_end(Answer *answer);

/* Identifies the sender and asks polkit for the action (NULL: none). 1: go on. 0: return 1, it will be run again. */
int bus_check(Bus *bus, sd_bus_message *m, const char *action, Peer **ret_peer, sd_bus_error *error)
    _warn_unused_;
