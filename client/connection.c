/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The connection to the bus and the calls of verbs that wait for their answer. One connection per process,
 * owned by the Client. Only here is a failed call reported, so it is reported once. */

#include "client/connection.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#include "client/error-report.h"
#include "client/output.h"
#include "dbus/parexec-dbus.h"

#define AGENT_START_MSEC 2000

int connection_open(Client *client)
{
    if (client->bus)
        return 0;

    int r = client->user ? sd_bus_open_user(&client->bus) : sd_bus_open_system(&client->bus);
    if (r < 0)
        return error_report_no_bus(client, r);
    (void) sd_bus_set_allow_interactive_authorization(client->bus, !client->no_ask);
    (void) sd_bus_set_method_call_timeout(client->bus, CALL_TIMEOUT_USEC);
    return 0;
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Client *client = userdata;

    (void) error_report_no_bus(client, -ECONNRESET);
    return sd_event_exit(client->event, PARCTL_UNREACHABLE);
}

int connection_attach(Client *client)
{
    int r = connection_open(client);

    if (r < 0 || client->event)
        return r;
    r = sd_event_new(&client->event);
    if (r >= 0)
        r = sd_bus_attach_event(client->bus, client->event, SD_EVENT_PRIORITY_NORMAL);
    if (r >= 0)
        r = sd_bus_match_signal_async(client->bus, NULL, "org.freedesktop.DBus.Local",
                                      "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
                                      "Disconnected", on_disconnected, NULL, client);
    return r < 0 ? output_failure(client, r, _("cannot set up the event loop: %s"), g_strerror(-r)) : 0;
}

static void agent_stop(Client *client)
{
    if (client->agent_pid <= 0)
        return;
    (void) kill(client->agent_pid, SIGTERM);
    (void) kill(client->agent_pid, SIGCONT);
    (void) waitpid(client->agent_pid, NULL, 0);
    client->agent_pid = 0;
}

static void drop_bus(Client *client)
{
    g_clear_pointer(&client->bus, sd_bus_flush_close_unref);
    g_clear_pointer(&client->event, sd_event_unref);
}

int connection_reopen(Client *client)
{
    drop_bus(client);
    return connection_open(client);
}

void connection_close(Client *client)
{
    agent_stop(client);
    drop_bus(client);
}

void connection_offer_password_agent(Client *client)
{
    _cleanup_close_ int read_end = -EBADF;
    char *argv[] = { (char *) "pkttyagent", (char *) "--notify-fd", NULL, (char *) "--fallback", NULL };
    int fds[2], r;
    pid_t pid;

    if (client->user || client->agent_pid > 0 || geteuid() == 0 || !output_can_ask(client) ||
        pipe2(fds, O_CLOEXEC) < 0)
        return;
    read_end = fds[0];
    g_autofree char *number = g_strdup_printf("%d", fds[1]);
    argv[2] = number;
    r = fcntl(fds[1], F_SETFD, 0) < 0 ? errno : posix_spawnp(&pid, "pkttyagent", NULL, NULL, argv, environ);
    (void) close(fds[1]);
    if (r != 0) /* not installed: then only an agent of the desktop can ask */
        return;
    client->agent_pid = pid;

    struct pollfd ready = { .fd = read_end, .events = POLLIN };
    (void) poll(&ready, 1, AGENT_START_MSEC); /* it closes the pipe once it is registered */
}

int connection_report_message(Client *client, int r)
{
    return output_failure(client, r,
                          _("cannot make sense of a message of parexecd: %s (is it of another version?)"),
                          g_strerror(-r));
}

int connection_new_call(Client *client, const char *method, sd_bus_message **ret)
{
    int r = connection_open(client);

    if (r < 0)
        return r;
    r = sd_bus_message_new_method_call(client->bus, ret, PAREXEC_BUS_NAME, PAREXEC_PATH,
                                       PAREXEC_MANAGER_INTERFACE, method);
    return r < 0 ? connection_report_message(client, r) : 0;
}

static uint64_t call_timeout(const Client *client)
{
    return output_can_ask(client) ? CALL_TIMEOUT_ASKING_USEC : CALL_TIMEOUT_USEC;
}

int connection_try_call(Client *client, sd_bus_message *call, sd_bus_error *ret_error,
                        sd_bus_message **ret_reply)
{
    return sd_bus_call(client->bus, call, call_timeout(client), ret_error, ret_reply);
}

int connection_call(Client *client, sd_bus_message *call, sd_bus_message **ret_reply)
{
    g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
    int r = connection_try_call(client, call, &error, ret_reply);

    return r < 0 ? error_report(client, &error, r) : 0;
}

int connection_call_async(Client *client, sd_bus_message *call, sd_bus_message_handler_t done, void *userdata,
                          sd_bus_slot **ret_slot)
{
    int r = sd_bus_call_async(client->bus, ret_slot, call, done, userdata, call_timeout(client));

    return r < 0 ? output_failure(client, r, _("cannot send a message to parexecd: %s"), g_strerror(-r)) : 0;
}

int connection_call_simple(Client *client, const char *method, const char *argument,
                           sd_bus_message **ret_reply)
{
    g_autoptr(sd_bus_message) call = NULL;
    int r = connection_new_call(client, method, &call);

    if (r < 0)
        return r;
    r = argument ? sd_bus_message_append_basic(call, 's', argument) : 0;
    return r < 0 ? connection_report_message(client, r) : connection_call(client, call, ret_reply);
}

int connection_get_all(Client *client, const char *path, const char *interface, sd_bus_error *ret_error,
                       sd_bus_message **ret)
{
    int r = connection_open(client);

    return r < 0 ? r
                 : sd_bus_call_method(client->bus, PAREXEC_BUS_NAME, path, "org.freedesktop.DBus.Properties",
                                      "GetAll", ret_error, ret, "s", interface);
}
