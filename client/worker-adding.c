/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Adding workers. A lease drains its workers when it ends, however the verb ends; a parctl that is killed
 * outright leaves them, visible in the status. */

#include "client/worker-adding.h"

#include <string.h>

#include "client/bus-dict.h"
#include "client/connection.h"
#include "client/demand-terms.h"
#include "client/error-report.h"
#include "client/output.h"
#include "client/status-info.h"
#include "dbus/parexec-dbus.h"
#include "model/ids.h"

#define GONE_USEC (3 * USEC_PER_SEC) /* an idle worker ends within milliseconds */

static int append_quantities(const WorkerOptions *options, sd_bus_message *m)
{
    const struct {
        const char *key;
        const Given *given;
    } quantities[] = {
        { "memory-max", &options->memory },   { "memory-high", &options->memory_high },
        { "cpu-quota", &options->cpus },      { "cpu-weight", &options->cpu_weight },
        { "tasks-max", &options->tasks_max }, { "recycle-memory", &options->recycle_memory },
        { "io-weight", &options->io_weight },
    };
    int r = 0;

    for (size_t i = 0; r >= 0 && i < G_N_ELEMENTS(quantities); i++)
        if (quantities[i].given->given && !quantities[i].given->automatic)
            r = dict_append(m, quantities[i].key, "t", quantities[i].given->value);
    if (r >= 0 && options->slots.given)
        r = dict_append(m, "slots", "u", (uint32_t) options->slots.value);
    if (r >= 0 && options->recycle.given)
        r = dict_append(m, "recycle", "u", (uint32_t) options->recycle.value);
    return r;
}

static int append_words(const WorkerOptions *options, sd_bus_message *m)
{
    const struct {
        const char *key, *value;
    } words[] = {
        { "name", options->name }, { "allowed-cpus", options->allowed_cpus }, { "engine", options->engine },
        { "user", options->user }, { "worker-class", options->class },        { "numa", options->numa },
    };
    int r = 0;

    for (size_t i = 0; r >= 0 && i < G_N_ELEMENTS(words); i++)
        if (words[i].value)
            r = dict_append(m, words[i].key, "s", words[i].value);
    if (r >= 0 && options->env) {
        g_autoptr(GPtrArray) env = g_ptr_array_copy(options->env, NULL, NULL);
        g_ptr_array_add(env, NULL);
        r = dict_append_strings(m, "env", (char **) env->pdata);
    }
    return r;
}

/* What of the machine it is to have for itself. */
static int append_placement(const WorkerOptions *options, sd_bus_message *m)
{
    bool optional = false;
    uint32_t gpus = 0;
    int r = options->pin ? dict_append(m, "pin", "b", 1) : 0;

    if (r >= 0 && options->gpus)
        r = demand_gpus_parse(options->gpus, &gpus, &optional);
    if (r >= 0 && gpus > 0)
        r = dict_append(m, "gpus", "u", gpus);
    if (r >= 0 && optional)
        r = dict_append(m, "gpus-optional", "b", 1);
    if (r >= 0 && options->resources) {
        g_autoptr(GPtrArray) words = g_ptr_array_copy(options->resources, NULL, NULL);
        g_ptr_array_add(words, NULL);
        g_autofree char *list = g_strjoinv(",", (char **) words->pdata);
        r = dict_append(m, "resources", "s", list);
    }
    return r;
}

/* The program's words, as a shell would have them. */
static int append_exec(const WorkerOptions *options, sd_bus_message *m)
{
    g_auto(GStrv) argv = NULL;

    if (!options->exec)
        return 0;
    if (!g_shell_parse_argv(options->exec, NULL, &argv, NULL))
        return -EINVAL;
    return dict_append_strings(m, "exec", argv);
}

static int check_program(Client *client, const WorkerOptions *options)
{
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) argv = NULL;

    if (!options->exec && (options->class || options->recycle.given || options->recycle_memory.given))
        return output_usage_error(
            client, _("--worker-class, --recycle and --recycle-memory are of the program of --exec"));
    if (!options->exec)
        return 0;
    if (!options->class || !*options->class || !name_is_valid(options->class))
        return output_usage_error(client,
                                  _("--exec needs --worker-class: a name of 1 to 255 bytes of UTF-8"));
    if (!g_utf8_validate(options->exec, -1, NULL))
        return output_usage_error(client, _("--exec takes UTF-8"));
    if (!g_shell_parse_argv(options->exec, NULL, &argv, &error))
        return output_usage_error(client, _("--exec: %s"), error->message);
    return 0;
}

static int check_placement(Client *client, const WorkerOptions *options)
{
    uint32_t gpus;
    bool optional;

    if (options->gpus && demand_gpus_parse(options->gpus, &gpus, &optional) < 0)
        return output_usage_error(client, _("--%s takes %s, not \"%s\""), "gpus", task_term_form(TERM_GPUS),
                                  options->gpus);
    for (guint i = 0; options->resources && i < options->resources->len; i++) {
        const char *word = options->resources->pdata[i];
        g_autofree char *why = NULL;
        g_autoptr(GArray) resources = NULL;
        if (resources_parse(word, &resources, &why) < 0)
            return output_usage_error(client, _("--%s takes %s, not \"%s\""), "resource",
                                      task_term_form(TERM_RESOURCE), word);
    }
    return 0;
}

