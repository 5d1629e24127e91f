/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parctl submit: tasks into the queue, one, an array, or one for each line of a file. */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "client/connection.h"
#include "client/job-submission.h"
#include "client/json-output.h"
#include "client/line-reader.h"
#include "client/output.h"
#include "client/status-info.h"
#include "client/substitution.h"
#include "client/task-selector.h"
#include "client/waiting.h"
#include "model/ids.h"
#include "util/parse-util.h"

typedef struct SubmitSettings {
    TaskOptions task;
    BatchOptions batch;
    const char *key, *from_json, *joblog;
    bool dry_run, dot;
    const char *stdin_path, *stdout_path, *stderr_path;
    const char *array;
    const char *each_line;
    bool wait;
} SubmitSettings;

static const VerbOption submit_options[] = {
    TASK_OPTIONS(SubmitSettings, task),
    TASK_CPUS_OPTION(SubmitSettings, task),
    TASK_DELAY_OPTION(SubmitSettings, task),
    BATCH_OPTIONS(SubmitSettings, batch),
    VERB_OPTION("key", 0, OPTION_STRING, SubmitSettings, key, N_("STRING"),
                N_("submit only once with this key: a second time the tasks of the first are told")),
    VERB_OPTION("from-json", 'f', OPTION_STRING, SubmitSettings, from_json, N_("FILE"),
                N_("the tasks of a job file (-: of stdin) instead of a command")),
    VERB_OPTION("dry-run", 0, OPTION_FLAG, SubmitSettings, dry_run, NULL,
                N_("with --from-json: show the tasks, and what each waits for; submit nothing")),
    VERB_OPTION("dot", 0, OPTION_FLAG, SubmitSettings, dot, NULL,
                N_("with --dry-run: as a graph for Graphviz")),
    VERB_OPTION("stdin", 'i', OPTION_STRING, SubmitSettings, stdin_path, N_("FILE"),
                N_("read from it (default: nothing)")),
    VERB_OPTION("stdout", 'o', OPTION_STRING, SubmitSettings, stdout_path, N_("FILE"),
                N_("write there (default: kept for parctl logs)")),
    VERB_OPTION("stderr", 'E', OPTION_STRING, SubmitSettings, stderr_path, N_("FILE"),
                N_("the same for messages")),
    VERB_OPTION("array", 'a', OPTION_STRING, SubmitSettings, array, N_("A-B[%N]"),
                N_("one task for each number, told it by $PAREXEC_ARRAY_INDEX; N at once")),
    VERB_OPTION("each-line", 'l', OPTION_STRING, SubmitSettings, each_line, N_("FILE"),
                N_("one task for each line of FILE (-: of stdin), put in place of {}, or at the end")),
    VERB_OPTION("joblog", 0, OPTION_STRING, SubmitSettings, joblog, N_("FILE"),
                N_("with --wait: a line for each task that has run, as GNU parallel writes it")),
    VERB_OPTION("wait", 'w', OPTION_FLAG, SubmitSettings, wait, NULL,
                N_("wait for the end, and exit as the tasks did")),
    {},
};

static int set_array(Client *client, const char *text, TaskTemplate *template)
{
    if (task_array_parse(text, &template->array_first, &template->array_last, &template->parallel) < 0)
        return output_usage_error(
            client,
            _("--array takes a first and a last number such as 0-99, and how many at once (0-99%%8), not "
              "\"%s\""),
            text);
    template->array = true;
    return 0;
}

static int check_usage(Client *client, const SubmitSettings *settings, char **argv)
{
    if (!argv[0] && !settings->from_json)
        return output_usage_error(client, _("submit needs a command, or --from-json"));
    if (argv[0] && settings->from_json)
        return output_usage_error(client, _("either a command or --from-json"));
    if (settings->array && settings->each_line)
        return output_usage_error(client, _("--array and --each-line cannot be had together"));
    if (settings->from_json && (settings->array || settings->each_line || settings->task.after ||
                                settings->task.shell || settings->stdin_path))
        return output_usage_error(
            client,
            _("--array, --each-line, --after, --shell and --stdin are for commands: a job file has its own"));
    if ((settings->dry_run && !settings->from_json) || (settings->dot && !settings->dry_run))
        return output_usage_error(client, _("--dry-run goes with --from-json, and --dot with --dry-run"));
    if (settings->joblog && !settings->wait)
        return output_usage_error(client, _("--joblog needs --wait"));
    if (settings->key && (!*settings->key || !name_is_valid(settings->key)))
        return output_usage_error(client, _("a key is 1 to 255 bytes of UTF-8 without control characters"));
    return 0;
}

