/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parexec-worker: the program inside a worker's scope. Started by the daemon with its launch record on a
 * descriptor; runs the tasks that the daemon assigns, each in a leaf cgroup, and reports what became of
 * them. It has one thread and one loop, and outlives the daemon.
 *
 * It ends in one of four ways: told to (Exit), stopped (SIGTERM, from systemd or a person), refused by the
 * daemon, or orphaned with nothing left to do. Results that nobody has taken then go to the spool. */
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "model/worker-spec.h"
#include "util/log.h"
#include "worker/daemon-link.h"
#include "worker/kernel-file.h"
#include "worker/spool-writer.h"

#define RECORD_BYTES_MAX (4U << 20)
/* So long a worker that ends waits for the daemon to take its results, and for what it killed to be gone. */
#define LAST_DELIVERY_USEC (5 * USEC_PER_SEC)
#define LAST_KILL_USEC (10 * USEC_PER_SEC)
#define DESCRIPTORS_PER_SLOT 24U
#define DESCRIPTORS_BESIDE 192U /* a task that starts may have 64 credentials */
#define OPEN_FILES_SOFT 1024U
#define OWN_OOM_SCORE "-900" /* a task is the better victim */

typedef struct WorkerProgram {
    sd_event *event;
    LaunchRecord *record;
    LeafTree *tree;
    SlotSite site;
    Runner *runner;
    DaemonLink *link;
    sd_event_source *deadline;
    bool ending;
    int status; /* to exit with */
} WorkerProgram;

/* ------------------------------------------------------------------ the end */

/* Leaves: with nothing running, and with every result delivered or in the spool. */
static void leave(WorkerProgram *program)
{
    int r =
        spool_write(program->record->spool_directory, program->record->id, runner_results(program->runner));

    if (r < 0)
        (void) log_error_errno(r, "Cannot write %zu results to %s: %m",
                               result_queue_length(runner_results(program->runner)),
                               program->record->spool_directory);
    (void) sd_event_exit(program->event, r < 0 && program->status == 0 ? EXIT_FAILURE : program->status);
}

static void leave_if_done(WorkerProgram *program)
{
    if (program->ending && runner_n_running(program->runner) == 0 &&
        (result_queue_length(runner_results(program->runner)) == 0 || program->status != 0))
        leave(program);
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
    WorkerProgram *program = userdata;

    if (runner_n_running(program->runner) > 0)
        log_warning("%u tasks could not be killed, leaving them alone.", runner_n_running(program->runner));
    leave(program);
    return 0;
}

/* Kills what still runs, gives the daemon some time to take the results, and leaves. */
static void end(WorkerProgram *program, int status)
{
    bool running = runner_n_running(program->runner) > 0;

    if (program->ending)
        return;
    program->ending = true;
    program->status = status;
    (void) sd_event_add_time_relative(program->event, &program->deadline, CLOCK_MONOTONIC,
                                      running ? LAST_KILL_USEC : LAST_DELIVERY_USEC, 1, on_deadline, program);
    runner_stop(program->runner);
    daemon_link_flush(program->link);
    leave_if_done(program);
}

static int on_terminate(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
    log_notice("Stopped by signal %u.", info->ssi_signo);
    end(userdata, EXIT_SUCCESS);
    return 0;
}

static void on_refused(const char *why, void *userdata)
{
    log_error("The daemon refuses this worker: %s", why);
    end(userdata, EXIT_FAILURE);
}

static void on_exit_method(void *userdata)
{
    end(userdata, EXIT_SUCCESS);
}

/* ------------------------------------------------------------------ between runner and link */

/* With no daemon for so long: what has not started is given up, what runs may finish, then the results are
 * laid down. If that fails, the disk may be full: the link asks again. */
