/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parctl show: everything about tasks, batches and workers, one under the other. */

#include <inttypes.h>
#include <string.h>

#include "client/bus-dict.h"
#include "client/connection.h"
#include "client/error-report.h"
#include "client/json-output.h"
#include "client/output.h"
#include "client/policy-words.h"
#include "client/status-info.h"
#include "client/task-list.h"
#include "client/task-selector.h"
#include "client/task-table.h"
#include "client/text.h"
#include "client/time-left.h"
#include "client/verb.h"
#include "client/worker-table.h"
#include "dbus/parexec-dbus.h"
#include "model/ids.h"
#include "util/parse-util.h"

#define LABEL_COLUMNS 14

static void print_field(const char *label, const char *value)
{
    unsigned width = text_width(label);

    if (!value || !*value)
        return;
    printf("%*s%s%s%s  %s\n", (int) (width < LABEL_COLUMNS ? LABEL_COLUMNS - width : 0), "",
           color_begin(COLOR_BOLD), label, color_end(COLOR_BOLD), value);
}

static void print_text(const char *label, const char *value)
{
    g_autofree char *shown = text_printable(value ?: "");

    print_field(label, shown);
}

static void print_number(const char *label, uint64_t value)
{
    g_autofree char *shown = g_strdup_printf("%" PRIu64, value);

    print_field(label, shown);
}

static void print_bytes(const char *label, uint64_t bytes)
{
    g_autofree char *shown = bytes == UINT64_MAX ? NULL : format_bytes(bytes);

    print_field(label, shown);
}

static void print_time(const char *label, uint64_t usec)
{
    g_autofree char *shown = usec == 0 ? NULL : format_timestamp(usec);

    print_field(label, shown);
}

static void print_cpu_time(uint64_t nsec)
{
    g_autofree char *shown = nsec == 0 ? NULL : format_timespan(nsec / NSEC_PER_USEC);

    print_field(_("CPU time"), shown);
}

/* ---- a task */

typedef struct TaskDetails {
    TaskInfo info;
    char **environment;
    uint64_t memory_max_bytes, not_before_usec;
    char *after, *queue, *class, *policy, *stderr_tail, *result;
    GPtrArray *attempts; /* TaskInfo */
} TaskDetails;

static int read_attempt(sd_bus_message *m, void *userdata)
{
    static const DictField fields[] = {
        DICT_FIELD("attempt", "u", TaskInfo, attempt),
        DICT_FIELD("worker", "s", TaskInfo, worker),
        DICT_FIELD("started", "t", TaskInfo, started_usec),
        DICT_FIELD("finished", "t", TaskInfo, finished_usec),
        DICT_FIELD("outcome", "s", TaskInfo, outcome_word),
        DICT_FIELD("exit-status", "i", TaskInfo, exit_status),
        DICT_FIELD("signal", "i", TaskInfo, signal),
        DICT_FIELD("errno", "i", TaskInfo, error),
        DICT_FIELD("cpu-usage-nsec", "t", TaskInfo, cpu_usage_nsec),
        DICT_FIELD("memory-peak", "t", TaskInfo, memory_peak_bytes),
        DICT_FIELD("memory-max", "t", TaskInfo, memory_max_bytes),
        DICT_FIELD("note", "s", TaskInfo, note),
        DICT_FIELD("stdout-dropped", "t", TaskInfo, stdout_dropped),
        DICT_FIELD("stderr-dropped", "t", TaskInfo, stderr_dropped),
        DICT_FIELD("stderr-tail", "ay", TaskInfo, stderr_tail),
    };
    g_autoptr(TaskInfo) attempt = task_info_new();
    int r = dict_read(m, fields, G_N_ELEMENTS(fields), attempt);

    if (r < 0)
        return r;
    int outcome = outcome_from_string(attempt->outcome_word);
    attempt->outcome = outcome < 0 ? OUTCOME_NONE : (Outcome) outcome;
    attempt->state =
        attempt->outcome == OUTCOME_EXITED && attempt->exit_status == 0 ? TASK_SUCCEEDED : TASK_FAILED;
    g_ptr_array_add(userdata, g_steal_pointer(&attempt));
    return 0;
}

static int read_attempts(sd_bus_message *m, void *field)
{
    return dict_read_each(m, read_attempt, *(GPtrArray **) field);
}

