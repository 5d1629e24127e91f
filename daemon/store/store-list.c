/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Showing tasks: pages in the order of their ids, and single ones. A page is put together from streams of ids, each in order: rows
 * of tasks (all of them, or by state), held tasks, ranges. A call looks at a bounded number of tasks: if few match, the page
 * is short and its cursor leads on. */
#include "store/store-gate.h"
#include "store/store-internal.h"
#include "store/store-match.h"

#define LOOKED_AT_MAX 20000U
#define RESULT_BYTES_LISTED ((size_t) 4 << 20) /* of results on a page; those of the rest are left out */

/* One task, or elements of an array that follow one another. */
typedef struct Piece {
    uint64_t first, last;
} Piece;

typedef struct Listing {
    Database *database;
    const TaskFilter *filter;
    GPtrArray *rows;   /* TaskRow */
    uint64_t position; /* the id that was looked at last */
    size_t looked_at;
    size_t result_bytes;
    bool more; /* there is, or may be, another page */
} Listing;

static bool listing_is_full(const Listing *listing)
{
    return listing->rows->len >= listing->filter->limit || listing->looked_at >= LOOKED_AT_MAX;
}

/* ------------------------------------------------------------------ streams */

/* ?1, ?2: between which ids; ?3: how many at most; ?4: the state. */
typedef struct Stream {
    const char *forward, *backward;
    bool by_state;
} Stream;

static const Stream stream_all = {
    .forward = "SELECT id, id FROM tasks WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT ?3",
    .backward = "SELECT id, id FROM tasks WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC LIMIT ?3",
};
static const Stream stream_by_state = {
    .forward =
        "SELECT id, id FROM tasks INDEXED BY tasks_by_state WHERE state = ?4 AND state NOT IN (3, 5) AND id BETWEEN ?1 AND ?2"
        " ORDER BY id LIMIT ?3",
    .backward =
        "SELECT id, id FROM tasks INDEXED BY tasks_by_state WHERE state = ?4 AND state NOT IN (3, 5) AND id BETWEEN ?1 AND ?2"
        " ORDER BY id DESC LIMIT ?3",
    .by_state = true,
};
static const Stream stream_held = {
    .forward = "SELECT task, task FROM assignments WHERE task BETWEEN ?1 AND ?2 ORDER BY task LIMIT ?3",
    .backward = "SELECT task, task FROM assignments WHERE task BETWEEN ?1 AND ?2 ORDER BY task DESC LIMIT ?3",
};
/* Those that begin before ?1 or end behind ?2 are cut by the reader. */
static const Stream stream_ranges = {
    .forward =
        "SELECT first, last FROM ranges WHERE last >= ?1 AND last <= ifnull((SELECT last FROM ranges WHERE last >= ?2"
        " ORDER BY last LIMIT 1), ?2) ORDER BY last LIMIT ?3",
    .backward =
        "SELECT first, last FROM ranges WHERE last >= ?1 AND last <= ifnull((SELECT last FROM ranges WHERE last >= ?2"
        " ORDER BY last LIMIT 1), ?2) ORDER BY last DESC LIMIT ?3",
};

/* The part of the ids that is being read, and what was found in it. */
typedef struct Chunk {
    uint64_t first, last;
    bool reverse;
    size_t wanted;  /* from each stream */
    GArray *pieces; /* Piece */
} Chunk;

/* What lies beyond the last piece of a stream that was cut short is not known yet. */
static void chunk_cut(Chunk *chunk, uint64_t id)
{
    if (chunk->reverse)
        chunk->first = MAX(chunk->first, id);
    else
        chunk->last = MIN(chunk->last, id);
}

