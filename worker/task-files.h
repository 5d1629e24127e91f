/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/launch-record.h"
#include "model/task-spec.h"
#include "worker/private-folder.h"

/* What a task finds and leaves in files of its own, besides its output: its result ($PAREXEC_RESULT), the
 * results of the tasks it waited for ($PAREXEC_INPUTS), its credentials ($CREDENTIALS_DIRECTORY). */

/* Where they are, for all slots of a worker: <state>/slots beside the output directory, and, for
 * credentials, beside the worker socket, where nothing goes to a disk. */
typedef struct FileSite {
    FolderSite *slots, *secrets;
} FileSite;

FileSite *file_site_new(const LaunchRecord *record); /* the record must stay */
FileSite *file_site_free(FileSite *site);
/* Goes on removing what tasks have left behind. True: there is more to be done. */
bool file_site_remove_some(FileSite *site);
bool file_site_is_pending(const FileSite *site); /* it should be called */

/* Of one slot. */
typedef struct TaskFiles TaskFiles;

TaskFiles *task_files_new(FileSite *site, uint32_t slot);
TaskFiles *task_files_free(TaskFiles *files); /* takes NULL, returns NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TaskFiles, task_files_free)

/* The names under which the task finds them; NULL: there is none. Valid until the next prepare. */
typedef struct TaskFileNames {
    const char *result, *inputs, *credentials;
} TaskFileNames;

/* Before a task: the folder for its result, and its inputs, if there are any (of TaskInput; NULL: none; of
 * two of one name the first counts). On failure *ret_why is a sentence if the task cannot do without what
 * failed; else it may be started all the same. */
int task_files_prepare(TaskFiles *files, const TaskContext *context, const GPtrArray *inputs,
                       char **ret_why) _warn_unused_;
/* Empty files for so many credentials, readable by the task alone, to be filled through the descriptors. */
int task_files_make_credentials(TaskFiles *files, const TaskContext *context, const char *const *names,
                                size_t n, const int **ret_fds) _warn_unused_;
/* The program has been started, or not: the descriptors are closed. */
void task_files_close_credentials(TaskFiles *files);
TaskFileNames task_files_names(const TaskFiles *files);

/* After the task: its result and, if that cannot be taken, a note on why go to *result. Everything is
 * removed. */
void task_files_collect(TaskFiles *files, TaskResult *result);
