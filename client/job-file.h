/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/task-template.h"

/* Job files: tasks in JSON, which wait for one another by names of their own. */

#define JOB_FILE_BYTES_MAX (UINT64_C(256) << 20)

/* A task of the file. What is NULL or not given is of the defaults. */
typedef struct JobTask {
    char *id; /* local name; NULL: none */
    char *name, *cwd;
    char **argv, **tags;
    GPtrArray *env; /* char *: "NAME=value"; NULL: none */
    char *paths[_STREAM_MAX];
    TaskTerms terms;
    bool array;
    uint64_t array_first, array_last;
    uint32_t parallel;
    char *after_text;     /* as it was written, strings of an array joined by ","; NULL: nothing */
    DependencyList after; /* local targets: while the file is read indices of tasks, then positions */
    uint64_t position;    /* in the order of sending; an array takes as many as it has elements */
} JobTask;

typedef struct JobFile {
    GPtrArray *tasks; /* JobTask, in the order of the file */
    GArray *order;    /* guint: indices of tasks, each behind those that it waits for */
    JobTask *defaults;
    GHashTable *by_name; /* char * (of the tasks) → index */
} JobFile;

/* Reads the text of a file. -EINVAL and a sentence with the path: "tasks[3].after: there is no task "x"". */
int job_file_parse(const char *text, size_t size, JobFile **ret, char **ret_why) _warn_unused_;
/* Reads a file, "-": stdin, however it is called. Reports. */
int job_file_read(Client *client, const char *path, JobFile **ret);
JobFile *job_file_free(JobFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JobFile, job_file_free)

uint64_t job_task_count(const JobTask *task); /* of elements */

/* Prints the tasks in their order, and what each waits for; as a graph for dot(1). */
void job_file_print(const JobFile *file);
void job_file_print_dot(const JobFile *file);
