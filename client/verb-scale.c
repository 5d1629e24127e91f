/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parctl scale: how many workers are kept alive; by number, by the load, or not at all. */

#include <string.h>

#include "client/connection.h"
#include "client/error-report.h"
#include "client/json-output.h"
#include "client/output.h"
#include "client/status-info.h"
#include "client/text.h"
#include "client/verb.h"
#include "dbus/parexec-dbus.h"
#include "util/parse-util.h"

static void print_scale(const StatusInfo *status)
{
    const ScaleInfo *scale = &status->scale;
    g_autofree char *reason = text_printable(scale->reason ?: ""),
                    *profile = text_printable(scale->profile ?: "");

    if (scale->target == SCALE_TARGET_NONE)
        printf(
            ngettext("no target; %u worker is alive\n", "no target; %u workers are alive\n", status->active),
            status->active);
    else
        printf(ngettext("target: %u worker; %u alive\n", "target: %u workers; %u alive\n", scale->target),
               scale->target, scale->alive);
    if (scale->automatic && scale->max > 0)
        printf(_("it follows the load, between %u and %u\n"), scale->min, scale->max);
    else if (scale->automatic)
        printf(_("it follows the load, from %u on\n"), scale->min);
    if (*profile)
        printf(_("profile: %s\n"), profile);
    if (*reason)
        printf(_("last step: %s\n"), reason);
}

static int json_scale(Client *client, const ScaleInfo *scale)
{
    g_autoptr(JsonOutput) json = json_output_new();

    json_output_begin_object(json);
    json_output_key(json, "target"); /* 2^64-1: null */
    json_output_uint64(json, scale->target == SCALE_TARGET_NONE ? UINT64_MAX : scale->target);
    json_output_key(json, "auto");
    json_output_json_or_string(json, scale->automatic ? "true" : "false");
    json_output_key(json, "min");
    json_output_uint64(json, scale->min);
    json_output_key(json, "max");
    json_output_uint64(json, scale->max);
    json_output_key(json, "reason");
    json_output_string(json, scale->reason ?: "");
    json_output_key(json, "profile");
    json_output_string(json, scale->profile ?: "");
    json_output_end_object(json);
    json_output_print(json);
    return 0;
}

static int show_scale(Client *client)
{
    g_autoptr(StatusInfo) status = NULL;
    int r = status_info_get(client, &status, NULL);

    if (r < 0)
        return r;
    if (client->json)
        return json_scale(client, &status->scale);
    if (!client->quiet)
        print_scale(status);
    else if (status->scale.target != SCALE_TARGET_NONE)
        printf("%u\n", status->scale.target);
    return 0;
}

static int set_automatic(Client *client, bool automatic)
{
    g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
    int r = connection_open(client);

    if (r < 0)
        return r;
    r = sd_bus_set_property(client->bus, PAREXEC_BUS_NAME, PAREXEC_PATH, PAREXEC_MANAGER_INTERFACE,
                            "AutoScale", &error, "b", (int) automatic);
    return r < 0 ? error_report(client, &error, r) : 0;
}

static int scale_off(Client *client)
{
    g_autoptr(sd_bus_message) reply = NULL;
    g_autoptr(StatusInfo) status = NULL;
    int r = status_info_get(client, &status, NULL);

    if (r >= 0 && status->scale.automatic)
        r = set_automatic(client, false);
    if (r >= 0)
        r = connection_call_simple(client, "Unscale", NULL, &reply);
    if (r >= 0)
        output_note(client, _("no target any more: the workers that there are stay"));
    return r;
}

static int scale_to(Client *client, uint32_t target)
{
    g_autoptr(sd_bus_message) call = NULL, reply = NULL;
    int r = connection_new_call(client, "Scale", &call);

    if (r < 0)
        return r;
    r = sd_bus_message_append_basic(call, 'u', &target);
    if (r < 0)
        return connection_report_message(client, r);
    r = connection_call(client, call, &reply);
    if (r >= 0)
        output_note(client,
                    ngettext("%u worker is kept from now on", "%u workers are kept from now on", target),
                    target);
    return r;
}

static int run_scale(Client *client, const void *settings, char **argv)
{
    uint64_t target;

    if (!argv[0])
        return show_scale(client);
    connection_offer_password_agent(client);
    if (strcmp(argv[0], "off") == 0)
        return scale_off(client);
    if (strcmp(argv[0], "auto") == 0) {
        int r = set_automatic(client, true);
        if (r >= 0)
            output_note(client, _("the number of workers follows the load from now on"));
        return r;
    }
    if (parse_uint64(argv[0], &target) < 0 || target >= SCALE_TARGET_NONE)
        return output_usage_error(client, _("scale takes a number of workers, off or auto, not \"%s\""),
                                  argv[0]);
    return scale_to(client, (uint32_t) target);
}

static const char *const scale_examples[] = {
    "parctl scale 4",
    N_("four workers are kept alive; one that fails is replaced"),
    "parctl scale auto",
    N_("their number follows the queue and the memory: [AutoScale] in parexecd.conf"),
    "parctl scale off",
    N_("nothing is added or drained any more"),
    NULL,
};

const Verb verb_scale = {
    .name = "scale",
    .arguments = N_("[N | off | auto]"),
    .max = 1,
    .run = run_scale,
    .summary = N_("Keep a number of workers alive."),
    .details = N_(
        "They are as the active profile says, else the configuration (parctl profile). What is too many is "
        "drained, workers of parctl add-worker last. This is remembered over restarts. Without an argument: "
        "what is kept now."),
    .examples = scale_examples,
};
