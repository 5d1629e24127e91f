/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The worker's end of the protocol with the daemon: peer-to-peer D-Bus over an AF_UNIX socket. Owned by
 * main. The daemon may be gone at any time and for long; the worker works on. Nothing here blocks, and
 * what is queued for a daemon that does not read is bounded: results stay in the runner's queue, at most
 * GROUPS_IN_FLIGHT groups are under way.
 *
 *   WAITING ──timer──► REGISTERING ──reply──► REGISTERED
 *      ▲ connection lost    │                     │
 *      └────────────────────┴─────────────────────┘      an error as the reply: refused, the worker ends
 *
 * On a lost connection the groups under way count as unsent again; the next Register presents what is held
 * and what has finished, so that the daemon's picture is complete whatever got lost. */
#include "worker/daemon-link.h"

#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "dbus/parexec-dbus.h"
#include "util/log.h"
#include "worker/runner-message.h"
#include "worker/runner-methods.h"

#define RETRY_FIRST_USEC (20 * USEC_PER_MSEC)
#define RETRY_LONGEST_USEC USEC_PER_SEC
#define ORPHAN_AGAIN_USEC (10 * USEC_PER_SEC)
#define GROUPS_IN_FLIGHT 16U
#define UNSENT_MESSAGES_MAX 64U /* beyond, what need not arrive is not sent */

struct DaemonLink {
    sd_event *event;
    const LaunchRecord *record;
    Runner *runner;
    DaemonLinkEvents events;
    RunnerMethods methods;
    sd_bus *bus;
    bool registered, lost;
    bool orphaned;        /* the orphan time has passed */
    uint64_t group;       /* the latest */
    unsigned in_flight;   /* groups under way */
    bool throttled;       /* results wait until a group is acknowledged, not for the runner's word */
    uint64_t retry_usec;  /* until the next try */
    uint64_t heartbeat_usec;
    sd_event_source *retry, *heartbeat, *orphan;
};

/* A call under way. */
typedef struct Delivery {
    DaemonLink *link;
    uint64_t group;
} Delivery;

static void start_timer(sd_event_source *timer, uint64_t usec)
{
    (void) sd_event_source_set_time_relative(timer, usec);
    (void) sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

/* ------------------------------------------------------------------ the connection's end */

/* May be called from inside a callback of the connection: the timer closes it. */
static void lose_connection(DaemonLink *link, const char *why)
{
    if (link->lost)
        return;
    link->lost = true;
    if (link->registered) {
        log_notice("The connection to the daemon is lost (%s); working on.", why);
        start_timer(link->orphan, link->record->orphan_usec);
    }
    link->registered = false;
    result_queue_unsend(runner_results(link->runner));
    (void) sd_event_source_set_enabled(link->heartbeat, SD_EVENT_OFF);
    start_timer(link->retry, link->retry_usec);
    link->retry_usec = MIN(link->retry_usec * 2, RETRY_LONGEST_USEC);
}

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    lose_connection(userdata, "disconnected");
    return 0;
}

/* Did sd-bus make up this reply because the connection ended? */
static bool is_connection_error(const sd_bus_error *error)
{
    return sd_bus_error_has_names(error, SD_BUS_ERROR_NO_REPLY, SD_BUS_ERROR_DISCONNECTED,
                                  SD_BUS_ERROR_TIMEOUT);
}

/* ------------------------------------------------------------------ results */

static int call_delivery(DaemonLink *link, sd_bus_message *message, sd_bus_message_handler_t on_reply,
                         uint64_t group)
{
    g_autoptr(sd_bus_slot) slot = NULL;
    g_autofree Delivery *delivery = g_new(Delivery, 1);
    int r;

    *delivery = (Delivery) { link, group };
    r = sd_bus_call_async(link->bus, &slot, message, on_reply, delivery, UINT64_MAX);
    if (r < 0)
        return r;
    (void) sd_bus_slot_set_destroy_callback(slot, g_free);
    g_steal_pointer(&delivery);
    return sd_bus_slot_set_floating(slot, 1);
}

