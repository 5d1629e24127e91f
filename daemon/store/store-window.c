/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The head of the queue. The indices of what is ready are ordered by user, priority and id: for each user that has something
 * waiting, and each of its priorities, ids are read until the window is full or the rest cannot make it into it. What is
 * hidden is jumped over. The cost is that of the window, not that of the queue. */
#include "store/store-flow.h"
#include "store/store-internal.h"
#include "store/store-row.h"

/* One task, or elements of an array that follow one another. */
typedef struct Candidate {
    int64_t priority;
    uint64_t first, last;
} Candidate;

typedef struct Search {
    Database *database;
    int64_t class;
    QueuePlace after;
    uint64_t limit;
    GArray *best;    /* Candidate, in the order of the queue: of the users that were looked at */
    uint64_t n_best; /* tasks in it, at most limit */
    GArray *found;   /* Candidate: of the user that is being looked at, by descending priority */
    uint64_t n_found;
} Search;

static int candidate_compare(gconstpointer a, gconstpointer b)
{
    const Candidate *x = a, *y = b;

    if (x->priority != y->priority)
        return x->priority > y->priority ? -1 : 1;
    return x->first < y->first ? -1 : x->first > y->first;
}

/* Joins what was found to the best and cuts those at the limit. */
static void search_merge(Search *search)
{
    uint64_t count = 0;

    g_array_append_vals(search->best, search->found->data, search->found->len);
    g_array_set_size(search->found, 0);
    search->n_found = 0;
    g_array_sort(search->best, candidate_compare);
    for (guint i = 0; i < search->best->len; i++) {
        Candidate *candidate = &g_array_index(search->best, Candidate, i);
        if (count == search->limit) {
            g_array_set_size(search->best, i);
            break;
        }
        candidate->last = MIN(candidate->last, candidate->first + (search->limit - count) - 1);
        count += candidate->last - candidate->first + 1;
    }
    search->n_best = count;
}

/* Is there room among the best, or does it come before the last of them? */
static bool search_wants(const Search *search, int64_t priority, uint64_t id)
{
    Candidate candidate = { .priority = priority, .first = id };

    if (search->n_best < search->limit)
        return true;
    return candidate_compare(&candidate, &g_array_index(search->best, Candidate, search->best->len - 1)) < 0;
}

/* ------------------------------------------------------------------ reading the indices */

/* The two tables that have something ready. */
typedef struct Source {
    const char *next_uid, *next_priority, *ready;
} Source;

static const Source sources[] = {
    {
        .next_uid =
            "SELECT uid FROM tasks INDEXED BY tasks_ready WHERE state = 2 AND class = ?2 AND uid >= ?1"
            " ORDER BY uid LIMIT 1",
        .next_priority =
            "SELECT priority FROM tasks INDEXED BY tasks_ready WHERE state = 2 AND class = ?3 AND uid = ?1"
            " AND priority <= ?2 ORDER BY priority DESC LIMIT 1",
        .ready =
            "SELECT id, id FROM tasks INDEXED BY tasks_ready WHERE state = 2 AND class = ?4 AND uid = ?1"
            " AND priority = ?2 AND id > ?3 ORDER BY id",
    },
    {
        .next_uid =
            "SELECT uid FROM ranges INDEXED BY ranges_ready WHERE state = 2 AND class = ?2 AND uid >= ?1"
            " ORDER BY uid LIMIT 1",
        .next_priority =
            "SELECT priority FROM ranges INDEXED BY ranges_ready WHERE state = 2 AND class = ?3 AND uid = ?1"
            " AND priority <= ?2 ORDER BY priority DESC LIMIT 1",
        .ready =
            "SELECT first, last FROM ranges INDEXED BY ranges_ready WHERE state = 2 AND class = ?4 AND uid = ?1"
            " AND priority = ?2 AND last > ?3 ORDER BY last",
    },
};

/* Reads up to left tasks: 1: something hidden is in the way, to be called again from behind it. */
static int search_read_some(Search *search, const Source *source, uint32_t uid, int64_t priority,
                            uint64_t *after, uint64_t *left)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    Database *database = search->database;
    int r;

    r = sql_query(&database->sql, source->ready,
                  SQL_VALUES(sql_int(uid), sql_int(priority), sql_int((int64_t) *after), sql_int(search->class)),
                  &statement);
    if (r < 0)
        return r;
    while (*left > 0) {
        r = sql_step(&database->sql, statement);
        if (r <= 0)
            return r;
        Candidate candidate = { priority, (uint64_t) sql_column_int(statement, 0),
                                (uint64_t) sql_column_int(statement, 1) };
        candidate.first = MAX(candidate.first, *after + 1); /* a range may begin before */
        const HiddenIds *hidden = database_find_hidden(database, candidate.first);
        if (hidden) {
            *after = hidden->last;
            return 1;
        }
        if (!search_wants(search, priority, candidate.first))
            return 0;
        g_array_append_val(search->found, candidate);
        search->n_found += candidate.last - candidate.first + 1;
        *left -= MIN(*left, candidate.last - candidate.first + 1);
    }
    return 0;
}

/* What this user has at one priority, of both tables; more of it than needed, perhaps. */
static int search_priority(Search *search, uint32_t uid, int64_t priority)
{
    uint64_t needed = search->limit - search->n_found;

    for (size_t i = 0; i < G_N_ELEMENTS(sources); i++) {
        uint64_t after = priority == search->after.priority ? search->after.id : 0, left = needed;
        int r;
        do
            r = search_read_some(search, &sources[i], uid, priority, &after, &left);
        while (r > 0);
        if (r < 0)
            return r;
    }
    return 0;
}

