/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fake's object: Manager's methods, and the properties of units that do not exist. */
#include "fake-systemd1.h"

#include <string.h>
#include <sys/socket.h>

#define MANAGER "org.freedesktop.systemd1.Manager"
#define PATH "/org/freedesktop/systemd1"
#define JOB_PATH PATH "/job/%u"

static void log_call(FakeSystemd1 *fake, const char *member, const char *unit)
{
    g_ptr_array_add(fake->log, g_strdup_printf("%s %s", member, unit));
}

static char *print_bytes(sd_bus_message *message)
{
    const uint8_t *bytes;
    size_t n;
    GString *text = g_string_new(NULL);

    g_assert_cmpint(sd_bus_message_read_array(message, 'y', (const void **) &bytes, &n), >=, 0);
    for (size_t i = 0; i < n; i++)
        g_string_append_printf(text, "%02x", bytes[i]);
    return g_string_free(text, FALSE);
}

static char *print_value(sd_bus_message *message, const char *type)
{
    const char *s;
    uint64_t t;
    uint32_t u;
    int b;

    if (strcmp(type, "s") == 0)
        return sd_bus_message_read(message, "s", &s) > 0 ? g_strdup(s) : NULL;
    if (strcmp(type, "t") == 0)
        return sd_bus_message_read(message, "t", &t) > 0 ? g_strdup_printf("%" G_GUINT64_FORMAT, t) : NULL;
    if (strcmp(type, "b") == 0)
        return sd_bus_message_read(message, "b", &b) > 0 ? g_strdup(b ? "yes" : "no") : NULL;
    if (strcmp(type, "au") == 0)
        return sd_bus_message_read(message, "au", 1, &u) > 0 ? g_strdup_printf("%u", u) : NULL;
    g_assert_cmpstr(type, ==, "ay");
    return print_bytes(message);
}

static void read_properties(FakeSystemd1 *fake, sd_bus_message *message)
{
    g_hash_table_remove_all(fake->properties);
    g_assert_cmpint(sd_bus_message_enter_container(message, 'a', "(sv)"), >, 0);
    while (sd_bus_message_enter_container(message, 'r', "sv") > 0) {
        const char *name, *type;
        g_assert_cmpint(sd_bus_message_read(message, "s", &name), >, 0);
        g_assert_cmpint(sd_bus_message_peek_type(message, NULL, &type), >, 0);
        g_assert_cmpint(sd_bus_message_enter_container(message, 'v', type), >, 0);
        char *value = print_value(message, type);
        g_assert_nonnull(value);
        g_assert_true(g_hash_table_insert(fake->properties, g_strdup(name), value)); /* said once */
        g_assert_cmpint(sd_bus_message_exit_container(message), >=, 0);
        g_assert_cmpint(sd_bus_message_exit_container(message), >=, 0);
    }
    g_assert_cmpint(sd_bus_message_exit_container(message), >=, 0);
}

static int on_start(sd_bus_message *message, void *userdata, sd_bus_error *ret_error)
{
    FakeSystemd1 *fake = userdata;
    const char *unit, *mode;

    fake->n_starts++;
    g_assert_cmpint(sd_bus_message_read(message, "ss", &unit, &mode), >, 0);
    g_assert_cmpstr(mode, ==, "fail");
    g_free(fake->unit);
    fake->unit = g_strdup(unit);
    read_properties(fake, message);
    if (fake->mute) {
        fake->pending = sd_bus_message_unref(fake->pending);
        fake->pending = sd_bus_message_ref(message);
        return 1;
    }
    if (fake->refusal)
        return sd_bus_error_set(ret_error, SD_BUS_ERROR_ACCESS_DENIED, fake->refusal);
    if (!fake->knows_oom_policy && fake_systemd1_property(fake, "OOMPolicy"))
        return sd_bus_error_set(ret_error, SD_BUS_ERROR_PROPERTY_READ_ONLY,
                                "Cannot set property OOMPolicy, or unknown property.");
    if (g_hash_table_contains(fake->taken, unit))
        return sd_bus_error_setf(ret_error, "org.freedesktop.systemd1.UnitExists", "Unit %s already exists.", unit);
    g_autofree char *job = g_strdup_printf(JOB_PATH, fake->n_starts);
    return sd_bus_reply_method_return(message, "o", job);
}

static int on_unit_call(sd_bus_message *message, void *userdata, sd_bus_error *ret_error)
{
    FakeSystemd1 *fake = userdata;
    const char *unit, *member = sd_bus_message_get_member(message);

    g_assert_cmpint(sd_bus_message_read(message, "s", &unit), >, 0);
    log_call(fake, member, unit);
    if (strcmp(member, "ResetFailedUnit") == 0) {
        if (fake->failed_are_freed)
            g_hash_table_remove(fake->taken, unit);
        return sd_bus_reply_method_return(message, NULL);
    }
    if (strcmp(member, "KillUnit") == 0)
        return sd_bus_reply_method_return(message, NULL);
    return sd_bus_error_setf(ret_error, "org.freedesktop.systemd1.NoSuchUnit", "Unit %s not loaded.", unit);
}

