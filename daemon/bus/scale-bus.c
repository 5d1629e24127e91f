/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How many workers there shall be: Scale and Unscale, the profiles, and the properties Profile, AutoScale and ScaleTarget. All
 * is the core's; nothing is kept here. */
#include "bus/scale-bus.h"

#include "bus/manager-methods.h"
#include "util/parse-util.h"

/* ---- Scale, Unscale */

static void on_stored(int r, void *userdata)
{
    g_autoptr(sd_bus_message) m = answer_end(userdata);

    if (r < 0)
        bus_error_reply(m, r, "setting");
    else
        (void) sd_bus_reply_method_return(m, NULL);
}

static int scale(Bus *bus, sd_bus_message *m, uint32_t target, sd_bus_error *error)
{
    Answer *answer = answer_new(bus, m);
    int r = manager_scale(bus->manager, target, on_stored, answer);

    if (r >= 0)
        return 1;
    sd_bus_message_unref(answer_end(answer));
    if (r == -ERANGE)
        return sd_bus_error_setf(error, PAREXEC_ERROR_TOO_MANY_WORKERS,
                                 "%u workers are more than there may be: MaxWorkers is %u.", target,
                                 manager_max_workers(bus->manager));
    return bus_error_set(error, r, "target of scaling");
}

int scale_method_scale(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    uint32_t target;
    Peer *peer;
    int r = sd_bus_message_read_basic(m, 'u', &target);

    if (r >= 0)
        r = bus_check(userdata, m, PAREXEC_ACTION_MANAGE_WORKERS, &peer, error);
    if (r <= 0)
        return r < 0 ? r : 1;
    if (target != SCALE_NONE)
        return scale(userdata, m, target, error);
    call_done(((Bus *) userdata)->calls, m);
    return sd_bus_error_setf(error, PAREXEC_ERROR_INVALID_ARGUMENT,
                             "The target is %u, which stands for none; Unscale forgets it.", target);
}

int scale_method_unscale(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Peer *peer;
    int r = bus_check(userdata, m, PAREXEC_ACTION_MANAGE_WORKERS, &peer, error);

    if (r <= 0)
        return r < 0 ? r : 1;
    return scale(userdata, m, SCALE_NONE, error);
}

/* ---- profiles */

int scale_method_list_profiles(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    g_autoptr(sd_bus_message) reply = NULL;
    Manager *manager = ((Bus *) userdata)->manager;
    const GPtrArray *profiles = manager_profiles(manager);
    const Machine *machine = manager_machine(manager);
    uint32_t cores =
        manager_settings(manager)->use_smt ? machine_n_cpus(machine) : (uint32_t) machine->n_cores;
    int r = sd_bus_message_new_method_return(m, &reply);

    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "a{sv}");
    for (guint i = 0; r >= 0 && i < profiles->len; i++) {
        const Profile *profile = profiles->pdata[i];
        r = sd_bus_message_append(reply, "a{sv}", 6, "name", "s", profile->name, "workers", "u",
                                  profile_workers(profile, MAX(cores, 1)), "memory-max", "t",
                                  profile->memory_max_bytes, "timeout", "t", profile->timeout_usec,
                                  "batch-size", "u", profile->ahead, "active", "b",
                                  (int) (strcmp(profile->name, manager_profile(manager)) == 0));
    }
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

int scale_set_profile(Bus *bus, sd_bus_message *m, sd_bus_error *error)
{
    const char *name;
    int r = sd_bus_message_read(m, "v", "s", &name);

    if (r < 0) {
        call_done(bus->calls, m);
        return sd_bus_error_set(error, PAREXEC_ERROR_INVALID_ARGUMENT, "Profile takes a string.");
    }
    Answer *answer = answer_new(bus, m);
    r = manager_set_profile(bus->manager, name, on_stored, answer);
    if (r >= 0)
        return 1;
    sd_bus_message_unref(answer_end(answer));
    g_autofree char *shown = format_foreign(name);
    if (r == -ENOENT)
        return sd_bus_error_setf(error, PAREXEC_ERROR_NO_SUCH_PROFILE, "There is no profile \"%s\".", shown);
    return bus_error_set(error, r, "profile");
}

int scale_set_autoscale(Bus *bus, sd_bus_message *m, sd_bus_error *error)
{
    int autoscale, r = sd_bus_message_read(m, "v", "b", &autoscale);

    if (r < 0) {
        call_done(bus->calls, m);
        return sd_bus_error_set(error, PAREXEC_ERROR_INVALID_ARGUMENT, "AutoScale takes a boolean.");
    }
    manager_set_autoscale(bus->manager, autoscale, on_stored, answer_new(bus, m));
    return 1;
}

/* ---- properties */

int scale_property_profile(sd_bus *connection, const char *path, const char *interface, const char *property,
                           sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    return sd_bus_message_append(reply, "s", manager_profile(((Bus *) userdata)->manager));
}

int scale_property_autoscale(sd_bus *connection, const char *path, const char *interface,
                             const char *property, sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    return sd_bus_message_append(reply, "b", (int) manager_autoscales(((Bus *) userdata)->manager));
}

int scale_property_target(sd_bus *connection, const char *path, const char *interface, const char *property,
                          sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    return sd_bus_message_append(reply, "u", manager_scale_target(((Bus *) userdata)->manager));
}
