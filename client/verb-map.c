/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parctl map: one command for many items, their outputs in order. Here is what it takes and what it would do;
 * the work is that of map-run. */

#include <inttypes.h>
#include <string.h>

#include "client/joblog.h"
#include "client/line-reader.h"
#include "client/map-items.h"
#include "client/map-run.h"
#include "client/map-sources.h"
#include "client/output.h"
#include "client/substitution.h"
#include "client/text.h"

#define ITEMS_MAX UINT64_C(10000000) /* of lists that are combined: all are in memory */

static const VerbOption map_options[] = {
    VERB_OPTION("jobs", 'j', OPTION_UINT, MapSettings, jobs, N_("N"),
                N_("at most so many at once (default: as many as the workers run)")),
    VERB_OPTION("workers", 'w', OPTION_UINT, MapSettings, workers, N_("N"),
                N_("add workers for this call, and drain them after it")),
    VERB_OPTION("cpus", 'c', OPTION_CPUS, MapSettings, cpus, N_("N"),
                N_("CPUs of each task or, with --workers, of each of them, as --memory")),
    VERB_OPTION("keep-order", 'k', OPTION_FLAG, MapSettings, keep_order, NULL,
                N_("outputs in the order of the items (the default without --line-buffer)")),
    VERB_OPTION("unordered", 'u', OPTION_FLAG, MapSettings, unordered, NULL, N_("outputs as the tasks end")),
    VERB_OPTION("line-buffer", 0, OPTION_FLAG, MapSettings, lines, NULL,
                N_("print whole lines while the tasks run; with -k those of one after the other")),
    VERB_OPTION("dry-run", 0, OPTION_FLAG, MapSettings, dry_run, NULL,
                N_("print the commands, and run none")),
    VERB_OPTION("progress", 0, OPTION_FLAG, MapSettings, progress, NULL,
                N_("tell the progress where stderr is no terminal, too")),
    VERB_OPTION("no-progress", 0, OPTION_FLAG, MapSettings, no_progress, NULL, N_("show no progress")),
    VERB_OPTION("tag-lines", 0, OPTION_FLAG, MapSettings, tag, NULL,
                N_("begin each line of output with the item")),
    VERB_OPTION("delay", 0, OPTION_STRING, MapSettings, delay, N_("SPAN"),
                N_("between the starts of two tasks, at least")),
    VERB_OPTION("joblog", 0, OPTION_STRING, MapSettings, joblog, N_("FILE"),
                N_("a line for each task that has run, as GNU parallel writes it")),
    VERB_OPTION("resume", 0, OPTION_FLAG, MapSettings, resume, NULL,
                N_("pass over the items that are in the job log")),
    VERB_OPTION("resume-failed", 0, OPTION_FLAG, MapSettings, resume_failed, NULL,
                N_("the same, but run those again that failed")),
    BATCH_OPTIONS(MapSettings, batch),
    TASK_OPTIONS(MapSettings, task),
    {},
};

static int check_usage(Client *client, const MapSettings *settings, char **argv)
{
    const char *timeout = settings->task.timeout;

    if (!argv[0])
        return output_usage_error(client, _("map needs a command in front of \":::\""));
    if ((settings->resume || settings->resume_failed) && !settings->joblog)
        return output_usage_error(client, _("--resume and --resume-failed need --joblog"));
    if (settings->jobs.given && timeout && g_str_has_suffix(timeout, "%"))
        return output_usage_error(client,
                                  _("--timeout %s is of the median of a batch, and with -j each item is "
                                    "a batch of its own: give a time, or leave -j out"),
                                  timeout);
    if (!settings->jobs.given && substitution_wants_slot(argv))
        return output_usage_error(client,
                                  _("{%%} is the number of the slot, from 1 to that of -j: give -j, too"));
    return 0;
}

static int check_sources(Client *client, const GPtrArray *sources)
{
    uint64_t count = sources ? map_sources_count(sources) : 0;

    if (count <= ITEMS_MAX)
        return 0;
    return output_usage_error(
        client, _("these lists make %" PRIu64 " items: more than %" PRIu64 " have to come from stdin"), count,
        ITEMS_MAX);
}

