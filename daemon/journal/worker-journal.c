/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The observer that writes the journal. Whether there is one is asked once, at the start. */
#include "journal/worker-journal.h"

#include <inttypes.h>
#include <systemd/sd-journal.h>

#include "core/worker.h"
#include "util/log.h"

struct WorkerJournal {
    ObserverPort port; /* first */
    bool structured;
    GHashTable *stalled; /* numbers of the workers last seen as stalled */
};

static void state_changed(ObserverPort *observer, Worker *worker, WorkerState old)
{
    WorkerJournal *journal = (WorkerJournal *) observer;
    bool failed = worker->state == WORKER_FAILED;
    const char *state = worker_state_to_string(worker->state),
               *unit = worker->process.unit ? worker->process.unit : "";
    const char *reason = failed && worker->reason ? worker->reason : "";
    g_autofree char *message =
        g_strdup_printf("Worker %s: %s -> %s%s%s", worker->id, worker_state_to_string(old), state,
                        *reason ? ": " : "", reason);

    if (!journal->structured) {
        log_full_errno(failed ? LOG_WARNING : LOG_INFO, 0, "%s", message);
        return;
    }
    (void) sd_journal_send("MESSAGE=%s", message, "PRIORITY=%d", failed ? LOG_WARNING : LOG_INFO,
                           "MESSAGE_ID=%s",
                           failed ? PAREXEC_MESSAGE_WORKER_FAILED : PAREXEC_MESSAGE_WORKER_STATE,
                           "PAREXEC_WORKER=%s", worker->id, "PAREXEC_STATE=%s", state, "PAREXEC_OLD_STATE=%s",
                           worker_state_to_string(old), "PAREXEC_UNIT=%s", unit, NULL);
}

static void changed(ObserverPort *observer, Worker *worker)
{
    WorkerJournal *journal = (WorkerJournal *) observer;
    gpointer key = GUINT_TO_POINTER(worker->number);

    if (!worker->stalled) {
        g_hash_table_remove(journal->stalled, key);
        return;
    }
    if (!g_hash_table_add(journal->stalled, key))
        return;
    if (!journal->structured) {
        log_warning("Worker %s has not been heard of for too long", worker->id);
        return;
    }
    (void) sd_journal_send("MESSAGE=Worker %s has not been heard of for too long", worker->id, "PRIORITY=%d",
                           LOG_WARNING, "MESSAGE_ID=" PAREXEC_MESSAGE_WORKER_STALLED, "PAREXEC_WORKER=%s",
                           worker->id, NULL);
}

static void removed(ObserverPort *observer, Worker *worker)
{
    g_hash_table_remove(((WorkerJournal *) observer)->stalled, GUINT_TO_POINTER(worker->number));
}

/* Successes are not recorded one by one: there may be thousands a second. */
static void task_changed(ObserverPort *observer, const TaskChange *change)
{
    if (!((WorkerJournal *) observer)->structured || change->state != TASK_FAILED)
        return;
    const char *outcome = change->result ? outcome_to_string(change->result->outcome) : "";
    (void) sd_journal_send("MESSAGE=Task %" PRIu64 " failed (%s)", change->task, outcome, "PRIORITY=%d",
                           LOG_INFO, "MESSAGE_ID=" PAREXEC_MESSAGE_TASK_FAILED, "PAREXEC_TASK=%" PRIu64,
                           change->task, "PAREXEC_BATCH=%" PRIu64, change->batch, "PAREXEC_WORKER=w%u",
                           change->worker, "PAREXEC_OUTCOME=%s", outcome, NULL);
}

static void task_unplaceable(ObserverPort *observer, uint64_t task, const char *why)
{
    log_info("Task %" PRIu64 " fits no worker: %s", task, why);
}

static void pressure_changed(ObserverPort *observer, const char *rung, const char *why)
{
    log_notice("Pressure: %s; %s", rung, why);
}

static void noted(ObserverPort *observer, const char *sentence)
{
    log_notice("%s", sentence);
}

WorkerJournal *worker_journal_new(void)
{
    WorkerJournal *journal = g_new0(WorkerJournal, 1);

    journal->port = (ObserverPort){
        .worker_state_changed = state_changed,
        .worker_changed = changed,
        .worker_removed = removed,
        .task_changed = task_changed,
        .task_unplaceable = task_unplaceable,
        .pressure_changed = pressure_changed,
        .noted = noted,
    };
    journal->structured = access("/run/systemd/journal/socket", W_OK) == 0;
    journal->stalled = g_hash_table_new(NULL, NULL);
    return journal;
}

WorkerJournal *worker_journal_free(WorkerJournal *journal)
{
    if (!journal)
        return NULL;
    g_hash_table_unref(journal->stalled);
    g_free(journal);
    return NULL;
}

ObserverPort *worker_journal_port(WorkerJournal *journal)
{
    return &journal->port;
}
