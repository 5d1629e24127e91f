/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <glib/gi18n.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "util/macro.h"
#include "util/sd-bus-util.h"

/* How parctl ends; "run" and "wait" pass on their task's own code instead. */
typedef enum ExitCode {
    PARCTL_OK = 0,
    PARCTL_FAILED = 1,
    PARCTL_USAGE = 2,
    PARCTL_REFUSED = 3, /* by admission */
    PARCTL_NOT_AUTHORIZED = 4,
    PARCTL_UNREACHABLE = 5, /* no bus, or no daemon on it */
} ExitCode;

/* What every verb is given. One per process, owned by main(). */
typedef struct Client {
    bool user; /* the session's bus instead of the system's */
    bool json;
    bool quiet;
    bool no_ask; /* neither questions nor authentication */
    sd_bus *bus; /* NULL until connection_open() */
    sd_event *event;
    int failure; /* ExitCode of what went wrong last; a function that sets it returns a negative errno, too */
    int words_behind;     /* how many of the verb's last arguments stood behind "--" */
    int agent_pid;        /* of pkttyagent; 0: none */
    uint64_t warned_usec; /* CLOCK_MONOTONIC: when it was last said that nothing runs; 0: not yet */
} Client;

/* The exit code of the program, given what a verb returned: its own code, or a negative errno. */
static inline int client_exit_code(const Client *client, int r)
{
    if (r >= 0)
        return r;
    return client->failure > 0 ? client->failure : PARCTL_FAILED;
}
