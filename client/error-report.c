/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Errors for people: one table from names to exit codes, and the command to type where there is one. The
 * daemon's sentences are written for people and printed as they are; those of the bus are not, and are
 * replaced. */

#include "client/error-report.h"

#include <string.h>

#include "client/output.h"
#include "client/text.h"
#include "dbus/parexec-dbus.h"

#define BUS_ERROR "org.freedesktop.DBus.Error."

typedef struct ErrorKind {
    const char *name; /* ends with "*": a prefix */
    int exit_code;
    const char *hint; /* NULL: the sentence says it all */
} ErrorKind;

static const ErrorKind error_kinds[] = {
    { PAREXEC_ERROR_NOT_AUTHORIZED, PARCTL_NOT_AUTHORIZED,
      NULL }, /* the daemon says which action, and what helps */
    { BUS_ERROR "InteractiveAuthorizationRequired", PARCTL_NOT_AUTHORIZED,
      N_("As an administrator: sudo parctl …; or allow it with a rule in /etc/polkit-1/rules.d.") },
    { BUS_ERROR "AccessDenied", PARCTL_NOT_AUTHORIZED, NULL },
    { PAREXEC_ERROR_INSUFFICIENT_MEMORY, PARCTL_REFUSED,
      N_("Give it less (--memory 512M), or start it all the same with --force.") },
    { PAREXEC_ERROR_INSUFFICIENT_CORES, PARCTL_REFUSED,
      N_("Give it less than a core (--cpus 0.5), or start it all the same with --force.") },
    { PAREXEC_ERROR_INSUFFICIENT_RESOURCES, PARCTL_REFUSED, N_("To see what is free: parctl topology") },
    { PAREXEC_ERROR_NO_SUCH_NODE, PARCTL_FAILED, N_("To see the nodes: parctl topology") },
    { PAREXEC_ERROR_NO_SUCH_PROFILE, PARCTL_FAILED, N_("To see the profiles: parctl profile") },
    { PAREXEC_ERROR_TOO_MANY_WORKERS, PARCTL_REFUSED,
      N_("MaxWorkers= and MaxUserWorkers= of parexecd.conf(5) limit their number; over D-Bus MaxWorkers may have been "
         "set to something else.") },
    { PAREXEC_ERROR_NO_SUCH_WORKER, PARCTL_FAILED, N_("To see the workers: parctl workers") },
    { PAREXEC_ERROR_NO_SUCH_TASK, PARCTL_FAILED, N_("To see the tasks: parctl tasks --all") },
    { PAREXEC_ERROR_NO_SUCH_BATCH, PARCTL_FAILED,
      N_("To see the tasks and their batches: parctl tasks --all") },
    { PAREXEC_ERROR_NO_SUCH_QUEUE, PARCTL_FAILED,
      N_("To see the queues: parctl queue; to make one: parctl queue add NAME") },
    { PAREXEC_ERROR_WORKER_START_FAILED, PARCTL_FAILED,
      N_("The journal may say more: journalctl -u parexecd.service -n 20") },
    { BUS_ERROR "ServiceUnknown", PARCTL_UNREACHABLE, NULL },
    { BUS_ERROR "NameHasNoOwner", PARCTL_UNREACHABLE, NULL },
    { BUS_ERROR "Spawn.*", PARCTL_UNREACHABLE, NULL },
    { BUS_ERROR "Disconnected", PARCTL_UNREACHABLE, NULL },
    { BUS_ERROR "NoServer", PARCTL_UNREACHABLE, NULL },
    { BUS_ERROR "NoReply", PARCTL_UNREACHABLE, NULL },
    { BUS_ERROR "Timeout", PARCTL_UNREACHABLE, NULL },
    { BUS_ERROR "TimedOut", PARCTL_UNREACHABLE, NULL },
    { "System.Error.ENOTCONN", PARCTL_UNREACHABLE, NULL },
    { "System.Error.ECONNRESET", PARCTL_UNREACHABLE, NULL },
    { "org.freedesktop.systemd1.*", PARCTL_UNREACHABLE, NULL }, /* activation that failed */
};