static const DictField task_properties[] = {
    DICT_FIELD("Environment", "aay", TaskDetails, environment),
    DICT_FIELD("MemoryMax", "t", TaskDetails, memory_max_bytes),
    DICT_FIELD("After", "s", TaskDetails, after),
    DICT_FIELD("NotBefore", "t", TaskDetails, not_before_usec),
    DICT_FIELD("Queue", "s", TaskDetails, queue),
    DICT_FIELD("WorkerClass", "s", TaskDetails, class),
    DICT_FIELD("Policy", "s", TaskDetails, policy),
    DICT_FIELD("StderrTail", "ay", TaskDetails, stderr_tail),
    DICT_FIELD("Result", "ay", TaskDetails, result),
    DICT_FIELD_BY("Attempts", "aa{sv}", TaskDetails, attempts, read_attempts),
};

static int get_task(Client *client, uint64_t id, sd_bus_message **ret)
{
    g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
    g_autofree char *number = g_strdup_printf("%" PRIu64, id), *path = NULL;
    int r = sd_bus_path_encode(PAREXEC_TASK_PATH, number, &path);

    if (r < 0)
        return connection_report_message(client, r);
    r = connection_get_all(client, path, PAREXEC_TASK_INTERFACE, &error, ret);
    return r < 0 ? error_report(client, &error, r) : 0;
}

static void print_attempt(const TaskInfo *attempt)
{
    g_autofree char *how = task_info_describe_end(attempt),
                    *started = format_timestamp(attempt->started_usec);
    g_autofree char *took = attempt->finished_usec >= attempt->started_usec
                                ? format_timespan(attempt->finished_usec - attempt->started_usec)
                                : g_strdup("?");
    g_autofree char *label = g_strdup_printf(_("attempt %u"), attempt->attempt);
    g_autofree char *value =
        g_strdup_printf(_("%s on %s, %s, took %s"), how, attempt->worker ?: "?", started, took);

    if (attempt->memory_max_bytes == UINT64_MAX) {
        print_field(label, value);
        return;
    }
    g_autofree char *memory = format_bytes(attempt->memory_max_bytes);
    g_autofree char *with = g_strdup_printf(_("%s, with %s of memory"), value, memory);
    print_field(label, with);
}

/* A text of several lines, each below the other in the column of values. */
static void print_lines(const char *label, const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text ?: "", "\n", -1);
    bool first = true;

    for (size_t i = 0; lines[i]; i++) {
        if (!*lines[i])
            continue;
        g_autofree char *shown = text_printable(lines[i]);
        print_field(first ? label : "", shown);
        first = false;
    }
}

static void print_dropped(const char *label, uint64_t bytes)
{
    g_autofree char *size = format_bytes(bytes);
    g_autofree char *value = bytes > 0 ? g_strdup_printf(_("%s were over output-max"), size) : NULL;

    print_field(label, value);
}

static void print_flaws(const TaskInfo *info)
{
    if (info->outcome != OUTCOME_SPAWN_FAILED) /* else it has been said */
        print_text(_("note"), info->note);
    print_dropped(_("stdout dropped"), info->stdout_dropped);
    print_dropped(_("stderr dropped"), info->stderr_dropped);
}

static void print_attempts(const TaskDetails *task)
{
    const TaskInfo *info = &task->info;

    if (task->attempts->len < 2) {
        print_flaws(info);
        print_lines(_("stderr"), task->stderr_tail);
        return;
    }
    for (guint i = 0; i < task->attempts->len; i++) {
        const TaskInfo *attempt = task->attempts->pdata[i];
        print_attempt(attempt);
        print_flaws(attempt);
        print_lines(_("stderr"), attempt->stderr_tail);
    }
}

static void print_terms(const TaskDetails *task)
{
    g_autofree char *policy = policy_in_words(task->policy ?: ""),
                    *demand = demand_in_words(task->policy ?: "");

    print_text(_("queue"), task->queue);
    print_text(_("worker class"), task->class);
    print_text(_("after"), task->after);
    print_time(_("not before"), task->not_before_usec);
    print_text(_("policy"), policy);
    print_text(_("takes"), demand);
}

static void print_environment(char *const *environment)
{
    guint n = environment ? g_strv_length((char **) environment) : 0;
    g_autofree char *value =
        n == 0 ? NULL
               : g_strdup_printf(
                     ngettext("%u variable (--json shows it)", "%u variables (--json shows them)", n), n);

    print_field(_("environment"), value);
}

static void print_times(const TaskInfo *info)
{
    print_time(_("submitted"), info->submitted_usec);
    print_time(_("started"), info->started_usec);
    if (info->finished_usec >= info->started_usec && info->started_usec > 0 && info->finished_usec > 0) {
        g_autofree char *finished = format_timestamp(info->finished_usec),
                        *took = format_timespan(info->finished_usec - info->started_usec);
        g_autofree char *value = g_strdup_printf(_("%s (took %s)"), finished, took);
        print_field(_("finished"), value);
    }
}

