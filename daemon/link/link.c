/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The workers' connections. A connection is a stranger until its Register has shown the worker's token and its process
 * has been found in the worker's cgroup; strangers may say nothing else and are dropped after some seconds.
 *
 * A connection is freed only by its deferred event source, never inside one of its own callbacks. */
#include "link/link.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-id128.h>

#include "dbus/parexec-dbus.h"
#include "link/link-internal.h"
#include "link/link-message.h"
#include "util/log.h"
#include "util/sd-bus-util.h"

#define REGISTER_TIMEOUT_USEC (10 * USEC_PER_SEC)
#define STRANGERS_MAX 256U

static void connection_free(gpointer data)
{
    Connection *connection = data;

    sd_event_source_disable_unref(connection->timeout);
    sd_event_source_disable_unref(connection->reaper);
    if (connection->bus) {
        sd_bus_flush(connection->bus); /* a local socket, and at most what the kernel takes at once */
        sd_bus_close(connection->bus);
        sd_bus_unref(connection->bus);
    }
    g_free(connection);
}

static int on_reap(sd_event_source *source, void *userdata)
{
    Connection *connection = userdata;

    g_hash_table_remove(connection->link->connections, connection);
    return 0;
}

/* From here on the worker has no connection; what is left of this one goes when the loop comes round. */
void connection_drop(Connection *connection)
{
    uint32_t worker = connection->worker;

    if (connection->reaper)
        return;
    connection->worker = 0;
    if (sd_event_add_defer(connection->link->event, &connection->reaper, on_reap, connection) < 0)
        g_error("cannot add an event source"); /* out of memory */
    if (worker > 0)
        manager_worker_disconnected(connection->link->manager, worker);
}

Connection *link_find_connection(Link *link, uint32_t worker)
{
    GHashTableIter iter;
    gpointer key;

    g_hash_table_iter_init(&iter, link->connections);
    while (g_hash_table_iter_next(&iter, &key, NULL))
        if (((Connection *) key)->worker == worker)
            return key;
    return NULL;
}

/* ---- what workers say */

/* The worker behind the connection; NULL for a stranger, who is dropped. */
static Worker *speaker(Connection *connection)
{
    Worker *worker =
        connection->worker > 0 ? manager_find_worker(connection->link->manager, connection->worker) : NULL;

    if (!worker)
        connection_drop(connection);
    return worker;
}

static int malformed(Connection *connection, int r)
{
    log_warning_errno(r, "A worker's message is malformed, dropping the connection: %m");
    connection_drop(connection);
    return 1;
}

static void on_results_stored(int r, void *userdata)
{
    g_autoptr(sd_bus_message) m = userdata;

    if (r < 0)
        (void) sd_bus_reply_method_errno(m, r, NULL);
    else
        (void) sd_bus_reply_method_return(m, NULL);
}

static void on_reports_stored(int r, void *userdata)
{
    g_autoptr(sd_bus_message) m = userdata, reply = NULL;

    if (r >= 0)
        r = sd_bus_message_new_method_return(m, &reply);
    if (r >= 0)
        r = sd_bus_message_append(reply, "a{sv}", 0);
    if (r >= 0)
        r = sd_bus_send(NULL, reply, NULL);
    if (r < 0)
        (void) sd_bus_reply_method_errno(m, r, NULL);
}

static const char *refusal(int r)
{
    return r == -ESRCH || r == -EALREADY ? PAREXEC_ERROR_NO_SUCH_WORKER : PAREXEC_ERROR_NOT_AUTHORIZED;
}

static int method_register(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Connection *connection = userdata;
    Link *link = connection->link;
    g_autoptr(GArray) held = NULL, results = NULL;
    const char *id;
    const void *token;
    size_t token_size;
    uint32_t number;

    int r = sd_bus_message_read(m, "s", &id);
    if (r >= 0)
        r = sd_bus_message_read_array(m, 'y', &token, &token_size);
    if (r >= 0)
        r = link_read_held(m, &held);
    if (r >= 0)
        r = link_read_results(m, &results);
    if (r >= 0)
        r = worker_id_parse(id, &number);
    if (r < 0 || token_size != LAUNCH_TOKEN_BYTES || connection->worker > 0)
        return malformed(connection, r < 0 ? r : -EBADMSG);

    r = manager_worker_register(link->manager, number, token, connection->pid);
    if (r < 0) {
        log_warning_errno(r, "Process %d does not register as worker %s: %m", connection->pid, id);
        return sd_bus_reply_method_errorf(m, refusal(r), "No worker %s is expected here: %s", id,
                                          g_strerror(-r));
    }
    Connection *older = link_find_connection(link, number);
    if (older) {
        older->worker = 0;
        connection_drop(older);
    }
    connection->worker = number;
    connection->timeout = sd_event_source_disable_unref(connection->timeout);
    manager_worker_reports(link->manager, manager_find_worker(link->manager, number),
                           (HeldReport *) held->data, held->len, (TaskResult *) results->data, results->len,
                           on_reports_stored, sd_bus_message_ref(m));
    g_array_set_clear_func(results, NULL); /* the manager has their contents */
    return 1;
}

static int method_started(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Connection *connection = userdata;
    Worker *worker = speaker(connection);
    g_autoptr(GArray) held = NULL;

    if (!worker)
        return 1;
    int r = link_read_held(m, &held);
    if (r < 0)
        return malformed(connection, r);
    manager_tasks_started(connection->link->manager, worker, (HeldReport *) held->data, held->len);
    return 1;
}