static void group_delivered(DaemonLink *link, uint64_t group)
{
    ResultQueue *results = runner_results(link->runner);

    result_queue_acknowledged(results, group);
    if (link->throttled)
        daemon_link_flush(link);
    if (result_queue_length(results) == 0)
        link->events.delivered(link->events.userdata);
}

static int on_finished_reply(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
    Delivery *delivery = userdata;
    DaemonLink *link = delivery->link;
    const sd_bus_error *error = sd_bus_message_get_error(reply);

    link->in_flight -= link->in_flight > 0;
    if (!error) {
        group_delivered(link, delivery->group);
    } else if (!is_connection_error(error)) {
        log_error("The daemon did not take results: %s", error->message);
        lose_connection(link, "results not taken"); /* Register presents them again */
    }
    return 0;
}

static int send_group(DaemonLink *link)
{
    g_autoptr(sd_bus_message) message = NULL;
    int r, n;

    r = sd_bus_message_new_method_call(link->bus, &message, NULL, PAREXEC_LINK_PATH, PAREXEC_LINK_INTERFACE,
                                       "Finished");
    if (r < 0)
        return r;
    n = runner_message_append_results(message, runner_results(link->runner));
    if (n < 0)
        return n;
    r = call_delivery(link, message, on_finished_reply, ++link->group);
    if (r < 0)
        return r;
    link->in_flight++;
    result_queue_sent(runner_results(link->runner), (size_t) n, link->group);
    return 0;
}

void daemon_link_flush(DaemonLink *link)
{
    int r;

    while (link->registered && link->in_flight < GROUPS_IN_FLIGHT &&
           result_queue_unsent_length(runner_results(link->runner)) > 0) {
        r = send_group(link);
        if (r < 0) {
            lose_connection(link, g_strerror(-r));
            return;
        }
    }
    link->throttled = result_queue_unsent_length(runner_results(link->runner)) > 0;
}

/* ------------------------------------------------------------------ what need not arrive */

static bool has_room(DaemonLink *link)
{
    uint64_t unsent;

    return link->registered && sd_bus_get_n_queued_write(link->bus, &unsent) >= 0 &&
           unsent < UNSENT_MESSAGES_MAX;
}

static int new_notice(DaemonLink *link, const char *member, sd_bus_message **ret)
{
    int r;

    r = sd_bus_message_new_method_call(link->bus, ret, NULL, PAREXEC_LINK_PATH, PAREXEC_LINK_INTERFACE,
                                       member);
    return r < 0 ? r : sd_bus_message_set_expect_reply(*ret, 0);
}

void daemon_link_started(DaemonLink *link, const HeldRow *rows, size_t n)
{
    g_autoptr(sd_bus_message) message = NULL;
    int r;

    if (!has_room(link))
        return;
    r = new_notice(link, "Started", &message);
    if (r >= 0)
        r = runner_message_append_held(message, rows, n);
    if (r >= 0)
        r = sd_bus_send(link->bus, message, NULL);
    if (r < 0)
        (void) log_debug_errno(r, "Cannot tell the daemon what started, ignoring: %m");
}

static int on_heartbeat(sd_event_source *source, uint64_t usec, void *userdata)
{
    DaemonLink *link = userdata;
    g_autoptr(sd_bus_message) message = NULL;
    int r;

    start_timer(link->heartbeat, link->heartbeat_usec);
    if (!has_room(link))
        return 0;
    r = new_notice(link, "Heartbeat", &message);
    if (r >= 0)
        r = sd_bus_message_append(message, "a{sv}", 2, "running", "u", runner_n_running(link->runner),
                                  "ahead", "u", runner_n_ahead(link->runner));
    if (r >= 0)
        r = sd_bus_send(link->bus, message, NULL);
    if (r < 0)
        (void) log_debug_errno(r, "Cannot send a heartbeat, ignoring: %m");
    return 0;
}

/* ------------------------------------------------------------------ registration */

