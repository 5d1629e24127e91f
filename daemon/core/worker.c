/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One worker as the core knows it. The state changes through worker_set_state() alone:
 *
 *   starting ─[manager_worker_register]─► running ─[manager_drain]─► draining ─[manager_worker_gone]─► dead
 *   any live state ─[manager_worker_gone, manager_fail_worker]─► failed, or dead if it was aborted
 */
#include "core/worker.h"

#define MEAN_WEIGHT 0.1 /* of the newest run time in the running mean */
#define CPU_SAMPLE_MIN_USEC (100 * USEC_PER_MSEC)

Worker *worker_new(uint32_t number, WorkerSpec *spec)
{
    Worker *worker = g_new0(Worker, 1);

    worker->number = number;
    worker_id_format(worker->id, number);
    worker->spec = spec;
    worker->state = WORKER_STARTING;
    worker->deadline_usec = worker->answer_usec = UINT64_MAX;
    worker->not_enforced = g_new0(char *, 1);
    worker->tasks = g_hash_table_new(g_int64_hash, g_int64_equal);
    return worker;
}

Worker *worker_free(Worker *worker)
{
    if (!worker)
        return NULL;
    g_hash_table_unref(worker->tasks);
    worker_spec_free(worker->spec);
    worker_process_done(&worker->process);
    g_strfreev(worker->not_enforced);
    worker_limits_done(&worker->limiting.before);
    g_free(worker->reason);
    g_free(worker->fence);
    g_free(worker);
    return NULL;
}

WorkerState worker_set_state(Worker *worker, WorkerState state)
{
    WorkerState old = worker->state;

    g_assert(worker_state_may_follow(old, state));
    worker->state = state;
    worker->deadline_usec = UINT64_MAX;
    return old;
}

bool worker_is_ready(const Worker *worker)
{
    return worker->state == WORKER_RUNNING && worker->connected && !worker->reporting && !worker->aborting &&
           !worker->frozen;
}

size_t worker_n_ahead(const Worker *worker)
{
    size_t held = g_hash_table_size(worker->tasks);

    return held > worker->spec->slots ? held - worker->spec->slots : 0;
}

void worker_add_duration(Worker *worker, uint64_t usec)
{
    double value = (double) MAX(usec, 1);

    worker->mean_usec =
        worker->mean_usec > 0 ? worker->mean_usec + MEAN_WEIGHT * (value - worker->mean_usec) : value;
}

WorkerRecord worker_record(const Worker *worker)
{
    WorkerRecord record = {
        .number = worker->number,
        .spec = worker->spec,
        .state = worker->state,
        .process = worker->process,
        .added_usec = worker->added_usec,
        .tasks_done = worker->tasks_done,
        .tasks_failed = worker->tasks_failed,
    };

    for (size_t i = 0; i < LAUNCH_TOKEN_BYTES; i++)
        record.token[i] = worker->token[i];
    return record;
}

void worker_sample_cpu(Worker *worker, uint64_t cpu_nsec, uint64_t monotonic_usec)
{
    uint64_t elapsed = monotonic_usec - worker->cpu_sampled_usec;

    if (cpu_nsec == UINT64_MAX || (worker->cpu_sampled_usec > 0 && elapsed < CPU_SAMPLE_MIN_USEC))
        return;
    if (worker->cpu_sampled_usec > 0 && cpu_nsec >= worker->cpu_nsec)
        worker->cpu_percent = (double) (cpu_nsec - worker->cpu_nsec) / 10.0 / (double) elapsed;
    worker->cpu_nsec = cpu_nsec;
    worker->cpu_sampled_usec = monotonic_usec;
}
