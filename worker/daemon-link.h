/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/sd-bus-util.h"
#include "worker/runner.h"

/* The worker's end of the protocol with the daemon. */
typedef struct DaemonLink DaemonLink;

typedef struct DaemonLinkEvents {
    void (*refused)(const char *why, void *userdata); /* the daemon does not want this worker */
    void (*exit)(void *userdata);                     /* the daemon tells it to end */
    void (*orphaned)(void *userdata); /* no daemon has answered for the orphan time; again while none does */
    void (*delivered)(void *userdata);                /* every result is acknowledged */
    void *userdata;
} DaemonLinkEvents;

/* Connects as soon as the loop runs, and again whenever the connection is lost. The record and the runner
 * must stay. */
int daemon_link_new(sd_event *event, const LaunchRecord *record, const DaemonLinkEvents *events,
                    DaemonLink **ret) _warn_unused_;
void daemon_link_set_runner(DaemonLink *link, Runner *runner);
DaemonLink *daemon_link_free(DaemonLink *link); /* takes NULL, returns NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DaemonLink, daemon_link_free)

void daemon_link_flush(DaemonLink *link); /* sends the results there are, if there is a daemon */
void daemon_link_started(DaemonLink *link, const HeldRow *rows, size_t n);
bool daemon_link_is_orphaned(const DaemonLink *link);
