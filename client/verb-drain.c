/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parctl drain, abort: the end of workers, gentle or at once. With --wait until they are gone. */

#include <string.h>

#include "client/connection.h"
#include "client/output.h"
#include "client/status-info.h"
#include "client/verb.h"
#include "client/watch.h"

typedef struct DrainSettings {
    bool all, wait, yes;
} DrainSettings;

static const VerbOption drain_options[] = {
    VERB_OPTION("all", 'a', OPTION_FLAG, DrainSettings, all, NULL, N_("all workers")),
    VERB_OPTION("wait", 'w', OPTION_FLAG, DrainSettings, wait, NULL, N_("until they are gone")),
    VERB_OPTION("yes", 'y', OPTION_FLAG, DrainSettings, yes, NULL, N_("do not ask")),
    {},
};

/* Waiting until workers are gone. */
typedef struct Gone {
    Client *client;
    GHashTable *left; /* ids */
} Gone;

static void forget(Gone *gone, const char *id)
{
    if (g_hash_table_remove(gone->left, id) && g_hash_table_size(gone->left) == 0)
        (void) sd_event_exit(gone->client->event, PARCTL_OK);
}

static void on_removed(const char *id, void *userdata)
{
    forget(userdata, id);
}

static void on_state_changed(const char *id, const char *old, const char *new, void *userdata)
{
    if (strcmp(new, "dead") == 0 || strcmp(new, "failed") == 0)
        forget(userdata, id);
}

/* Those that live still. */
static int keep_living(Gone *gone)
{
    g_autoptr(StatusInfo) status = NULL;
    GHashTableIter iterator;
    gpointer id;
    int r = status_info_get(gone->client, &status, NULL);

    if (r < 0)
        return r;
    g_hash_table_iter_init(&iterator, gone->left);
    while (g_hash_table_iter_next(&iterator, &id, NULL)) {
        const WorkerInfo *worker = status_info_worker(status, id);
        if (!worker || !worker_state_is_live(worker->state))
            g_hash_table_iter_remove(&iterator);
    }
    return 0;
}

static void on_daemon_back(void *userdata)
{
    Gone *gone = userdata;
    int r = keep_living(gone);

    if (r < 0 || g_hash_table_size(gone->left) == 0)
        (void) sd_event_exit(gone->client->event, client_exit_code(gone->client, r));
}

static const WatchHandler gone_handler = {
    .worker_removed = on_removed,
    .worker_state_changed = on_state_changed,
    .daemon_back = on_daemon_back,
};

static int wait_until_gone(Gone *gone)
{
    int r = keep_living(gone);

    if (r < 0 || g_hash_table_size(gone->left) == 0)
        return r;
    r = sd_event_loop(gone->client->event);
    return r < 0 ? output_failure(gone->client, r, _("the event loop failed: %s"), g_strerror(-r)) : r;
}

static int add_all_workers(Client *client, GPtrArray *ids)
{
    g_autoptr(StatusInfo) status = NULL;
    int r = status_info_get(client, &status, NULL);

    for (guint i = 0; r >= 0 && i < status->workers->len; i++) {
        const WorkerInfo *worker = status->workers->pdata[i];
        if (worker_state_is_live(worker->state))
            g_ptr_array_add(ids, g_strdup(worker->id));
    }
    if (r >= 0 && ids->len == 0)
        output_note(client, _("there are no workers"));
    return r;
}

static int choose_workers(Client *client, const DrainSettings *settings, char **argv, GPtrArray *ids)
{
    if (settings->all && argv[0])
        return output_usage_error(client, _("either workers or --all"));
    if (settings->all)
        return add_all_workers(client, ids);
    if (!argv[0]) {
        (void) output_usage_error(client, _("which worker? Name it, or give --all"));
        output_hint(_("To see the workers: parctl workers"));
        return -EINVAL;
    }
    for (size_t i = 0; argv[i]; i++) {
        if (!g_utf8_validate(argv[i], -1, NULL))
            return output_usage_error(client, _("the id of a worker is like w1"));
        g_ptr_array_add(ids, g_strdup(argv[i]));
    }
    return 0;
}

