/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tests' parexecd. Everything in it but stop_fd belongs to its thread while that runs; tests look at
 * the counters after an answer has come, which orders the two. */

#include "tests/unit/client/fake-manager.h"

#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "client/bus-dict.h"
#include "dbus/parexec-dbus.h"

static int read_task(sd_bus_message *m, void *userdata)
{
    struct {
        char **argv;
    } task = {};
    static const DictField fields[] = { { .key = "argv", .type = "aay", .offset = 0 } };
    int r = dict_read(m, fields, G_N_ELEMENTS(fields), &task);

    if (r >= 0 && !task.argv)
        r = -EBADMSG;
    dict_clear(fields, G_N_ELEMENTS(fields), &task);
    ++*(uint32_t *) userdata;
    return r;
}

static void called(FakeManager *fake, const char *method)
{
    if (fake->after)
        fake->after(fake, method);
}

static int method_submit(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct {
        uint64_t batch;
        bool commit;
    } options = { .commit = true };
    const DictField fields[] = {
        { .key = "batch", .type = "t", .offset = 0 },
        { .key = "commit", .type = "b", .offset = sizeof(uint64_t) },
    };
    FakeManager *fake = userdata;
    uint32_t tasks = 0;
    int r = dict_read_each(m, read_task, &tasks);

    if (r >= 0)
        r = dict_read(m, fields, G_N_ELEMENTS(fields), &options);
    if (r < 0)
        return r;
    if (options.batch == 0)
        options.batch = fake->next_batch++;
    fake->tasks_of[fake->submits] = tasks;
    fake->commits[fake->submits] = options.commit;
    fake->batches[fake->submits++] = options.batch;
    r = sd_bus_reply_method_return(m, "ttu", options.batch, fake->next_task, tasks);
    fake->next_task += tasks;
    called(fake, "Submit");
    return r;
}

static int append_row(sd_bus_message *m, FakeManager *fake, uint64_t id)
{
    if (fake->note)
        return sd_bus_message_append(m, "a{sv}", 5, "id", "t", id, "state", "s", "failed", "outcome", "s",
                                     "spawn-failed", "errno", "i", ENOENT, "note", "s", fake->note);
    return sd_bus_message_append(m, "a{sv}", 4, "id", "t", id, "batch", "t", UINT64_C(1), "state", "s",
                                 task_state_to_string(fake->states[id]), "owner", "u", (uint32_t) getuid());
}

static int method_list_tasks(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct {
        GArray *ids;
    } filter = {};
    static const DictField fields[] = { { .key = "ids", .type = "at", .offset = 0 } };
    g_autoptr(sd_bus_message) reply = NULL;
    FakeManager *fake = userdata;
    int r = dict_read(m, fields, G_N_ELEMENTS(fields), &filter);

    if (r >= 0)
        r = sd_bus_message_new_method_return(m, &reply);
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "a{sv}");
    for (guint i = 0; r >= 0 && filter.ids && i < filter.ids->len; i++) {
        uint64_t id = g_array_index(filter.ids, uint64_t, i);
        if (id < FAKE_TASKS_MAX && !fake->unknown[id])
            r = append_row(reply, fake, id);
    }
    dict_clear(fields, G_N_ELEMENTS(fields), &filter);
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    if (r >= 0)
        r = sd_bus_message_append(reply, "t", UINT64_C(0));
    if (r < 0)
        return r;
    fake->lists++;
    r = sd_bus_send(NULL, reply, NULL);
    called(fake, "ListTasks");
    return r;
}

/* The latest first, "c2 c1 c0" of three. */
static int append_classes(sd_bus_message *m, unsigned classes, uint64_t before, uint32_t limit)
{
    int r = 0;

    for (uint64_t order = MIN((uint64_t) classes, before - 1); r >= 0 && order > 0 && limit > 0; order--, limit--) {
        g_autofree char *class = g_strdup_printf("c%" PRIu64, order - 1);
        r = sd_bus_message_append(m, "a{sv}", 2, "class", "s", class, "order", "t", order);
    }
    return r;
}