static const ErrorKind *error_kind_find(const char *name)
{
    for (size_t i = 0; name && i < G_N_ELEMENTS(error_kinds); i++) {
        const char *known = error_kinds[i].name;
        size_t n = strlen(known);
        if (known[n - 1] == '*' ? strncmp(name, known, n - 1) == 0 : strcmp(name, known) == 0)
            return &error_kinds[i];
    }
    return NULL;
}

int error_exit_code(const char *name)
{
    const ErrorKind *kind = error_kind_find(name);

    return kind ? kind->exit_code : PARCTL_FAILED;
}

bool error_is_transient(const sd_bus_error *error)
{
    return error->name && error_exit_code(error->name) == PARCTL_UNREACHABLE;
}

static void report_unreachable(const Client *client, const sd_bus_error *error)
{
    g_autofree char *why = text_printable(error->message ?: error->name);

    if (strcmp(error->name, BUS_ERROR "NoReply") == 0 || strcmp(error->name, BUS_ERROR "Timeout") == 0)
        output_error(_("parexecd did not answer: it went away, or took too long (%s)"), why);
    else if (client->user)
        output_error(_("parexecd is not on your session's bus (%s)"), why);
    else
        output_error(_("parexecd is not running (%s)"), why);
    output_hint(_("To start it: systemctl start parexecd.service"));
}

#define RISK "\n- "

char *error_sentence(const sd_bus_error *error)
{
    const char *message = error->message ?: "", *risks = strstr(message, RISK);
    g_autofree char *sentence = risks ? g_strndup(message, (size_t) (risks - message)) : g_strdup(message);

    return text_printable(sentence);
}

char *error_refusal_reason(const sd_bus_error *error)
{
    g_autofree char *sentence = error_sentence(error);
    bool has_more = g_str_has_prefix(sentence, PAREXEC_NO_WORKER_ADDED);

    return g_strdup(sentence + (has_more ? strlen(PAREXEC_NO_WORKER_ADDED) : 0));
}

char **error_risks(const sd_bus_error *error)
{
    g_auto(GStrv) parts = g_strsplit(error->message ?: "", RISK, -1);
    GPtrArray *risks = g_ptr_array_new();

    for (size_t i = 1; parts[0] && parts[i]; i++)
        g_ptr_array_add(risks, text_printable(parts[i]));
    g_ptr_array_add(risks, NULL);
    return (char **) g_ptr_array_free(risks, FALSE);
}

int error_report(Client *client, const sd_bus_error *error, int r)
{
    const ErrorKind *kind = error_kind_find(error->name);

    client->failure = kind ? kind->exit_code : PARCTL_FAILED;
    if (client->failure == PARCTL_UNREACHABLE && error->name)
        report_unreachable(client, error);
    else {
        g_autofree char *sentence =
            error->message ? error_sentence(error) : text_printable(error->name ?: g_strerror(-r));
        output_error("%s", sentence);
        if (kind && kind->hint) {
            g_autofree char *hint = output_commands(_(kind->hint));
            output_hint("%s", hint);
        }
    }
    return r < 0 ? r : -EIO;
}

int error_report_no_bus(Client *client, int r)
{
    if (client->user) {
        output_error(_("cannot reach your session's D-Bus (%s)"), g_strerror(-r));
        output_hint(
            _("$DBUS_SESSION_BUS_ADDRESS or $XDG_RUNTIME_DIR should lead to it; without --user the system's "
              "is used."));
    } else {
        output_error(_("cannot reach the system's D-Bus (%s)"), g_strerror(-r));
        output_hint(
            _("parexecd is reached through it. Is dbus.service running? For your own session's parexecd: "
              "parctl --user"));
    }
    client->failure = PARCTL_UNREACHABLE;
    return r;
}
