/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The head of the queue, as a balanced sequence by (priority descending, id ascending) with an index by id. See the
 * header for the invariant; it holds because the store answers in the order of the calls, and the core acts on answers. */
#include "core/task-window.h"

struct TaskWindow {
    uint32_t user;
    char *class; /* NULL: commands */
    GSequence *order; /* TaskSpec, owned by the window (the sequence frees nothing: elements are taken out) */
    GHashTable *by_id; /* uint64_t* (in the spec) → GSequenceIter* */
    bool complete;     /* nothing is queued beyond it */
    bool stale;        /* something before its end may be missing */
    bool loading;      /* the store has been asked */
};

static int compare(gconstpointer a, gconstpointer b, gpointer unused)
{
    const TaskSpec *x = a, *y = b;

    if (x->priority != y->priority)
        return x->priority > y->priority ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

TaskWindow *task_window_new(uint32_t user, const char *class)
{
    TaskWindow *window = g_new0(TaskWindow, 1);

    window->user = user;
    window->class = g_strdup(class);
    window->order = g_sequence_new(NULL);
    window->by_id = g_hash_table_new(g_int64_hash, g_int64_equal);
    window->stale = true;
    return window;
}

static TaskSpec *take(TaskWindow *window, GSequenceIter *iter)
{
    TaskSpec *spec = g_sequence_get(iter);

    g_hash_table_remove(window->by_id, &spec->id);
    g_sequence_remove(iter);
    return spec;
}

static void insert(TaskWindow *window, TaskSpec *spec)
{
    g_hash_table_insert(window->by_id, &spec->id,
                        g_sequence_insert_sorted(window->order, spec, compare, NULL));
}

static void clear(TaskWindow *window)
{
    while (!g_sequence_is_empty(window->order))
        task_spec_free(take(window, g_sequence_get_begin_iter(window->order)));
}

void task_window_free(TaskWindow *window)
{
    if (!window)
        return;
    clear(window);
    g_hash_table_unref(window->by_id);
    g_sequence_free(window->order);
    g_free(window->class);
    g_free(window);
}

uint32_t task_window_user(const TaskWindow *window)
{
    return window->user;
}

const char *task_window_class(const TaskWindow *window)
{
    return window->class;
}

size_t task_window_size(const TaskWindow *window)
{
    return g_hash_table_size(window->by_id);
}

static GSequenceIter *last_iter(TaskWindow *window)
{
    return g_sequence_iter_prev(g_sequence_get_end_iter(window->order));
}

static bool belongs(TaskWindow *window, const TaskSpec *spec)
{
    if (window->complete)
        return true;
    return task_window_size(window) > 0 && compare(spec, g_sequence_get(last_iter(window)), NULL) < 0;
}

void task_window_offer(TaskWindow *window, const TaskSpec *spec)
{
    if (window->user != UID_ANYBODY && window->user != spec->context->uid)
        return;
    if (g_strcmp0(window->class, spec->class) != 0 || g_hash_table_contains(window->by_id, &spec->id))
        return;
    if (!belongs(window, spec)) {
        window->complete = false;
        return;
    }
    insert(window, task_spec_copy(spec));
    if (task_window_size(window) > TASK_WINDOW_MAX) {
        task_spec_free(take(window, last_iter(window)));
        window->complete = false;
    }
}

void task_window_replace(TaskWindow *window, GPtrArray *tasks, bool complete)
{
    clear(window);
    for (guint i = 0; i < tasks->len; i++)
        insert(window, tasks->pdata[i]);
    g_ptr_array_set_free_func(tasks, NULL);
    g_ptr_array_unref(tasks);
    window->complete = complete;
    window->loading = false;
    window->stale = false;
}

void task_window_invalidate(TaskWindow *window)
{
    window->stale = true;
}

bool task_window_wants_load(const TaskWindow *window)
{
    return !window->loading &&
           (window->stale || (!window->complete && task_window_size(window) < TASK_WINDOW_LOW));
}

void task_window_set_loading(TaskWindow *window, bool loading)
{
    window->loading = loading;
}

const TaskSpec *task_window_first(const TaskWindow *window)
{
    if (task_window_size(window) == 0)
        return NULL;
    return g_sequence_get(g_sequence_get_begin_iter(window->order));
}

const TaskSpec *task_window_find(const TaskWindow *window, uint64_t task)
{
    GSequenceIter *iter = g_hash_table_lookup(window->by_id, &task);

    return iter ? g_sequence_get(iter) : NULL;
}

const TaskSpec *task_window_next(const TaskWindow *window, const TaskSpec *spec)
{
    GSequenceIter *iter = g_sequence_iter_next(g_hash_table_lookup(window->by_id, &spec->id));

    return g_sequence_iter_is_end(iter) ? NULL : g_sequence_get(iter);
}

TaskSpec *task_window_take(TaskWindow *window, const TaskSpec *spec)
{
    return take(window, g_hash_table_lookup(window->by_id, &spec->id));
}

void task_window_remove(TaskWindow *window, uint64_t task)
{
    GSequenceIter *iter = g_hash_table_lookup(window->by_id, &task);

    if (iter)
        task_spec_free(take(window, iter));
}

static void remove_by_scan(TaskWindow *window, uint64_t first, uint64_t last)
{
    GSequenceIter *iter = g_sequence_get_begin_iter(window->order);

    while (!g_sequence_iter_is_end(iter)) {
        GSequenceIter *next = g_sequence_iter_next(iter);
        const TaskSpec *spec = g_sequence_get(iter);
        if (spec->id >= first && spec->id <= last)
            task_spec_free(take(window, iter));
        iter = next;
    }
}

void task_window_remove_range(TaskWindow *window, uint64_t first, uint64_t last)
{
    if (last - first >= task_window_size(window)) {
        remove_by_scan(window, first, last);
        return;
    }
    for (uint64_t n = 0; n <= last - first; n++) /* last may be the greatest number there is */
        task_window_remove(window, first + n);
}
