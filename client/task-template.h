/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/batch-limits.h"
#include "client/task-terms.h"
#include "client/verb.h"
#include "model/task-spec.h"

/* What the tasks of one submission have in common, and the options that say it. */

typedef struct TaskOptions {
    const char *name;
    Given priority;
    GPtrArray *tags;
    const char *chdir;
    const char *env; /* none, selected, all; NULL: selected */
    GPtrArray *export;
    Given memory, cpus;
    const char *retry_memory, *tasks_max, *io_weight, *gpus;
    GPtrArray *resources;
    bool shell;
    const char *after;
    bool keep_unsatisfied, hold, merge;
    const char *begin, *delay;
    const char *retries, *backoff;
    GPtrArray *on;
    const char *timeout, *signal, *grace, *warn;
    const char *output_max;
    const char *queue, *class;
    GPtrArray *credentials;
} TaskOptions;

/* Of those that submit a batch as a whole. */
typedef struct BatchOptions {
    const char *max_fails, *halt;
} BatchOptions;

#define TASK_OPTIONS(Settings, m)                                                                            \
    VERB_OPTION("name", 'n', OPTION_STRING, Settings, m.name, N_("NAME"), N_("a name to find it by")),       \
        VERB_OPTION("priority", 'p', OPTION_INT, Settings, m.priority, N_("N"),                              \
                    N_("higher goes first (default: 0)")),                                                   \
        VERB_OPTION("tag", 't', OPTION_STRINGS, Settings, m.tags, N_("TAG"),                                 \
                    N_("mark it; may be repeated")),                                                         \
        VERB_OPTION("chdir", 'C', OPTION_STRING, Settings, m.chdir, N_("DIR"),                               \
                    N_("run there (default: here)")),                                                        \
        VERB_OPTION(                                                                                         \
            "env", 0, OPTION_STRING, Settings, m.env, N_("WHICH"),                                           \
            N_("variables to pass on: none, selected (PATH, HOME, LANG, LC_*, USER; the default) or all")),  \
        VERB_OPTION("export", 'e', OPTION_STRINGS, Settings, m.export, N_("NAME[=VALUE]"),                   \
                    N_("set a variable, or pass one on; may be repeated")),                                  \
        VERB_OPTION("memory", 'm', OPTION_MEMORY, Settings, m.memory, N_("SIZE|auto"),                       \
                    N_("kill the task if it takes more; auto: what its like took before")),                  \
        VERB_OPTION("retry-memory", 0, OPTION_STRING, Settings, m.retry_memory, N_("FACTOR|SIZES"),          \
                    N_("when that was too little, try again with so much")),                                 \
        VERB_OPTION("tasks-max", 0, OPTION_STRING, Settings, m.tasks_max, N_("N"),                           \
                    N_("processes and threads it may have")),                                                \
        VERB_OPTION("io-weight", 0, OPTION_STRING, Settings, m.io_weight, N_("N"),                           \
                    N_("its share where disks are busy: 1 to 10000")),                                       \
        VERB_OPTION("gpus", 0, OPTION_STRING, Settings, m.gpus, N_("N|N?"),                                  \
                    N_("GPUs of its worker for it alone; N?: or none")),                                     \
        VERB_OPTION("resource", 0, OPTION_STRINGS, Settings, m.resources, N_("NAME[=N]"),                    \
                    N_("of what its worker was given: licence=1; may be repeated")),                         \
        VERB_OPTION("shell", 's', OPTION_FLAG, Settings, m.shell, NULL,                                      \
                    N_("give the words, joined, to /bin/sh -c")),                                            \
        VERB_OPTION("after", 0, OPTION_STRING, Settings, m.after, N_("EXPR"),                                \
                    N_("wait for other tasks: afterok:17, afterany:batch:4?exit=3:18, ...")),                \
        VERB_OPTION("keep-unsatisfied", 0, OPTION_FLAG, Settings, m.keep_unsatisfied, NULL,                  \
                    N_("stay blocked, rather than be skipped, when that can no longer come")),               \
        VERB_OPTION("hold", 0, OPTION_FLAG, Settings, m.hold, NULL, N_("held until parctl release")),        \
        VERB_OPTION("begin", 0, OPTION_STRING, Settings, m.begin, N_("TIME"),                                \
                    N_("not before: 08:00, tomorrow, 2026-12-01 08:00, +30min, @SECONDS")),                  \
        VERB_OPTION("retries", 0, OPTION_STRING, Settings, m.retries, N_("N"),                               \
                    N_("try again so often after a failure")),                                               \
        VERB_OPTION("backoff", 0, OPTION_STRING, Settings, m.backoff, N_("FIRST[,LONGEST[,FACTOR]]"),        \
                    N_("delays before retries (default: 1s,5min,2)")),                                       \
        VERB_OPTION(                                                                                         \
            "on", 0, OPTION_STRINGS, Settings, m.on, N_("CAUSE:ACTION"),                                     \
            N_("retry, fail or hold after exit=N, signal=NAME, timeout, oom, ...; may be repeated")),        \
        VERB_OPTION("timeout", 0, OPTION_STRING, Settings, m.timeout,                                        \
                    N_("SPAN|N%"), /* xgettext:no-c-format */                                                \
                    N_("stop an attempt that takes longer; N% of the batch's median")),                      \
        VERB_OPTION("signal", 0, OPTION_STRING, Settings, m.signal, N_("SIGNAL"),                            \
                    N_("what an attempt is told to stop with (default: TERM)")),                             \
        VERB_OPTION("grace", 0, OPTION_STRING, Settings, m.grace, N_("SPAN"),                                \
                    N_("and how long it has before it is killed (default: 10s)")),                           \
        VERB_OPTION("warn", 0, OPTION_STRING, Settings, m.warn, N_("SIGNAL@SPAN"),                           \
                    N_("a signal so long before the timeout")),                                              \
        VERB_OPTION("output-max", 0, OPTION_STRING, Settings, m.output_max, N_("SIZE"),                      \
                    N_("keep so much of its output: the beginning and the end")),                            \
        VERB_OPTION("merge", 0, OPTION_FLAG, Settings, m.merge, NULL, N_("stderr goes where stdout goes")),  \
        VERB_OPTION("queue", 0, OPTION_STRING, Settings, m.queue, N_("NAME"),                                \
                    N_("in this queue: parctl queue")),                                                      \
        VERB_OPTION("worker-class", 0, OPTION_STRING, Settings, m.class, N_("NAME"),                         \
                    N_("only for workers with a program of this class")),                                    \
        VERB_OPTION("credential", 0, OPTION_STRINGS, Settings, m.credentials, N_("NAME=FILE"),               \
                    N_("a secret that it finds in $CREDENTIALS_DIRECTORY; may be repeated"))

