/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* New limits of tasks. What waits is changed in the store; a running task's are changed by its worker, which may fail: then
 * it keeps those that it has. What it gets counts as taken from the moment it is asked for, and what it gives back is free
 * when the worker has said so.
 *
 * manager->limitings has the questions that are open, oldest first; each is answered once, by the worker or because it is
 * gone. */
#include <inttypes.h>

#include "core/manager-internal.h"

/* What somebody wants and waits for. */
typedef struct Limiting {
    Manager *manager;
    TaskLimits limits;
    unsigned n_open; /* questions */
    uint64_t count;
    char *why; /* of the first that could not be done */
    ManagerLimited done;
    void *userdata;
} Limiting;

/* What a worker was asked for one task. */
typedef struct Question {
    Limiting *limiting;
    uint32_t worker;
    uint64_t task;
    uint64_t memory_before; /* as in its spec */
    TaskLimits before;
} Question;

static void limiting_free(Limiting *limiting)
{
    g_free(limiting->why);
    g_free(limiting);
}

static void question_free(gpointer data)
{
    Question *question = data;

    if (--question->limiting->n_open == 0)
        limiting_free(question->limiting); /* the service ends */
    g_free(question);
}

GPtrArray *limitings_new(void)
{
    return g_ptr_array_new_with_free_func(question_free);
}

static void limiting_end(int r, Limiting *limiting)
{
    limiting->done(r, r < 0 ? 0 : limiting->count, limiting->why, limiting->userdata);
    dispatch(limiting->manager); /* one that has less now leaves room */
    limiting_free(limiting);
}

/* ---- what is counted, and shown */

/* More than its worker has it cannot take, and others are not to be kept out by it. */
static uint64_t memory_within(const ActiveTask *task, uint64_t wanted)
{
    return wanted == LIMIT_INFINITY ? wanted : MIN(wanted, task->worker->spec->limits.memory_max_bytes);
}

/* No limit takes nothing of what the worker shares out. */
static bool is_more(uint64_t wanted, uint64_t old)
{
    return wanted != LIMIT_INFINITY && (old == LIMIT_INFINITY || wanted > old);
}

static void note_memory(ActiveTask *task, uint64_t memory_bytes, bool growth_only)
{
    if (!growth_only || is_more(memory_bytes, task_spec_memory(task->spec)))
        task->spec->memory_max_bytes = memory_bytes;
}

static void note(bool *set, uint64_t *held, uint64_t wanted, uint64_t before, bool growth_only)
{
    if (growth_only && !is_more(wanted, *set ? *held : before))
        return;
    *set = true;
    *held = wanted;
}

static void note_limits(ActiveTask *task, const TaskLimits *limits, bool growth_only)
{
    const TaskDemand *demand = &task->spec->context->demand;
    TaskLimits *held = &task->limits;

    if (limits->set_memory)
        note_memory(task, memory_within(task, limits->memory_max_bytes), growth_only);
    if (limits->set_cpu)
        note(&held->set_cpu, &held->cpu_quota_usec_per_sec, limits->cpu_quota_usec_per_sec,
             demand->cpu_quota_usec_per_sec, growth_only);
    if (limits->set_tasks)
        note(&held->set_tasks, &held->tasks_max, limits->tasks_max, demand->tasks_max, growth_only);
    if (limits->set_io && !growth_only) {
        held->set_io = true;
        held->io_weight = limits->io_weight;
    }
}

static void put_back(ActiveTask *task, const Question *question)
{
    task->spec->memory_max_bytes = question->memory_before;
    task->limits = question->before;
}

/* ---- the answer */

static Question *take_question(Manager *manager, uint32_t worker, uint64_t task /* 0: any */)
{
    for (guint i = 0; i < manager->limitings->len; i++) {
        const Question *question = manager->limitings->pdata[i];
        if (question->worker == worker && (task == 0 || question->task == task))
            return g_ptr_array_steal_index(manager->limitings, i);
    }
    return NULL;
}

static void answer(Manager *manager, Question *question, const char *why)
{
    Limiting *limiting = question->limiting;
    ActiveTask *task = manager_find_active(manager, question->task);
    bool here = task && task->worker && task->worker_number == question->worker;

    if (here && why)
        put_back(task, question);
    else if (here)
        note_limits(task, &limiting->limits, /* growth_only= */ false);
    limiting->count += !why;
    if (why && !limiting->why)
        limiting->why = g_strdup_printf("task %" PRIu64 " keeps the limits that it has: %s", question->task, why);
    g_free(question);
    if (--limiting->n_open == 0)
        limiting_end(0, limiting);
}

void manager_task_limited(Manager *manager, Worker *worker, uint64_t task, const char *why)
{
    Question *question = take_question(manager, worker->number, task);

    if (question)
        answer(manager, question, why);
}

void manager_forget_limiting(Manager *manager, Worker *worker)
{
    Question *question;

    while ((question = take_question(manager, worker->number, 0)))
        answer(manager, question, "its worker has ended, or lost its connection");
}

/* ---- the question */

static void ask(Limiting *limiting, ActiveTask *task)
{
    Manager *manager = limiting->manager;
    TaskLimits limits = limiting->limits;
    Question *question = g_new(Question, 1);

    *question = (Question){ limiting, task->worker_number, task->spec->id, task->spec->memory_max_bytes, task->limits };
    note_limits(task, &limits, /* growth_only= */ true);
    g_ptr_array_add(manager->limitings, question);
    limiting->n_open++;
    limits.task = task->spec->id;
    manager->ports.link->limit(manager->ports.link, task->worker_number, &limits);
}

static bool is_asked(const Manager *manager, uint64_t task)
{
    for (guint i = 0; i < manager->limitings->len; i++)
        if (((const Question *) manager->limitings->pdata[i])->task == task)
            return true;
    return false;
}

static void ask_started(Limiting *limiting, const GArray *started)
{
    for (guint i = 0; i < started->len; i++) {
        uint64_t id = g_array_index(started, uint64_t, i);
        ActiveTask *task = manager_find_active(limiting->manager, id);

        limiting->count--; /* the store has counted it, and it is not done yet */
        if (!task || !task->worker || task->settling)
            continue;
        const char *why = !task->worker->connected                  ? "its worker has no connection at present"
                          : is_asked(limiting->manager, task->spec->id) ? "they are being changed already; try again"
                                                                        : NULL;
        if (!why)
            ask(limiting, task);
        else if (!limiting->why)
            limiting->why = g_strdup_printf("task %" PRIu64 " keeps the limits that it has: %s", id, why);
    }
}

static void on_modified(int r, const Modified *modified, void *userdata)
{
    Limiting *limiting = userdata;

    if (r >= 0) {
        limiting->count = modified->count;
        manager_apply_modified(limiting->manager, modified, TASK_EDIT);
        limiting->n_open++; /* not before all have been asked */
        ask_started(limiting, modified->started);
        limiting->n_open--;
    }
    if (limiting->n_open == 0)
        limiting_end(r, limiting);
}

void manager_set_task_limits(Manager *manager, TaskFilter *filter, uint32_t only_uid, const TaskLimits *limits,
                             ManagerLimited done, void *userdata)
{
    Limiting *limiting = g_new0(Limiting, 1);
    TaskEdit *edit = g_new0(TaskEdit, 1);

    limiting->manager = manager;
    limiting->limits = *limits;
    limiting->done = done;
    limiting->userdata = userdata;
    edit->limits = *limits;
    manager->ports.store->modify(manager->ports.store, filter, only_uid, TASK_LIMIT, edit, on_modified, limiting);
}
