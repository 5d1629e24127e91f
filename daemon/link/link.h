/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-event.h>

#include "core/manager.h"

/* The daemon's end of the worker protocol: accepts the workers' connections on the worker socket, checks who they are, and
 * carries tasks out and results in. One connection per worker; a newer one replaces the older. */
typedef struct Link Link;

/* Takes the listening socket. */
int link_new(sd_event *event, Manager *manager, int listen_fd, Link **ret) _warn_unused_;
Link *link_free(Link *link);
LinkPort *link_port(Link *link);

/* The worker socket, where systemd has not passed one: makes PATH, reachable by this user alone. */
int link_listen(const char *path) _warn_unused_;
