/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls of workers' objects, for the verbs that take workers and tasks alike. No state. */

#include "client/worker-call.h"

#include "client/connection.h"
#include "client/error-report.h"
#include "client/output.h"
#include "dbus/parexec-dbus.h"
#include "model/ids.h"

int worker_call_new(Client *client, const char *id, const char *method, sd_bus_message **ret)
{
    g_autofree char *path = g_strdup_printf("%s/%s", PAREXEC_WORKER_PATH, id);
    int r = connection_open(client);

    if (r < 0)
        return r;
    r = sd_bus_message_new_method_call(client->bus, ret, PAREXEC_BUS_NAME, path, PAREXEC_WORKER_INTERFACE,
                                       method);
    return r < 0 ? connection_report_message(client, r) : 0;
}

int worker_call(Client *client, const char *id, sd_bus_message *call)
{
    g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
    int r = connection_try_call(client, call, &error, NULL);

    if (r >= 0)
        return 0;
    if (sd_bus_error_has_name(&error, PAREXEC_ERROR_INSUFFICIENT_MEMORY)) {
        /* what helps where a worker is added, does not here */
        g_autofree char *sentence = error_sentence(&error);
        client->failure = PARCTL_REFUSED;
        output_error("%s", sentence);
        output_hint(_("Give it less, or change it all the same with --force."));
        return r;
    }
    if (!sd_bus_error_has_name(&error, "org.freedesktop.DBus.Error.UnknownObject"))
        return error_report(client, &error, r);
    r = output_failure(client, ENOENT, _("there is no worker %s"), id);
    output_hint(_("To see the workers: parctl workers"));
    return r;
}

void workers_and_tasks_init(WorkersAndTasks *targets, char *const *arguments)
{
    uint32_t number;

    *targets = (WorkersAndTasks){ g_ptr_array_new(), g_ptr_array_new() };
    for (; *arguments; arguments++)
        g_ptr_array_add(worker_id_parse(*arguments, &number) >= 0 ? targets->workers : targets->tasks,
                        *arguments);
    g_ptr_array_add(targets->workers, NULL);
    g_ptr_array_add(targets->tasks, NULL);
}

void workers_and_tasks_done(WorkersAndTasks *targets)
{
    g_clear_pointer(&targets->workers, g_ptr_array_unref);
    g_clear_pointer(&targets->tasks, g_ptr_array_unref);
}