static int method_finished(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Connection *connection = userdata;
    Worker *worker = speaker(connection);
    g_autoptr(GArray) results = NULL;

    if (!worker)
        return 1;
    int r = link_read_results(m, &results);
    if (r < 0)
        return malformed(connection, r);
    manager_tasks_finished(connection->link->manager, worker, (TaskResult *) results->data, results->len,
                           on_results_stored, sd_bus_message_ref(m));
    g_array_set_clear_func(results, NULL);
    return 1;
}

static int method_heartbeat(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Connection *connection = userdata;
    Worker *worker = speaker(connection);

    if (worker)
        manager_worker_heartbeat(connection->link->manager, worker);
    return 1;
}

static const sd_bus_vtable link_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("Register", "saya" PAREXEC_LINK_HELD "a" PAREXEC_LINK_RESULT, "a{sv}", method_register,
                  SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Started", "a" PAREXEC_LINK_HELD, NULL, method_started,
                  SD_BUS_VTABLE_UNPRIVILEGED | SD_BUS_VTABLE_METHOD_NO_REPLY),
    SD_BUS_METHOD("Finished", "a" PAREXEC_LINK_RESULT, NULL, method_finished, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Heartbeat", "a{sv}", NULL, method_heartbeat,
                  SD_BUS_VTABLE_UNPRIVILEGED | SD_BUS_VTABLE_METHOD_NO_REPLY),
    SD_BUS_VTABLE_END,
};

/* ---- connections */

static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    if (sd_bus_message_is_signal(m, "org.freedesktop.DBus.Local", "Disconnected"))
        connection_drop(userdata);
    return 0;
}

static int on_register_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
    connection_drop(userdata);
    return 0;
}

static int connection_open(Connection *connection, int fd)
{
    sd_id128_t id;
    int r = sd_id128_randomize(&id);

    if (r >= 0)
        r = sd_bus_new(&connection->bus);
    if (r < 0) {
        close_fd(fd);
        return r;
    }
    r = sd_bus_set_fd(connection->bus, fd, fd);
    if (r < 0) {
        close_fd(fd);
        return r;
    }
    r = sd_bus_set_server(connection->bus, 1, id);
    if (r >= 0)
        r = sd_bus_negotiate_fds(connection->bus, 1);
    if (r >= 0)
        r = sd_bus_start(connection->bus);
    if (r >= 0)
        r = sd_bus_attach_event(connection->bus, connection->link->event, SD_EVENT_PRIORITY_NORMAL);
    if (r >= 0)
        r = sd_bus_add_filter(connection->bus, NULL, on_message, connection);
    if (r >= 0)
        r = sd_bus_add_object_vtable(connection->bus, NULL, PAREXEC_LINK_PATH, PAREXEC_LINK_INTERFACE,
                                     link_vtable, connection);
    if (r >= 0)
        r = sd_event_add_time_relative(connection->link->event, &connection->timeout, CLOCK_MONOTONIC,
                                       REGISTER_TIMEOUT_USEC, 0, on_register_timeout, connection);
    return r;
}

static int on_connect(sd_event_source *source, int listen_fd, uint32_t revents, void *userdata)
{
    Link *link = userdata;
    struct ucred peer;
    socklen_t size = sizeof peer;
    _cleanup_close_ int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0) {
        if (errno != EAGAIN && errno != ECONNABORTED)
            log_warning_errno(errno, "Cannot accept a worker's connection, ignoring: %m");
        return 0;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || peer.uid != geteuid() ||
        g_hash_table_size(link->connections) >= STRANGERS_MAX + manager_workers(link->manager)->len) {
        log_warning("A connection to the worker socket was refused.");
        return 0;
    }
    Connection *connection = g_new0(Connection, 1);
    connection->link = link;
    connection->pid = peer.pid;
    int r = connection_open(connection, steal_fd(&fd));
    if (r < 0) {
        log_warning_errno(r, "Cannot talk to a worker, ignoring: %m");
        connection_free(connection);
        return 0;
    }
    g_hash_table_add(link->connections, connection);
    return 0;
}

/* ---- life */

int link_new(sd_event *event, Manager *manager, int listen_fd, Link **ret)
{
    Link *link = g_new0(Link, 1);

    link_set_port(link);
    link->event = event;
    link->manager = manager;
    link->connections = g_hash_table_new_full(NULL, NULL, connection_free, NULL);
    int r = sd_event_add_io(event, &link->listen_source, listen_fd, EPOLLIN, on_connect, link);
    if (r >= 0)
        r = sd_event_source_set_io_fd_own(link->listen_source, 1);
    if (r < 0) {
        link_free(link);
        return r;
    }
    *ret = link;
    return 0;
}

Link *link_free(Link *link)
{
    if (!link)
        return NULL;
    sd_event_source_disable_unref(link->listen_source);
    g_hash_table_unref(link->connections);
    g_free(link);
    return NULL;
}

LinkPort *link_port(Link *link)
{
    return &link->port;
}

int link_listen(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    if (strlen(path) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    g_strlcpy(address.sun_path, path, sizeof address.sun_path);
    (void) unlink(path);
    mode_t mask = umask(0177);
    int r = bind(fd, (struct sockaddr *) &address, sizeof address) < 0 ? -errno : 0;
    (void) umask(mask);
    if (r >= 0 && listen(fd, SOMAXCONN) < 0)
        r = -errno;
    return r < 0 ? r : steal_fd(&fd);
}
