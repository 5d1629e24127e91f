/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The methods of org.parexec.Manager1 that are about named queues. The queues are the store's. */
#include <stddef.h>
#include <string.h>

#include "bus/bus-internal.h"
#include "bus/manager-methods.h"
#include "bus/options.h"
#include "model/ids.h"
#include "util/parse-util.h"

static int reply_queues(sd_bus_message *m, const GPtrArray *queues)
{
    g_autoptr(sd_bus_message) reply = NULL;
    int r = sd_bus_message_new_method_return(m, &reply);

    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "a{sv}");
    for (guint i = 0; r >= 0 && i < queues->len; i++) {
        const QueueRow *queue = queues->pdata[i];
        r = sd_bus_message_append(reply, "a{sv}", 4, "name", "s", queue->name, "parallel", "u",
                                  queue->parallel, "active", "t", queue->active, "queued", "t",
                                  queue->queued);
    }
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static void on_listed(int r, GPtrArray *queues, void *userdata)
{
    g_autoptr(GPtrArray) taken = queues;
    g_autoptr(sd_bus_message) m = answer_end(userdata);

    if (r >= 0)
        r = reply_queues(m, queues);
    if (r < 0)
        bus_error_reply(m, r, "list");
}

int queue_method_list(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Bus *bus = userdata;
    StorePort *store = manager_store(bus->manager);

    store->list_queues(store, on_listed, answer_new(bus, m));
    return 1;
}

/* ---- changes */

typedef struct QueueChange {
    Answer *answer;
    char *name;
} QueueChange;

static QueueChange *queue_change_new(Bus *bus, sd_bus_message *m, const char *name)
{
    QueueChange *change = g_new(QueueChange, 1);

    *change = (QueueChange){ answer_new(bus, m), g_strdup(name) };
    return change;
}

static void on_changed(int r, void *userdata)
{
    g_autofree QueueChange *change = userdata;
    g_autofree char *name = change->name, *shown = format_foreign(name);
    g_autoptr(sd_bus_message) m = answer_end(change->answer);

    if (r == -ENOKEY)
        (void) sd_bus_reply_method_errorf(m, PAREXEC_ERROR_NO_SUCH_QUEUE, "There is no queue \"%s\".", shown);
    else if (r == -EBUSY)
        (void) sd_bus_reply_method_errorf(m, PAREXEC_ERROR_INVALID_STATE,
                                          "There are tasks in the queue \"%s\" that have not ended.", shown);
    else if (r < 0)
        bus_error_reply(m, r, "queue");
    else
        (void) sd_bus_reply_method_return(m, NULL);
}

static int read_name(sd_bus_message *m, const char **ret, sd_bus_error *error)
{
    int r = sd_bus_message_rewind(m, true);

    if (r >= 0)
        r = sd_bus_message_read_basic(m, 's', ret);
    if (r >= 0 && (!**ret || !name_is_valid(*ret)))
        return options_invalid(error, "The name of a queue has 1 to %u bytes on one line, not %zu.",
                               PAREXEC_NAME_BYTES_MAX, strlen(*ret));
    return r;
}

typedef struct QueueOptions {
    uint32_t parallel;
} QueueOptions;

static const Option queue_options[] = {
    { "parallel", "u", offsetof(QueueOptions, parallel) },
    { NULL },
};

int queue_method_set(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Bus *bus = userdata;
    QueueOptions options = { 0 };
    const char *name;
    Peer *peer;
    int r = read_name(m, &name, error);

    if (r >= 0)
        r = options_read(m, queue_options, &options, error);
    if (r >= 0)
        r = bus_check(bus, m, PAREXEC_ACTION_CONFIGURE, &peer, error);
    if (r <= 0)
        return r < 0 ? r : 1;
    StorePort *store = manager_store(bus->manager);
    store->set_queue(store, name, options.parallel, on_changed, queue_change_new(bus, m, name));
    return 1;
}

int queue_method_remove(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Bus *bus = userdata;
    const char *name;
    Peer *peer;
    int r = read_name(m, &name, error);

    if (r >= 0)
        r = bus_check(bus, m, PAREXEC_ACTION_CONFIGURE, &peer, error);
    if (r <= 0)
        return r < 0 ? r : 1;
    StorePort *store = manager_store(bus->manager);
    store->remove_queue(store, name, on_changed, queue_change_new(bus, m, name));
    return 1;
}
