/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "util/macro.h"

/* A client on the bus, by its unique name, for as long as it is connected: who it is (asked of the bus once), whether it
 * subscribed, which batches it has left open. */
typedef struct Peer {
    char *name;
    uint32_t uid, gid;
    int32_t pid;
    uint32_t *groups; /* every group, the primary one included */
    size_t n_groups;
    bool known; /* the bus has answered */
    bool subscribed;
    GArray *open_batches; /* uint64_t */
    GPtrArray *waiting;   /* sd_bus_message, to be run again when the answer is there; NULL once known */
} Peer;

typedef struct Peers Peers;

/* gone: the peer has left the bus; its open batches are to be dropped. */
int peers_new(sd_bus *bus, void (*gone)(Peer *peer, void *userdata), void *userdata, Peers **ret)
    _warn_unused_;
Peers *peers_free(Peers *peers);

/* 1 and the peer, if it is known who sent the message. 0: it is being asked; the message will be handled again from the
 * top, the handler returns 1. Negative: an error, to be returned. */
int peers_identify(Peers *peers, sd_bus_message *m, Peer **ret) _warn_unused_;

/* Sends a copy of a signal to each subscriber. fill: appends the body. */
void peers_broadcast(Peers *peers, const char *interface, const char *member,
                     int (*fill)(sd_bus_message *m, void *userdata), void *userdata);
bool peers_any_subscribed(const Peers *peers);
void peers_set_subscribed(Peers *peers, Peer *peer, bool subscribed);
