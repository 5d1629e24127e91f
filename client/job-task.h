/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <json-glib/json-glib.h>

#include "client/job-file.h"

/* Within the reading of job files. */

JobTask *job_task_new(void);
void job_task_free(void *task);

/* Where the reading is. */
typedef struct JobReader {
    char *where; /* "tasks[3]" */
    JobTask *task;
    const char *command; /* of the task; NULL: none */
    bool shell;
    char *why; /* the first thing that is wrong */
} JobReader;

/* Notes "where.key: sentence", and returns -EINVAL. */
int job_refuse(JobReader *reader, const char *key, const char *format, ...) _printf_(3, 4);

/* Reads the object into reader->task; shell is as in the defaults before, and of the task behind. */
int job_task_read(JobReader *reader, JsonNode *node, bool defaults) _warn_unused_;

/* Puts the tasks into an order in which each is behind those that it waits for, otherwise that of the file,
 * and turns local targets into positions. -EINVAL: there is a cycle, or a task waits for more than it may. */
int job_order(JobFile *file, char **ret_why) _warn_unused_;