/* Aborting takes away what runs: 1 to go on, 0 to leave it. */
static int confirm_abort(Client *client, const GPtrArray *ids)
{
    g_autoptr(StatusInfo) status = NULL;
    unsigned long running = 0;
    int r;

    if (!output_can_ask(client))
        return 1;
    r = status_info_get(client, &status, NULL);
    if (r < 0)
        return r;
    for (guint i = 0; i < ids->len; i++) {
        const WorkerInfo *worker = status_info_worker(status, ids->pdata[i]);
        running += worker ? worker->tasks->len : 0;
    }
    if (running == 0)
        return 1;
    return output_ask(ngettext("%lu task runs there; it is killed and goes back to the queue. Abort?",
                               "%lu tasks run there; they are killed and go back to the queue. Abort?",
                               running),
                      running);
}

static int end_workers(Client *client, const GPtrArray *ids, const char *method)
{
    int result = 0;

    connection_offer_password_agent(client);
    for (guint i = 0; i < ids->len; i++) {
        const char *id = ids->pdata[i];
        int r = connection_call_simple(client, method, id, NULL);
        if (r < 0) /* the others all the same */
            result = r;
        else if (client->quiet)
            printf("%s\n", id);
        else
            printf(strcmp(method, "Drain") == 0 ? _("%s draining\n") : _("%s aborted\n"), id);
        (void) fflush(stdout);
    }
    return result;
}

static int run_end(Client *client, const DrainSettings *settings, char **argv, const char *method,
                   bool confirm)
{
    g_autoptr(GPtrArray) ids = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GHashTable) left = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(Watch) watch = NULL;
    Gone gone = { .client = client, .left = left };
    int r = choose_workers(client, settings, argv, ids);

    if (r >= 0 && confirm) {
        r = confirm_abort(client, ids);
        if (r == 0)
            return PARCTL_FAILED;
    }
    if (r >= 0 && settings->wait)
        r = watch_new(client, &gone_handler, &gone, /* tasks= */ false, &watch);
    if (r < 0)
        return r;
    for (guint i = 0; i < ids->len; i++)
        g_hash_table_add(left, ids->pdata[i]);
    r = end_workers(client, ids, method);
    return r < 0 || !settings->wait ? r : wait_until_gone(&gone);
}

static int run_drain(Client *client, const void *settings, char **argv)
{
    return run_end(client, settings, argv, "Drain", /* confirm= */ false);
}

static int run_abort(Client *client, const void *s, char **argv)
{
    const DrainSettings *settings = s;

    return run_end(client, settings, argv, "Abort", /* confirm= */ !settings->yes);
}

static const char *const drain_examples[] = {
    "parctl drain w1 w2",
    N_("they finish what runs, then end"),
    "parctl drain --all --wait",
    N_("until no worker is left"),
    NULL,
};

const Verb verb_drain = {
    .name = "drain",
    .arguments = N_("WORKER... | --all"),
    .max = -1,
    .options = drain_options,
    .settings_size = sizeof(DrainSettings),
    .run = run_drain,
    .summary = N_("Let workers finish what runs, take nothing new, then end."),
    .examples = drain_examples,
};

static const char *const abort_examples[] = {
    "parctl abort w3",
    N_("kill it and everything it runs, at once"),
    NULL,
};

const Verb verb_abort = {
    .name = "abort",
    .arguments = N_("WORKER... | --all"),
    .max = -1,
    .options = drain_options,
    .settings_size = sizeof(DrainSettings),
    .run = run_abort,
    .summary = N_("Kill workers and all they run at once."),
    .details = N_("Their tasks go back to the queue. On a terminal parctl asks first if tasks run."),
    .examples = abort_examples,
};
