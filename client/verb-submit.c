/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parctl submit: tasks into the queue, one, an array, or one for each line of a file. */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "client/connection.h"
#include "client/json-output.h"
#include "client/line-reader.h"
#include "client/output.h"
#include "client/status-info.h"
#include "client/submission.h"
#include "client/substitution.h"
#include "client/task-selector.h"
#include "client/waiting.h"
#include "util/parse-util.h"

typedef struct SubmitSettings {
    TaskOptions task;
    const char *stdin_path, *stdout_path, *stderr_path;
    const char *array;
    const char *each_line;
    bool wait;
} SubmitSettings;

static const VerbOption submit_options[] = {
    TASK_OPTIONS(SubmitSettings, task),
    VERB_OPTION("stdin", 'i', OPTION_STRING, SubmitSettings, stdin_path, N_("FILE"),
                N_("read from it (default: nothing)")),
    VERB_OPTION("stdout", 'o', OPTION_STRING, SubmitSettings, stdout_path, N_("FILE"),
                N_("write there (default: kept for parctl logs)")),
    VERB_OPTION("stderr", 'E', OPTION_STRING, SubmitSettings, stderr_path, N_("FILE"),
                N_("the same for messages")),
    VERB_OPTION("array", 'a', OPTION_STRING, SubmitSettings, array, N_("A-B"),
                N_("one task for each number, told it by $PAREXEC_ARRAY_INDEX")),
    VERB_OPTION("each-line", 'l', OPTION_STRING, SubmitSettings, each_line, N_("FILE"),
                N_("one task for each line of FILE (-: of stdin), put in place of {}, or at the end")),
    VERB_OPTION("wait", 'w', OPTION_FLAG, SubmitSettings, wait, NULL,
                N_("wait for the end, and exit as the tasks did")),
    {},
};

static int parse_array(Client *client, const char *text, TaskTemplate *template)
{
    g_auto(GStrv) ends = g_strsplit(text, "-", 3);

    if (g_strv_length(ends) != 2 || parse_uint64(ends[0], &template->array_first) < 0 ||
        parse_uint64(ends[1], &template->array_last) < 0 || template->array_last < template->array_first)
        return output_usage_error(
            client, _("--array takes a first and a last number such as 0-99, not \"%s\""), text);
    template->array = true;
    return 0;
}

static int prepare(Client *client, const SubmitSettings *settings, TaskTemplate *template)
{
    int r = task_template_init(template, client, &settings->task);

    if (r < 0)
        return r;
    task_template_set_path(template, STREAM_STDIN, settings->stdin_path);
    task_template_set_path(template, STREAM_STDOUT, settings->stdout_path);
    task_template_set_path(template, STREAM_STDERR, settings->stderr_path);
    if (settings->array && settings->each_line)
        return output_usage_error(client, _("--array and --each-line cannot be had together"));
    return settings->array ? parse_array(client, settings->array, template) : 0;
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
    return submitter_add(each->submitter, argv);
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

    return submitter_add(submitter, joined ?: argv);
}

static void print_json(const Submitter *submitter)
{
    g_autoptr(JsonOutput) json = json_output_new();

    json_output_begin_object(json);
    json_output_key(json, "batch");
    json_output_uint64(json, submitter->batch);
    json_output_key(json, "first");
    json_output_uint64(json, submitter->first);
    json_output_key(json, "count");
    json_output_uint64(json, submitter->count);
    json_output_end_object(json);
    json_output_print(json);
}

static bool is_contiguous(const Submitter *s)
{
    return s->last - s->first + 1 == s->count;
}

/* With --quiet, what "wait" and the others take: the task, the first and the last, or the batch. */
static void print_submitted(const Client *client, const Submitter *s)
{
    if (client->json)
        print_json(s);
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

static int submit_all(Client *client, const SubmitSettings *settings, Submitter *submitter, char **argv)
{
    int r = settings->each_line ? submit_lines(client, settings, submitter, argv)
                                : submit_one(settings, submitter, argv);

    if (r >= 0)
        r = submitter_commit(submitter);
    if (r < 0)
        return r;
    print_submitted(client, submitter);
    status_warn_if_nothing_runs(client);
    return 0;
}

static int run_submit(Client *client, const void *s, char **argv)
{
    const SubmitSettings *settings = s;
    g_auto(TaskTemplate) template = {};
    g_auto(Submitter) submitter = {};
    g_autoptr(Waiting) waiting = NULL;
    int r = prepare(client, settings, &template);

    if (r >= 0 && settings->wait) /* subscribed before anything can end */
        r = waiting_new(client, PROGRESS_AUTO, &waiting);
    if (r < 0)
        return r;
    submitter_init(&submitter, client, &template);
    r = submit_all(client, settings, &submitter, argv);
    if (r < 0 || !settings->wait)
        return r;
    r = waiting_add_submitted(waiting, submitter.batch, submitter.first, submitter.last, submitter.count);
    return r < 0 ? r : waiting_run(waiting);
}

static const char *const submit_examples[] = {
    "parctl submit -- make -C /srv/build all",
    N_("one task"),
    "parctl submit --array 0-99 -- ./simulate",
    N_("a hundred tasks, each told its number"),
    "parctl submit --each-line files.txt -- gzip -9 {}",
    N_("one task for each file named in files.txt"),
    "parctl wait $(parctl submit -q -- ./long-job)",
    N_("submit, do something else, wait"),
    NULL,
};

const Verb verb_submit = {
    .name = "submit",
    .arguments = N_("[--] COMMAND [ARGUMENTS...]"),
    .min = 1,
    .max = -1,
    .takes_command = true,
    .options = submit_options,
    .settings_size = sizeof(SubmitSettings),
    .run = run_submit,
    .summary = N_("Add tasks to the queue."),
    .details =
        N_("The command is run as you, in this directory, with this environment, exactly as its words stand "
           "here: no shell is involved unless --shell is given. What it prints is kept for parctl logs. The "
           "tasks are on disk when this returns.\n"
           "Prints the batch and the tasks; with --quiet what parctl wait takes."),
    .examples = submit_examples,
};
