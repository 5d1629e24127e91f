/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From job files to messages. The defaults travel once, with the template; a key that goes by several names
 * there is given to every task instead as soon as one of them has its own. */

#include "client/job-submission.h"

static GPtrArray *strings_joined(char *const *first, const GPtrArray *second)
{
    GPtrArray *result = g_ptr_array_new();

    for (size_t i = 0; first && first[i]; i++)
        g_ptr_array_add(result, first[i]);
    for (guint i = 0; second && i < second->len; i++)
        g_ptr_array_add(result, second->pdata[i]);
    return result;
}

void job_options_init(TaskOptions *to, const TaskOptions *options, const JobFile *file)
{
    const JobTask *defaults = file->defaults;

    *to = *options;
    to->name = options->name ?: defaults->name;
    to->chdir = options->chdir ?: defaults->cwd;
    if (!options->tags && defaults->tags)
        to->tags = strings_joined(defaults->tags, NULL);
    if (defaults->env) {
        g_ptr_array_add(defaults->env, NULL);
        to->export = strings_joined((char **) defaults->env->pdata, options->export);
        g_ptr_array_set_size(defaults->env, (int) defaults->env->len - 1);
    }
}

void job_options_done(TaskOptions *to, const TaskOptions *options)
{
    if (to->tags != options->tags)
        g_clear_pointer(&to->tags, g_ptr_array_unref);
    if (to->export != options->export)
        g_clear_pointer(&to->export, g_ptr_array_unref);
}

void job_template_complete(TaskTemplate *template, JobFile *file)
{
    uint32_t own = 0;

    for (int i = 0; i < _STREAM_MAX; i++)
        if (!template->paths[i] && file->defaults->paths[i])
            task_template_set_path(template, (StdStream) i, file->defaults->paths[i]);
    task_template_merge_terms(template, &file->defaults->terms);
    for (guint i = 0; i < file->tasks->len; i++)
        own |= ((const JobTask *) file->tasks->pdata[i])->terms.given & TERM_BITS_JOINED;
    if (own & TERM_BITS_BEGIN)
        own |= TERM_BITS_BEGIN;
    if (own == 0)
        return;
    for (guint i = 0; i < file->tasks->len; i++)
        task_terms_merge(&((JobTask *) file->tasks->pdata[i])->terms, &template->terms, own);
    task_terms_drop(&template->terms, own);
}

static char **environment_of(const TaskTemplate *template, const JobTask *task)
{
    const char *missing = NULL;

    if (!task->env)
        return NULL;
    g_autoptr(GPtrArray) own = g_ptr_array_new();
    for (guint i = 0; i < task->env->len; i++)
        g_ptr_array_add(own, task->env->pdata[i]);
    g_ptr_array_add(own, NULL);
    return task_environment(template->env, (char **) own->pdata, ENVIRONMENT_ALL, &missing);
}

static int add_task(Submitter *submitter, const JobTask *task)
{
    g_auto(GStrv) env = environment_of(submitter->template, task);
    TaskEntry entry = {
        .argv = task->argv,
        .name = task->name ?: task->id,
        .cwd = task->cwd,
        .tags = task->tags,
        .env = env,
        .terms = &task->terms,
        .after = task->after_text ? &task->after : NULL,
        .array = task->array,
        .array_first = task->array_first,
        .array_last = task->array_last,
        .parallel = task->parallel,
    };

    for (int i = 0; i < _STREAM_MAX; i++)
        entry.paths[i] = task->paths[i];
    return submitter_add(submitter, &entry);
}

int job_submit(Submitter *submitter, const JobFile *file)
{
    int r = 0;

    for (guint i = 0; r >= 0 && i < file->order->len; i++)
        r = add_task(submitter, file->tasks->pdata[g_array_index(file->order, guint, i)]);
    return r;
}
