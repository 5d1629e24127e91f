/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The client of systemd's bus interface; owned by the systemd engine.
 *
 * Matches are installed before anything is started, on the same connection, so that no JobRemoved is
 * missed. Anyone on the bus may send a signal to us: one counts only if it comes from the connection that
 * answers our calls to systemd. */
#include "engine/systemd1.h"
#include "util/log.h"
#include "util/sd-bus-util.h"

#include <signal.h>
#include <string.h>

#define SYSTEMD1_NAME "org.freedesktop.systemd1"
#define SYSTEMD1_PATH "/org/freedesktop/systemd1"
#define SYSTEMD1_MANAGER SYSTEMD1_NAME ".Manager"
#define DBUS_NAME "org.freedesktop.DBus"

struct Systemd1 {
    sd_bus *bus;
    uint64_t timeout_usec;
    Systemd1Events events;
    sd_bus_slot *job_removed, *name_owner_changed, *subscribe;
    char *owner; /* the unique name that answers; NULL: not known yet, or no bus daemon between us */
};

/* One call under way. Owned by its slot. One without done may outlive the client and does not touch it. */
typedef struct Call {
    Systemd1 *systemd;
    Systemd1Done done;
    void *userdata;
    const char *what; /* for the log, of calls without done */
    bool is_variant;  /* the answer is v(s), not o */
} Call;

static void note_owner(Systemd1 *systemd, sd_bus_message *reply)
{
    const char *sender = sd_bus_message_get_sender(reply);

    if (g_strcmp0(sender, systemd->owner) == 0)
        return;
    g_free(systemd->owner);
    systemd->owner = g_strdup(sender);
}

/* ---- calls ---- */

static bool is_no_such_unit(const char *error)
{
    return g_strcmp0(error, "org.freedesktop.systemd1.NoSuchUnit") == 0;
}

static int read_value(sd_bus_message *message, const Call *call, const char **ret)
{
    const char *value = NULL;
    int r = 0;

    if (call->is_variant)
        r = sd_bus_message_read(message, "v", "s", &value);
    else if (sd_bus_message_has_signature(message, "o"))
        r = sd_bus_message_read(message, "o", &value);
    if (r < 0)
        return r;
    *ret = value;
    return 0;
}

static int on_reply(sd_bus_message *message, void *userdata, sd_bus_error *ret_error)
{
    Call *call = userdata;
    const sd_bus_error *error = sd_bus_message_get_error(message);
    Systemd1Reply reply = { 0 };

    if (error) {
        reply = (Systemd1Reply) { .r = -sd_bus_message_get_errno(message),
                                 .error = error->name,
                                 .why = error->message };
    } else {
        reply.r = read_value(message, call, &reply.value);
        if (reply.r < 0)
            reply.error = SD_BUS_ERROR_INVALID_ARGS;
    }
    if (reply.r < 0 && !reply.why)
        reply.why = reply.error;
    if (call->done) {
        if (!error)
            note_owner(call->systemd, message);
        call->done(&reply, call->userdata);
    } else if (reply.r < 0 && !is_no_such_unit(reply.error)) {
        log_debug("systemd: %s: %s", call->what, reply.why);
    }
    return 0;
}

static int call_send(sd_bus_message *message, const Call *template, sd_bus_slot **ret_slot)
{
    g_autoptr(sd_bus_slot) slot = NULL;
    Call *call = g_memdup2(template, sizeof *template);
    int r = sd_bus_call_async(template->systemd->bus, &slot, message, on_reply, call,
                              template->systemd->timeout_usec);

    if (r < 0) {
        g_free(call);
        return r;
    }
    (void) sd_bus_slot_set_destroy_callback(slot, g_free);
    if (ret_slot)
        *ret_slot = g_steal_pointer(&slot);
    else
        (void) sd_bus_slot_set_floating(slot, 1); /* goes with its answer, or with the bus */
    return 0;
}

static int manager_call_new(Systemd1 *systemd, const char *member, sd_bus_message **ret)
{
    return sd_bus_message_new_method_call(systemd->bus, ret, SYSTEMD1_NAME, SYSTEMD1_PATH, SYSTEMD1_MANAGER,
                                          member);
}

