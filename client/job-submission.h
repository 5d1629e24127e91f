/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/job-file.h"
#include "client/submission.h"

/* Submitting a job file. What the command line says goes before the file's defaults, a task's own before
 * both. */

/* The options with what the file's defaults add; freed with job_options_done(). */
void job_options_init(TaskOptions *to, const TaskOptions *options, const JobFile *file);
void job_options_done(TaskOptions *to, const TaskOptions *options);

/* Completes the template made of those options. */
void job_template_complete(TaskTemplate *template, JobFile *file);

/* Adds all tasks, in their order. */
int job_submit(Submitter *submitter, const JobFile *file);