static int prepare(Client *client, const SubmitSettings *settings, const TaskOptions *options,
                   TaskTemplate *template)
{
    int r = task_template_init(template, client, options);

    if (r >= 0 && !settings->from_json) /* there the tasks may say the rest */
        r = task_template_check_growth(template, client);
    if (r >= 0)
        r = task_template_set_limits(template, client, &settings->batch);
    if (r < 0)
        return r;
    template->key = settings->key;
    task_template_set_path(template, STREAM_STDIN, settings->stdin_path);
    task_template_set_path(template, STREAM_STDOUT, settings->stdout_path);
    task_template_set_path(template, STREAM_STDERR, settings->stderr_path);
    return settings->array ? set_array(client, settings->array, template) : 0;
}

/* What goes with each line of --each-line. */
typedef struct EachLine {
    Submitter *submitter;
    char **argv;
    bool shell;
    uint64_t number;
} EachLine;

static int submit_line(const char *line, void *userdata)
{
    EachLine *each = userdata;
    g_auto(GStrv) argv = NULL;

    each->number++;
    argv = each->shell ? substitute_shell(each->argv, line, each->number)
                       : substitute_argv(each->argv, line, each->number);
    return submitter_add(each->submitter, &(TaskEntry){ .argv = argv });
}

static int submit_lines(Client *client, const SubmitSettings *settings, Submitter *submitter, char **argv)
{
    EachLine each = { .submitter = submitter, .argv = argv, .shell = settings->task.shell };
    int r = line_reader_read_file(client, settings->each_line, submit_line, &each);

    if (r < 0)
        return r;
    if (each.number > 0)
        return 0;
    if (strcmp(settings->each_line, "-") == 0)
        return output_failure(client, ENODATA, _("stdin has no lines: nothing submitted"));
    return output_failure(client, ENODATA, _("%s has no lines: nothing submitted"), settings->each_line);
}

static int submit_one(const SubmitSettings *settings, Submitter *submitter, char **argv)
{
    g_auto(GStrv) joined = settings->task.shell ? shell_argv(argv) : NULL;

    return submitter_add(submitter, &(TaskEntry){ .argv = joined ?: argv });
}

/* Of a job file: the id of each local name, of an array what the other verbs take: "17-26". */
static void add_ids(JsonOutput *json, const Submitter *submitter, const JobFile *file)
{
    json_output_key(json, "ids");
    json_output_begin_object(json);
    for (guint i = 0; i < file->tasks->len; i++) {
        const JobTask *task = file->tasks->pdata[i];
        uint64_t n = job_task_count(task), first = submitter_id(submitter, task->position);
        if (!task->id || first == 0)
            continue;
        json_output_key(json, task->id);
        if (n == 1) {
            json_output_uint64(json, first);
            continue;
        }
        g_autofree char *span = g_strdup_printf("%" PRIu64 "-%" PRIu64, first, first + n - 1);
        json_output_string(json, span);
    }
    json_output_end_object(json);
}

static void print_json(const Submitter *submitter, const JobFile *file)
{
    g_autoptr(JsonOutput) json = json_output_new();

    json_output_begin_object(json);
    json_output_key(json, "batch");
    json_output_uint64(json, submitter->batch);
    json_output_key(json, "first");
    json_output_uint64(json, submitter->first);
    json_output_key(json, "count");
    json_output_uint64(json, submitter->count);
    if (file)
        add_ids(json, submitter, file);
    json_output_end_object(json);
    json_output_print(json);
}

static bool is_contiguous(const Submitter *s)
{
    return s->last - s->first + 1 == s->count;
}

/* With --quiet, what "wait" and the others take: the task, the first and the last, or the batch. */
static void print_submitted(const Client *client, const Submitter *s, const JobFile *file)
{
    if (client->json)
        print_json(s, file);
    else if (client->quiet && s->count == 1)
        printf("%" PRIu64 "\n", s->first);
    else if (client->quiet && is_contiguous(s) && s->count <= TASK_SELECTOR_IDS_MAX)
        printf("%" PRIu64 "-%" PRIu64 "\n", s->first, s->last);
    else if (client->quiet)
        printf("batch:%" PRIu64 "\n", s->batch);
    else if (s->count == 1)
        printf(_("batch %" PRIu64 ": task %" PRIu64 "\n"), s->batch, s->first);
    else if (is_contiguous(s))
        printf(ngettext("batch %" PRIu64 ": %" PRIu64 " task %" PRIu64 "–%" PRIu64 "\n",
                        "batch %" PRIu64 ": %" PRIu64 " tasks %" PRIu64 "–%" PRIu64 "\n", s->count),
               s->batch, s->count, s->first, s->last);
    else
        printf(ngettext("batch %" PRIu64 ": %" PRIu64 " task between %" PRIu64 " and %" PRIu64 "\n",
                        "batch %" PRIu64 ": %" PRIu64 " tasks between %" PRIu64 " and %" PRIu64 "\n",
                        s->count),
               s->batch, s->count, s->first, s->last);
    (void) fflush(stdout);
}