int systemd1_start_scope(Systemd1 *systemd, const ScopeSpec *spec, Systemd1Done done, void *userdata,
                         sd_bus_slot **ret_slot)
{
    g_autoptr(sd_bus_message) message = NULL;
    Call call = { .systemd = systemd, .done = done, .userdata = userdata };

    int r = manager_call_new(systemd, "StartTransientUnit", &message);
    if (r >= 0)
        r = sd_bus_message_append(message, "ss", spec->unit, "fail");
    if (r >= 0)
        r = scope_append_properties(message, spec);
    if (r >= 0)
        r = sd_bus_message_append(message, "a(sa(sv))", 0);
    return r < 0 ? r : call_send(message, &call, ret_slot);
}

int systemd1_get_control_group(Systemd1 *systemd, const char *unit, Systemd1Done done, void *userdata,
                               sd_bus_slot **ret_slot)
{
    g_autoptr(sd_bus_message) message = NULL;
    g_autofree char *path = NULL;
    Call call = { .systemd = systemd, .done = done, .userdata = userdata, .is_variant = true };

    int r = sd_bus_path_encode(SYSTEMD1_PATH "/unit", unit, &path);
    if (r >= 0)
        r = sd_bus_message_new_method_call(systemd->bus, &message, SYSTEMD1_NAME, path,
                                           DBUS_NAME ".Properties", "Get");
    if (r >= 0)
        r = sd_bus_message_append(message, "ss", SYSTEMD1_NAME ".Scope", "ControlGroup");
    return r < 0 ? r : call_send(message, &call, ret_slot);
}

int systemd1_reset_failed(Systemd1 *systemd, const char *unit, Systemd1Done done, void *userdata,
                          sd_bus_slot **ret_slot)
{
    g_autoptr(sd_bus_message) message = NULL;
    Call call = { .systemd = systemd, .done = done, .userdata = userdata };

    int r = manager_call_new(systemd, "ResetFailedUnit", &message);
    if (r >= 0)
        r = sd_bus_message_append(message, "s", unit);
    return r < 0 ? r : call_send(message, &call, ret_slot);
}

int systemd1_set_limits(Systemd1 *systemd, const char *unit, const WorkerLimits *limits, const WorkerLimits *before,
                        Systemd1Done done, void *userdata, sd_bus_slot **ret_slot)
{
    g_autoptr(sd_bus_message) message = NULL;
    Call call = { .systemd = systemd, .done = done, .userdata = userdata, .what = "SetUnitProperties" };

    int r = manager_call_new(systemd, "SetUnitProperties", &message);
    if (r >= 0)
        r = sd_bus_message_append(message, "sb", unit, true);
    if (r >= 0)
        r = scope_append_changes(message, limits, before);
    return r < 0 ? r : call_send(message, &call, ret_slot);
}

void systemd1_kill_unit(Systemd1 *systemd, const char *unit)
{
    g_autoptr(sd_bus_message) message = NULL;
    Call call = { .systemd = systemd, .what = "KillUnit" };

    int r = manager_call_new(systemd, "KillUnit", &message);
    if (r >= 0)
        r = sd_bus_message_append(message, "ssi", unit, "all", SIGKILL);
    if (r >= 0)
        r = call_send(message, &call, NULL);
    if (r < 0)
        log_warning_errno(r, "cannot ask systemd to kill %s, ignoring: %m", unit);
}

void systemd1_stop_unit(Systemd1 *systemd, const char *unit)
{
    g_autoptr(sd_bus_message) message = NULL;
    Call call = { .systemd = systemd, .what = "StopUnit" };

    int r = manager_call_new(systemd, "StopUnit", &message);
    if (r >= 0)
        r = sd_bus_message_append(message, "ss", unit, "replace");
    if (r >= 0)
        r = call_send(message, &call, NULL);
    if (r < 0)
        log_warning_errno(r, "cannot ask systemd to stop %s, ignoring: %m", unit);
}

/* ---- signals ---- */

