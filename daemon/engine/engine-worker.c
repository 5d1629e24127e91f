/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The processes of one worker; owned by its engine's record of the worker.
 *
 * A pidfd tells when the worker's own process ended. From then on, or from engine_worker_kill() on, sweeps
 * kill whatever is left and look again, at first after a millisecond, then less and less often, until the
 * process has ended and nothing is left: then on_ended() is called, once, from the loop. It may free the
 * worker, so nothing is touched after it. */
#include "engine/engine-worker.h"
#include "engine/proc-file.h"
#include "model/ids.h"
#include "util/log.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define SWEEP_FIRST_USEC USEC_PER_MSEC
#define SWEEP_LAST_USEC (250 * USEC_PER_MSEC)

static void sweep(EngineWorker *worker);

static int on_sweep_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    sweep(userdata);
    return 0;
}

static int on_deferred(sd_event_source *source, void *userdata)
{
    EngineWorker *worker = userdata;

    worker->deferred_call(worker, worker->userdata);
    return 0;
}

EngineWorker *engine_worker_new(sd_event *event, uint32_t number, const char *runtime_directory,
                                EngineWorkerEnded on_ended, void *userdata)
{
    EngineWorker *worker = g_new0(EngineWorker, 1);
    char id[WORKER_ID_MAX];

    worker_id_format(id, number);
    worker->number = number;
    worker->launched = LAUNCHED_NULL;
    worker->log_path = g_strdup_printf("%s/worker/%s.log", runtime_directory, id);
    worker->hunted = g_array_new(FALSE, FALSE, sizeof(int));
    worker->event = sd_event_ref(event);
    worker->on_ended = on_ended;
    worker->userdata = userdata;
    return worker;
}

static void forget_hunted(EngineWorker *worker)
{
    for (guint i = 0; i < worker->hunted->len; i++)
        close_fd(g_array_index(worker->hunted, int, i));
    g_array_set_size(worker->hunted, 0);
}

EngineWorker *engine_worker_free(EngineWorker *worker)
{
    if (!worker)
        return NULL;
    sd_event_source_disable_unref(worker->watch);
    sd_event_source_disable_unref(worker->timer);
    sd_event_source_disable_unref(worker->deferred);
    sd_event_unref(worker->event);
    forget_hunted(worker);
    g_array_unref(worker->hunted);
    launched_done(&worker->launched);
    worker_group_done(&worker->group);
    worker_process_done(&worker->process);
    g_free(worker->log_path);
    g_free(worker->end);
    g_free(worker);
    return NULL;
}

void engine_worker_defer(EngineWorker *worker, void (*call)(EngineWorker *worker, void *userdata))
{
    worker->deferred_call = call;
    worker->deferred = sd_event_source_disable_unref(worker->deferred);
    int r = sd_event_add_defer(worker->event, &worker->deferred, on_deferred, worker);
    g_assert(r >= 0); /* only for want of memory */
}

/* ---- its own process ---- */

