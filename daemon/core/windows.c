/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The heads of the queue that the workers look at: one for all of the same user and class. Where tasks that are too large for a
 * worker fill it, so that what comes behind them would never be seen, workers of that size get one of their own, a narrow
 * one, that leaves those out. It goes when there is nothing behind any more. */
#include "core/fitting.h"
#include "core/manager-internal.h"

#define NARROW_BELOW 256U /* so many are looked through without it */

static bool is_of(const TaskWindow *window, uint32_t user, const char *class)
{
    return task_window_user(window) == user && g_strcmp0(task_window_class(window), class) == 0;
}

/* room: NULL: the wide one. */
static TaskWindow *find(Manager *manager, uint32_t user, const char *class, const Room *room)
{
    for (guint i = 0; i < manager->windows->len; i++) {
        TaskWindow *window = manager->windows->pdata[i];
        const Room *own = task_window_room(window);
        if (is_of(window, user, class) && (room ? own && room_equal(own, room) : !own))
            return window;
    }
    return NULL;
}

static TaskWindow *add(Manager *manager, uint32_t user, const char *class, const Room *room)
{
    TaskWindow *window = task_window_new(user, class, room);

    g_ptr_array_add(manager->windows, window);
    return window;
}

TaskWindow *windows_find(Manager *manager, const Worker *worker)
{
    const WorkerSpec *spec = worker->spec;
    Room room = room_of_worker(spec);
    TaskWindow *window = find(manager, spec->user, spec->class, &room);

    if (!window)
        window = find(manager, spec->user, spec->class, NULL);
    return window ? window : add(manager, spec->user, spec->class, NULL);
}

/* ---- narrow ones */

static bool is_short(const TaskWindow *window, size_t most)
{
    return task_window_is_complete(window) && task_window_size(window) <= most;
}

void windows_narrow(Manager *manager, const Worker *worker)
{
    const TaskWindow *window = windows_find(manager, worker);
    Room room = room_of_worker(worker->spec);

    if (!task_window_room(window) && !is_short(window, NARROW_BELOW))
        add(manager, worker->spec->user, worker->spec->class, &room);
}

static bool is_used(Manager *manager, const TaskWindow *narrow)
{
    for (guint i = 0; i < manager->workers->len; i++) {
        const Worker *worker = manager->workers->pdata[i];
        Room room = room_of_worker(worker->spec);
        if (worker_is_ready(worker) && is_of(narrow, worker->spec->user, worker->spec->class) &&
            room_equal(task_window_room(narrow), &room))
            return true;
    }
    return false;
}

void windows_widen(Manager *manager)
{
    for (guint i = manager->windows->len; i > 0; i--) {
        TaskWindow *window = manager->windows->pdata[i - 1];
        if (!task_window_room(window))
            continue;
        if (task_window_is_loading(window))
            task_window_invalidate(window);
        else
            g_ptr_array_remove_index(manager->windows, i - 1);
    }
}

void windows_tidy(Manager *manager)
{
    for (guint i = manager->windows->len; i > 0; i--) {
        const TaskWindow *window = manager->windows->pdata[i - 1];
        if (!task_window_room(window) || task_window_is_loading(window))
            continue;
        const TaskWindow *wide = find(manager, task_window_user(window), task_window_class(window), NULL);
        if (is_short(wide, NARROW_BELOW / 2) || !is_used(manager, window))
            g_ptr_array_remove_index(manager->windows, i - 1);
    }
}

/* ---- what comes and goes */

void windows_offer(Manager *manager, const TaskSpec *spec)
{
    for (guint i = 0; i < manager->windows->len; i++) {
        TaskWindow *window = manager->windows->pdata[i];
        const Room *room = task_window_room(window);
        if (!room || !fitting_exceeds(manager, room, spec))
            task_window_offer(window, spec);
    }
    parking_offered(manager, spec);
}