static void on_orphaned(void *userdata)
{
    WorkerProgram *program = userdata;
    int r;

    runner_drop_ahead(program->runner);
    if (program->ending || runner_n_running(program->runner) > 0)
        return;
    r = spool_write(program->record->spool_directory, program->record->id, runner_results(program->runner));
    if (r < 0) {
        (void) log_error_errno(r, "No daemon, and the results cannot be written to %s; waiting: %m",
                               program->record->spool_directory);
        return;
    }
    log_notice("No daemon for too long; %zu results are in %s.",
               result_queue_length(runner_results(program->runner)), program->record->spool_directory);
    (void) sd_event_exit(program->event, EXIT_SUCCESS);
}

static void on_delivered(void *userdata)
{
    leave_if_done(userdata);
}

static void on_started(const HeldRow *rows, size_t n, void *userdata)
{
    daemon_link_started(((WorkerProgram *) userdata)->link, rows, n);
}

static void on_flush(void *userdata)
{
    daemon_link_flush(((WorkerProgram *) userdata)->link);
}

static void on_idle(void *userdata)
{
    WorkerProgram *program = userdata;

    if (program->ending)
        leave_if_done(program);
    else if (daemon_link_is_orphaned(program->link))
        on_orphaned(program);
}

/* ------------------------------------------------------------------ the beginning */

static int read_record(LaunchRecord **ret)
{
    g_autoptr(GString) text = g_string_new(NULL);
    char chunk[4096];
    ssize_t n;

    while ((n = read(LAUNCH_RECORD_FD, chunk, sizeof chunk)) > 0) {
        g_string_append_len(text, chunk, n);
        if (text->len > RECORD_BYTES_MAX)
            return -EFBIG;
    }
    if (n < 0)
        return -errno;
    (void) close(LAUNCH_RECORD_FD);
    return launch_record_parse(text->str, text->len, ret);
}

/* Children inherit dispositions, so nothing is ignored or handled here: SIGPIPE, too, is kept away by the
 * mask. */
static int reset_signals(void)
{
    struct sigaction action = { .sa_handler = SIG_DFL };
    sigset_t mask;

    for (int i = 1; i < NSIG; i++)
        (void) sigaction(i, &action, NULL);
    (void) sigemptyset(&mask);
    (void) sigaddset(&mask, SIGCHLD);
    (void) sigaddset(&mask, SIGPIPE);
    (void) sigaddset(&mask, SIGTERM);
    (void) sigaddset(&mask, SIGINT);
    return sigprocmask(SIG_SETMASK, &mask, NULL) < 0 ? -errno : 0;
}

/* The standard descriptors are inherited by children: stdin is /dev/null, and none is unset, or something
 * else would take its number. */
static int fill_standard_fds(void)
{
    int fd, r = 0;

    do {
        fd = open("/dev/null", O_RDWR);
        if (fd < 0)
            return -errno;
    } while (fd < 3);
    if (dup2(fd, STDIN_FILENO) < 0)
        r = -errno;
    (void) close(fd);
    return r;
}

/* Tasks get 1024 open files, as services do. Many slots need more than that here. */
static bool raise_open_files(uint32_t slots)
{
    rlim_t wanted = MAX((rlim_t) OPEN_FILES_SOFT, (rlim_t) slots * DESCRIPTORS_PER_SLOT + DESCRIPTORS_BESIDE);
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return false;
    limit.rlim_cur = MIN(wanted, limit.rlim_max);
    (void) setrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur > OPEN_FILES_SOFT;
}

/* Returns whether children must set theirs back. */
static bool lower_oom_score(void)
{
    g_autofree char *score = NULL;

    (void) !kernel_file_write(AT_FDCWD, "/proc/self/oom_score_adj", OWN_OOM_SCORE);
    return kernel_file_read(AT_FDCWD, "/proc/self/oom_score_adj", &score) >= 0 &&
           g_ascii_strtoll(score, NULL, 10) != 0;
}

