/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parctl edit: what has not started is changed. */

#include <inttypes.h>

#include "client/bus-dict.h"
#include "client/output.h"
#include "client/selected-action.h"
#include "model/ids.h"

typedef struct EditSettings {
    ActionOptions action;
    Given priority, memory;
    const char *queue;
} EditSettings;

static const VerbOption edit_options[] = {
    VERB_OPTION("priority", 'p', OPTION_INT, EditSettings, priority, N_("N"), N_("higher goes first")),
    VERB_OPTION("memory", 'M', OPTION_BYTES, EditSettings, memory, N_("SIZE"),
                N_("kill the task if it takes more")),
    VERB_OPTION("queue", 'Q', OPTION_STRING, EditSettings, queue, N_("NAME"),
                N_("into this queue; '' takes it out of any")),
    ACTION_OPTIONS(EditSettings, action),
    {},
};

typedef struct Changes {
    const EditSettings *settings;
    char **argv; /* NULL: stays */
} Changes;

static int append_changes(sd_bus_message *m, const void *data)
{
    const Changes *changes = data;
    const EditSettings *settings = changes->settings;
    int r = sd_bus_message_open_container(m, 'a', "{sv}");

    if (r >= 0 && settings->priority.given)
        r = dict_append(m, "priority", "i", settings->priority.number);
    if (r >= 0 && settings->memory.given)
        r = dict_append(m, "memory-max", "t", settings->memory.value);
    if (r >= 0 && settings->queue)
        r = dict_append(m, "queue", "s", settings->queue);
    if (r >= 0 && changes->argv)
        r = dict_append_byte_strings(m, "argv", changes->argv);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

/* The command behind "--" is cut off the selectors. */
static char **take_command(const Client *client, char **argv)
{
    guint n = g_strv_length(argv), words = (guint) client->words_behind;

    if (words == 0 || words > n)
        return NULL;
    char **command = g_strdupv(argv + n - words);
    argv[n - words] = NULL;
    return command;
}

static int run_edit(Client *client, const void *s, char **argv)
{
    const EditSettings *settings = s;
    g_auto(GStrv) command = take_command(client, argv);
    const Changes changes = { .settings = settings, .argv = command };
    const TaskAction action = {
        .method = "Edit", .append = append_changes, .changes = &changes, .json_key = "changed"
    };
    uint64_t count;

    if (!command && !settings->priority.given && !settings->memory.given && !settings->queue)
        return output_usage_error(
            client, _("what is to be changed? --priority, --memory, --queue, or a command behind --"));
    if (settings->queue && !name_is_valid(settings->queue))
        return output_usage_error(client,
                                  _("a name is at most 255 bytes of UTF-8 without control characters"));
    int r = task_action_run(client, &action, &settings->action, argv, &count);
    if (r < 0)
        return r;
    g_autofree char *text =
        g_strdup_printf(ngettext("%" PRIu64 " task changed\n", "%" PRIu64 " tasks changed\n", count), count);
    task_action_print(client, &action, count, text);
    return 0;
}

static const char *const edit_examples[] = {
    "parctl edit 17 -- ./simulate --steps 1000",
    N_("another command"),
    "parctl edit batch:4 --memory 2G --queue sims",
    N_("another limit, and another queue"),
    NULL,
};

const Verb verb_edit = {
    .name = "edit",
    .arguments = N_("[ID | A-B | batch:N | last | mine]... [-- COMMAND [ARGUMENTS...]]"),
    .max = -1,
    .options = edit_options,
    .settings_size = sizeof(EditSettings),
    .run = run_edit,
    .summary = N_("Change tasks that have not started."),
    .details = N_("What runs or has ended stays as it is."),
    .examples = edit_examples,
};
