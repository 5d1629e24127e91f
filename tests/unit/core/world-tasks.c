/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The steps of the core's tests that are about tasks. */
#include "fake-ports.h"

#include <string.h>

void world_done(int r, void *userdata)
{
    World *world = userdata;

    world->n_done++;
    world->done_r = r;
}

void world_cancelled(int r, uint64_t count, void *userdata)
{
    World *world = userdata;

    world_done(r, world);
    world->done_count = count;
}

void world_limited(int r, uint64_t count, const char *why, void *userdata)
{
    World *world = userdata;

    world_cancelled(r, count, world);
    g_free(world->answer_reason);
    world->answer_reason = g_strdup(why);
}

void world_submitted(int r, const Submission *submission, bool open, void *userdata)
{
    World *world = userdata;

    world_done(r, world);
    world->done_batch = submission->batch;
    world->done_first = submission->first;
    world->done_count = submission->count;
}

TaskFilter *world_filter_ids(uint64_t first, uint64_t last)
{
    TaskFilter *filter = task_filter_new();

    filter->ids = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    for (uint64_t id = first; id <= last; id++)
        g_array_append_val(filter->ids, id);
    return filter;
}

TaskSpec *world_task(uint32_t uid, int32_t priority)
{
    TaskSpec *spec = task_spec_new();

    spec->priority = priority;
    spec->argv = g_bytes_new_static("true", 5);
    spec->context = task_context_new();
    spec->context->uid = spec->context->gid = uid;
    spec->context->cwd = g_bytes_new_static("/", 2);
    spec->context->environment = g_bytes_new_static("", 0);
    return spec;
}

static void spec_free(gpointer spec)
{
    task_spec_free(spec);
}

static uint64_t submit(World *world, GPtrArray *tasks)
{
    Submission *submission = g_new0(Submission, 1);

    submission->tasks = tasks;
    submission->uid = ((TaskSpec *) tasks->pdata[0])->context->uid;
    submission->commit = true;
    g_ptr_array_set_free_func(tasks, spec_free);
    g_assert_cmpint(manager_submit(world->manager, submission, world_submitted, world), ==, 0);
    fake_store_dispatch(&world->store);
    g_assert_cmpint(world->done_r, ==, 0);
    return world->done_first;
}

uint64_t world_submit(World *world, size_t n)
{
    GPtrArray *tasks = g_ptr_array_new();

    for (size_t i = 0; i < n; i++)
        g_ptr_array_add(tasks, world_task(1000, 0));
    return submit(world, tasks);
}

uint64_t world_submit_one(World *world, TaskSpec *spec)
{
    GPtrArray *tasks = g_ptr_array_new();

    g_ptr_array_add(tasks, spec);
    return submit(world, tasks);
}

uint64_t world_submit_array(World *world, uint64_t n)
{
    TaskSpec *spec = world_task(1000, 0);

    spec->array_index = 0;
    spec->array_count = n;
    return world_submit_one(world, spec);
}

uint64_t world_fence(World *world, uint64_t task)
{
    const ActiveTask *active = manager_find_active(world->manager, task);

    if (!active)
        g_error("no worker holds task %" G_GUINT64_FORMAT, task);
    return active->spec->fence;
}

void world_started(World *world, Worker *worker, uint64_t task)
{
    HeldReport held = { task, world_fence(world, task), world->real };

    manager_tasks_started(world->manager, worker, &held, 1);
}

static TaskResult result_of(World *world, uint64_t task, Outcome outcome)
{
    return (TaskResult){
        .task = task,
        .fence = world_fence(world, task),
        .outcome = outcome,
        .start_usec = world->real - USEC_PER_SEC,
        .end_usec = world->real,
        .memory_peak_bytes = MEMORY_UNKNOWN,
    };
}

void world_finish(World *world, Worker *worker, uint64_t task, Outcome outcome, int exit_status)
{
    TaskResult result = result_of(world, task, outcome);

    result.exit_status = exit_status;
    result.stderr_tail = g_bytes_new("oops", 4);
    manager_tasks_finished(world->manager, worker, &result, 1, world_done, world);
}

void world_end(World *world, Worker *worker, uint64_t task, Outcome outcome)
{
    if (manager_find_active(world->manager, task)->start_usec == 0)
        world_started(world, worker, task);
    world_finish(world, worker, task, outcome, 0);
    fake_store_dispatch(&world->store);
}

void world_oom(World *world, Worker *worker, uint64_t task, OomCause cause)
{
    world_started(world, worker, task);
    TaskResult result = result_of(world, task, OUTCOME_OOM);
    result.oom_cause = cause;
    manager_tasks_finished(world->manager, worker, &result, 1, world_done, world);
    fake_store_dispatch(&world->store);
}

void world_end_with_peak(World *world, Worker *worker, uint64_t task, uint64_t memory_mib, uint64_t usec)
{
    world_started(world, worker, task);
    TaskResult result = result_of(world, task, OUTCOME_EXITED);
    result.start_usec = world->real - usec;
    result.memory_peak_bytes = memory_mib << 20;
    manager_tasks_finished(world->manager, worker, &result, 1, world_done, world);
    fake_store_dispatch(&world->store);
}

TaskState world_state(World *world, uint64_t task)
{
    return fake_store_task(&world->store, task)->state;
}

TaskSpec *world_limited_task(uint64_t memory_mib)
{
    TaskSpec *spec = world_task(1000, 0);

    spec->context->memory_max_bytes = memory_mib << 20;
    return spec;
}

uint64_t world_submit_limited(World *world, uint64_t memory_mib)
{
    return world_submit_one(world, world_limited_task(memory_mib));
}

static void on_explained(int r, TaskRow *row, GPtrArray *conditions, void *userdata)
{
    GString *text = userdata;

    g_assert_cmpint(r, ==, 0);
    for (guint i = 0; i < conditions->len; i++) {
        const Condition *condition = conditions->pdata[i];
        g_string_append_printf(text, "%s%s: %s", i > 0 ? "; " : "", condition->kind, condition->text);
    }
    task_row_free(row);
    g_ptr_array_unref(conditions);
}

char *world_explain(World *world, uint64_t task)
{
    GString *text = g_string_new(NULL);

    manager_explain(world->manager, task, on_explained, text);
    fake_store_dispatch(&world->store);
    return g_string_free(text, FALSE);
}
