/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The face of the store to the loop: opening, queueing, answering. Owned by main. Operations wait in "queued" until the
 * store's thread takes them, and in "answered" until store_dispatch() does; the mutex guards both and nothing else. */
#include "store/store.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "store/store-thread.h"
#include "util/log.h"

/* ------------------------------------------------------------------ operations */

static void batch_end_free(gpointer data)
{
    BatchEnd *end = data;

    task_result_done(&end->result);
    g_free(end);
}

static void spec_free(gpointer spec)
{
    task_spec_free(spec);
}

Effects *op_effects(Op *op)
{
    if (op->effects)
        return op->effects;
    op->effects = g_new0(Effects, 1);
    op->effects->ended = g_ptr_array_new_with_free_func(batch_end_free);
    op->effects->halted = g_array_new(FALSE, FALSE, sizeof(Halted));
    op->effects->ready = g_ptr_array_new_with_free_func(spec_free);
    op->effects->skipped = g_array_new(FALSE, FALSE, sizeof(IdRange));
    return op->effects;
}

void op_forget_effects(Op *op)
{
    Effects *effects = op->effects;

    if (!effects)
        return;
    g_ptr_array_set_size(effects->ended, (gint) effects->committed.ended);
    g_array_set_size(effects->halted, effects->committed.halted);
    g_ptr_array_set_size(effects->ready, (gint) effects->committed.ready);
    g_array_set_size(effects->skipped, effects->committed.skipped);
    effects->more_ready = effects->committed.more_ready;
}

void op_keep_effects(Op *op)
{
    Effects *effects = op->effects;

    if (!effects)
        return;
    effects->committed.ended = effects->ended->len;
    effects->committed.halted = effects->halted->len;
    effects->committed.ready = effects->ready->len;
    effects->committed.skipped = effects->skipped->len;
    effects->committed.more_ready = effects->more_ready;
}

static void effects_free(Effects *effects)
{
    if (!effects)
        return;
    g_ptr_array_unref(effects->ended);
    g_array_unref(effects->halted);
    g_ptr_array_unref(effects->ready);
    g_array_unref(effects->skipped);
    g_free(effects);
}

void op_add_batch_end(Op *op, BatchEnd *end)
{
    g_ptr_array_add(op_effects(op)->ended, end);
}

void op_add_halt(Op *op, uint64_t batch, bool now)
{
    Halted halted = { batch, now };

    g_array_append_val(op_effects(op)->halted, halted);
}

void op_free(Op *op)
{
    if (op->class->free)
        op->class->free(op);
    effects_free(op->effects);
    g_free(op);
}

/* What was skipped or became ready is no news of a submission: the core reads its windows after that. */
static void effects_tell(const Effects *effects, const StoreEvents *events)
{
    if (effects->skipped->len > 0 && events->tasks_skipped)
        events->tasks_skipped(effects->skipped, events->userdata);
    if ((effects->ready->len > 0 || effects->more_ready) && events->tasks_ready)
        events->tasks_ready(effects->ready, effects->more_ready, events->userdata);
    for (guint i = 0; events->batch_halted && i < effects->halted->len; i++) {
        const Halted *halted = &g_array_index(effects->halted, Halted, i);
        events->batch_halted(halted->batch, halted->now, events->userdata);
    }
    for (guint i = 0; events->batch_ended && i < effects->ended->len; i++)
        events->batch_ended(effects->ended->pdata[i], events->userdata);
}

static void op_complete(Op *op, const StoreEvents *events)
{
    if (op->class->complete)
        op->class->complete(op, events);
    if (op->effects && op->r >= 0)
        effects_tell(op->effects, events);
}

typedef struct CountsEvent {
    Op op;
    StoreCounts counts;
} CountsEvent;

static void counts_complete(Op *op, const StoreEvents *events)
{
    if (events->counts_changed)
        events->counts_changed(&((CountsEvent *) op)->counts, events->userdata);
}

static const OpClass counts_class = { .complete = counts_complete };

Op *event_new_counts(const StoreCounts *counts)
{
    CountsEvent *event = g_new(CountsEvent, 1);

    *event = (CountsEvent){ .op = OP_INIT(counts_class), .counts = *counts };
    return &event->op;
}

static void failing_complete(Op *op, const StoreEvents *events)
{
    if (op->r < 0)
        log_error_errno(op->r, "The database cannot be written to: %m");
    else
        log_info("The database can be written to again");
    if (events->failing)
        events->failing(op->r, events->userdata);
}

typedef struct DueEvent {
    Op op;
    Due due;
} DueEvent;

static void due_complete(Op *op, const StoreEvents *events)
{
    const Due *due = &((DueEvent *) op)->due;

    if (events->due_changed)
        events->due_changed(due->boot_usec, due->realtime_usec, events->userdata);
}

static const OpClass due_class = { .complete = due_complete };

Op *event_new_due(const Due *due)
{
    DueEvent *event = g_new(DueEvent, 1);

    *event = (DueEvent){ .op = OP_INIT(due_class), .due = *due };
    return &event->op;
}

