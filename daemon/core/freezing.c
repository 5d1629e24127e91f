/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tasks that stand still, and go on. The worker's program itself is never frozen: it answers, and can be told to let go. A
 * frozen worker is one all of whose tasks stand still and that gets no new ones.
 *
 * A worker answers each question once, in their order: manager->freezings has those that are open, oldest first.
 *
 * Invariant: task->frozen is what the worker has said last, or is remembered of an earlier service. Whoever asked is answered when all workers have, or are
 * gone. What a connection that broke has left open is put right when the worker is back (worker->unsure). */
#include "core/manager-internal.h"
#include "util/parse-util.h"

/* What somebody wants and waits for. */
typedef struct Freezing {
    Manager *manager;
    unsigned n_open; /* questions */
    uint64_t count;
    bool frozen; /* what is wanted */
    uint32_t worker; /* of a whole worker; 0: of tasks */
    bool own;        /* by the tasks' owner, who need not be an administrator */
    int r;
    char *why;
    void (*done)(const struct Freezing *freezing);
    union {
        ManagerModified modified;
        ManagerWorkerDone worker;
    } answer;
    void *userdata;
} Freezing;

/* What one worker was asked. */
typedef struct Question {
    uint32_t worker;
    Freezing *freezing; /* NULL: nobody waits */
    GArray *tasks;      /* uint64_t */
    bool frozen;
} Question;

static void freezing_free(Freezing *freezing)
{
    g_free(freezing->why);
    g_free(freezing);
}

static void question_free(gpointer data)
{
    Question *question = data;

    if (question->freezing && --question->freezing->n_open == 0)
        freezing_free(question->freezing); /* the service ends */
    g_array_unref(question->tasks);
    g_free(question);
}

static Freezing *freezing_new(Manager *manager, bool frozen)
{
    Freezing *freezing = g_new0(Freezing, 1);

    freezing->manager = manager;
    freezing->frozen = frozen;
    return freezing;
}

static void freezing_fail(Freezing *freezing, int r, const char *why)
{
    if (freezing->why)
        return;
    freezing->r = r;
    freezing->why = g_strdup(why);
}

static void freezing_end(Freezing *freezing)
{
    freezing->done(freezing);
    freezing_free(freezing);
}

/* The oldest that this worker has not answered; NULL: none. */
static Question *take_question(Manager *manager, uint32_t worker)
{
    for (guint i = 0; i < manager->freezings->len; i++)
        if (((Question *) manager->freezings->pdata[i])->worker == worker)
            return g_ptr_array_steal_index(manager->freezings, i);
    return NULL;
}

static void answer_question(Question *question, size_t n, int r, const char *why)
{
    Freezing *freezing = g_steal_pointer(&question->freezing);

    question_free(question);
    if (!freezing)
        return;
    freezing->count += n;
    if (why)
        freezing_fail(freezing, r, why);
    if (--freezing->n_open == 0)
        freezing_end(freezing);
}

/* The time that it stands still does not count. */
static void note_frozen(Manager *manager, ActiveTask *task, bool frozen)
{
    uint64_t now = manager_now(manager);

    if (task->frozen == frozen)
        return;
    task->frozen = frozen;
    if (frozen)
        task->frozen_usec = now;
    else
        task->started_monotonic_usec = usec_add(task->started_monotonic_usec, now - task->frozen_usec);
}

void manager_tasks_frozen(Manager *manager, Worker *worker, const uint64_t *tasks, size_t n, bool frozen,
                          const FrozenFailure *failures, size_t n_failures)
{
    Question *question = take_question(manager, worker->number);

    for (size_t i = 0; i < n; i++) {
        ActiveTask *task = manager_find_active(manager, tasks[i]);
        if (task && task->worker == worker)
            note_frozen(manager, task, frozen);
    }
    if (question)
        answer_question(question, n, -EOPNOTSUPP, n_failures > 0 ? failures[0].why : NULL);
    manager_remember_frozen(manager);
    NOTIFY(manager, worker_changed, worker);
    if (manager->n_relative > 0)
        manager_rearm(manager);
}

/* It is not known whether they go on. */
static void forget_thaw(Manager *manager, const Question *question)
{
    for (guint i = 0; !question->frozen && i < question->tasks->len; i++) {
        ActiveTask *task = manager_find_active(manager, g_array_index(question->tasks, uint64_t, i));
        if (task)
            note_frozen(manager, task, false);
    }
}

