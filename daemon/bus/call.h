/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "core/ports.h"

/* A method call whose handler has to wait for something: for polkit's word, or for what the store knows. The handler asks,
 * returns, and is run again from the top when the answer is there; the answers rest here meanwhile. No message is kept
 * in any object of the domain. */
typedef enum CallAuthorization {
    AUTHORIZATION_UNASKED,
    AUTHORIZATION_ASKED,
    AUTHORIZATION_GRANTED,
    AUTHORIZATION_DENIED,
    AUTHORIZATION_CHALLENGE, /* would be granted after a password, which this caller cannot be asked for */
    AUTHORIZATION_FAILED,    /* polkit is not there, or does not know the action */
} CallAuthorization;

typedef struct Calls Calls;

typedef struct Call {
    Calls *calls;
    sd_bus_message *m;
    CallAuthorization authorization;
    bool has_facts;
    FilterFacts facts;
    bool has_row;
    TaskRow *row; /* NULL with has_row: no such task */
    int error;    /* of the question; 0 */
} Call;

Calls *calls_new(sd_bus *bus);
Calls *calls_free(Calls *calls);

/* The state of this call; made when it is first asked for. */
Call *call_of(Calls *calls, sd_bus_message *m);
Call *call_find(Calls *calls, sd_bus_message *m); /* NULL: none */

/* The answer is there: the handler runs again. */
void call_resume(Call *call);
/* The handler is through with it. */
void call_done(Calls *calls, sd_bus_message *m);
/* The same when the loop comes round: for handlers that are sd-bus's own (properties, introspection). */
void call_done_later(Call *call);