/* 1: something hidden is in the way; first and last are then what is left behind it. */
static int stream_read_some(Listing *listing, const Stream *stream, int state, Chunk *chunk,
                            uint64_t *first, uint64_t *last)
{
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    Database *database = listing->database;
    size_t n = 0;
    Piece piece = { 0 };
    int r;

    r = sql_query(&database->sql, chunk->reverse ? stream->backward : stream->forward,
                  (const SqlValue[]){ sql_int((int64_t) *first), sql_int((int64_t) *last),
                                      sql_int((int64_t) chunk->wanted), sql_int(state) },
                  stream->by_state ? 4 : 3, &statement);
    if (r < 0)
        return r;
    while ((r = sql_step(&database->sql, statement)) > 0) {
        n++;
        piece.first = MAX(*first, (uint64_t) sql_column_int(statement, 0));
        piece.last = MIN(*last, (uint64_t) sql_column_int(statement, 1));
        if (piece.first > piece.last)
            continue;
        const HiddenIds *hidden = database_find_hidden(database, piece.first);
        if (hidden && chunk->reverse)
            *last = hidden->first - 1;
        else if (hidden)
            *first = hidden->last + 1;
        if (hidden)
            return *first <= *last;
        g_array_append_val(chunk->pieces, piece);
    }
    if (r == 0 && n == chunk->wanted)
        chunk_cut(chunk, chunk->reverse ? piece.first : piece.last);
    return r;
}

static int stream_read(Listing *listing, const Stream *stream, int state, Chunk *chunk, uint64_t first,
                       uint64_t last)
{
    int r;

    do
        r = stream_read_some(listing, stream, state, chunk, &first, &last);
    while (r > 0);
    return r;
}

/* Which streams have what the filter asks for. Succeeded tasks are in no index: they are read among all. */
static int chunk_read(Listing *listing, Chunk *chunk)
{
    const uint64_t first = chunk->first, last = chunk->last;
    const uint32_t held = 1U << TASK_QUEUED | 1U << TASK_RUNNING;
    uint32_t states = listing->filter->states;
    int r = 0;

    if (states == 0 || states & 1U << TASK_SUCCEEDED) {
        r = stream_read(listing, &stream_all, TASK_SUCCEEDED, chunk, first, last);
    } else {
        for (TaskState state = 0; r >= 0 && state < _TASK_STATE_MAX; state++)
            if (states & 1U << state && state != TASK_RUNNING)
                r = stream_read(listing, &stream_by_state, (int) state, chunk, first, last);
        if (r >= 0 && states & 1U << TASK_QUEUED)
            r = stream_read(listing, &stream_by_state, STATE_GATED, chunk, first, last);
        if (r >= 0 && states & 1U << TASK_BLOCKED)
            r = stream_read(listing, &stream_by_state, STATE_PARKED, chunk, first, last);
        if (r >= 0 && states & held)
            r = stream_read(listing, &stream_held, TASK_RUNNING, chunk, first, last);
    }
    return r < 0 ? r : stream_read(listing, &stream_ranges, TASK_QUEUED, chunk, first, last);
}

/* ------------------------------------------------------------------ looking at what they bring */

/* 1: it matches. */
static int listing_match(Listing *listing, const StoredTask *task)
{
    const TaskFilter *filter = listing->filter;
    StoredAssignment assignment = { 0 };
    int r = 0;

    if (filter->batch != 0 && filter->batch != task->batch)
        return 0;
    if (filter->states != 0 && task->state == STATE_TAKEN)
        r = row_find_assignment(listing->database, task->id, &assignment);
    if (r < 0)
        return r;
    if (filter->states != 0 && !(filter->states & 1U << row_state(task, &assignment)))
        return 0;
    return match_spec(listing->database, filter, task);
}

static int listing_add(Listing *listing, const StoredTask *task)
{
    TaskRow *row;
    int r;

    r = row_load(listing->database, task, &row);
    if (r < 0)
        return r;
    g_ptr_array_add(listing->rows, row);
    if (listing->database->n_results == 0 || listing->result_bytes > RESULT_BYTES_LISTED)
        return 0;
    r = row_add_data(listing->database, row);
    if (row->result.data)
        listing->result_bytes += g_bytes_get_size(row->result.data);
    return MIN(r, 0);
}