static int submit_all(Client *client, const SubmitSettings *settings, Submitter *submitter,
                      const JobFile *file, char **argv)
{
    int r;

    if (file)
        r = job_submit(submitter, file);
    else
        r = settings->each_line ? submit_lines(client, settings, submitter, argv)
                                : submit_one(settings, submitter, argv);
    if (r >= 0)
        r = submitter_commit(submitter);
    if (r < 0)
        return r;
    print_submitted(client, submitter, file);
    status_warn_if_nothing_runs(client);
    return 0;
}

/* file: NULL without --from-json */
static int submit(Client *client, const SubmitSettings *settings, const TaskOptions *options, JobFile *file,
                  char **argv)
{
    g_auto(TaskTemplate) template = {};
    g_auto(Submitter) submitter = {};
    g_autoptr(Waiting) waiting = NULL;
    int r = prepare(client, settings, options, &template);

    if (r >= 0 && settings->wait) /* subscribed before anything can end */
        r = waiting_new(client, PROGRESS_AUTO, &waiting);
    if (r >= 0 && settings->joblog)
        r = waiting_set_joblog(waiting, settings->joblog);
    if (r < 0)
        return r;
    if (file)
        job_template_complete(&template, file);
    submitter_init(&submitter, client, &template);
    r = submit_all(client, settings, &submitter, file, argv);
    if (r < 0 || !settings->wait)
        return r;
    r = waiting_add_submitted(waiting, submitter.batch, submitter.first, submitter.last, submitter.count);
    return r < 0 ? r : waiting_run(waiting);
}

static int submit_file(Client *client, const SubmitSettings *settings, char **argv)
{
    g_autoptr(JobFile) file = NULL;
    TaskOptions options;
    int r = job_file_read(client, settings->from_json, &file);

    if (r < 0)
        return r;
    if (settings->dry_run) {
        if (settings->dot)
            job_file_print_dot(file);
        else
            job_file_print(file);
        return 0;
    }
    job_options_init(&options, &settings->task, file);
    r = submit(client, settings, &options, file, argv);
    job_options_done(&options, &settings->task);
    return r;
}

static int run_submit(Client *client, const void *s, char **argv)
{
    const SubmitSettings *settings = s;
    int r = check_usage(client, settings, argv);

    if (r < 0)
        return r;
    return settings->from_json ? submit_file(client, settings, argv)
                               : submit(client, settings, &settings->task, NULL, argv);
}

static const char *const submit_examples[] = {
    "parctl submit -- make -C /srv/build all",
    N_("one task"),
    "parctl submit --array 0-99 -- ./simulate",
    N_("a hundred tasks, each told its number"),
    "parctl submit --each-line files.txt -- gzip -9 {}",
    N_("one task for each file named in files.txt"),
    "parctl submit --after afterok:last --retries 3 --timeout 1h -- ./analyse",
    N_("when the one before has succeeded; tried four times at most, an hour each"),
    "parctl submit --from-json pipeline.json --dry-run",
    N_("look at a job file"),
    "parctl wait $(parctl submit -q -- ./long-job)",
    N_("submit, do something else, wait"),
    NULL,
};

const Verb verb_submit = {
    .name = "submit",
    .arguments = N_("[--] COMMAND [ARGUMENTS...] | --from-json FILE"),
    .max = -1,
    .takes_command = true,
    .options = submit_options,
    .settings_size = sizeof(SubmitSettings),
    .run = run_submit,
    .summary = N_("Add tasks to the queue."),
    .details = N_(
        "The command is run as you, in this directory, with PATH, HOME, LANG, LC_*, USER and what --export "
        "names of this environment, exactly as its words stand "
        "here: no shell is involved unless --shell is given. What it prints is kept for parctl logs. The "
        "tasks are on disk when this returns.\n"
        "Prints the batch and the tasks; with --quiet what parctl wait takes."),
    .examples = submit_examples,
};
