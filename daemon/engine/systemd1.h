/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "model/limits.h"
#include "util/macro.h"

/* A client of org.freedesktop.systemd1 (the system's or the user's) that never waits: each call is
 * answered from the loop, at the latest when its time is up. */

typedef struct Systemd1 Systemd1;

typedef struct Systemd1Events {
    /* A job ended; result is "done", "failed", "timeout", … */
    void (*job_removed)(const char *job, const char *unit, const char *result, void *userdata);
    /* systemd has executed itself again (or its bus name has moved): signals may have been missed. */
    void (*restarted)(void *userdata);
    void *userdata;
} Systemd1Events;

/* Neither the bus nor what the events point to is owned. */
int systemd1_new(sd_bus *bus, uint64_t timeout_usec, const Systemd1Events *events, Systemd1 **ret)
    _warn_unused_;
Systemd1 *systemd1_free(Systemd1 *systemd);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Systemd1, systemd1_free)

/* Valid during the call only. */
typedef struct Systemd1Reply {
    int r;             /* 0, or negative errno with an error */
    const char *error; /* its D-Bus name */
    const char *why;   /* systemd's own words */
    const char *value; /* what the call returns, as a string: the path of a job, a control group */
} Systemd1Reply;

typedef void (*Systemd1Done)(const Systemd1Reply *reply, void *userdata);

typedef struct ScopeSpec {
    const char *unit, *description, *slice;
    int32_t pid;
    const WorkerLimits *limits;
    bool oom_policy; /* say OOMPolicy=continue: not every systemd knows it */
} ScopeSpec;

/* Freeing the slot cancels the answer, not the call. */
int systemd1_start_scope(Systemd1 *systemd, const ScopeSpec *spec, Systemd1Done done, void *userdata,
                         sd_bus_slot **ret_slot) _warn_unused_;
int systemd1_get_control_group(Systemd1 *systemd, const char *unit, Systemd1Done done, void *userdata,
                               sd_bus_slot **ret_slot) _warn_unused_;
int systemd1_reset_failed(Systemd1 *systemd, const char *unit, Systemd1Done done, void *userdata,
                          sd_bus_slot **ret_slot) _warn_unused_;

/* The limits of a scope that runs, until it ends. before: those that it has; NULL: not known. Without done and ret_slot nobody
 * waits for the answer. */
int systemd1_set_limits(Systemd1 *systemd, const char *unit, const WorkerLimits *limits, const WorkerLimits *before,
                        Systemd1Done done, void *userdata, sd_bus_slot **ret_slot) _warn_unused_;

/* Asked without waiting for an answer; that there is no such unit (any more) is no failure. */
void systemd1_kill_unit(Systemd1 *systemd, const char *unit);
void systemd1_stop_unit(Systemd1 *systemd, const char *unit);

/* The properties of the transient scope, a(sv). */
int scope_append_properties(sd_bus_message *message, const ScopeSpec *spec) _warn_unused_;
int scope_append_changes(sd_bus_message *message, const WorkerLimits *limits,
                         const WorkerLimits *before /* NULL: not known */) _warn_unused_;