static void print_task_identity(const TaskInfo *info)
{
    g_autofree char *command = text_command_line(info->argv),
                    *tags = info->tags ? g_strjoinv(", ", info->tags) : NULL;

    print_number(_("task"), info->id);
    print_text(_("name"), info->name);
    print_number(_("batch"), info->batch);
    if (info->array_index != UINT64_MAX)
        print_number(_("array index"), info->array_index);
    print_text(_("tags"), tags);
    print_number(_("owner"), info->owner);
    if (info->priority != 0) {
        g_autofree char *priority = g_strdup_printf("%d", info->priority);
        print_field(_("priority"), priority);
    }
    print_field(_("command"), command);
    print_text(_("directory"), info->cwd);
}

static void print_task(const TaskDetails *task)
{
    const TaskInfo *info = &task->info;
    g_autofree char *state = task_info_state(info);
    g_autofree char *how =
        task_state_is_end(info->state) && info->state != TASK_SUCCEEDED ? task_info_describe_end(info) : NULL;

    print_task_identity(info);
    print_terms(task);
    print_field(_("state"), state);
    print_text(_("ended"), how);
    print_text(_("reason"), info->reason);
    print_text(_("worker"), info->worker);
    print_times(info);
    print_cpu_time(info->cpu_usage_nsec);
    print_bytes(_("memory peak"), info->memory_peak_bytes);
    print_bytes(_("memory limit"), task->memory_max_bytes);
    print_attempts(task);
    print_lines(_("result"), task->result);
    print_environment(task->environment);
    if (info->started_usec > 0) {
        g_autofree char *logs = g_strdup_printf("parctl logs %" PRIu64, info->id), *typed = output_commands(logs);
        print_field(_("output"), typed);
    }
}

static int add_task_json(JsonOutput *json, sd_bus_message *properties)
{
    json_output_begin_object(json);
    int r = json_output_properties(json, properties);
    json_output_end_object(json);
    return r;
}

/* The row says what there is; the object says the rest. */
static int show_task(Client *client, TaskInfo *info, JsonOutput *json)
{
    g_autoptr(sd_bus_message) reply = NULL;
    g_autoptr(GPtrArray) attempts = task_rows_new();
    TaskDetails task = { .info = *info, .memory_max_bytes = UINT64_MAX, .attempts = attempts };
    int r = get_task(client, info->id, &reply);

    if (r < 0)
        return r;
    r = json ? add_task_json(json, reply)
             : dict_read(reply, task_properties, G_N_ELEMENTS(task_properties), &task);
    if (r >= 0 && !json)
        print_task(&task);
    dict_clear(task_properties, G_N_ELEMENTS(task_properties), &task);
    return r < 0 ? connection_report_message(client, r) : 0;
}

/* ---- several tasks */

static void print_counts(const GPtrArray *rows)
{
    uint64_t counts[_TASK_STATE_MAX] = {};
    bool first = true;

    for (guint i = 0; i < rows->len; i++)
        counts[((const TaskInfo *) rows->pdata[i])->state]++;
    for (int state = 0; state < _TASK_STATE_MAX; state++) {
        if (counts[state] == 0)
            continue;
        printf("%s%" PRIu64 " %s", first ? "" : ", ", counts[state], task_state_to_string((TaskState) state));
        first = false;
    }
    printf("\n");
}

/* Tasks named by number in full; those of a batch, a selection, as a table. */
static int show_tasks(Client *client, const TaskSelector *selector, JsonOutput *json)
{
    g_autoptr(GPtrArray) rows = task_rows_new();
    bool in_full = task_selector_ids(selector) > 0;
    int r = task_selector_list(selector, client, rows);

    if (r < 0)
        return r;
    if (rows->len == 0)
        output_note(client, _("no such tasks"));
    if (rows->len == 1)
        in_full = true;
    for (guint i = 0; r >= 0 && i < rows->len && (in_full || json); i++) {
        if (i > 0 && !json)
            printf("\n");
        r = show_task(client, rows->pdata[i], json);
    }
    if (in_full || json || rows->len == 0)
        return r;
    print_counts(rows);
    r = time_left_print(client, rows);
    if (r >= 0)
        task_table_print(rows);
    return r;
}

/* ---- a worker */

static void print_program(const WorkerInfo *worker)
{
    g_autofree char *command = worker->exec ? text_command_line(worker->exec) : NULL;

    print_text(_("class"), worker->class);
    print_field(_("program"), command);
}