void windows_remove(Manager *manager, uint64_t task)
{
    for (guint i = 0; i < manager->windows->len; i++)
        task_window_remove(manager->windows->pdata[i], task);
}

void windows_remove_range(Manager *manager, uint64_t first, uint64_t last)
{
    for (guint i = 0; i < manager->windows->len; i++)
        task_window_remove_range(manager->windows->pdata[i], first, last);
}

static bool any_is_loading(Manager *manager)
{
    for (guint i = 0; i < manager->windows->len; i++)
        if (task_window_is_loading(manager->windows->pdata[i]))
            return true;
    return false;
}

void windows_note_parked(Manager *manager, uint64_t task)
{
    if (any_is_loading(manager))
        g_hash_table_add(manager->parked, g_memdup2(&task, sizeof task));
}

void windows_invalidate(Manager *manager)
{
    for (guint i = 0; i < manager->windows->len; i++)
        task_window_invalidate(manager->windows->pdata[i]);
}

/* ---- reading on */

typedef struct Loading {
    Manager *manager;
    TaskWindow *window; /* is not removed while it is loading */
    QueuePlace after;
} Loading;

/* Most of them ask for the same as the one before. */
static bool is_left_out(Manager *manager, const Room *room, const TaskSpec *spec, const TaskSpec *before, bool before_is)
{
    if (!room)
        return false;
    return before && fitting_is_alike(before, spec) ? before_is : fitting_exceeds(manager, room, spec);
}

/* Handed out, or put aside, since the question was asked. */
static bool is_gone(Manager *manager, uint64_t task)
{
    return g_hash_table_contains(manager->active, &task) || g_hash_table_contains(manager->parked, &task);
}

static void spec_free(gpointer spec)
{
    task_spec_free(spec);
}

/* Those that belong into the window; frees the others. */
static GPtrArray *sift(Manager *manager, const TaskWindow *window, GPtrArray *tasks)
{
    g_autoptr(GPtrArray) dropped = g_ptr_array_new_with_free_func(spec_free);
    GPtrArray *kept = g_ptr_array_new();
    const TaskSpec *before = NULL;
    bool left_out = false;

    for (guint i = 0; i < tasks->len; i++) {
        TaskSpec *spec = tasks->pdata[i];
        left_out = is_left_out(manager, task_window_room(window), spec, before, left_out);
        before = spec;
        g_ptr_array_add(left_out || is_gone(manager, spec->id) ? dropped : kept, spec);
        manager->has_unjudged |= fitting_is_demanding(spec);
    }
    return kept;
}

static void on_loaded(int r, GPtrArray *tasks, bool complete, void *userdata)
{
    g_autofree Loading *loading = userdata;
    Manager *manager = loading->manager;
    QueuePlace end = loading->after;

    if (r < 0) {
        task_window_fail_load(loading->window);
        return;
    }
    if (tasks->len > 0) {
        const TaskSpec *last = tasks->pdata[tasks->len - 1];
        end = (QueuePlace){ last->priority, last->id };
    }
    GPtrArray *kept = sift(manager, loading->window, tasks);
    g_ptr_array_set_free_func(tasks, NULL);
    g_ptr_array_unref(tasks);
    task_window_fill(loading->window, loading->after, kept, end, complete);
    if (!any_is_loading(manager))
        g_hash_table_remove_all(manager->parked);
    dispatch(manager);
}

void windows_load(Manager *manager)
{
    StorePort *store = manager->ports.store;

    for (guint i = 0; i < manager->windows->len; i++) {
        TaskWindow *window = manager->windows->pdata[i];
        if (!task_window_wants_load(window))
            continue;
        Loading *loading = g_new(Loading, 1);
        size_t limit;
        *loading = (Loading){ manager, window, task_window_begin_load(window, &limit) };
        store->load_window(store, task_window_user(window), task_window_class(window), loading->after, limit,
                           on_loaded, loading);
    }
}
