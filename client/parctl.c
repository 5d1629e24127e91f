/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parctl, the client of parexecd: main() and the list of verbs. A verb is a file of its own that fills in
 * a Verb; what verbs share is in the other files. The Client lives as long as the process and is owned by
 * main(). */

#include <locale.h>
#include <signal.h>
#include <string.h>

#include "client/connection.h"
#include "client/output.h"
#include "client/verb.h"
#include "parexec-config.h"

static const Verb *const verbs[] = {
    &verb_status,  &verb_workers,  &verb_add_worker, &verb_drain,  &verb_abort,  &verb_scale,
    &verb_profile, &verb_topology, &verb_submit,     &verb_run,    &verb_map,    &verb_tasks,
    &verb_show,    &verb_logs,     &verb_wait,       &verb_cancel, &verb_hold,   &verb_release,
    &verb_retry,   &verb_priority, &verb_edit,       &verb_set,    &verb_freeze, &verb_thaw,
    &verb_why,     &verb_stats,    &verb_queue,      &verb_events, &verb_enable, &verb_disable,
    NULL,
};

const Verb *const *verb_list(void)
{
    return verbs;
}

const Verb *verb_find(const char *name)
{
    for (size_t i = 0; verbs[i]; i++)
        if (strcmp(verbs[i]->name, name) == 0)
            return verbs[i];
    return NULL;
}

static int unknown_verb(Client *client, const char *name)
{
    int r = output_usage_error(client, _("there is no verb \"%s\""), name);

    output_hint(_("To see the verbs: parctl --help"));
    return r;
}

/* --help and --version, and "help" in place of a verb. 1: done. */
static int answer_common(Client *client, const Verb *verb, const CommonOptions *common)
{
    if (common->version)
        printf("parctl %s\n", PAREXEC_VERSION);
    else if (common->help && verb)
        verb_help(verb);
    else if (common->help)
        verb_help_all();
    else
        return 0;
    return 1;
}

static int help_verb(Client *client, char **argv)
{
    const Verb *verb = argv[0] ? verb_find(argv[0]) : NULL;

    if (argv[0] && !verb)
        return unknown_verb(client, argv[0]);
    if (verb)
        verb_help(verb);
    else
        verb_help_all();
    return PARCTL_OK;
}

static int check_arguments(Client *client, const Verb *verb, int n)
{
    if (n >= verb->min && (verb->max < 0 || n <= verb->max))
        return 0;

    int r = n < verb->min ? output_usage_error(client, _("%s needs more arguments: parctl %s %s"), verb->name,
                                               verb->name, _(verb->arguments))
                          : output_usage_error(client, _("%s takes fewer arguments"), verb->name);
    output_hint(_("To read more: parctl %s --help"), verb->name);
    return r;
}

/* How many words stand behind "--": getopt(3) takes the mark away. */
static int count_words_behind(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--") == 0)
            return argc - i - 1;
    return 0;
}

/* argv[0] is the verb. */
static int run_verb(Client *client, const Verb *verb, int argc, char **argv, CommonOptions *common)
{
    void *settings = g_malloc0(MAX(verb->settings_size, (size_t) 1));
    client->words_behind = count_words_behind(argc, argv);
    int first = verb_parse_options(client, verb, argc, argv, common, settings);
    int r = first;

    output_init(common->color);
    if (r >= 0)
        r = answer_common(client, verb, common);
    if (r > 0)
        r = PARCTL_OK;
    else if (r == 0) {
        r = check_arguments(client, verb, argc - first);
        if (r >= 0)
            r = verb->run(client, settings, argv + first);
    }
    verb_free_settings(verb, settings);
    return r;
}

static int run_command_line(Client *client, int argc, char **argv)
{
    static char *status_argv[] = { (char *) "status", NULL };
    CommonOptions common = { .color = COLOR_AUTO };
    int first = verb_parse_options(client, NULL, argc, argv, &common, NULL);

    output_init(common.color);
    if (first < 0)
        return first;
    if (answer_common(client, NULL, &common) > 0)
        return PARCTL_OK;
    if (!argv[first])
        return run_verb(client, &verb_status, 1, status_argv, &common);
    if (strcmp(argv[first], "help") == 0)
        return help_verb(client, argv + first + 1);

    const Verb *verb = verb_find(argv[first]);
    return verb ? run_verb(client, verb, argc - first, argv + first, &common)
                : unknown_verb(client, argv[first]);
}

int main(int argc, char **argv)
{
    Client client = {};

    (void) setlocale(LC_ALL, "");
    (void) setlocale(LC_NUMERIC, "C"); /* numbers are read and written as systemd does, everywhere */
    (void) bindtextdomain(GETTEXT_PACKAGE, PAREXEC_LOCALEDIR);
    (void) bind_textdomain_codeset(GETTEXT_PACKAGE, "UTF-8"); /* what the layout counts and cuts */
    (void) textdomain(GETTEXT_PACKAGE);
    output_init(COLOR_AUTO);

    int r = run_command_line(&client, argc, argv);
    connection_close(&client);
    if (r >= 0) {
        int flushed = output_flush(&client);
        if (flushed < 0)
            r = flushed;
    }
    return client_exit_code(&client, r);
}