/* Unknown options are those of a later daemon. */
static int read_options(DaemonLink *link, sd_bus_message *reply)
{
    const char *key;
    uint64_t heartbeat_usec;
    int r;

    r = sd_bus_message_enter_container(reply, 'a', "{sv}");
    while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "sv")) > 0) {
        r = sd_bus_message_read(reply, "s", &key);
        if (r < 0)
            return r;
        if (strcmp(key, "heartbeat-usec") == 0) {
            r = sd_bus_message_read(reply, "v", "t", &heartbeat_usec);
            if (r >= 0 && heartbeat_usec >= USEC_PER_MSEC)
                link->heartbeat_usec = heartbeat_usec;
        } else {
            r = sd_bus_message_skip(reply, "v");
        }
        if (r >= 0)
            r = sd_bus_message_exit_container(reply);
    }
    return r;
}

static int on_register_reply(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
    Delivery *delivery = userdata;
    DaemonLink *link = delivery->link;
    const sd_bus_error *error = sd_bus_message_get_error(reply);
    int r;

    if (error) {
        if (!is_connection_error(error))
            link->events.refused(error->message, link->events.userdata);
        return 0;
    }
    r = read_options(link, reply);
    if (r < 0)
        (void) log_warning_errno(r, "The daemon's answer to Register makes no sense, ignoring: %m");
    log_debug("Registered with the daemon.");
    link->registered = true;
    link->orphaned = false;
    link->in_flight = 0;
    link->retry_usec = RETRY_FIRST_USEC;
    (void) sd_event_source_set_enabled(link->orphan, SD_EVENT_OFF);
    start_timer(link->heartbeat, link->heartbeat_usec);
    runner_tell_again(link->runner); /* what was given and started before this reply came */
    link->throttled = true; /* there may be more than Register could carry */
    group_delivered(link, delivery->group);
    return 0;
}

/* What is held: the tasks that run or are ahead, and, as if they still ran, those whose results do not go
 * with this message. */
static GArray *rows_to_present(DaemonLink *link)
{
    GArray *rows = runner_held(link->runner);
    unsigned n = 0, n_sent = runner_message_portion(runner_results(link->runner));

    for (const GList *item = result_queue_unsent(runner_results(link->runner)); item; item = item->next) {
        const TaskResult *result = item->data;
        HeldRow row = { result->task, result->fence, result->start_usec };

        if (n++ >= n_sent)
            g_array_append_val(rows, row);
    }
    return rows;
}

static int send_register(DaemonLink *link)
{
    g_autoptr(sd_bus_message) message = NULL;
    g_autoptr(GArray) rows = rows_to_present(link);
    int r, n;

    r = sd_bus_message_new_method_call(link->bus, &message, NULL, PAREXEC_LINK_PATH, PAREXEC_LINK_INTERFACE,
                                       "Register");
    if (r < 0)
        return r;
    r = sd_bus_message_append(message, "s", link->record->id);
    if (r < 0)
        return r;
    r = sd_bus_message_append_array(message, 'y', link->record->token, sizeof link->record->token);
    if (r < 0)
        return r;
    r = runner_message_append_held(message, (const HeldRow *) (void *) rows->data, rows->len);
    if (r < 0)
        return r;
    n = runner_message_append_results(message, runner_results(link->runner));
    if (n < 0)
        return n;
    r = call_delivery(link, message, on_register_reply, ++link->group);
    if (r < 0)
        return r;
    result_queue_sent(runner_results(link->runner), (size_t) n, link->group);
    return 0;
}

/* ------------------------------------------------------------------ the connection's beginning */

static int connect_socket(const char *path, int *ret_fd)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    _cleanup_close_ int fd = -EBADF;

    if (strlen(path) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    (void) g_strlcpy(address.sun_path, path, sizeof address.sun_path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *) &address, sizeof address) < 0)
        return -errno;
    *ret_fd = steal_fd(&fd);
    return 0;
}