/* What is in the log of an earlier call is not run again. */
static int read_joblog(Client *client, const MapSettings *settings, GHashTable *done)
{
    const char *path = settings->joblog;
    int r =
        settings->resume || settings->resume_failed ? joblog_read(path, !settings->resume_failed, done) : 0;

    if (r == -ENOENT)
        return 0;
    if (r == -EBADMSG)
        return output_failure(client, r, _("%s is no job log: a line is not Seq, Host, Starttime, …"), path);
    return r < 0 ? output_failure(client, r, _("cannot read %s: %s"), path, g_strerror(-r)) : 0;
}

/* ---- --dry-run */

typedef struct DryRun {
    const MapSettings *settings;
    char **argv;
    MapItems items;
    uint64_t printed;
} DryRun;

/* As a line for a shell: what --shell gives it, or else the words quoted. */
static void print_command(DryRun *dry, const MapItem *item)
{
    const MapSettings *settings = dry->settings;
    uint64_t slot = settings->jobs.given ? dry->printed % settings->jobs.value + 1 : 0;
    g_auto(GStrv) words = map_item_argv(item, dry->argv, settings->task.shell, slot);

    for (size_t i = settings->task.shell ? 2 : 0; words[i]; i++) {
        g_autofree char *quoted = settings->task.shell ? g_strdup(words[i]) : text_sh_quote(words[i]);
        printf("%s%s", i > 0 && !settings->task.shell ? " " : "", quoted);
    }
    putchar('\n');
    dry->printed++;
}

static void print_pending(DryRun *dry)
{
    MapItem *item;

    while ((item = g_queue_pop_head(&dry->items.pending))) {
        print_command(dry, item);
        map_item_free(item);
    }
}

static int print_line(const char *line, void *userdata)
{
    DryRun *dry = userdata;
    char *values[] = { (char *) line, NULL };

    map_items_add(&dry->items, values);
    print_pending(dry);
    return 0;
}

static int dry_run(Client *client, const MapSettings *settings, char **argv, const GPtrArray *sources,
                   GHashTable *done)
{
    DryRun dry = { .settings = settings, .argv = argv };
    int r = 0;

    map_items_init(&dry.items);
    dry.items.done = g_hash_table_ref(done);
    if (sources) {
        map_items_add_combinations(&dry.items, sources);
        print_pending(&dry);
    } else
        r = line_reader_read_file(client, "-", print_line, &dry);
    map_items_done(&dry.items);
    return r < 0 ? r : PARCTL_OK;
}

static int run_map(Client *client, const void *s, char **argv)
{
    g_autoptr(GHashTable) done = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    g_autoptr(GPtrArray) sources = NULL;
    const MapSettings *settings = s;
    int r = map_sources_take(client, argv, &sources);

    if (r >= 0)
        r = check_usage(client, settings, argv);
    if (r >= 0)
        r = check_sources(client, sources);
    if (r >= 0)
        r = read_joblog(client, settings, done);
    if (r < 0)
        return r;
    return settings->dry_run ? dry_run(client, settings, argv, sources, done)
                             : map_run(client, settings, argv, sources, done);
}

static const char *const map_examples[] = {
    "parctl map gzip -9 ::: *.log",
    N_("one task for each file"),
    "seq 1000 | parctl map -- sh -c 'echo $(( {} * 2 ))'",
    N_("one task for each line"),
    "find . -name '*.wav' | parctl map -w 4 -m 1G flac {}",
    N_("with four workers of 1 GiB for this call"),
    NULL,
};

const Verb verb_map = {
    .name = "map",
    .arguments = N_("[--] COMMAND [ARGUMENTS...] [::: ITEM... | :::: FILE...]..."),
    .min = 1,
    .max = -1,
    .takes_command = true,
    .options = map_options,
    .settings_size = sizeof(MapSettings),
    .run = run_map,
    .summary = N_("Run a command for each item and print what they print, in order."),
    /* xgettext:no-c-format */
    .details = N_(
        "Items are the arguments behind \":::\", or the lines of stdin. In the command {} is replaced by "
        "the item, {.} by the item without its extension, {/} by its basename, {//} by its directory, {/.} "
        "by its basename without the extension, {#} by its number and, with -j, {%} by the number of its "
        "slot; without any of them the item is the last argument. With --shell the item is quoted for the shell.\n"
        "Several lists are combined, each item with each; {1} and {2} are the parts. \":::+\" in place of "
        "\":::\" goes in step with the list before, \"::::\" and \"::::+\" take the lines of files.\n"
        "Ctrl-C cancels what is left. Exits with 0 if all succeeded, else with the number of failed tasks: "
        "101 stands for more than 100."),
    .examples = map_examples,
};
