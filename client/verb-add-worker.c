/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parctl add-worker: workers, one after the other. A refusal by admission is explained and, on a terminal,
 * may be overridden; what was added before stays. */

#include <string.h>

#include "client/connection.h"
#include "client/error-report.h"
#include "client/json-output.h"
#include "client/output.h"
#include "client/status-info.h"
#include "client/text.h"
#include "client/worker-adding.h"
#include "dbus/parexec-dbus.h"
#include "util/parse-util.h"

typedef struct AddWorkerSettings {
    WorkerOptions worker;
    Given count;
    bool force;
} AddWorkerSettings;

#define WORKER(name_, letter_, kind_, member, argument_, help_)                                              \
    VERB_OPTION(name_, letter_, kind_, AddWorkerSettings, worker.member, argument_, help_)

static const VerbOption add_worker_options[] = {
    VERB_OPTION("count", 'n', OPTION_UINT, AddWorkerSettings, count, N_("N"), N_("so many (default: 1)")),
    WORKER("name", 0, OPTION_STRING, name, N_("NAME"), N_("a name shown beside the id")),
    WORKER("memory", 'm', OPTION_BYTES, memory, N_("SIZE"), N_("memory it may use: MemoryMax= (8G, 512M)")),
    WORKER("memory-high", 0, OPTION_BYTES, memory_high, N_("SIZE"),
           N_("memory from which on it is slowed down")),
    WORKER("cpus", 'c', OPTION_CPUS, cpus, N_("N"), N_("CPUs it may use: 2, 0.5 or 50%")),
    WORKER("cpu-weight", 0, OPTION_NUMBER, cpu_weight, N_("N"),
           N_("its share where CPUs are short: 1 to 10000")),
    WORKER("allowed-cpus", 0, OPTION_STRING, allowed_cpus, N_("LIST"), N_("the CPUs it may use: 0-3,8")),
    WORKER("tasks-max", 0, OPTION_NUMBER, tasks_max, N_("N"), N_("processes and threads it may have")),
    WORKER("slots", 's', OPTION_UINT, slots, N_("N"), N_("tasks it runs at once")),
    WORKER("engine", 0, OPTION_STRING, engine, N_("ENGINE"), N_("systemd or cgroup")),
    WORKER("user-only", 0, OPTION_STRING, user, N_("USER"), N_("run this user's tasks only")),
    WORKER("env", 'e', OPTION_STRINGS, env, N_("NAME=VALUE"),
           N_("add to the environment of its tasks; may be repeated")),
    WORKER("exec", 0, OPTION_STRING, exec, N_("COMMAND"),
           N_("start this program, which does tasks as lines of JSON: parexec-program(7)")),
    WORKER("worker-class", 0, OPTION_STRING, class, N_("NAME"), N_("with --exec: the tasks that it does")),
    WORKER("recycle", 0, OPTION_UINT, recycle, N_("N"), N_("with --exec: replace it after so many tasks")),
    WORKER("recycle-memory", 0, OPTION_BYTES, recycle_memory, N_("SIZE"),
           N_("with --exec: replace it when it takes more")),
    VERB_OPTION("force", 'f', OPTION_FLAG, AddWorkerSettings, force, NULL,
                N_("even if the memory does not suffice")),
    {},
};

static void print_worker(const Client *client, const WorkerInfo *worker)
{
    g_autofree char *memory = format_bytes(worker->memory_max_bytes), *name = text_printable(worker->name);

    if (client->quiet) {
        printf("%s\n", worker->id);
        return;
    }
    printf("%s%s%s%s %s, %s%s%s\n", worker->id, *name ? " (" : "", name, *name ? ")" : "", worker->state_word,
           worker->memory_max_bytes == UINT64_MAX ? _("no memory limit") : memory, *worker->unit ? ", " : "",
           worker->unit);
    (void) fflush(stdout);
    for (size_t i = 0; worker->not_enforced && worker->not_enforced[i]; i++) {
        g_autofree char *sentence = text_printable(worker->not_enforced[i]);
        output_error(_("warning: %s: %s"), worker->id, sentence);
    }
    if (*worker->reason) {
        g_autofree char *sentence = text_printable(worker->reason);
        output_error("%s: %s", worker->id, sentence);
    }
}

