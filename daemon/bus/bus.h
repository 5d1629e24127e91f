/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "core/manager.h"
#include "core/settings.h"

/* The public face: org.parexec on the bus. Owns the objects' vtables and the state of calls that wait; the domain is the
 * manager's. */
typedef struct Bus Bus;

typedef struct BusOptions {
    bool user_mode;
    const char *output_directory;
    void (*reload)(void *userdata); /* reads the configuration again */
    void *userdata;
} BusOptions;

/* Exports everything on an open connection; the name is asked for by bus_publish(), when the service can serve. */
int bus_new(sd_bus *connection, Manager *manager, const BusOptions *options, Bus **ret) _warn_unused_;
int bus_publish(Bus *bus) _warn_unused_;
Bus *bus_free(Bus *bus);
ObserverPort *bus_port(Bus *bus);
