/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A worker has come back: what it holds and what it has finished meanwhile meets what we know.
 *
 * An assignment is sent before it is written (it costs no sync, and a worker does not wait for the disk), so a daemon that
 * is killed may leave a worker with tasks that its successor reads as queued. Nothing is handed out after a start until
 * the workers of the earlier daemon have spoken, or RECOVERY_USEC have passed; of a task that we do not know as theirs the
 * store is asked, and if it is still queued with a lower fence (it may have been given back and handed out anew meanwhile),
 * the assignment is made up for. */
#include "core/manager-internal.h"

/* What a worker said, until the store has been asked about all that is unknown. */
typedef struct Report {
    Manager *manager;
    uint32_t worker;
    GArray *held;    /* HeldReport */
    GArray *results; /* TaskResult, contents owned until they are settled */
    size_t n_asked;  /* answers still to come, and one for the asking itself */
    StoreDone done;
    void *userdata;
} Report;

typedef struct Question {
    Report *report;
    uint64_t fence, start_usec;
} Question;

static void result_clear(gpointer result)
{
    task_result_done(result);
}

static void report_answered(Report *report)
{
    Manager *manager = report->manager;
    Worker *worker = manager_find_worker(manager, report->worker);

    if (--report->n_asked > 0)
        return;
    if (worker && worker->connected) {
        worker->expected = worker->reporting = false;
        manager_settle_reports(manager, worker, (HeldReport *) report->held->data, report->held->len,
                               (TaskResult *) report->results->data, report->results->len, report->done,
                               report->userdata);
        g_array_set_clear_func(report->results, NULL); /* they have been taken */
    } else /* gone again: it keeps them until it is answered on another connection */
        report->done(-ENOTCONN, report->userdata);
    g_array_unref(report->held);
    g_array_unref(report->results);
    g_free(report);
}

/* The assignment that was sent but not written. */
static void make_up_for(Manager *manager, Worker *worker, TaskSpec *spec, const Question *question)
{
    Assignment assignment = { spec->id, question->fence, worker->number, question->start_usec };

    windows_remove(manager, spec->id);
    spec->fence = question->fence;
    ActiveTask *task = active_task_new(spec, worker);
    g_hash_table_insert(manager->active, &task->spec->id, task);
    manager->n_relative += spec->context->policy.timeout_percent > 0;
    manager->ports.store->assign(manager->ports.store, &assignment, 1);
}

static void on_row(int r, TaskRow *row, void *userdata)
{
    g_autofree Question *question = userdata;
    g_autoptr(TaskRow) taken = row;
    Report *report = question->report;
    Worker *worker = manager_find_worker(report->manager, report->worker);

    if (r >= 0 && worker && worker->connected && taken->state == TASK_QUEUED &&
        taken->spec->fence < question->fence && !manager_find_active(report->manager, taken->spec->id))
        make_up_for(report->manager, worker, g_steal_pointer(&taken->spec), question);
    report_answered(report);
}

static void ask_about(Report *report, uint64_t task, uint64_t fence, uint64_t start_usec)
{
    StorePort *store = report->manager->ports.store;

    if (manager_find_active(report->manager, task))
        return;
    Question *question = g_new(Question, 1);
    *question = (Question){ report, fence, start_usec };
    report->n_asked++;
    store->get(store, task, on_row, question);
}

void manager_worker_reports(Manager *manager, Worker *worker, const HeldReport *held, size_t n_held,
                            TaskResult *results, size_t n_results, StoreDone done, void *userdata)
{
    Report *report = g_new(Report, 1);

    *report = (Report){
        .manager = manager,
        .worker = worker->number,
        .held = g_array_new(FALSE, FALSE, sizeof(HeldReport)),
        .results = g_array_new(FALSE, FALSE, sizeof(TaskResult)),
        .n_asked = 1,
        .done = done,
        .userdata = userdata,
    };
    worker->reporting = true;
    g_array_set_clear_func(report->results, result_clear);
    g_array_append_vals(report->held, held, (guint) n_held);
    g_array_append_vals(report->results, results, (guint) n_results);
    for (size_t i = 0; i < n_held; i++)
        ask_about(report, held[i].task, held[i].fence, held[i].start_usec);
    for (size_t i = 0; i < n_results; i++)
        ask_about(report, results[i].task, results[i].fence, results[i].start_usec);
    report_answered(report);
}

bool manager_is_recovering(Manager *manager)
{
    for (guint i = 0; i < manager->workers->len; i++) {
        const Worker *worker = manager->workers->pdata[i];
        if (worker->expected && worker_state_is_live(worker->state))
            return true;
    }
    return false;
}

uint64_t manager_recovery_deadline(Manager *manager)
{
    return manager_is_recovering(manager) ? manager->recovery_usec : UINT64_MAX;
}

/* Who has not come back by now may still do so; the others have waited long enough. */
void manager_tick_recovery(Manager *manager, uint64_t now)
{
    if (!manager_is_recovering(manager) || manager->recovery_usec > now)
        return;
    for (guint i = 0; i < manager->workers->len; i++)
        ((Worker *) manager->workers->pdata[i])->expected = false;
    dispatch(manager);
}