/* Makes the connection usable; messages wait in it until the handshake is through. */
static int start_bus(DaemonLink *link, int *fd)
{
    int r;

    r = sd_bus_new(&link->bus);
    if (r < 0)
        return r;
    r = sd_bus_set_fd(link->bus, *fd, *fd);
    if (r < 0)
        return r;
    steal_fd(fd);
    if ((r = sd_bus_set_bus_client(link->bus, 0)) < 0 || (r = sd_bus_negotiate_fds(link->bus, 1)) < 0)
        return r;
    r = runner_methods_add(link->bus, &link->methods);
    if (r < 0)
        return r;
    r = sd_bus_match_signal_async(link->bus, NULL, "org.freedesktop.DBus.Local",
                                  "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local", "Disconnected",
                                  on_disconnected, NULL, link);
    if (r < 0)
        return r;
    r = sd_bus_start(link->bus);
    return r < 0 ? r : sd_bus_attach_event(link->bus, link->event, SD_EVENT_PRIORITY_NORMAL);
}

static int connect_daemon(DaemonLink *link)
{
    _cleanup_close_ int fd = -EBADF;
    int r;

    r = connect_socket(link->record->socket, &fd);
    if (r < 0)
        return r;
    r = start_bus(link, &fd);
    return r < 0 ? r : send_register(link);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
    DaemonLink *link = userdata;
    int r;

    link->bus = sd_bus_close_unref(link->bus);
    link->in_flight = 0;
    link->lost = false;
    r = connect_daemon(link);
    if (r < 0) {
        (void) log_debug_errno(r, "Cannot reach the daemon at %s, trying on: %m", link->record->socket);
        lose_connection(link, g_strerror(-r));
    }
    return 0;
}

static int on_orphan(sd_event_source *source, uint64_t usec, void *userdata)
{
    DaemonLink *link = userdata;

    start_timer(link->orphan, CLAMP(link->record->orphan_usec, USEC_PER_MSEC, ORPHAN_AGAIN_USEC));
    link->orphaned = true;
    link->events.orphaned(link->events.userdata);
    return 0;
}

static int add_timer(DaemonLink *link, sd_event_source **ret, sd_event_time_handler_t handler)
{
    int r;

    r = sd_event_add_time_relative(link->event, ret, CLOCK_MONOTONIC, 0, 1, handler, link);
    return r < 0 ? r : sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
}

int daemon_link_new(sd_event *event, const LaunchRecord *record, const DaemonLinkEvents *events,
                    DaemonLink **ret)
{
    g_autoptr(DaemonLink) link = g_new0(DaemonLink, 1);
    int r;

    link->event = sd_event_ref(event);
    link->record = record;
    link->events = *events;
    link->methods = (RunnerMethods) { NULL, events->exit, events->userdata };
    link->retry_usec = RETRY_FIRST_USEC;
    link->heartbeat_usec = MAX(record->heartbeat_usec, USEC_PER_MSEC);
    if ((r = add_timer(link, &link->retry, on_retry)) < 0 ||
        (r = add_timer(link, &link->heartbeat, on_heartbeat)) < 0 ||
        (r = add_timer(link, &link->orphan, on_orphan)) < 0)
        return r;
    *ret = g_steal_pointer(&link);
    return 0;
}

void daemon_link_set_runner(DaemonLink *link, Runner *runner)
{
    link->runner = link->methods.runner = runner;
    start_timer(link->retry, 0);
    start_timer(link->orphan, link->record->orphan_usec);
}

DaemonLink *daemon_link_free(DaemonLink *link)
{
    if (!link)
        return NULL;
    link->runner = NULL; /* may be gone before */
    sd_event_source_disable_unref(link->retry);
    sd_event_source_disable_unref(link->heartbeat);
    sd_event_source_disable_unref(link->orphan);
    link->bus = sd_bus_close_unref(link->bus);
    sd_event_unref(link->event);
    g_free(link);
    return NULL;
}

bool daemon_link_is_orphaned(const DaemonLink *link)
{
    return link->orphaned;
}
