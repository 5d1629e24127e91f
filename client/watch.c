/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Following the daemon's signals. A Watch is owned by the verb that follows; it lives no longer than the
 * bus connection. Invariant: owner is the unique name of the daemon whose signals are believed, "" while
 * there is none. */

#include "client/watch.h"

#include <string.h>

#include "client/bus-dict.h"
#include "client/connection.h"
#include "client/error-report.h"
#include "client/output.h"
#include "dbus/parexec-dbus.h"

struct Watch {
    Client *client;
    const WatchHandler *handler;
    void *userdata;
    bool tasks;
    char *owner;
    unsigned generation;
    GPtrArray *slots; /* sd_bus_slot */
};

Watch *watch_free(Watch *watch)
{
    if (!watch)
        return NULL;
    g_ptr_array_unref(watch->slots);
    g_free(watch->owner);
    g_free(watch);
    return NULL;
}

bool watch_is_connected(const Watch *watch)
{
    return *watch->owner;
}

unsigned watch_generation(const Watch *watch)
{
    return watch->generation;
}

static void slot_destroy(gpointer slot)
{
    (void) sd_bus_slot_unref(slot);
}

static bool from_daemon(const Watch *watch, sd_bus_message *m)
{
    return *watch->owner && g_strcmp0(sd_bus_message_get_sender(m), watch->owner) == 0;
}

static int read_change(Watch *watch, sd_bus_message *m)
{
    g_auto(TaskInfo) change;
    uint64_t id, batch;

    task_info_init(&change);
    int r = sd_bus_message_read(m, "tt", &id, &batch);
    if (r >= 0)
        r = task_info_read(m, &change);
    if (r == -EBADMSG) /* a state of a newer daemon */
        return 0;
    if (r < 0)
        return r;
    change.id = id;
    change.batch = batch;
    watch->handler->task_changed(&change, watch->userdata);
    return 0;
}

static int on_tasks_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Watch *watch = userdata;

    if (!from_daemon(watch, m) || !watch->handler->task_changed)
        return 0;
    int r = sd_bus_message_enter_container(m, 'a', "(tta{sv})");
    while (r >= 0 && (r = sd_bus_message_enter_container(m, 'r', "tta{sv}")) > 0) {
        r = read_change(watch, m);
        if (r >= 0)
            r = sd_bus_message_exit_container(m);
    }
    return r < 0 ? connection_report_message(watch->client, r) : 0;
}

static int on_batch_finished(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    BatchResult result = {};
    Watch *watch = userdata;
    uint64_t batch;

    if (!from_daemon(watch, m) || !watch->handler->batch_finished)
        return 0;
    int r = sd_bus_message_read_basic(m, 't', &batch);
    if (r >= 0)
        r = batch_result_read(m, &result);
    if (r >= 0) {
        result.single.batch = batch;
        watch->handler->batch_finished(batch, &result, watch->userdata);
    }
    batch_result_done(&result);
    return r < 0 ? connection_report_message(watch->client, r) : 0;
}

static int on_worker_added(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Watch *watch = userdata;
    const char *id;

    if (from_daemon(watch, m) && watch->handler->worker_added && sd_bus_message_read_basic(m, 's', &id) > 0)
        watch->handler->worker_added(id, watch->userdata);
    return 0;
}

static int on_worker_removed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Watch *watch = userdata;
    const char *id;

    if (from_daemon(watch, m) && watch->handler->worker_removed && sd_bus_message_read_basic(m, 's', &id) > 0)
        watch->handler->worker_removed(id, watch->userdata);
    return 0;
}

static int on_worker_state_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Watch *watch = userdata;
    const char *id, *old, *new;

    if (from_daemon(watch, m) && watch->handler->worker_state_changed &&
        sd_bus_message_read(m, "sss", &id, &old, &new) > 0)
        watch->handler->worker_state_changed(id, old, new, watch->userdata);
    return 0;
}

static int on_task_unplaceable(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Watch *watch = userdata;
    const char *why;
    uint64_t task;

    if (from_daemon(watch, m) && watch->handler->task_unplaceable &&
        sd_bus_message_read(m, "ts", &task, &why) > 0)
        watch->handler->task_unplaceable(task, why, watch->userdata);
    return 0;
}

static int on_pressure_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Watch *watch = userdata;
    const char *rung, *why;

    if (from_daemon(watch, m) && watch->handler->pressure_changed &&
        sd_bus_message_read(m, "ss", &rung, &why) > 0)
        watch->handler->pressure_changed(rung, why, watch->userdata);
    return 0;
}

static void announce_back(Watch *watch)
{
    if (watch->handler->daemon_back)
        watch->handler->daemon_back(watch->userdata);
}

