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

void world_finish(World *world, Worker *worker, uint64_t task, Outcome outcome, int exit_status)
{
    TaskResult result = {
        .task = task,
        .fence = world_fence(world, task),
        .outcome = outcome,
        .exit_status = exit_status,
        .start_usec = world->real - USEC_PER_SEC,
        .end_usec = world->real,
        .memory_peak_bytes = MEMORY_UNKNOWN,
        .stderr_tail = g_bytes_new("oops", 4),
    };

    manager_tasks_finished(world->manager, worker, &result, 1, world_done, world);
}

TaskState world_state(World *world, uint64_t task)
{
    return fake_store_task(&world->store, task)->state;
}
