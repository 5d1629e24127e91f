/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/verb.h"
#include "model/task-spec.h"

/* What the tasks of one submission have in common, and the options that say it. */

typedef struct TaskOptions {
    const char *name;
    Given priority;
    GPtrArray *tags;
    const char *chdir;
    GPtrArray *env;
    bool env_none;
    Given memory;
    bool shell;
} TaskOptions;

#define TASK_OPTIONS(Settings, member)                                                                       \
    VERB_OPTION("name", 'n', OPTION_STRING, Settings, member.name, N_("NAME"), N_("a name to find it by")),  \
        VERB_OPTION("priority", 'p', OPTION_INT, Settings, member.priority, N_("N"),                         \
                    N_("higher goes first (default: 0)")),                                                   \
        VERB_OPTION("tag", 't', OPTION_STRINGS, Settings, member.tags, N_("TAG"),                            \
                    N_("mark it; may be repeated")),                                                         \
        VERB_OPTION("chdir", 'C', OPTION_STRING, Settings, member.chdir, N_("DIR"),                          \
                    N_("run there (default: here)")),                                                        \
        VERB_OPTION("env", 'e', OPTION_STRINGS, Settings, member.env, N_("NAME[=VALUE]"),                    \
                    N_("set a variable, or pass one on; may be repeated")),                                  \
        VERB_OPTION("env-none", 0, OPTION_FLAG, Settings, member.env_none, NULL,                             \
                    N_("pass on no variable but those of --env")),                                           \
        VERB_OPTION("memory", 'm', OPTION_BYTES, Settings, member.memory, N_("SIZE"),                        \
                    N_("kill the task if it takes more")),                                                   \
        VERB_OPTION("shell", 's', OPTION_FLAG, Settings, member.shell, NULL,                                 \
                    N_("give the words, joined, to /bin/sh -c"))

typedef struct TaskTemplate {
    const TaskOptions *options; /* not owned */
    char *cwd;                  /* absolute */
    char **env;
    char *paths[_STREAM_MAX]; /* absolute; NULL: the default */
    int fds[_STREAM_MAX];     /* not owned; -EBADF: none */
    bool array;
    uint64_t array_first, array_last;
    size_t bytes; /* about what this takes in a message, once */
} TaskTemplate;

/* From the options and the surroundings of this process. Reports what is wrong. */
int task_template_init(TaskTemplate *template, Client *client, const TaskOptions *options);
void task_template_done(TaskTemplate *template);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(TaskTemplate, task_template_done)

/* The path as seen from the directory of this process; NULL for NULL. */
char *task_template_path(const char *path);

/* The file of a stream; NULL leaves it as it is. */
void task_template_set_path(TaskTemplate *template, StdStream stream, const char *path);

/* The environment for a task: what is given with --env, on top of the rest unless none. NULL and
 * *ret_missing: a variable without value that is not set, or no name at all. */
char **task_environment(char *const *environment, char *const *given, bool none, const char **ret_missing);

/* About the bytes that one task takes in a message; never less than it will. */
size_t task_template_task_bytes(char *const *argv);

/* Appends what the tasks share, as an a{sv}: the option "defaults" of Submit. */
int task_template_append_defaults(const TaskTemplate *template, sd_bus_message *m);

/* Appends a task as an a{sv}: what is its own. */
int task_template_append(const TaskTemplate *template, sd_bus_message *m, char *const *argv);
