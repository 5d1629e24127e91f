/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The head of the queue, as a balanced sequence by (priority descending, id ascending) with an index by id. See the
 * header for the invariant; it holds because the store answers in the order of the calls, and the core acts on answers.
 * Nothing behind its end is in it, so that what is found there needs no comparing with what is here. */
#include "core/task-window.h"

struct TaskWindow {
    uint32_t user;
    char *class; /* NULL: commands */
    Room *room;  /* NULL: any */
    GSequence *order; /* TaskSpec, owned by the window (the sequence frees nothing: elements are taken out) */
    GHashTable *by_id; /* uint64_t* (in the spec) → GSequenceIter* */
    QueuePlace end;
    bool complete;     /* nothing is queued behind the end */
    bool stale;        /* something before its end may be missing */
    bool loading;      /* the store has been asked */
    bool rescanning;   /* of a narrow one: up to "scan" it has been looked through once more */
    bool scans;        /* that is what is being loaded */
    QueuePlace scan;
};

static int compare(gconstpointer a, gconstpointer b, gpointer unused)
{
    const TaskSpec *x = a, *y = b;

    if (x->priority != y->priority)
        return x->priority > y->priority ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static bool is_within(const TaskSpec *spec, QueuePlace end)
{
    return spec->priority > end.priority || (spec->priority == end.priority && spec->id <= end.id);
}

TaskWindow *task_window_new(uint32_t user, const char *class, const Room *room)
{
    TaskWindow *window = g_new0(TaskWindow, 1);

    window->user = user;
    window->class = g_strdup(class);
    window->room = room ? room_copy(room) : NULL;
    window->end = QUEUE_HEAD;
    window->order = g_sequence_new(NULL);
    window->by_id = g_hash_table_new(g_int64_hash, g_int64_equal);
    window->stale = !room; /* of a narrow one nothing is known, which is not out of date */
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
    room_free(window->room);
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

const Room *task_window_room(const TaskWindow *window)
{
    return window->room;
}

bool task_window_is_complete(const TaskWindow *window)
{
    return window->complete && !window->stale && !window->rescanning;
}

bool task_window_is_loading(const TaskWindow *window)
{
    return window->loading;
}

size_t task_window_size(const TaskWindow *window)
{
    return g_hash_table_size(window->by_id);
}

/* More than it may hold: the last one goes, and what is before it is the end. */
static void trim(TaskWindow *window)
{
    TaskSpec *last = take(window, g_sequence_iter_prev(g_sequence_get_end_iter(window->order)));

    window->end = (QueuePlace){ last->priority, last->id - 1 };
    window->complete = false;
    task_spec_free(last);
}

void task_window_offer(TaskWindow *window, const TaskSpec *spec)
{
    if (window->user != UID_ANYBODY && window->user != spec->context->uid)
        return;
    if (g_strcmp0(window->class, spec->class) != 0 || g_hash_table_contains(window->by_id, &spec->id))
        return;
    if (!window->complete && !is_within(spec, window->end))
        return;
    insert(window, task_spec_copy(spec));
    if (task_window_size(window) > TASK_WINDOW_MAX)
        trim(window);
}

/* ---- loading */

static bool is_narrow(const TaskWindow *window)
{
    return window->room;
}

/* A narrow one may have to read far for a few tasks: what it has found is worked off before it is put right. */
bool task_window_wants_load(const TaskWindow *window)
{
    bool low = task_window_size(window) < TASK_WINDOW_LOW;

    if (window->loading)
        return false;
    if (is_narrow(window))
        return low && (!window->complete || window->stale || window->rescanning);
    return window->stale || (!window->complete && low);
}

/* Something has come into the part that it knows. It goes on reading all the same while it has nothing: if it began anew each
 * time, it would get nowhere while others submit. */
static QueuePlace begin_narrow(TaskWindow *window)
{
    bool forward = !window->complete && task_window_size(window) == 0;

    window->scans = !forward && (window->stale || window->rescanning);
    if (!window->scans)
        return window->end;
    if (!window->rescanning)
        window->scan = QUEUE_HEAD;
    window->stale &= window->rescanning; /* what comes from now on asks for another pass */
    window->rescanning = true;
    return window->scan;
}

QueuePlace task_window_begin_load(TaskWindow *window, size_t *ret_limit)
{
    window->loading = true;
    *ret_limit = window->stale || is_narrow(window) ? TASK_WINDOW_MAX : TASK_WINDOW_MAX - task_window_size(window);
    if (is_narrow(window))
        return begin_narrow(window);
    return window->stale ? QUEUE_HEAD : window->end;
}

static bool is_same_place(QueuePlace a, QueuePlace b)
{
    return a.priority == b.priority && a.id == b.id;
}

static bool reaches(QueuePlace place, QueuePlace end)
{
    return place.priority < end.priority || (place.priority == end.priority && place.id >= end.id);
}

static void insert_all(TaskWindow *window, GPtrArray *tasks)
{
    for (guint i = 0; i < tasks->len; i++) {
        TaskSpec *spec = tasks->pdata[i];
        if (g_hash_table_contains(window->by_id, &spec->id))
            task_spec_free(spec);
        else
            insert(window, spec);
    }
    g_ptr_array_set_size(tasks, 0);
}

static void fill_scan(TaskWindow *window, QueuePlace after, GPtrArray *tasks, QueuePlace end, bool complete)
{
    insert_all(window, tasks);
    window->scan = end;
    window->rescanning = !complete && !reaches(end, window->end);
    if (window->rescanning)
        return;
    window->end = end;
    window->complete = complete;
}

static void fill_forward(TaskWindow *window, QueuePlace after, GPtrArray *tasks, QueuePlace end, bool complete)
{
    bool head = is_same_place(after, QUEUE_HEAD);

    if (!head && !is_same_place(after, window->end)) /* offers made room for themselves at the end: there is a gap now */
        return;
    if (head && !is_narrow(window)) {
        clear(window);
        window->stale = false;
    }
    insert_all(window, tasks);
    window->end = end;
    window->complete = complete;
}

static void free_spec(gpointer spec)
{
    task_spec_free(spec);
}

void task_window_fill(TaskWindow *window, QueuePlace after, GPtrArray *tasks, QueuePlace end, bool complete)
{
    window->loading = false;
    g_ptr_array_set_free_func(tasks, NULL);
    (window->scans ? fill_scan : fill_forward)(window, after, tasks, end, complete);
    window->scans = false;
    while (task_window_size(window) > TASK_WINDOW_MAX)
        trim(window);
    g_ptr_array_set_free_func(tasks, free_spec); /* those that were not taken */
    g_ptr_array_unref(tasks);
}

void task_window_fail_load(TaskWindow *window)
{
    window->loading = window->scans = false;
}

void task_window_invalidate(TaskWindow *window)
{
    window->stale = true;
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
