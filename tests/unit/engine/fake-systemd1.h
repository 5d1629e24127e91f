/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"
#include "util/sd-bus-util.h"

/* A small org.freedesktop.systemd1 at the other end of a socket pair, in the same loop: for the faults that the real one
 * cannot be made to have. It records what it is asked and does what the test says. */
typedef struct FakeSystemd1 {
    sd_bus *server, *client;
    bool mute;               /* takes StartTransientUnit and does not answer */
    GHashTable *taken;       /* set: names of units that exist */
    bool failed_are_freed;   /* ResetFailedUnit frees the name */
    bool knows_oom_policy;
    const char *refusal;     /* error text of every start; NULL: none */
    const char *set_refusal; /* of every SetUnitProperties */
    char *control_group;     /* answer to Get; NULL: an error */

    unsigned n_starts, n_subscribes;
    GPtrArray *log;          /* "StopUnit parexec-w1.scope", … */
    char *unit;              /* of the latest start */
    GHashTable *properties;  /* of the latest start or SetUnitProperties: name → printed value */
    sd_bus_message *pending; /* the start that was not answered */
} FakeSystemd1;

void fake_systemd1_init(FakeSystemd1 *fake, sd_event *event);
void fake_systemd1_done(FakeSystemd1 *fake);

/* Ends the job of the latest start. */
void fake_systemd1_job_removed(FakeSystemd1 *fake, const char *result);
/* Answers the start that was not answered, with its job. */
void fake_systemd1_answer(FakeSystemd1 *fake);
bool fake_systemd1_was_asked(FakeSystemd1 *fake, const char *what);
const char *fake_systemd1_property(FakeSystemd1 *fake, const char *name);
