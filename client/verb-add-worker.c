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
    const char *count;
    bool force;
} AddWorkerSettings;

#define WORKER(name_, letter_, kind_, member, argument_, help_)                                              \
    VERB_OPTION(name_, letter_, kind_, AddWorkerSettings, worker.member, argument_, help_)

static const VerbOption add_worker_options[] = {
    VERB_OPTION("count", 'n', OPTION_STRING, AddWorkerSettings, count, N_("N|all"),
                N_("so many (default: 1); all: as many as the machine carries")),
    WORKER("name", 0, OPTION_STRING, name, N_("NAME"), N_("a name shown beside the id")),
    WORKER("memory", 'm', OPTION_BYTES, memory, N_("SIZE"), N_("memory it may use: MemoryMax= (8G, 512M)")),
    WORKER("memory-high", 0, OPTION_BYTES, memory_high, N_("SIZE"),
           N_("memory from which on it is slowed down")),
    WORKER("cpus", 'c', OPTION_CPUS, cpus, N_("N"), N_("CPUs it may use: 2, 0.5 or 50%")),
    WORKER("cpu-weight", 0, OPTION_NUMBER, cpu_weight, N_("N"),
           N_("its share where CPUs are short: 1 to 10000")),
    WORKER("allowed-cpus", 0, OPTION_STRING, allowed_cpus, N_("LIST"), N_("the CPUs it may use: 0-3,8")),
    WORKER("io-weight", 0, OPTION_NUMBER, io_weight, N_("N"),
           N_("its share where disks are busy: 1 to 10000")),
    WORKER("pin", 0, OPTION_FLAG, pin, NULL,
           N_("give it physical cores of its own, as many as --cpus or --slots")),
    WORKER("numa", 0, OPTION_STRING, numa, N_("N|auto"), N_("keep its cores and memory on one NUMA node")),
    WORKER("gpus", 0, OPTION_STRING, gpus, N_("N|N?"), N_("GPUs of its own; N?: fewer, or none, will do")),
    WORKER("resource", 0, OPTION_STRINGS, resources, N_("NAME[=N]"),
           N_("of what the machine has a number of: licence=1; may be repeated")),
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
                N_("even if cores or memory do not suffice")),
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
    g_auto(GStrv) risks = error_risks(error);

    if (!risks[0] || !output_can_ask(client))
        return false;
    g_autofree char *sentence = error_sentence(error);
    fprintf(stderr, "%s\n%s\n", sentence,
            _("If it is started all the same, and its tasks use what they may:"));
    for (char **risk = risks; *risk; risk++)
        fprintf(stderr, "  - %s\n", *risk);
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

static int add_some(Client *client, const AddWorkerSettings *settings, uint64_t count, JsonOutput *json)
{
    bool force = settings->force;
    int r = 0;

    for (uint64_t i = 0; r >= 0 && i < count; i++)
        r = add_one(client, settings, &force, json);
    return r;
}

/* Until admission refuses one. That is no failure, unless it was the first. */
static int fill_machine(Client *client, const AddWorkerSettings *settings, JsonOutput *json)
{
    unsigned count = 0;

    for (;;) {
        g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
        g_autofree char *path = NULL;
        int r = worker_add(client, &settings->worker, /* force= */ false, &error, &path);
        if (r >= 0) {
            r = show_worker(client, path, json);
            if (r < 0)
                return r;
            count++;
            continue;
        }
        if (!sd_bus_error_is_set(&error))
            return r;
        if (count == 0 || error_exit_code(error.name) != PARCTL_REFUSED)
            return error_report(client, &error, r);
        g_autofree char *reason = error_refusal_reason(&error);
        output_note(client,
                    ngettext("%u worker added, and no more: %s", "%u workers added, and no more: %s", count),
                    count, reason);
        return 0;
    }
}

static int add_all(Client *client, const AddWorkerSettings *settings, JsonOutput *json)
{
    uint64_t count = 1;
    bool all = g_strcmp0(settings->count, "all") == 0;

    if (settings->count && !all &&
        (parse_uint64(settings->count, &count) < 0 || count == 0 || count > UINT32_MAX))
        return output_usage_error(client, _("--%s takes %s, not \"%s\""), "count",
                                  _("a number from 1 to 4294967295, or all"), settings->count);
    if (all && settings->force)
        return output_usage_error(
            client, _("--count all adds what the machine carries: it does not go with --force"));
    return all ? fill_machine(client, settings, json) : add_some(client, settings, count, json);
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
    "parctl add-worker --count all",
    N_("as many as the machine carries"),
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