/* 1: there is one, the highest of both tables that is not above "most". */
static int search_next_priority(Search *search, uint32_t uid, int64_t most, int64_t *ret)
{
    int64_t priority, highest = INT64_MIN;
    int r;

    for (size_t i = 0; i < G_N_ELEMENTS(sources); i++) {
        r = sql_number(&search->database->sql, sources[i].next_priority,
                       SQL_VALUES(sql_int(uid), sql_int(most), sql_int(search->class)), &priority);
        if (r < 0)
            return r;
        if (r > 0)
            highest = MAX(highest, priority);
    }
    if (highest == INT64_MIN)
        return 0;
    *ret = highest;
    return 1;
}

static int search_user(Search *search, uint32_t uid)
{
    int64_t priority = search->after.priority;
    int r = 0;

    while (search->n_found < search->limit &&
           (r = search_next_priority(search, uid, priority, &priority)) > 0) {
        if (!search_wants(search, priority, 0))
            break;
        r = search_priority(search, uid, priority);
        if (r < 0)
            return r;
        priority--;
    }
    if (r >= 0)
        search_merge(search);
    return MIN(r, 0);
}

static int search_next_user(Search *search, int64_t least, int64_t *ret)
{
    int64_t uid, lowest = INT64_MAX;
    int r;

    for (size_t i = 0; i < G_N_ELEMENTS(sources); i++) {
        r = sql_number(&search->database->sql, sources[i].next_uid,
                       SQL_VALUES(sql_int(least), sql_int(search->class)), &uid);
        if (r < 0)
            return r;
        if (r > 0)
            lowest = MIN(lowest, uid);
    }
    if (lowest == INT64_MAX)
        return 0;
    *ret = lowest;
    return 1;
}

static int search_run(Search *search, uint32_t user)
{
    int64_t uid = 0;
    int r;

    if (user != UID_ANYBODY)
        return search_user(search, user);
    while ((r = search_next_user(search, uid, &uid)) > 0) {
        r = search_user(search, (uint32_t) uid);
        if (r < 0)
            return r;
        uid++;
    }
    return r;
}

/* ------------------------------------------------------------------ the operation */

typedef struct WindowOp {
    Op op;
    uint32_t user;
    char *class; /* NULL: commands */
    QueuePlace after;
    size_t limit;
    GPtrArray *tasks;
    bool complete;
    StoreWindow done;
    void *userdata;
} WindowOp;

static int candidate_load(Database *database, const Candidate *candidate, size_t limit, GPtrArray *tasks)
{
    StoredTask task;
    TaskSpec *spec;
    int r;

    if (tasks->len >= limit)
        return 0;
    r = row_find_task(database, candidate->first, &task);
    if (r <= 0)
        return r < 0 ? r : -EIO;
    r = row_load_spec(database, &task, &spec);
    if (r < 0)
        return r;
    g_ptr_array_add(tasks, spec);
    for (uint64_t id = candidate->first + 1; id <= candidate->last && tasks->len < limit; id++)
        g_ptr_array_add(tasks, row_spec_for_element(spec, id));
    return 0;
}

static void window_clear(WindowOp *window)
{
    g_clear_pointer(&window->tasks, g_ptr_array_unref);
}

static void window_task_free(gpointer spec)
{
    task_spec_free(spec);
}

static int window_run(Database *database, Op *op)
{
    WindowOp *window = (WindowOp *) op;
    g_autoptr(GArray) best = g_array_new(FALSE, FALSE, sizeof(Candidate));
    g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(Candidate));
    /* One more than asked for tells whether there are others. */
    Search search = {
        .database = database,
        .after = window->after,
        .limit = (uint64_t) window->limit + 1,
        .best = best,
        .found = found
    };
    int r;

    window_clear(window);
    window->tasks = g_ptr_array_new_with_free_func(window_task_free);
    r = class_find(database, window->class, &search.class);
    if (r >= 0)
        r = search_run(&search, window->user);
    for (guint i = 0; r >= 0 && i < best->len; i++)
        r = candidate_load(database, &g_array_index(best, Candidate, i), window->limit, window->tasks);
    window->complete = search.n_best <= window->limit;
    return r;
}

static void window_complete(Op *op, const StoreEvents *events)
{
    WindowOp *window = (WindowOp *) op;

    if (!window->done)
        return;
    if (op->r < 0)
        window_clear(window);
    window->done(op->r, g_steal_pointer(&window->tasks), op->r >= 0 && window->complete, window->userdata);
}

static void window_free(Op *op)
{
    window_clear((WindowOp *) op);
    g_free(((WindowOp *) op)->class);
}

static const OpClass window_class = { .run = window_run, .complete = window_complete, .free = window_free };

void store_load_window(StorePort *port, uint32_t user, const char *class, QueuePlace after, size_t limit,
                       StoreWindow done, void *userdata)
{
    WindowOp *window = g_new(WindowOp, 1);

    *window = (WindowOp){
        .op = OP_INIT(window_class),
        .user = user,
        .class = g_strdup(class),
        .after = after,
        .limit = limit,
        .done = done,
        .userdata = userdata,
    };
    store_enqueue((Store *) port, &window->op);
}
