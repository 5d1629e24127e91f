/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-event.h>

#include "engine/launch.h"
#include "engine/systemd1.h"

/* The scopes that systemd is still starting. Each lives until systemd has finished with it, also when its
 * worker is dead and forgotten by then: a scope that comes up too late is stopped. */
typedef struct ScopeStarts ScopeStarts;

typedef struct ScopeStartsEvents {
    /* systemd has finished with the process, in whatever way: its pid may be used again. Comes before up
     * and, but for failures by lateness, before failed. */
    void (*settled)(uint32_t number, void *userdata);
    /* The job is done. Whether the process lives and is in the scope is still to be seen. */
    void (*up)(uint32_t number, const char *unit, void *userdata);
    void (*failed)(uint32_t number, int r, const char *why, void *userdata);
    void *userdata;
} ScopeStartsEvents;

ScopeStarts *scope_starts_new(sd_event *event, Systemd1 *systemd, uint64_t timeout_usec, const ScopeStartsEvents *events);
ScopeStarts *scope_starts_free(ScopeStarts *starts);

/* Asks for the scope of a held process. Answered by the events; by failed at once if systemd cannot even
 * be asked. */
void scope_starts_add(ScopeStarts *starts, uint32_t number, const char *unit, const char *slice, const Launched *process,
                      const WorkerLimits *limits);

/* No event comes for this worker any more. True: systemd is still at it, and what comes of it is cleaned
 * up. */
bool scope_starts_abandon(ScopeStarts *starts, uint32_t number);

/* To be told of what systemd tells. */
void scope_starts_job_removed(ScopeStarts *starts, const char *job, const char *unit, const char *result);
void scope_starts_systemd_restarted(ScopeStarts *starts);