/* How it ended, while it stays a zombie. */
static void peek_at_end(EngineWorker *worker)
{
    siginfo_t info = { 0 };

    if (worker->end || waitid(P_PIDFD, (id_t) worker->launched.pidfd, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
        return;
    if (info.si_pid != 0)
        worker->end = launch_describe_end(info.si_code, info.si_status);
}

void engine_worker_reap(EngineWorker *worker)
{
    g_autofree char *end = NULL;

    worker->keep_zombie = false;
    if (worker->adopted || worker->launched.pidfd < 0 || launch_reap(&worker->launched, &end) <= 0 ||
        worker->end)
        return;
    worker->end = g_steal_pointer(&end);
}

static int on_process_end(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    EngineWorker *worker = userdata;

    worker->watch = sd_event_source_disable_unref(worker->watch);
    worker->dead = true;
    if (worker->keep_zombie)
        peek_at_end(worker);
    else
        engine_worker_reap(worker);
    sweep(worker);
    return 0;
}

static int watch_process(EngineWorker *worker)
{
    return sd_event_add_io(worker->event, &worker->watch, worker->launched.pidfd, EPOLLIN, on_process_end,
                           worker);
}

int engine_worker_launch(EngineWorker *worker, GBytes *record)
{
    g_autofree char *directory = g_path_get_dirname(worker->log_path);
    ProcStat stat;

    if (mkdir(directory, 0700) < 0 && errno != EEXIST)
        return -errno;
    int r = launch_child(worker->number, worker->log_path, record, &worker->launched);
    if (r < 0)
        return r;
    worker->process.pid = worker->launched.pid;
    r = proc_stat(worker->process.pid, &stat);
    if (r >= 0)
        r = watch_process(worker);
    if (r < 0) {
        launch_cancel(&worker->launched);
        launched_done(&worker->launched);
        return r;
    }
    worker->process.start_time = stat.start_time;
    return 0;
}

int engine_worker_adopt(EngineWorker *worker, const WorkerProcess *process)
{
    int r = proc_open(process->pid, process->start_time, &worker->launched.pidfd);

    if (r < 0)
        return r;
    worker->adopted = true;
    worker->launched.pid = process->pid;
    worker->process = (WorkerProcess) {
        .pid = process->pid,
        .start_time = process->start_time,
        .unit = g_strdup(process->unit),
        .control_group = g_strdup(process->control_group),
    };
    return watch_process(worker);
}

void engine_worker_disown(EngineWorker *worker)
{
    worker->watch = sd_event_source_disable_unref(worker->watch);
    launched_done(&worker->launched);
    worker->process.pid = 0;
    worker->dead = true;
}

/* ---- everything of it ---- */

static bool hunted_have_ended(EngineWorker *worker)
{
    for (guint i = worker->hunted->len; i-- > 0;) {
        int fd = g_array_index(worker->hunted, int, i);
        if (!proc_has_ended(fd))
            continue;
        close_fd(fd);
        g_array_remove_index_fast(worker->hunted, i);
    }
    return worker->hunted->len == 0;
}

static void hunt(EngineWorker *worker)
{
    g_autoptr(GArray) roots = g_array_new(FALSE, FALSE, sizeof(int32_t));

    if (!hunted_have_ended(worker))
        return; /* stopped and killed already, they only need time */
    if (!worker->dead && worker->process.pid > 0)
        g_array_append_val(roots, worker->process.pid);
    if (worker->dead && worker->find_orphans)
        worker->find_orphans(roots, worker->userdata);
    if (roots->len > 0)
        proc_tree_kill((const int32_t *) (const void *) roots->data, roots->len, worker->hunted);
}

static void kill_all(EngineWorker *worker)
{
    launch_cancel(&worker->launched);
    if (worker->only_process)
        hunt(worker);
    else
        (void) !worker_group_kill(&worker->group);
}

static bool nothing_lives(EngineWorker *worker)
{
    if (!worker->dead)
        return false;
    return worker->only_process ? hunted_have_ended(worker) : worker_group_is_empty(&worker->group);
}

static void arm_sweep(EngineWorker *worker)
{
    worker->timer = sd_event_source_disable_unref(worker->timer);
    int r = sd_event_add_time_relative(worker->event, &worker->timer, CLOCK_MONOTONIC, worker->sweep_usec,
                                       USEC_PER_MSEC, on_sweep_timer, worker);
    g_assert(r >= 0);
    worker->sweep_usec = MIN(worker->sweep_usec * 2, SWEEP_LAST_USEC);
}

static void sweep(EngineWorker *worker)
{
    if (worker->ended)
        return;
    kill_all(worker);
    if (nothing_lives(worker)) {
        int subreaper = 0;
        if (prctl(PR_GET_CHILD_SUBREAPER, &subreaper) == 0 && subreaper)
            launch_reap_strays();
        worker->ended = true;
        worker->timer = sd_event_source_disable_unref(worker->timer);
        worker->on_ended(worker, worker->userdata);
        return;
    }
    if (worker->sweep_usec == 0)
        worker->sweep_usec = SWEEP_FIRST_USEC;
    arm_sweep(worker);
}

void engine_worker_kill(EngineWorker *worker)
{
    if (worker->ended)
        return;
    if (worker->launched.pidfd < 0)
        worker->dead = true; /* there is no process to wait for */
    kill_all(worker);
    worker->sweep_usec = SWEEP_FIRST_USEC;
    arm_sweep(worker);
}

bool engine_worker_owns(const EngineWorker *worker, int32_t pid)
{
    if (worker->only_process)
        return worker->process.pid > 0 && proc_descends_from(pid, worker->process.pid);
    return worker_group_contains(&worker->group, pid);
}

char *engine_worker_why(const EngineWorker *worker)
{
    g_autofree char *words = launch_last_words(worker->log_path);

    return g_strconcat(worker->end ? worker->end : "ended", *words ? ": " : "", words, NULL);
}
