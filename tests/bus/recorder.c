/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A tape of signals. */
#include "recorder.h"

#include <string.h>

#include "gvariant-message.h"

static void recorded_free(gpointer data)
{
    Recorded *recorded = data;

    g_free(recorded->path);
    g_free(recorded->interface);
    g_free(recorded->member);
    g_variant_unref(recorded->body);
    g_free(recorded);
}

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Recorder *recorder = userdata;
    Recorded *recorded = g_new0(Recorded, 1);

    recorded->path = g_strdup(sd_bus_message_get_path(m));
    recorded->interface = g_strdup(sd_bus_message_get_interface(m));
    recorded->member = g_strdup(sd_bus_message_get_member(m));
    recorded->at_usec = g_get_monotonic_time();
    g_assert_cmpint(message_to_gvariant(m, &recorded->body), >=, 0);
    g_ptr_array_add(recorder->signals, recorded);
    return 0;
}

Recorder *recorder_new(sd_bus *bus)
{
    Recorder *recorder = g_new0(Recorder, 1);

    recorder->signals = g_ptr_array_new_with_free_func(recorded_free);
    g_assert_cmpint(
        sd_bus_add_match(bus, &recorder->slot, "type='signal',sender='org.parexec'", on_signal, recorder), >=,
        0);
    return recorder;
}

void recorder_free(Recorder *recorder)
{
    if (!recorder)
        return;
    sd_bus_slot_unref(recorder->slot);
    g_ptr_array_unref(recorder->signals);
    g_free(recorder);
}

void recorder_clear(Recorder *recorder)
{
    g_ptr_array_set_size(recorder->signals, 0);
}

const Recorded *recorder_find(const Recorder *recorder, const char *member, unsigned n)
{
    for (guint i = 0; i < recorder->signals->len; i++) {
        const Recorded *recorded = recorder->signals->pdata[i];
        if (strcmp(recorded->member, member) == 0 && n-- == 0)
            return recorded;
    }
    return NULL;
}

unsigned recorder_count(const Recorder *recorder, const char *member)
{
    unsigned n = 0;

    while (recorder_find(recorder, member, n))
        n++;
    return n;
}

/* Does this signal name the property? The value, if it is in it. */
static bool names(const Recorded *recorded, const char *path, const char *property, GVariant **ret_value)
{
    g_autoptr(GVariant) changed = NULL;
    g_autofree const char **invalidated = NULL;

    if (strcmp(recorded->member, "PropertiesChanged") != 0 || strcmp(recorded->path, path) != 0)
        return false;
    g_variant_get(recorded->body, "(&s@a{sv}^a&s)", NULL, &changed, &invalidated);
    *ret_value = g_variant_lookup_value(changed, property, NULL);
    return *ret_value || g_strv_contains(invalidated, property);
}

unsigned recorder_count_changes(const Recorder *recorder, const char *path, const char *property)
{
    unsigned n = 0;

    for (guint i = 0; i < recorder->signals->len; i++) {
        g_autoptr(GVariant) value = NULL;
        n += names(recorder->signals->pdata[i], path, property, &value);
    }
    return n;
}

GVariant *recorder_last_value(const Recorder *recorder, const char *path, const char *property)
{
    for (guint i = recorder->signals->len; i > 0; i--) {
        GVariant *value = NULL;
        if (names(recorder->signals->pdata[i - 1], path, property, &value))
            return value;
    }
    return NULL;
}