static const OpClass failing_class = { .complete = failing_complete };

Op *event_new_failing(int r)
{
    Op *op = g_new(Op, 1);

    *op = OP_INIT(failing_class);
    op->r = r;
    return op;
}

/* ------------------------------------------------------------------ the two queues */

void store_enqueue(Store *store, Op *op)
{
    g_mutex_lock(&store->mutex);
    g_ptr_array_add(store->queued, op);
    store->urgent |= !op->class->kept;
    if (!op->class->kept || store->queued->len == 1) /* who waits for more to gather need not be told of it */
        g_cond_signal(&store->wake);
    g_mutex_unlock(&store->mutex);
}

void store_hurry(StorePort *port)
{
    Store *store = (Store *) port;

    g_mutex_lock(&store->mutex);
    if (store->queued->len > 0 && !store->urgent) {
        store->urgent = true;
        g_cond_signal(&store->wake);
    }
    g_mutex_unlock(&store->mutex);
}

StorePort *store_port(Store *store)
{
    return &store->port;
}

int store_get_fd(Store *store)
{
    return store->fd;
}

void store_dispatch(Store *store)
{
    g_autoptr(GPtrArray) answered = NULL;
    eventfd_t count;

    (void) eventfd_read(store->fd, &count);
    g_mutex_lock(&store->mutex);
    answered = g_steal_pointer(&store->answered);
    store->answered = g_ptr_array_new();
    g_mutex_unlock(&store->mutex);
    for (guint i = 0; i < answered->len; i++) {
        op_complete(answered->pdata[i], &store->events);
        op_free(answered->pdata[i]);
    }
}

/* ------------------------------------------------------------------ life */

static const StorePort store_port_table = {
    .submit = store_submit,
    .discard_batch = store_discard_batch,
    .load_window = store_load_window,
    .load_inputs = store_load_inputs,
    .assign = store_assign,
    .started = store_started,
    .settle = store_settle,
    .hurry = store_hurry,
    .park = store_park,
    .unpark = store_unpark,
    .set_wish = store_set_wish,
    .save_learned = store_save_learned,
    .list = store_list,
    .get = store_get,
    .examine = store_examine,
    .cancel = store_cancel,
    .modify = store_modify,
    .wake = store_wake,
    .explain = store_explain,
    .list_queues = store_list_queues,
    .set_queue = store_set_queue,
    .remove_queue = store_remove_queue,
    .prune = store_prune,
    .add_worker = store_add_worker,
    .update_worker = store_update_worker,
    .forget_worker = store_forget_worker,
    .set_enabled = store_set_enabled,
};

/* Signals are the loop's. */
static void store_start_thread(Store *store)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    store->thread = g_thread_new("store", store_thread, store);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static Store *store_new(const StoreEvents *events)
{
    Store *store = g_new0(Store, 1);

    store->port = store_port_table;
    store->events = *events;
    store->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    g_mutex_init(&store->mutex);
    g_cond_init(&store->wake);
    store->queued = g_ptr_array_new();
    store->answered = g_ptr_array_new();
    store->stuck = g_ptr_array_new();
    return store;
}

int store_open(const char *directory, const StoreEvents *events, Store **ret, StoreSnapshot **ret_snapshot)
{
    g_autofree char *path = g_build_filename(directory, "parexec.db", NULL);
    g_autoptr(StoreSnapshot) snapshot = NULL;
    g_autoptr(Store) store = store_new(events);
    int r;

    if (store->fd < 0)
        return log_error_errno(errno, "Failed to create an eventfd: %m");
    r = database_open(path, &store->database);
    if (r < 0)
        return r;
    r = snapshot_load(store->database, &snapshot);
    if (r >= 0)
        r = submit_resume_discards(store, store->database);
    if (r < 0)
        return log_error_errno(r, "Failed to read %s: %s", path,
                               store->database->sql.message ? store->database->sql.message : "damaged");
    store->told = snapshot->counts;
    store->database->waits_changed = true; /* the first answer tells of the next time, if there is one */
    store->due_told = (Due){ UINT64_MAX, UINT64_MAX };
    store_start_thread(store);
    *ret = g_steal_pointer(&store);
    *ret_snapshot = g_steal_pointer(&snapshot);
    return 0;
}

static void ops_free(GPtrArray *ops)
{
    for (guint i = 0; i < ops->len; i++)
        op_free(ops->pdata[i]);
    g_ptr_array_unref(ops);
}

Store *store_free(Store *store)
{
    if (!store)
        return NULL;
    if (store->thread) {
        g_mutex_lock(&store->mutex);
        store->stopping = true;
        g_cond_signal(&store->wake);
        g_mutex_unlock(&store->mutex);
        g_thread_join(store->thread);
    }
    ops_free(store->queued);
    ops_free(store->answered);
    ops_free(store->stuck);
    database_free(store->database);
    g_mutex_clear(&store->mutex);
    g_cond_clear(&store->wake);
    close_fd(store->fd);
    g_free(store);
    return NULL;
}
