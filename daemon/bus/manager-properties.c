/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The properties of org.parexec.Manager1. They are the core's; nothing is kept here. */
#include "bus/bus-internal.h"
#include "bus/manager-methods.h"
#include "bus/scale-bus.h"
#include "parexec-config.h"

int manager_property_version(sd_bus *connection, const char *path, const char *interface,
                             const char *property, sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    return sd_bus_message_append(reply, "s", PAREXEC_VERSION);
}

int manager_property_workers(sd_bus *connection, const char *path, const char *interface,
                             const char *property, sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    const GPtrArray *workers = manager_workers(((Bus *) userdata)->manager);
    int r = sd_bus_message_open_container(reply, 'a', "o");

    for (guint i = 0; r >= 0 && i < workers->len; i++) {
        g_autofree char *worker = worker_bus_path(workers->pdata[i]);
        r = sd_bus_message_append_basic(reply, 'o', worker);
    }
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

int manager_property_max_workers(sd_bus *connection, const char *path, const char *interface,
                                 const char *property, sd_bus_message *reply, void *userdata,
                                 sd_bus_error *error)
{
    return sd_bus_message_append(reply, "u", manager_max_workers(((Bus *) userdata)->manager));
}

int manager_property_enabled(sd_bus *connection, const char *path, const char *interface,
                             const char *property, sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    return sd_bus_message_append(reply, "b", (int) manager_is_enabled(((Bus *) userdata)->manager));
}

int manager_property_queue_length(sd_bus *connection, const char *path, const char *interface,
                                  const char *property, sd_bus_message *reply, void *userdata,
                                  sd_bus_error *error)
{
    return sd_bus_message_append(reply, "t", manager_queue_length(((Bus *) userdata)->manager));
}

int manager_property_running_tasks(sd_bus *connection, const char *path, const char *interface,
                                   const char *property, sd_bus_message *reply, void *userdata,
                                   sd_bus_error *error)
{
    return sd_bus_message_append(reply, "t", manager_n_running(((Bus *) userdata)->manager));
}

/* Properties.Set is sd-bus's own handler and answers when the setter returns: it can wait for nobody. So it is caught before
 * it gets there, and done here as a call like any other. */
static void on_enabled(int r, void *userdata)
{
    g_autoptr(sd_bus_message) m = answer_end(userdata);

    if (r < 0)
        bus_error_reply(m, r, "setting");
    else
        (void) sd_bus_reply_method_return(m, NULL);
}

static int set_enabled(Bus *bus, sd_bus_message *m, sd_bus_error *error)
{
    int enabled, r = sd_bus_message_read(m, "v", "b", &enabled);

    if (r < 0)
        return sd_bus_error_set(error, PAREXEC_ERROR_INVALID_ARGUMENT, "Enabled takes a boolean.");
    manager_set_enabled(bus->manager, enabled, on_enabled, answer_new(bus, m));
    return 1;
}

static int set_max_workers(Bus *bus, sd_bus_message *m, sd_bus_error *error)
{
    uint32_t max;
    int r = sd_bus_message_read(m, "v", "u", &max);

    if (r < 0)
        return sd_bus_error_set(error, PAREXEC_ERROR_INVALID_ARGUMENT,
                                "MaxWorkers takes an unsigned 32-bit number.");
    if (max == 0 || max > WORKER_SLOTS_MAX)
        return sd_bus_error_setf(error, PAREXEC_ERROR_INVALID_ARGUMENT,
                                 "MaxWorkers is %u; it must lie between 1 and %u.", max, WORKER_SLOTS_MAX);
    manager_set_max_workers(bus->manager, max);
    call_done(bus->calls, m);
    return sd_bus_reply_method_return(m, NULL);
}

int manager_property_on_set(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    static const struct {
        const char *property;
        int (*set)(Bus *bus, sd_bus_message *m, sd_bus_error *error);
    } setters[] = {
        { "Enabled", set_enabled },
        { "MaxWorkers", set_max_workers },
        { "Profile", scale_set_profile },
        { "AutoScale", scale_set_autoscale },
    };
    Bus *bus = userdata;
    const char *interface, *property;
    Peer *peer;

    if (!sd_bus_message_is_method_call(m, "org.freedesktop.DBus.Properties", "Set") ||
        !sd_bus_message_has_signature(m, "ssv"))
        return 0;
    int r = sd_bus_message_rewind(m, true);
    if (r >= 0)
        r = sd_bus_message_read(m, "ss", &interface, &property);
    for (size_t i = 0; r >= 0 && i < G_N_ELEMENTS(setters); i++) {
        if (strcmp(interface, PAREXEC_MANAGER_INTERFACE) != 0 || strcmp(property, setters[i].property) != 0)
            continue;
        r = bus_check(bus, m, PAREXEC_ACTION_CONFIGURE, &peer, error);
        if (r <= 0)
            return r < 0 ? r : 1;
        return setters[i].set(bus, m, error);
    }
    return r < 0 ? r : sd_bus_message_rewind(m, true) < 0 ? -EIO : 0;
}

int manager_property_refuse_set(sd_bus *connection, const char *path, const char *interface,
                                const char *property, sd_bus_message *value, void *userdata,
                                sd_bus_error *error)
{
    return -EOPNOTSUPP; /* never reached: on_set() is before it; there so that the properties are shown as writable */
}