static int method_statistics(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct {
        uint64_t before;
        uint32_t limit;
    } filter = { UINT64_MAX, PAREXEC_STATISTICS_ROWS_MAX };
    static const DictField fields[] = { { .key = "before", .type = "t", .offset = 0 },
                                        { .key = "limit", .type = "u", .offset = sizeof(uint64_t) } };
    g_autoptr(sd_bus_message) reply = NULL;
    FakeManager *fake = userdata;
    int r = dict_read(m, fields, G_N_ELEMENTS(fields), &filter);

    if (r >= 0)
        r = sd_bus_message_new_method_return(m, &reply);
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "a{sv}");
    if (r >= 0)
        r = append_classes(reply, fake->classes, filter.before, MIN(filter.limit, PAREXEC_STATISTICS_ROWS_MAX));
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    fake->statistics++;
    return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int method_subscribe(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    FakeManager *fake = userdata;
    int r = sd_bus_reply_method_return(m, "");

    fake->subscribes++;
    called(fake, "Subscribe");
    return r;
}

static const sd_bus_vtable manager_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("Submit", "aa{sv}a{sv}", "ttu", method_submit, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("ListTasks", "a{sv}", "aa{sv}t", method_list_tasks, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Statistics", "a{sv}", "aa{sv}", method_statistics, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Subscribe", "", "", method_subscribe, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_VTABLE_END,
};

void fake_manager_task_changed(FakeManager *fake, uint64_t task, uint64_t batch, TaskState state,
                               int exit_status)
{
    int r = sd_bus_emit_signal(fake->bus, PAREXEC_PATH, PAREXEC_MANAGER_INTERFACE, "TasksChanged",
                               "a(tta{sv})", 1, task, batch, 3, "state", "s", task_state_to_string(state),
                               "outcome", "s", "exited", "exit-status", "i", exit_status);

    g_assert_cmpint(r, >=, 0);
}

void fake_manager_task_unstarted(FakeManager *fake, uint64_t task, uint64_t batch)
{
    int r = sd_bus_emit_signal(fake->bus, PAREXEC_PATH, PAREXEC_MANAGER_INTERFACE, "TasksChanged", "a(tta{sv})", 1,
                               task, batch, 3, "state", "s", "failed", "outcome", "s", "spawn-failed", "errno", "i",
                               ENOENT);

    g_assert_cmpint(r, >=, 0);
}

void fake_manager_batch_finished(FakeManager *fake, uint64_t batch, uint64_t count, uint64_t failed)
{
    int r = sd_bus_emit_signal(fake->bus, PAREXEC_PATH, PAREXEC_MANAGER_INTERFACE, "BatchFinished", "ta{sv}",
                               batch, 3, "count", "t", count, "succeeded", "t", count - failed, "failed", "t",
                               failed);

    g_assert_cmpint(r, >=, 0);
}

static void send_signal_of(FakeManager *fake, const char *sender, sd_bus_message *m)
{
    g_assert_cmpint(sd_bus_message_set_sender(m, sender), >=, 0);
    g_assert_cmpint(sd_bus_send(fake->bus, m, NULL), >=, 0);
}

void fake_manager_owner_changed(FakeManager *fake, const char *sender, const char *old, const char *new)
{
    g_autoptr(sd_bus_message) m = NULL;
    int r = sd_bus_message_new_signal(fake->bus, &m, "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                      "NameOwnerChanged");

    if (r >= 0)
        r = sd_bus_message_append(m, "sss", PAREXEC_BUS_NAME, old, new);
    g_assert_cmpint(r, >=, 0);
    send_signal_of(fake, sender, m);
}

void fake_manager_forged_change(FakeManager *fake, uint64_t task, uint64_t batch)
{
    g_autoptr(sd_bus_message) m = NULL;
    int r = sd_bus_message_new_signal(fake->bus, &m, PAREXEC_PATH, PAREXEC_MANAGER_INTERFACE, "TasksChanged");

    if (r >= 0)
        r = sd_bus_message_append(m, "a(tta{sv})", 1, task, batch, 1, "state", "s", "failed");
    g_assert_cmpint(r, >=, 0);
    send_signal_of(fake, ":1.666", m);
}

static void *fake_thread(void *userdata)
{
    FakeManager *fake = userdata;

    for (;;) {
        int r = sd_bus_process(fake->bus, NULL);
        if (r > 0)
            continue;
        if (r < 0)
            return NULL;
        struct pollfd fds[] = {
            { .fd = fake->stop_fd, .events = POLLIN },
            { .fd = sd_bus_get_fd(fake->bus), .events = (short) sd_bus_get_events(fake->bus) },
        };
        if (poll(fds, G_N_ELEMENTS(fds), -1) > 0 && fds[0].revents)
            return NULL;
    }
}

FakeManager *fake_manager_new(Client *client, void (*after)(FakeManager *fake, const char *method))
{
    FakeManager *fake = g_new0(FakeManager, 1);
    sd_id128_t id = {};
    int fds[2];

    fake->after = after;
    fake->next_task = fake->next_batch = 1;
    fake->stop_fd = eventfd(0, EFD_CLOEXEC);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), ==, 0);
    for (size_t i = 0; i < FAKE_TASKS_MAX; i++)
        fake->states[i] = TASK_QUEUED;
    g_assert_cmpint(sd_bus_new(&fake->bus), >=, 0);
    g_assert_cmpint(sd_bus_set_fd(fake->bus, fds[0], fds[0]), >=, 0);
    g_assert_cmpint(sd_bus_set_server(fake->bus, 1, id), >=, 0);
    g_assert_cmpint(sd_bus_set_anonymous(fake->bus, 1), >=, 0);
    g_assert_cmpint(sd_bus_set_sender(fake->bus, ":1.1"), >=, 0);
    g_assert_cmpint(sd_bus_add_object_vtable(fake->bus, NULL, PAREXEC_PATH, PAREXEC_MANAGER_INTERFACE,
                                             manager_vtable, fake),
                    >=, 0);
    g_assert_cmpint(sd_bus_start(fake->bus), >=, 0);
    fake->thread = g_thread_new("fake", fake_thread, fake);

    g_assert_cmpint(sd_bus_new(&client->bus), >=, 0);
    g_assert_cmpint(sd_bus_set_fd(client->bus, fds[1], fds[1]), >=, 0);
    g_assert_cmpint(sd_bus_set_anonymous(client->bus, 1), >=, 0);
    g_assert_cmpint(sd_bus_start(client->bus), >=, 0);
    return fake;
}

void fake_manager_free(FakeManager *fake, Client *client)
{
    uint64_t one = 1;

    g_assert_cmpint(write(fake->stop_fd, &one, sizeof one), ==, sizeof one);
    (void) g_thread_join(fake->thread);
    sd_bus_close_unref(g_steal_pointer(&client->bus));
    client->event = sd_event_unref(client->event);
    sd_bus_close_unref(fake->bus);
    close_fd(fake->stop_fd);
    g_free(fake);
}

sd_bus *message_bus_new(void)
{
    sd_bus *bus = NULL;
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), ==, 0);
    close_fd(fds[1]);
    g_assert_cmpint(sd_bus_new(&bus), >=, 0);
    g_assert_cmpint(sd_bus_set_fd(bus, fds[0], fds[0]), >=, 0);
    (void) sd_bus_start(bus); /* nobody is there: messages can be made, not sent */
    return bus;
}

void message_seal(sd_bus_message *m)
{
    g_assert_cmpint(sd_bus_message_seal(m, 1, 0), >=, 0);
    g_assert_cmpint(sd_bus_message_rewind(m, 1), >=, 0);
}
