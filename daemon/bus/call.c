/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The calls that wait for an answer. A call lives from the first question until its handler says call_done(); it is
 * identified by its message, which sd-bus hands to the handler again after sd_bus_enqueue_for_read(). */
#include "bus/call.h"

#include <systemd/sd-event.h>

#include "util/log.h"
#include "util/macro.h"

struct Calls {
    sd_bus *bus;
    sd_event_source *sweep; /* frees what call_done_later() named */
    GPtrArray *done;        /* sd_bus_message*, referenced by their calls */
    GHashTable *by_message; /* sd_bus_message* → Call */
};

static void call_free(gpointer data)
{
    Call *call = data;

    sd_bus_message_unref(call->m);
    task_row_free(call->row);
    g_free(call);
}

static int on_sweep(sd_event_source *source, void *userdata)
{
    Calls *calls = userdata;

    for (guint i = 0; i < calls->done->len; i++)
        call_done(calls, calls->done->pdata[i]);
    g_ptr_array_set_size(calls->done, 0);
    return 0;
}

Calls *calls_new(sd_bus *bus)
{
    Calls *calls = g_new0(Calls, 1);

    calls->bus = bus;
    calls->done = g_ptr_array_new();
    calls->by_message = g_hash_table_new_full(NULL, NULL, NULL, call_free);
    return calls;
}

Calls *calls_free(Calls *calls)
{
    if (!calls)
        return NULL;
    sd_event_source_disable_unref(calls->sweep);
    g_ptr_array_unref(calls->done);
    g_hash_table_unref(calls->by_message);
    g_free(calls);
    return NULL;
}

Call *call_find(Calls *calls, sd_bus_message *m)
{
    return g_hash_table_lookup(calls->by_message, m);
}

Call *call_of(Calls *calls, sd_bus_message *m)
{
    Call *call = call_find(calls, m);

    if (call)
        return call;
    call = g_new0(Call, 1);
    call->calls = calls;
    call->m = sd_bus_message_ref(m);
    g_hash_table_insert(calls->by_message, m, call);
    return call;
}

void call_resume(Call *call)
{
    int r = sd_bus_enqueue_for_read(call->calls->bus, call->m);

    if (r >= 0)
        return;
    log_warning_errno(r, "Cannot go on with a call, refusing it: %m");
    (void) sd_bus_reply_method_errno(call->m, r, NULL);
    call_done(call->calls, call->m);
}

void call_done(Calls *calls, sd_bus_message *m)
{
    g_hash_table_remove(calls->by_message, m);
}

void call_done_later(Call *call)
{
    Calls *calls = call->calls;

    g_ptr_array_add(calls->done, call->m);
    if (!calls->sweep && sd_event_add_defer(sd_bus_get_event(calls->bus), &calls->sweep, on_sweep, calls) < 0)
        g_error("cannot add an event source"); /* out of memory */
    (void) sd_event_source_set_enabled(calls->sweep, SD_EVENT_ONESHOT);
}