/* The elements of a range are all alike: what holds for one holds for all. */
static int listing_take_piece(Listing *listing, const Piece *piece)
{
    bool reverse = listing->filter->reverse;
    uint64_t id = reverse ? piece->last : piece->first;
    StoredTask task;
    int r;

    listing->looked_at++;
    r = row_find_task(listing->database, id, &task);
    if (r > 0)
        r = listing_match(listing, &task);
    listing->position = reverse ? piece->first : piece->last;
    if (r <= 0)
        return r;
    for (;;) {
        if (listing->rows->len >= listing->filter->limit) {
            listing->more = true;
            return 0;
        }
        task.id = id;
        r = listing_add(listing, &task);
        if (r < 0)
            return r;
        listing->position = id;
        if (id == (reverse ? piece->first : piece->last))
            return 0;
        id = reverse ? id - 1 : id + 1;
    }
}

static int piece_compare(gconstpointer a, gconstpointer b)
{
    const Piece *x = a, *y = b;

    return x->first < y->first ? -1 : x->first > y->first;
}

static int piece_compare_reverse(gconstpointer a, gconstpointer b)
{
    return piece_compare(b, a);
}

static int listing_take_chunk(Listing *listing, const Chunk *chunk)
{
    int r;

    g_array_sort(chunk->pieces, chunk->reverse ? piece_compare_reverse : piece_compare);
    for (guint i = 0; i < chunk->pieces->len; i++) {
        Piece piece = g_array_index(chunk->pieces, Piece, i);
        piece.first = MAX(piece.first, chunk->first);
        piece.last = MIN(piece.last, chunk->last);
        if (piece.first > piece.last)
            continue;
        if (listing_is_full(listing)) {
            listing->more = true;
            return 0;
        }
        r = listing_take_piece(listing, &piece);
        if (r < 0 || listing->more)
            return r;
    }
    return 0;
}

static int listing_take_segment(Listing *listing, uint64_t first, uint64_t last)
{
    bool reverse = listing->filter->reverse;
    g_autoptr(GArray) pieces = g_array_new(FALSE, FALSE, sizeof(Piece));
    int r;

    while (first <= last && !listing->more) {
        Chunk chunk = { .first = first, .last = last, .reverse = reverse, .pieces = pieces };
        /* Two more: one shows that there is another page, one may be a range beyond the end. */
        chunk.wanted = listing->filter->limit - MIN(listing->rows->len, listing->filter->limit) + 2;
        g_array_set_size(pieces, 0);
        r = chunk_read(listing, &chunk);
        if (r >= 0)
            r = listing_take_chunk(listing, &chunk);
        if (r < 0)
            return r;
        if (reverse && chunk.first > first)
            last = chunk.first - 1;
        else if (!reverse && chunk.last < last)
            first = chunk.last + 1;
        else
            return 0;
    }
    return 0;
}

/* ------------------------------------------------------------------ where to look */

static int listing_take_ids(Listing *listing, uint64_t first, uint64_t last)
{
    g_autoptr(GArray) ids = match_sorted_ids(listing->filter);
    int r;

    for (guint i = 0; i < ids->len; i++) {
        uint64_t id = g_array_index(ids, uint64_t, listing->filter->reverse ? ids->len - 1 - i : i);
        if (id < first || id > last)
            continue;
        if (listing_is_full(listing)) {
            listing->more = true;
            return 0;
        }
        r = listing_take_piece(listing, &(Piece){ id, id });
        if (r < 0)
            return r;
    }
    return 0;
}

static int listing_take_batch(Listing *listing, uint64_t first, uint64_t last)
{
    g_autoptr(GArray) segments = NULL;
    int r;

    r = match_load_segments(listing->database, listing->filter->batch, &segments);
    for (guint i = 0; r >= 0 && i < segments->len && !listing->more; i++) {
        guint position = listing->filter->reverse ? segments->len - 1 - i : i;
        const IdRange *segment = &g_array_index(segments, IdRange, position);
        r = listing_take_segment(listing, MAX(first, segment->first), MIN(last, segment->last));
    }
    return r;
}

