/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parctl enable, disable: whether tasks are given to workers. */

#include "client/connection.h"
#include "client/error-report.h"
#include "client/output.h"
#include "client/verb.h"
#include "dbus/parexec-dbus.h"

static int set_enabled(Client *client, bool enabled)
{
    g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
    int r = connection_open(client);

    if (r < 0)
        return r;
    connection_offer_password_agent(client);
    r = sd_bus_set_property(client->bus, PAREXEC_BUS_NAME, PAREXEC_PATH, PAREXEC_MANAGER_INTERFACE, "Enabled",
                            &error, "b", (int) enabled);
    return r < 0 ? error_report(client, &error, r) : 0;
}

static int run_enable(Client *client, const void *settings, char **argv)
{
    int r = set_enabled(client, true);

    if (r >= 0)
        output_note(client, _("enabled: tasks are given to workers"));
    return r;
}

static int run_disable(Client *client, const void *settings, char **argv)
{
    int r = set_enabled(client, false);

    if (r >= 0)
        output_note(client, _("disabled: what runs goes on, nothing new starts"));
    return r;
}

const Verb verb_enable = {
    .name = "enable",
    .arguments = "",
    .run = run_enable,
    .summary = N_("Give tasks to workers (again)."),
};

const Verb verb_disable = {
    .name = "disable",
    .arguments = "",
    .run = run_disable,
    .summary = N_("Start no more tasks; what runs goes on."),
    .details =
        N_("Tasks can still be submitted. This is remembered until parctl enable, over restarts, too."),
};