static int prepare_process(void)
{
    int r;

    r = reset_signals();
    if (r < 0)
        return log_error_errno(r, "Cannot set the signal mask: %m");
    r = fill_standard_fds();
    if (r < 0)
        return log_error_errno(r, "Cannot open /dev/null: %m");
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
        (void) log_warning_errno(errno, "Cannot become the reaper of orphaned processes, ignoring: %m");
    (void) umask(022); /* inherited by tasks */
    (void) !chdir("/");
    return 0;
}

static void open_tree(WorkerProgram *program)
{
    g_autofree char *why = NULL;

    if (!program->record->delegated)
        log_info("No cgroups for single tasks: not delegated.");
    else if (leaf_tree_open(&program->tree, &why) < 0)
        log_warning("No cgroups for single tasks: %s.", why);
    else if (!leaf_tree_has_memory(program->tree))
        log_warning("No memory controller for single tasks.");
}

/* Before anything else: who stops the scope sends SIGTERM to the tasks as well, and their deaths are not to
 * be reported as their own. */
static int add_termination(WorkerProgram *program, int signal)
{
    sd_event_source *source = NULL;
    int r;

    r = sd_event_add_signal(program->event, &source, signal, on_terminate, program);
    if (r < 0)
        return r;
    r = sd_event_source_set_priority(source, SD_EVENT_PRIORITY_IMPORTANT);
    (void) sd_event_source_set_floating(source, true);
    sd_event_source_unref(source);
    return r;
}

static int start(WorkerProgram *program)
{
    const RunnerEvents runner_events = { on_started, on_flush, on_idle, program };
    const DaemonLinkEvents link_events = { on_refused, on_exit_method, on_orphaned, on_delivered, program };
    int r;

    program->site = (SlotSite) { .record = program->record, .tree = program->tree };
    program->site.reset_open_files = raise_open_files(program->record->slots);
    program->site.reset_oom_score = lower_oom_score();
    program->site.output = output_store_new(program->record->output_directory);
    program->site.files = file_site_new(program->record);
    r = sd_event_default(&program->event);
    if (r < 0)
        return r;
    r = add_termination(program, SIGTERM);
    if (r >= 0)
        r = add_termination(program, SIGINT);
    if (r >= 0)
        r = output_store_attach(program->site.output, program->event, program->record->id);
    if (r < 0)
        return r;
    r = daemon_link_new(program->event, program->record, &link_events, &program->link);
    if (r < 0)
        return r;
    r = runner_new(program->event, &program->site, &runner_events, &program->runner);
    if (r < 0)
        return r;
    daemon_link_set_runner(program->link, program->runner);
    return 0;
}

static void done(WorkerProgram *program)
{
    program->link = daemon_link_free(program->link);
    program->runner = runner_free(program->runner);
    sd_event_source_disable_unref(program->deadline);
    sd_event_unref(program->event);
    (void) output_store_free(program->site.output);
    (void) file_site_free(program->site.files);
    (void) leaf_tree_free(program->tree);
    (void) launch_record_free(program->record);
}

static int run(WorkerProgram *program, const char *id)
{
    int r;

    r = prepare_process();
    if (r < 0)
        return r;
    r = read_record(&program->record);
    if (r < 0)
        return log_error_errno(r, "Cannot read the launch record: %m");
    if (strcmp(program->record->id, id) != 0 || program->record->slots > WORKER_SLOTS_MAX)
        return log_error_errno(EINVAL, "The launch record is not that of worker %s.", id);
    open_tree(program);
    r = start(program);
    if (r < 0)
        return log_error_errno(r, "Cannot start: %m");
    r = sd_event_loop(program->event);
    return r < 0 ? log_error_errno(r, "The event loop failed: %m") : r;
}

int main(int argc, char *argv[])
{
    WorkerProgram program = { 0 };
    int r;

    if (argc != 2) {
        log_error("This program is started by parexecd, with the id of a worker.");
        return 2;
    }
    r = run(&program, argv[1]);
    done(&program);
    return r < 0 ? EXIT_FAILURE : r;
}