static int listing_run(Listing *listing)
{
    const TaskFilter *filter = listing->filter;
    uint64_t first = 1, last = INT64_MAX;

    if (filter->cursor != 0 && filter->reverse)
        last = MIN(last, filter->cursor - 1);
    else if (filter->cursor != 0)
        first = filter->cursor < INT64_MAX ? filter->cursor + 1 : UINT64_MAX;
    if (filter->ids)
        return listing_take_ids(listing, first, last);
    if (filter->batch != 0)
        return listing_take_batch(listing, first, last);
    return listing_take_segment(listing, first, last);
}

/* ------------------------------------------------------------------ the operations */

typedef struct ListOp {
    Op op;
    TaskFilter *filter;
    GPtrArray *rows;
    uint64_t cursor;
    StoreRows done;
    void *userdata;
} ListOp;

static void list_row_free(gpointer row)
{
    task_row_free(row);
}

static int list_run(Database *database, Op *op)
{
    ListOp *list = (ListOp *) op;
    Listing listing = { .database = database, .filter = list->filter };
    int r;

    g_clear_pointer(&list->rows, g_ptr_array_unref);
    list->rows = g_ptr_array_new_with_free_func(list_row_free);
    listing.rows = list->rows;
    r = listing_run(&listing);
    list->cursor = listing.more ? listing.position : 0;
    return r;
}

static void list_complete(Op *op, const StoreEvents *events)
{
    ListOp *list = (ListOp *) op;

    if (op->r < 0) {
        g_clear_pointer(&list->rows, g_ptr_array_unref);
        list->cursor = 0;
    }
    if (list->done)
        list->done(op->r, g_steal_pointer(&list->rows), list->cursor, list->userdata);
}

static void list_free(Op *op)
{
    ListOp *list = (ListOp *) op;

    task_filter_free(list->filter);
    g_clear_pointer(&list->rows, g_ptr_array_unref);
}

static const OpClass list_class = { .run = list_run, .complete = list_complete, .free = list_free };

void store_list(StorePort *port, TaskFilter *filter, StoreRows done, void *userdata)
{
    ListOp *list = g_new(ListOp, 1);

    filter->limit = CLAMP(filter->limit, 1, TASK_PAGE_MAX);
    *list = (ListOp){ .op = OP_INIT(list_class), .filter = filter, .done = done, .userdata = userdata };
    store_enqueue((Store *) port, &list->op);
}

typedef struct GetOp {
    Op op;
    uint64_t task;
    TaskRow *row;
    StoreRow done;
    void *userdata;
} GetOp;

static int get_add_dependencies(Database *database, const StoredTask *task, TaskRow *row)
{
    g_autofree char *reason = NULL;

    return gate_describe(database, task->spec, &row->after, &reason);
}

static int get_run(Database *database, Op *op)
{
    GetOp *get = (GetOp *) op;
    StoredTask task;
    int r;

    get->row = task_row_free(get->row);
    r = row_find_task(database, get->task, &task);
    if (r == 0)
        op->r = -ENOENT;
    if (r <= 0)
        return r;
    r = row_load(database, &task, &get->row);
    if (r >= 0)
        r = row_load_attempts(database, get->task, &get->row->attempts);
    if (r >= 0 && get->row->spec->has_dependencies)
        r = get_add_dependencies(database, &task, get->row);
    if (r >= 0 && database->n_results > 0)
        r = row_add_data(database, get->row);
    return MIN(r, 0);
}

static void get_complete(Op *op, const StoreEvents *events)
{
    GetOp *get = (GetOp *) op;

    if (op->r < 0)
        get->row = task_row_free(get->row);
    if (get->done)
        get->done(op->r, g_steal_pointer(&get->row), get->userdata);
}

static void get_free(Op *op)
{
    task_row_free(((GetOp *) op)->row);
}

static const OpClass get_class = { .run = get_run, .complete = get_complete, .free = get_free };

void store_get(StorePort *port, uint64_t task, StoreRow done, void *userdata)
{
    GetOp *get = g_new(GetOp, 1);

    *get = (GetOp){ .op = OP_INIT(get_class), .task = task, .done = done, .userdata = userdata };
    store_enqueue((Store *) port, &get->op);
}
