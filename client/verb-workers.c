/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parctl workers: the workers with all that is known of them. */

#include "client/connection.h"
#include "client/json-output.h"
#include "client/output.h"
#include "client/status-info.h"
#include "client/verb.h"
#include "client/worker-table.h"

/* The array "workers" of the status alone. */
static int add_json_workers(JsonOutput *json, sd_bus_message *m)
{
    const char *key;
    int r = sd_bus_message_enter_container(m, 'a', "{sv}");

    while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
        r = sd_bus_message_read_basic(m, 's', &key);
        if (r >= 0 && g_str_equal(key, "workers"))
            return json_output_message(json, m);
        if (r >= 0)
            r = sd_bus_message_skip(m, "v");
        if (r >= 0)
            r = sd_bus_message_exit_container(m);
    }
    return r < 0 ? r : -EBADMSG;
}

static int print_json(Client *client, sd_bus_message *m)
{
    g_autoptr(JsonOutput) json = json_output_new();
    int r = add_json_workers(json, m);

    if (r < 0)
        return connection_report_message(client, r);
    json_output_print(json);
    return 0;
}

static int run_workers(Client *client, const void *settings, char **argv)
{
    g_autoptr(sd_bus_message) reply = NULL;
    g_autoptr(StatusInfo) status = NULL;
    int r = status_info_get(client, &status, &reply);

    if (r < 0)
        return r;
    if (client->json)
        return print_json(client, reply);
    if (client->quiet)
        worker_table_print_ids(status);
    else if (status->workers->len > 0)
        worker_table_print(status, /* wide= */ true);
    else
        output_note(client, _("no workers; to start one: parctl add-worker --memory 2G"));
    return 0;
}

static const char *const workers_examples[] = {
    "parctl drain $(parctl workers -q)",
    N_("all of them, as parctl drain --all does"),
    NULL,
};

const Verb verb_workers = {
    .name = "workers",
    .arguments = "",
    .run = run_workers,
    .summary = N_("List the workers."),
    .examples = workers_examples,
};