/* What became of it, on stdout or into the array of --json. */
static int show_worker(Client *client, const char *path, JsonOutput *json)
{
    g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
    g_autoptr(sd_bus_message) reply = NULL;
    g_autoptr(WorkerInfo) worker = NULL;
    int r = connection_get_all(client, path, PAREXEC_WORKER_INTERFACE, &error, &reply);

    if (r < 0)
        return error_report(client, &error, r);
    r = worker_info_read_properties(reply, &worker);
    if (r >= 0 && json)
        r = sd_bus_message_rewind(reply, /* complete= */ true);
    if (r >= 0 && json) {
        json_output_begin_object(json);
        r = json_output_properties(json, reply);
        json_output_end_object(json);
    }
    if (r < 0)
        return connection_report_message(client, r);
    if (!json)
        print_worker(client, worker);
    return worker->state == WORKER_FAILED ? output_failure(client, EIO, _("worker %s has failed"), worker->id)
                                          : 0;
}

/* On a terminal: may it be started all the same? */
static bool ask_to_force(const Client *client, const sd_bus_error *error)
{
    if (!sd_bus_error_has_name(error, PAREXEC_ERROR_INSUFFICIENT_MEMORY) || !output_can_ask(client))
        return false;
    g_autofree char *sentence = text_printable(error->message ?: "");
    fprintf(stderr, "%s\n%s\n", sentence,
            _("If it is started all the same, and its tasks use what they may:"));
    fprintf(stderr, "  - %s\n", _("the machine may become very slow, this terminal included;"));
    fprintf(stderr, "  - %s\n", _("the kernel may kill other programs to get memory back;"));
    fprintf(stderr, "  - %s\n", _("what those programs had not saved is lost."));
    return output_ask(_("Start it all the same?"));
}

static int add_one(Client *client, const AddWorkerSettings *settings, bool *force, JsonOutput *json)
{
    g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
    g_autofree char *path = NULL;
    int r = worker_add(client, &settings->worker, *force, &error, &path);

    if (r < 0 && !*force && ask_to_force(client, &error)) {
        *force = true; /* the answer is for the others, too */
        sd_bus_error_free(&error);
        r = worker_add(client, &settings->worker, *force, &error, &path);
    }
    if (r < 0)
        return sd_bus_error_is_set(&error) ? error_report(client, &error, r) : r;
    return show_worker(client, path, json);
}

static int add_all(Client *client, const AddWorkerSettings *settings, JsonOutput *json)
{
    uint64_t count = settings->count.given ? settings->count.value : 1;
    bool force = settings->force;
    int r = 0;

    for (uint64_t i = 0; r >= 0 && i < count; i++)
        r = add_one(client, settings, &force, json);
    return r;
}

static int run_add_worker(Client *client, const void *settings, char **argv)
{
    g_autoptr(JsonOutput) json = client->json ? json_output_new() : NULL;
    int r;

    connection_offer_password_agent(client);
    if (json)
        json_output_begin_array(json);
    r = add_all(client, settings, json);
    if (json) {
        json_output_end_array(json);
        json_output_print(json);
    }
    return r;
}

static const char *const add_worker_examples[] = {
    "parctl add-worker --memory 8G --cpus 2",
    N_("one worker with limits"),
    "parctl add-worker --count 4 --memory 2G",
    N_("four of them"),
    "parctl add-worker --exec 'python3 infer.py' --worker-class infer",
    N_("a program that stays: parctl submit --worker-class infer"),
    NULL,
};

const Verb verb_add_worker = {
    .name = "add-worker",
    .arguments = "",
    .options = add_worker_options,
    .settings_size = sizeof(AddWorkerSettings),
    .run = run_add_worker,
    .summary = N_("Start workers, which run tasks within limits."),
    .details =
        N_("What is not given comes from parexecd.conf. If the machine cannot carry another worker, parctl "
           "says why and exits with 3; on a terminal it asks whether to start it all the same."),
    .examples = add_worker_examples,
};