static int on_job_removed(sd_bus_message *message, void *userdata, sd_bus_error *ret_error)
{
    Systemd1 *systemd = userdata;
    const char *job, *unit, *result;

    if (systemd->owner && g_strcmp0(sd_bus_message_get_sender(message), systemd->owner) != 0)
        return 0;
    int r = sd_bus_message_read(message, "uoss", NULL, &job, &unit, &result);
    if (r < 0)
        return log_debug_errno(r, "systemd: JobRemoved makes no sense, ignoring: %m"), 0;
    systemd->events.job_removed(job, unit, result, systemd->events.userdata);
    return 0;
}

static int on_subscribed(sd_bus_message *message, void *userdata, sd_bus_error *ret_error)
{
    Systemd1 *systemd = userdata;
    const sd_bus_error *error = sd_bus_message_get_error(message);

    if (!error)
        note_owner(systemd, message);
    else if (g_strcmp0(error->name, "org.freedesktop.systemd1.AlreadySubscribed") != 0)
        log_warning("cannot subscribe to systemd's signals: %s",
                    error->message ? error->message : error->name);
    return 0;
}

/* Without a subscriber systemd sends no JobRemoved. */
static int subscribe(Systemd1 *systemd)
{
    g_autoptr(sd_bus_message) message = NULL;

    systemd->subscribe = sd_bus_slot_unref(systemd->subscribe);
    int r = manager_call_new(systemd, "Subscribe", &message);
    if (r < 0)
        return r;
    return sd_bus_call_async(systemd->bus, &systemd->subscribe, message, on_subscribed, systemd,
                             systemd->timeout_usec);
}

static int on_name_owner_changed(sd_bus_message *message, void *userdata, sd_bus_error *ret_error)
{
    Systemd1 *systemd = userdata;
    const char *name, *old, *new;

    if (g_strcmp0(sd_bus_message_get_sender(message), DBUS_NAME) != 0 ||
        sd_bus_message_read(message, "sss", &name, &old, &new) < 0 || strcmp(name, SYSTEMD1_NAME) != 0 ||
        !*new)
        return 0;
    g_free(systemd->owner);
    systemd->owner = g_strdup(new);
    int r = subscribe(systemd);
    if (r < 0)
        log_warning_errno(r, "cannot subscribe to systemd's signals again, ignoring: %m");
    systemd->events.restarted(systemd->events.userdata);
    return 0;
}

static int watch_name(Systemd1 *systemd)
{
    return sd_bus_add_match_async(systemd->bus, &systemd->name_owner_changed,
                                  "type='signal',sender='" DBUS_NAME "',path='/org/freedesktop/DBus',"
                                  "interface='" DBUS_NAME "',member='NameOwnerChanged',arg0='" SYSTEMD1_NAME
                                  "'",
                                  on_name_owner_changed, NULL, systemd);
}

static int watch_jobs(Systemd1 *systemd)
{
    bool peer = sd_bus_is_bus_client(systemd->bus) == 0; /* nobody in between who would name a sender */

    return sd_bus_match_signal_async(systemd->bus, &systemd->job_removed, peer ? NULL : SYSTEMD1_NAME,
                                     SYSTEMD1_PATH, SYSTEMD1_MANAGER, "JobRemoved", on_job_removed, NULL,
                                     systemd);
}

int systemd1_new(sd_bus *bus, uint64_t timeout_usec, const Systemd1Events *events, Systemd1 **ret)
{
    g_autoptr(Systemd1) systemd = g_new0(Systemd1, 1);

    systemd->bus = sd_bus_ref(bus);
    systemd->timeout_usec = timeout_usec;
    systemd->events = *events;
    int r = watch_jobs(systemd);
    if (r >= 0 && sd_bus_is_bus_client(bus) > 0)
        r = watch_name(systemd);
    if (r >= 0)
        r = subscribe(systemd);
    if (r < 0)
        return r;
    *ret = g_steal_pointer(&systemd);
    return 0;
}

Systemd1 *systemd1_free(Systemd1 *systemd)
{
    if (!systemd)
        return NULL;
    sd_bus_slot_unref(systemd->job_removed);
    sd_bus_slot_unref(systemd->name_owner_changed);
    sd_bus_slot_unref(systemd->subscribe);
    sd_bus_unref(systemd->bus);
    g_free(systemd->owner);
    g_free(systemd);
    return NULL;
}
