/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"
#include "util/sd-bus-util.h"

/* What the fakes of other services share: a program of its own that owns a name on the bus of $DBUS_SYSTEM_BUS_ADDRESS,
 * serves objects until it is killed, and is told by the test over the bus how to behave. */
typedef struct FakeObject {
    const char *path, *interface;
    const sd_bus_vtable *vtable;
} FakeObject;

/* objects: ended by one without path. Returns the program's exit status. */
int fake_service_run(const char *name, const FakeObject *objects, void *userdata);

/* The connection and loop of the running service. */
sd_bus *fake_service_bus(void);

/* Calls the function after that time. It is a program's life: nothing is ever taken back. */
void fake_service_later(uint64_t msec, void (*function)(void *userdata), void *userdata);
