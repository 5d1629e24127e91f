/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parctl profile: the named ways to use the machine, and which is active. */

#include <inttypes.h>
#include <string.h>

#include "client/bus-dict.h"
#include "client/connection.h"
#include "client/error-report.h"
#include "client/json-output.h"
#include "client/output.h"
#include "client/table.h"
#include "client/verb.h"
#include "dbus/parexec-dbus.h"
#include "util/parse-util.h"

typedef struct ProfileInfo {
    char *name;
    uint32_t workers, batch_size;
    uint64_t memory_max_bytes, timeout_usec;
    bool active;
} ProfileInfo;

static const DictField profile_fields[] = {
    DICT_FIELD("name", "s", ProfileInfo, name),
    DICT_FIELD("workers", "u", ProfileInfo, workers),
    DICT_FIELD("memory-max", "t", ProfileInfo, memory_max_bytes),
    DICT_FIELD("timeout", "t", ProfileInfo, timeout_usec),
    DICT_FIELD("batch-size", "u", ProfileInfo, batch_size),
    DICT_FIELD("active", "b", ProfileInfo, active),
};

static const TableColumn profile_columns[] = {
    { .title = N_("PROFILE") },
    { .title = N_("ACTIVE") },
    { .title = N_("WORKERS"), .right = true },
    { .title = N_("MEMORY"), .right = true },
    { .title = N_("TIMEOUT"), .right = true },
    { .title = N_("BATCH"), .right = true, .expendable = 1 },
};

typedef struct ProfileListing {
    const Client *client;
    Table *table;
} ProfileListing;

static void add_row(Table *table, const ProfileInfo *profile)
{
    table_add(table, COLOR_BOLD, g_strdup(profile->name));
    table_add(table, COLOR_GREEN, profile->active ? g_strdup(_("yes")) : NULL);
    table_add_format(table, COLOR_NONE, "%u", profile->workers);
    table_add(table, COLOR_NONE, format_bytes(profile->memory_max_bytes));
    table_add(table, COLOR_NONE,
              profile->timeout_usec == UINT64_MAX ? g_strdup(_("none"))
                                                  : format_timespan(profile->timeout_usec));
    if (profile->batch_size == 0)
        table_add(table, COLOR_NONE, g_strdup(_("any")));
    else
        table_add_format(table, COLOR_NONE, "%u", profile->batch_size);
}

static int read_profile(sd_bus_message *m, void *userdata)
{
    ProfileListing *listing = userdata;
    ProfileInfo profile = {};
    int r = dict_read(m, profile_fields, G_N_ELEMENTS(profile_fields), &profile);

    if (r >= 0 && listing->client->quiet)
        printf("%s\n", profile.name ?: "");
    else if (r >= 0)
        add_row(listing->table, &profile);
    dict_clear(profile_fields, G_N_ELEMENTS(profile_fields), &profile);
    return r;
}

static int list_profiles(Client *client)
{
    g_autoptr(Table) table = table_new(profile_columns, G_N_ELEMENTS(profile_columns));
    ProfileListing listing = { client, table };
    g_autoptr(sd_bus_message) reply = NULL;
    int r = connection_call_simple(client, "ListProfiles", NULL, &reply);

    if (r < 0)
        return r;
    if (client->json)
        r = json_output_print_message(reply);
    else
        r = dict_read_each(reply, read_profile, &listing);
    if (r < 0)
        return connection_report_message(client, r);
    if (!client->json && !client->quiet)
        table_print(table);
    return 0;
}

static int set_profile(Client *client, const char *name)
{
    g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
    int r = connection_open(client);

    if (r < 0)
        return r;
    connection_offer_password_agent(client);
    r = sd_bus_set_property(client->bus, PAREXEC_BUS_NAME, PAREXEC_PATH, PAREXEC_MANAGER_INTERFACE, "Profile",
                            &error, "s", name);
    return r < 0 ? error_report(client, &error, r) : 0;
}

static int run_profile(Client *client, const void *settings, char **argv)
{
    if (!argv[0])
        return list_profiles(client);
    if (!*argv[0] || !g_utf8_validate(argv[0], -1, NULL))
        return output_usage_error(client, _("the name of a profile is UTF-8 and not empty"));
    bool none = strcmp(argv[0], "none") == 0;
    int r = set_profile(client, none ? "" : argv[0]);
    if (r < 0)
        return r;
    if (none)
        output_note(client, _("no profile is active any more"));
    else
        output_note(client, _("the profile %s is active: new workers and tasks are as it says"), argv[0]);
    return 0;
}

static const char *const profile_examples[] = {
    "parctl profile",
    N_("those that there are, and which is active"),
    "parctl profile conservative",
    N_("two small workers are kept: the machine is for other things, too"),
    NULL,
};

const Verb verb_profile = {
    .name = "profile",
    .arguments = N_("[NAME | none]"),
    .max = 1,
    .run = run_profile,
    .summary = N_("List the profiles, or make one active."),
    .details = N_(
        "A profile says how many workers are kept (parctl scale), what memory each may use, and how long a "
        "task may take that says nothing. More of them: [Profile NAME] in parexecd.conf."),
    .examples = profile_examples,
};