static int on_set_properties(sd_bus_message *message, void *userdata, sd_bus_error *ret_error)
{
    FakeSystemd1 *fake = userdata;
    const char *unit;
    int runtime;

    g_assert_cmpint(sd_bus_message_read(message, "sb", &unit, &runtime), >, 0);
    g_assert_true(runtime);
    log_call(fake, "SetUnitProperties", unit);
    read_properties(fake, message);
    if (fake->set_refusal)
        return sd_bus_error_set(ret_error, SD_BUS_ERROR_INVALID_ARGS, fake->set_refusal);
    return sd_bus_reply_method_return(message, NULL);
}

static int on_subscribe(sd_bus_message *message, void *userdata, sd_bus_error *ret_error)
{
    ((FakeSystemd1 *) userdata)->n_subscribes++;
    return sd_bus_reply_method_return(message, NULL);
}

static const sd_bus_vtable manager_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("StartTransientUnit", "ssa(sv)a(sa(sv))", "o", on_start, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("KillUnit", "ssi", "", on_unit_call, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("StopUnit", "ss", "o", on_unit_call, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("ResetFailedUnit", "s", "", on_unit_call, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("SetUnitProperties", "sba(sv)", "", on_set_properties, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Subscribe", "", "", on_subscribe, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_SIGNAL("JobRemoved", "uoss", 0),
    SD_BUS_VTABLE_END,
};

static int get_control_group(sd_bus *bus, const char *path, const char *interface, const char *property,
                             sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
    FakeSystemd1 *fake = userdata;

    g_ptr_array_add(fake->log, g_strdup_printf("Get %s", path));
    if (!fake->control_group)
        return sd_bus_error_set(ret_error, "org.freedesktop.systemd1.NoSuchUnit", "Unit is unknown.");
    return sd_bus_message_append(reply, "s", fake->control_group);
}

static const sd_bus_vtable scope_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_PROPERTY("ControlGroup", "s", get_control_group, 0, 0),
    SD_BUS_VTABLE_END,
};

static int find_unit(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret, sd_bus_error *error)
{
    *ret = userdata;
    return 1;
}

static sd_bus *open_end(sd_event *event, int fd, bool server)
{
    sd_bus *bus;
    sd_id128_t id = { .bytes = { 1 } };

    g_assert_cmpint(sd_bus_new(&bus), >=, 0);
    g_assert_cmpint(sd_bus_set_fd(bus, fd, fd), >=, 0);
    if (server)
        g_assert_cmpint(sd_bus_set_server(bus, 1, id), >=, 0);
    g_assert_cmpint(sd_bus_set_anonymous(bus, 1), >=, 0);
    g_assert_cmpint(sd_bus_start(bus), >=, 0);
    g_assert_cmpint(sd_bus_attach_event(bus, event, 0), >=, 0);
    return bus;
}

void fake_systemd1_init(FakeSystemd1 *fake, sd_event *event)
{
    int pair[2];

    *fake = (FakeSystemd1) { .knows_oom_policy = true };
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), ==, 0);
    fake->server = open_end(event, pair[0], true);
    fake->client = open_end(event, pair[1], false);
    fake->taken = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    fake->properties = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    fake->log = g_ptr_array_new_with_free_func(g_free);
    g_assert_cmpint(sd_bus_add_object_vtable(fake->server, NULL, PATH, MANAGER, manager_vtable, fake), >=, 0);
    g_assert_cmpint(sd_bus_add_fallback_vtable(fake->server, NULL, PATH "/unit", "org.freedesktop.systemd1.Scope",
                                               scope_vtable, find_unit, fake), >=, 0);
}

void fake_systemd1_done(FakeSystemd1 *fake)
{
    sd_bus_message_unref(fake->pending);
    sd_bus_detach_event(fake->client);
    sd_bus_detach_event(fake->server);
    sd_bus_close_unref(fake->client);
    sd_bus_close_unref(fake->server);
    g_hash_table_unref(fake->taken);
    g_hash_table_unref(fake->properties);
    g_ptr_array_unref(fake->log);
    g_free(fake->unit);
    g_free(fake->control_group);
}

void fake_systemd1_job_removed(FakeSystemd1 *fake, const char *result)
{
    g_autofree char *job = g_strdup_printf(JOB_PATH, fake->n_starts);

    g_assert_cmpint(sd_bus_emit_signal(fake->server, PATH, MANAGER, "JobRemoved", "uoss", fake->n_starts, job, fake->unit,
                                       result), >=, 0);
}

void fake_systemd1_answer(FakeSystemd1 *fake)
{
    g_autofree char *job = g_strdup_printf(JOB_PATH, fake->n_starts);

    g_assert_nonnull(fake->pending);
    g_assert_cmpint(sd_bus_reply_method_return(fake->pending, "o", job), >=, 0);
    fake->pending = sd_bus_message_unref(fake->pending);
}

bool fake_systemd1_was_asked(FakeSystemd1 *fake, const char *what)
{
    for (guint i = 0; i < fake->log->len; i++)
        if (strcmp(g_ptr_array_index(fake->log, i), what) == 0)
            return true;
    return false;
}

const char *fake_systemd1_property(FakeSystemd1 *fake, const char *name)
{
    return g_hash_table_lookup(fake->properties, name);
}
