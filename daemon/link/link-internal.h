/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "link/link.h"

/* What link.c (the connections, and what workers say) and link-calls.c (what they are told) have in common. */

struct Link {
    LinkPort port; /* first: the core's pointer is ours */
    sd_event *event;
    Manager *manager;
    sd_event_source *listen_source;
    GHashTable *connections; /* Connection*, all of them; owned */
};

typedef struct Connection {
    Link *link;
    sd_bus *bus;
    sd_event_source *timeout; /* for Register */
    sd_event_source *reaper;  /* frees the connection from the loop */
    uint32_t worker;          /* 0: a stranger */
    int32_t pid;
} Connection;

/* From here on the worker has no connection; what is left of this one goes when the loop comes round. */
void connection_drop(Connection *connection);

Connection *link_find_connection(Link *link, uint32_t worker); /* NULL: it has none */

/* The functions of the port. */
void link_set_port(Link *link);