static void print_worker(const WorkerInfo *worker)
{
    g_autofree char *quota =
        worker->cpu_quota_usec_per_sec == UINT64_MAX
            ? NULL
            : g_strdup_printf("%.0f %%", (double) worker->cpu_quota_usec_per_sec * 100 / USEC_PER_SEC);
    g_autofree char *thaw = output_commands(_("yes: parctl thaw lets it go on"));
    g_autofree char *user = worker->user == UINT32_MAX ? NULL : g_strdup_printf("%u", worker->user);
    g_autoptr(GString) tasks = g_string_new(NULL);

    for (guint i = 0; i < worker->tasks->len; i++)
        g_string_append_printf(tasks, "%s%" PRIu64, i > 0 ? " " : "",
                               g_array_index(worker->tasks, uint64_t, i));
    print_field(_("worker"), worker->id);
    print_text(_("name"), worker->name);
    print_field(_("state"), worker->state_word);
    print_field(_("stalled"), worker->stalled ? _("yes: it has not been heard of for long") : NULL);
    print_text(_("reason"), worker->reason);
    print_number(_("pid"), worker->pid);
    print_text(_("engine"), worker->engine);
    print_text(_("unit"), worker->unit);
    print_text(_("control group"), worker->control_group);
    print_field(_("only user"), user);
    print_program(worker);
    print_number(_("slots"), worker->slots);
    print_bytes(_("memory limit"), worker->memory_max_bytes);
    print_bytes(_("memory"), worker->memory_bytes);
    print_bytes(_("memory peak"), worker->memory_peak_bytes);
    print_field(_("CPU quota"), quota);
    for (size_t i = 0; worker->not_enforced && worker->not_enforced[i]; i++)
        print_text(_("not enforced"), worker->not_enforced[i]);
    print_field(_("frozen"), worker->frozen ? thaw : NULL);
    print_field(_("forced"), worker->forced ? _("yes: the machine may not carry it") : NULL);
    print_text(_("allowed CPUs"), worker->pinned_cpus);
    print_text(_("GPUs"), worker->gpus);
    print_text(_("resources"), worker->resources);
    print_field(_("tasks"), tasks->str);
    print_number(_("done"), worker->done);
    print_number(_("failed"), worker->failed);
    print_time(_("heartbeat"), worker->heartbeat_usec);
}

static int show_worker(Client *client, const char *id, JsonOutput *json)
{
    g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
    g_autofree char *path = g_strdup_printf("%s/%s", PAREXEC_WORKER_PATH, id);
    g_autoptr(sd_bus_message) reply = NULL;
    g_autoptr(WorkerInfo) worker = NULL;
    int r = connection_get_all(client, path, PAREXEC_WORKER_INTERFACE, &error, &reply);

    if (sd_bus_error_has_name(&error, "org.freedesktop.DBus.Error.UnknownObject")) {
        r = output_failure(client, ENOENT, _("there is no worker %s"), id);
        output_hint(_("To see the workers: parctl workers"));
        return r;
    }
    if (r < 0)
        return error_report(client, &error, r);
    if (json)
        r = add_task_json(json, reply);
    else {
        r = worker_info_read_properties(reply, &worker);
        if (r >= 0)
            print_worker(worker);
    }
    return r < 0 ? connection_report_message(client, r) : 0;
}

static int show_argument(Client *client, const char *argument, JsonOutput *json)
{
    char *arguments[] = { (char *) argument, NULL };
    g_auto(TaskSelector) selector = {};
    uint32_t number;
    int r;

    if (worker_id_parse(argument, &number) >= 0)
        return show_worker(client, argument, json);
    task_selector_init(&selector);
    r = task_selector_parse(&selector, client, arguments);
    if (r >= 0)
        r = task_selector_resolve(&selector, client);
    return r < 0 ? r : show_tasks(client, &selector, json);
}

static int run_show(Client *client, const void *settings, char **argv)
{
    g_autoptr(JsonOutput) json = client->json ? json_output_new() : NULL;
    int r = 0;

    if (json)
        json_output_begin_array(json);
    for (size_t i = 0; r >= 0 && argv[i]; i++) {
        if (i > 0 && !json)
            printf("\n");
        r = show_argument(client, argv[i], json);
    }
    if (!json || r < 0)
        return r;
    json_output_end_array(json);
    json_output_print(json);
    return 0;
}

static const char *const show_examples[] = {
    "parctl show 17",
    N_("a task: its command, how it went, what it used"),
    "parctl show w1",
    N_("a worker: its limits, and what it runs"),
    "parctl show batch:4",
    N_("the tasks of a batch"),
    NULL,
};

const Verb verb_show = {
    .name = "show",
    .arguments = N_("ID | A-B | batch:N | last | WORKER..."),
    .min = 1,
    .max = -1,
    .run = run_show,
    .summary = N_("Show everything about tasks and workers."),
    .details = N_("The command is printed so that it can be pasted into a shell."),
    .examples = show_examples,
};