void manager_forget_freezing(Manager *manager, Worker *worker)
{
    Question *question;

    while ((question = take_question(manager, worker->number))) {
        worker->unsure = true;
        forget_thaw(manager, question);
        answer_question(question, 0, -ENOTCONN, "the worker has ended, or lost its connection");
    }
}

/* ---- asking */

static void ask_worker(Manager *manager, Freezing *freezing, uint32_t worker, GArray *tasks, bool frozen,
                       bool reclaim)
{
    Question *question = g_new(Question, 1);

    *question = (Question){ worker, freezing, g_array_ref(tasks), frozen };
    g_ptr_array_set_free_func(manager->freezings, question_free);
    g_ptr_array_add(manager->freezings, question);
    if (freezing)
        freezing->n_open++;
    manager->ports.link->freeze(manager->ports.link, worker, (uint64_t *) (void *) tasks->data, tasks->len, frozen,
                                reclaim);
}

/* NULL: it is not to be asked for. */
static ActiveTask *find_running(Manager *manager, uint64_t id, bool frozen)
{
    ActiveTask *task = manager_find_active(manager, id);

    if (!task || !task->worker || task->settling)
        return NULL;
    return frozen && (task->cancelled || task->timed_out) ? NULL : task; /* it is about to end, and has to be able to */
}

/* Whoever may let a task go on may not thereby undo what is done to its worker, nor, unless it is an administrator, what
 * is done for the machine. */
static bool may_thaw(Manager *manager, Freezing *freezing, const ActiveTask *task)
{
    bool by_worker = freezing->worker == 0 && task->worker->frozen,
         by_pressure = freezing->own && manager->ladder.rung >= RUNG_FREEZE;

    if (by_worker)
        freezing_fail(freezing, -EBUSY, "its worker stands still");
    else if (by_pressure)
        freezing_fail(freezing, -EAGAIN, "the machine is under pressure");
    return !by_worker && !by_pressure;
}

/* Tells the workers, each of its own tasks. freezing: NULL if nobody waits. */
static void ask(Manager *manager, Freezing *freezing, const GArray *tasks, bool frozen, bool reclaim)
{
    g_autoptr(GHashTable) by_worker = active_tasks_by_worker_new();
    GHashTableIter iter;
    gpointer key, value;

    for (guint i = 0; i < tasks->len; i++) {
        uint64_t id = g_array_index(tasks, uint64_t, i);
        ActiveTask *task = find_running(manager, id, frozen);
        if (!task || (freezing && !frozen && !may_thaw(manager, freezing, task)))
            continue;
        if (!task->worker->connected) {
            task->worker->unsure = true;
            if (freezing)
                freezing_fail(freezing, -ENOTCONN, "the worker has no connection at present");
            continue;
        }
        if (freezing)
            task->frozen_by_pressure = false; /* from now on it is as somebody wants it */
        active_tasks_by_worker_add(by_worker, task);
    }
    g_hash_table_iter_init(&iter, by_worker);
    while (g_hash_table_iter_next(&iter, &key, &value))
        ask_worker(manager, freezing, GPOINTER_TO_UINT(key), value, frozen, reclaim);
    if (freezing && freezing->n_open == 0)
        freezing_end(freezing);
}

void manager_freeze_list(Manager *manager, const GArray *tasks, bool frozen)
{
    ask(manager, NULL, tasks, frozen, false);
}

/* ---- of a filter */

typedef struct Selecting {
    Freezing *freezing;
    bool reclaim;
} Selecting;

static void answer_modified(const Freezing *freezing)
{
    freezing->answer.modified(freezing->count > 0 ? 0 : freezing->r, freezing->count, freezing->userdata);
}

static void on_selected(int r, const Modified *modified, void *userdata)
{
    g_autofree Selecting *selecting = userdata;
    Freezing *freezing = selecting->freezing;

    if (r < 0) {
        freezing->r = r;
        freezing_end(freezing);
        return;
    }
    ask(freezing->manager, freezing, modified->started, freezing->frozen, selecting->reclaim);
}

void manager_freeze_tasks(Manager *manager, TaskFilter *filter, uint32_t only_uid, bool frozen, bool reclaim,
                          ManagerModified done, void *userdata)
{
    Selecting *selecting = g_new(Selecting, 1);
    Freezing *freezing = freezing_new(manager, frozen);

    freezing->own = only_uid != UID_ANYBODY;
    freezing->done = answer_modified;
    freezing->answer.modified = done;
    freezing->userdata = userdata;
    *selecting = (Selecting){ freezing, reclaim };
    manager->ports.store->modify(manager->ports.store, filter, only_uid, TASK_SELECT, NULL, on_selected,
                                 selecting);
}