/* The bus takes UTF-8 only for what is no path and no argument. */
static int check_words(Client *client, const WorkerOptions *options)
{
    const char *words[] = { options->name, options->allowed_cpus, options->engine, options->user,
                            options->numa };

    for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
        if (words[i] && !g_utf8_validate(words[i], -1, NULL))
            return output_usage_error(client, _("names of workers, engines and users are UTF-8"));
    for (guint i = 0; options->env && i < options->env->len; i++) {
        const char *variable = options->env->pdata[i];
        if (!g_utf8_validate(variable, -1, NULL) || !strchr(variable, '=') || *variable == '=')
            return output_usage_error(client, _("--env takes NAME=VALUE in UTF-8 here"));
    }
    int r = check_placement(client, options);
    return r < 0 ? r : check_program(client, options);
}

int worker_add(Client *client, const WorkerOptions *options, bool force, sd_bus_error *ret_error,
               char **ret_path)
{
    g_autoptr(sd_bus_message) call = NULL, reply = NULL;
    const char *path;
    int r = check_words(client, options);

    if (r >= 0)
        r = connection_new_call(client, "AddWorker", &call);
    if (r < 0)
        return r;
    r = sd_bus_message_open_container(call, 'a', "{sv}");
    if (r >= 0)
        r = append_quantities(options, call);
    if (r >= 0)
        r = append_words(options, call);
    if (r >= 0)
        r = append_placement(options, call);
    if (r >= 0)
        r = append_exec(options, call);
    if (r >= 0 && force)
        r = dict_append(call, "force", "b", 1);
    if (r >= 0)
        r = sd_bus_message_close_container(call);
    if (r < 0)
        return connection_report_message(client, r);
    r = connection_try_call(client, call, ret_error, &reply);
    if (r < 0)
        return r;
    r = sd_bus_message_read_basic(reply, 'o', &path);
    if (r < 0)
        return connection_report_message(client, r);
    *ret_path = g_strdup(path);
    return 0;
}

void worker_lease_init(WorkerLease *lease, Client *client)
{
    *lease = (WorkerLease){ .client = client, .ids = g_ptr_array_new_with_free_func(g_free) };
}

int worker_lease_add(WorkerLease *lease, const WorkerOptions *options, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
        g_autofree char *path = NULL;
        int r = worker_add(lease->client, options, /* force= */ false, &error, &path);
        if (r < 0)
            return sd_bus_error_is_set(&error) ? error_report(lease->client, &error, r) : r;
        g_ptr_array_add(lease->ids, g_path_get_basename(path));
    }
    return 0;
}

static int on_worker_removed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    GHashTable *left = userdata;
    const char *id;

    if (sd_bus_message_read_basic(m, 's', &id) > 0)
        g_hash_table_remove(left, id);
    return 0;
}

/* Those that still run somebody's task end later, without us. */
static void forget_busy(WorkerLease *lease, GHashTable *left)
{
    g_autoptr(StatusInfo) status = NULL;

    if (status_info_get(lease->client, &status, NULL) < 0) {
        g_hash_table_remove_all(left);
        return;
    }
    for (guint i = 0; i < lease->ids->len; i++) {
        const WorkerInfo *worker = status_info_worker(status, lease->ids->pdata[i]);
        if (!worker || worker->tasks->len > 0)
            g_hash_table_remove(left, lease->ids->pdata[i]);
    }
}

static void wait_until_gone(WorkerLease *lease, GHashTable *left)
{
    uint64_t deadline = (uint64_t) g_get_monotonic_time() + GONE_USEC;

    forget_busy(lease, left);
    while (g_hash_table_size(left) > 0) {
        uint64_t now = (uint64_t) g_get_monotonic_time();
        int r = sd_bus_process(lease->client->bus, NULL);
        if (r == 0 && now < deadline)
            r = sd_bus_wait(lease->client->bus, deadline - now);
        if (r < 0 || now >= deadline)
            return;
    }
}

static void drain(WorkerLease *lease, const char *id)
{
    g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
    g_autoptr(sd_bus_message) call = NULL;

    if (connection_new_call(lease->client, "Drain", &call) < 0 ||
        sd_bus_message_append_basic(call, 's', id) < 0)
        return;
    if (connection_try_call(lease->client, call, &error, NULL) < 0 &&
        error_exit_code(error.name) != PARCTL_FAILED)
        output_error(_("worker %s was added for this call and could not be drained: parctl drain %s"), id,
                     id);
}

void worker_lease_done(WorkerLease *lease)
{
    g_autoptr(GHashTable) left = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(sd_bus_slot) slot = NULL;

    if (!lease->ids)
        return;
    if (lease->ids->len > 0 && connection_reopen(lease->client) >= 0) {
        (void) sd_bus_match_signal(lease->client->bus, &slot, PAREXEC_BUS_NAME, PAREXEC_PATH,
                                   PAREXEC_MANAGER_INTERFACE, "WorkerRemoved", on_worker_removed, left);
    }
    for (guint i = 0; i < lease->ids->len; i++) {
        g_hash_table_add(left, lease->ids->pdata[i]);
        drain(lease, lease->ids->pdata[i]);
    }
    if (lease->ids->len > 0)
        wait_until_gone(lease, left);
    g_clear_pointer(&lease->ids, g_ptr_array_unref);
}
