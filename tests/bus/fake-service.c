/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The main loop of a fake. One per process. */
#include "fake-service.h"

#include <stdlib.h>

static sd_bus *service_bus;
static sd_event *service_event;

typedef struct Later {
    void (*function)(void *userdata);
    void *userdata;
} Later;

sd_bus *fake_service_bus(void)
{
    return service_bus;
}

static int on_later(sd_event_source *source, uint64_t usec, void *userdata)
{
    g_autofree Later *later = userdata;

    later->function(later->userdata);
    return 0;
}

void fake_service_later(uint64_t msec, void (*function)(void *userdata), void *userdata)
{
    Later *later = g_new(Later, 1);

    *later = (Later){ function, userdata };
    g_assert_cmpint(sd_event_add_time_relative(service_event, NULL, CLOCK_MONOTONIC, msec * USEC_PER_MSEC, 1,
                                               on_later, later),
                    >=, 0);
}

int fake_service_run(const char *name, const FakeObject *objects, void *userdata)
{
    int r = sd_event_new(&service_event);

    if (r >= 0)
        r = sd_bus_open_system(&service_bus);
    for (; r >= 0 && objects->path; objects++)
        r = sd_bus_add_object_vtable(service_bus, NULL, objects->path, objects->interface, objects->vtable,
                                     userdata);
    if (r >= 0)
        r = sd_bus_request_name(service_bus, name, 0);
    if (r >= 0)
        r = sd_bus_attach_event(service_bus, service_event, 0);
    if (r >= 0)
        r = sd_event_loop(service_event);
    if (r < 0)
        g_printerr("%s: %s\n", name, g_strerror(-r));
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