/* Where no worker is meant. */
#define TASK_CPUS_OPTION(Settings, m)                                                                        \
    VERB_OPTION("cpus", 'c', OPTION_CPUS, Settings, m.cpus, N_("N"), N_("CPUs it may use: 2, 0.5 or 50%"))

/* Where the tasks are not a stream with a delay between them. */
#define TASK_DELAY_OPTION(Settings, m)                                                                       \
    VERB_OPTION("delay", 0, OPTION_STRING, Settings, m.delay, N_("SPAN"), N_("not before so long from now"))

#define BATCH_OPTIONS(Settings, m)                                                                           \
    VERB_OPTION("max-fails", 0, OPTION_STRING, Settings, m.max_fails, N_("N|P%"),                            \
                N_("give the rest up after so many failures")),                                              \
        VERB_OPTION("halt", 0, OPTION_STRING, Settings, m.halt, N_("WHEN[,WHY]"), /* xgettext:no-c-format */ \
                    N_("soon: what runs goes on; now: it is stopped; WHY: fail=N, fail=P% or success=N"))

typedef struct TaskTemplate {
    const TaskOptions *options; /* not owned */
    char *cwd;                  /* absolute */
    char **env;
    char *paths[_STREAM_MAX]; /* absolute; NULL: the default */
    int fds[_STREAM_MAX];     /* not owned; -EBADF: none */
    bool array;
    uint64_t array_first, array_last;
    uint32_t parallel; /* of the array: so many at once; 0: any number */
    TaskTerms terms;
    DependencyList after; /* of each task */
    BatchLimits limits;
    const char *key; /* not owned; NULL: none */
    size_t bytes;    /* about what this takes in a message, once */
} TaskTemplate;

/* From the options and the surroundings of this process. Reports what is wrong. "last" in --after asks the
 * daemon. */
int task_template_init(TaskTemplate *template, Client *client, const TaskOptions *options);
/* Of tasks that are said nothing else of: is there a limit of memory that --retry-memory could raise? */
int task_template_check_growth(const TaskTemplate *template, Client *client);
/* When the batch is given up. Reports. */
int task_template_set_limits(TaskTemplate *template, Client *client, const BatchOptions *options);
void task_template_done(TaskTemplate *template);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(TaskTemplate, task_template_done)

/* The path as seen from the directory of this process; NULL for NULL. */
char *task_template_path(const char *path);

/* The file of a stream; NULL leaves it as it is. */
void task_template_set_path(TaskTemplate *template, StdStream stream, const char *path);

/* "0-99", "0-99%8": the first and the last, and how many at once (0: any number). */
int task_array_parse(const char *text, uint64_t *ret_first, uint64_t *ret_last, uint32_t *ret_parallel)
    _warn_unused_;

/* Which variables a task is given beside those of --export. */
typedef enum EnvironmentChoice {
    ENVIRONMENT_NONE,
    ENVIRONMENT_SELECTED, /* PATH, HOME, LANG, LC_*, USER */
    ENVIRONMENT_ALL,
    _ENVIRONMENT_CHOICE_MAX,
} EnvironmentChoice;
DECLARE_STRING_TABLE(environment_choice, EnvironmentChoice); /* "none", … */

/* The environment for a task: what is exported, on top of what is chosen. NULL and *ret_missing: a variable
 * without value that is not set, or no name at all. */
char **task_environment(char *const *environment, char *const *exported, EnvironmentChoice choice,
                        const char **ret_missing);

/* What is a task's own; what is NULL or not given is the template's. */
typedef struct TaskEntry {
    char *const *argv;
    const char *name, *cwd;
    char *const *tags, *const *env;
    const char *paths[_STREAM_MAX]; /* absolute */
    const TaskTerms *terms;
    const DependencyList *after;
    bool array;
    uint64_t array_first, array_last;
    uint32_t parallel;
    uint64_t delay_usec; /* 0: none but that of the terms */
} TaskEntry;

/* About the bytes that one task takes in a message; never less than it will. */
size_t task_template_task_bytes(const TaskTemplate *template, const TaskEntry *entry);
/* How many tasks it makes. */
uint64_t task_template_task_count(const TaskTemplate *template, const TaskEntry *entry);

/* Appends what the tasks share, as an a{sv}: the option "defaults" of Submit. */
int task_template_append_defaults(const TaskTemplate *template, sd_bus_message *m);

/* Appends a task as an a{sv}: what is its own. */
int task_template_append(const TaskTemplate *template, sd_bus_message *m, const TaskEntry *entry);

/* Adds to the environment of all tasks; the template's bytes grow with it. */
void task_template_add_variables(TaskTemplate *template, char *const *variables);
/* The same with terms; those of the template count. */
void task_template_merge_terms(TaskTemplate *template, const TaskTerms *terms);