/* ---- of a worker */

static GArray *running_tasks(const Worker *worker)
{
    GArray *tasks = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, worker->tasks);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const ActiveTask *task = value;
        if (task->start_usec > 0)
            g_array_append_val(tasks, task->spec->id);
    }
    return tasks;
}

/* If it could not be done it stays as it was, unless somebody has wanted something else meanwhile. */
static void answer_worker(const Freezing *freezing)
{
    Manager *manager = freezing->manager;
    Worker *worker = manager_find_worker(manager, freezing->worker);

    if (freezing->r < 0 && worker && worker->frozen == freezing->frozen) {
        g_autoptr(GArray) tasks = running_tasks(worker);
        worker->frozen = !freezing->frozen;
        ask(manager, NULL, tasks, worker->frozen, false);
    }
    manager_remember_frozen(manager);
    freezing->answer.worker(freezing->r, freezing->why, freezing->userdata);
    if (worker && !worker->frozen)
        dispatch(manager);
}

int manager_freeze_worker(Manager *manager, Worker *worker, bool frozen, bool reclaim, ManagerWorkerDone done,
                          void *userdata)
{
    g_autoptr(GArray) tasks = NULL;

    if (!worker_state_is_live(worker->state) || worker->state == WORKER_STARTING)
        return -EALREADY;
    worker->frozen = frozen;
    if (frozen)
        dispatch_recall_all(manager, worker);
    tasks = running_tasks(worker);
    Freezing *freezing = freezing_new(manager, frozen);
    freezing->worker = worker->number;
    freezing->done = answer_worker;
    freezing->answer.worker = done;
    freezing->userdata = userdata;
    NOTIFY(manager, worker_changed, worker);
    ask(manager, freezing, tasks, frozen, reclaim);
    return 0;
}

/* It drains: what stands still has to go on to end. What pressure has stopped goes on when that is over. */
void manager_thaw_to_end(Manager *manager, Worker *worker)
{
    g_autoptr(GArray) tasks = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, worker->tasks);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const ActiveTask *task = value;
        if (task->start_usec > 0 && (worker->frozen || task->frozen) && !task->frozen_by_pressure)
            g_array_append_val(tasks, task->spec->id);
    }
    worker->frozen = false;
    manager_remember_frozen(manager);
    manager_freeze_list(manager, tasks, false);
}

/* Some have started on it: they were on their way when it was frozen. */
void manager_keep_frozen(Manager *manager, Worker *worker)
{
    g_autoptr(GArray) tasks = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    GHashTableIter iter;
    gpointer value;

    if (!worker->frozen || worker->unsure)
        return;
    g_hash_table_iter_init(&iter, worker->tasks);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const ActiveTask *task = value;
        if (task->start_usec > 0 && !task->frozen)
            g_array_append_val(tasks, task->spec->id);
    }
    manager_freeze_list(manager, tasks, true);
}

/* Somebody has frozen this one task, and the worker has said that it stands still. */
static bool is_wanted_frozen(const Worker *worker, const ActiveTask *task)
{
    return task->frozen && !task->frozen_by_pressure && worker->state != WORKER_DRAINING;
}

/* It is back, and may have heard less than it was told, or more than we know of: nothing is to stand still that nobody
 * remembers. */
void manager_freeze_returned(Manager *manager, Worker *worker)
{
    g_autoptr(GArray) frozen = g_array_new(FALSE, FALSE, sizeof(uint64_t)),
                      thawed = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    GHashTableIter iter;
    gpointer value;

    if (!worker->unsure)
        return;
    worker->unsure = false;
    g_hash_table_iter_init(&iter, worker->tasks);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        ActiveTask *task = value;
        bool pressed = task->frozen_by_pressure && manager->ladder.rung >= RUNG_FREEZE;
        if (task->start_usec > 0 && (worker->frozen || pressed))
            g_array_append_val(frozen, task->spec->id);
        else if (task->start_usec > 0 && !is_wanted_frozen(worker, task))
            g_array_append_val(thawed, task->spec->id);
        task->frozen_by_pressure = pressed;
    }
    manager_freeze_list(manager, frozen, true);
    manager_freeze_list(manager, thawed, false);
}