static int on_subscribed_again(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Watch *watch = userdata;

    if (sd_bus_message_is_method_error(m, NULL) && !error_is_transient(sd_bus_message_get_error(m))) {
        (void) error_report(watch->client, sd_bus_message_get_error(m), -EIO);
        return sd_event_exit(watch->client->event, watch->client->failure);
    }
    if (!sd_bus_message_is_method_error(m, NULL)) /* else it went away again, and another will come */
        announce_back(watch);
    return 0;
}

static int subscribe_again(Watch *watch)
{
    g_autoptr(sd_bus_message) call = NULL;

    output_note(watch->client, _("parexecd is back"));
    if (!watch->tasks) {
        announce_back(watch);
        return 0;
    }
    int r = connection_new_call(watch->client, "Subscribe", &call);
    return r < 0 ? r : connection_call_async(watch->client, call, on_subscribed_again, watch, NULL);
}

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    const char *name, *old, *new;
    Watch *watch = userdata;

    /* a well-known name in a match is not proof: anyone may send a signal to a unique name */
    if (g_strcmp0(sd_bus_message_get_sender(m), "org.freedesktop.DBus") != 0 ||
        sd_bus_message_read(m, "sss", &name, &old, &new) < 0 || strcmp(name, PAREXEC_BUS_NAME) != 0)
        return 0;
    if (strcmp(watch->owner, new) == 0)
        return 0;
    g_free(watch->owner);
    watch->owner = g_strdup(new);
    if (*new) {
        watch->generation++;
        return subscribe_again(watch);
    }
    output_note(watch->client, _("parexecd is away; waiting for it to come back (what runs goes on)"));
    if (watch->handler->daemon_lost)
        watch->handler->daemon_lost(watch->userdata);
    return 0;
}

typedef struct WatchedSignal {
    const char *sender, *path, *interface, *member;
    sd_bus_message_handler_t handler;
} WatchedSignal;

#define OF_MANAGER PAREXEC_BUS_NAME, PAREXEC_PATH, PAREXEC_MANAGER_INTERFACE
#define OF_BUS "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus"

static const WatchedSignal watched_signals[] = {
    { OF_BUS, "NameOwnerChanged", on_owner_changed },
    { OF_MANAGER, "TasksChanged", on_tasks_changed },
    { OF_MANAGER, "BatchFinished", on_batch_finished },
    { OF_MANAGER, "WorkerAdded", on_worker_added },
    { OF_MANAGER, "WorkerRemoved", on_worker_removed },
    { OF_MANAGER, "WorkerStateChanged", on_worker_state_changed },
    { OF_MANAGER, "TaskUnplaceable", on_task_unplaceable },
    { OF_MANAGER, "PressureChanged", on_pressure_changed },
};

static int add_matches(Watch *watch)
{
    for (size_t i = 0; i < G_N_ELEMENTS(watched_signals); i++) {
        const WatchedSignal *signal = &watched_signals[i];
        g_autofree char *rule = g_strdup_printf(
            "type='signal',sender='%s',path='%s',interface='%s',member='%s'%s", signal->sender, signal->path,
            signal->interface, signal->member, i == 0 ? ",arg0='" PAREXEC_BUS_NAME "'" : "");
        sd_bus_slot *slot;
        int r = sd_bus_add_match(watch->client->bus, &slot, rule, signal->handler, watch);
        if (r < 0)
            return output_failure(watch->client, r, _("cannot follow parexecd's signals: %s"),
                                  g_strerror(-r));
        g_ptr_array_add(watch->slots, slot);
    }
    return 0;
}

/* Whose signals are believed: that of the one who answers now. Subscribing also starts it, if it is to be
 * activated. */
static int learn_owner(Watch *watch)
{
    g_autoptr(sd_bus_message) reply = NULL;
    int r;

    if (watch->tasks)
        r = connection_call_simple(watch->client, "Subscribe", NULL, &reply);
    else {
        g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
        r = sd_bus_get_property(watch->client->bus, PAREXEC_BUS_NAME, PAREXEC_PATH, PAREXEC_MANAGER_INTERFACE,
                                "Version", &error, &reply, "s");
        if (r < 0)
            return error_report(watch->client, &error, r);
    }
    if (r < 0)
        return r;
    g_free(watch->owner);
    watch->owner = g_strdup(sd_bus_message_get_sender(reply));
    return 0;
}

int watch_new(Client *client, const WatchHandler *handler, void *userdata, bool tasks, Watch **ret)
{
    g_autoptr(Watch) watch = g_new(Watch, 1);
    int r = connection_attach(client);

    *watch = (Watch){
        .client = client, .handler = handler, .userdata = userdata, .tasks = tasks, .owner = g_strdup("")
    };
    watch->slots = g_ptr_array_new_with_free_func(slot_destroy);
    if (r >= 0)
        r = add_matches(watch);
    if (r >= 0)
        r = learn_owner(watch);
    if (r < 0)
        return r;
    *ret = g_steal_pointer(&watch);
    return 0;
}
