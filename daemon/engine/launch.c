/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one place that makes a worker's process; whoever separates privileges later moves this file.
 *
 * The child is held by a socket (a pipe that raises no SIGPIPE) until its limits are in force: one byte
 * lets it go, end of file (the daemon died, or changed its mind) ends it. The launch record waits in a
 * memfd, so that its size does not matter and letting go cannot block. The daemon has threads: between
 * fork() and execve() only async-signal-safe functions are called, and all that needs memory is prepared
 * before. */
#include "engine/launch.h"
#include "engine/proc-file.h"
#include "model/ids.h"
#include "model/launch-record.h"
#include "parexec-config.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define HOLD_FD (LAUNCH_RECORD_FD + 1)
#define FIRST_HIGH_FD 10

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

/* The children that were made here and not reaped: a set of pids. Used by the loop's thread alone. */
static GHashTable *children;

/* What the child needs, as it needs it; descriptors are above those that it is given them as. */
typedef struct ChildPlan {
    const char *program;
    char *argv[3];
    char *environment[4];
    int null_fd, log_fd, record_fd, hold_fd;
} ChildPlan;

static _Noreturn void child_fail(const char *what)
{
    const char *why = strerrordesc_np(errno);

    (void) !write(STDERR_FILENO, what, strlen(what));
    if (why)
        (void) !write(STDERR_FILENO, why, strlen(why));
    (void) !write(STDERR_FILENO, "\n", 1);
    _exit(127);
}

/* Handlers of the daemon must not run in the child: they go before the signals may come. */
static void child_reset_signals(void)
{
    struct sigaction action = { .sa_handler = SIG_DFL };
    sigset_t none;

    for (int s = 1; s < _NSIG; s++)
        (void) sigaction(s, &action, NULL);
    sigemptyset(&none);
    (void) sigprocmask(SIG_SETMASK, &none, NULL);
}

static void child_place_fds(const ChildPlan *plan)
{
    if (dup2(plan->log_fd, STDERR_FILENO) < 0 || dup2(plan->log_fd, STDOUT_FILENO) < 0 ||
        dup2(plan->null_fd, STDIN_FILENO) < 0 || dup2(plan->record_fd, LAUNCH_RECORD_FD) < 0 ||
        dup3(plan->hold_fd, HOLD_FD, O_CLOEXEC) < 0)
        child_fail("cannot set up descriptors: ");
    if (syscall(SYS_close_range, HOLD_FD + 1, ~0U, 0) < 0)
        child_fail("cannot close descriptors: ");
}

static void child_reset_oom_score(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    (void) !write(fd, "0", 1);
    close(fd);
}

static void child_wait(void)
{
    char byte;
    ssize_t n;

    do
        n = read(HOLD_FD, &byte, 1);
    while (n < 0 && errno == EINTR);
    if (n != 1)
        _exit(0);
}

static _Noreturn void child_run(const ChildPlan *plan)
{
    child_reset_signals();
    child_place_fds(plan);
    (void) setsid();
    (void) umask(0022);
    (void) !chdir("/");
    child_reset_oom_score();
    child_wait();
    execve(plan->program, plan->argv, plan->environment);
    child_fail("cannot execute the worker's program: ");
}

static int make_record_fd(GBytes *record, int *ret)
{
    gsize size;
    const char *data = g_bytes_get_data(record, &size);
    _cleanup_close_ int fd = memfd_create("launch-record", MFD_CLOEXEC | MFD_NOEXEC_SEAL);

    if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
        fd = memfd_create("launch-record", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    for (gsize done = 0; done < size;) {
        ssize_t n = write(fd, data + done, size - done);
        if (n < 0)
            return -errno;
        done += (gsize) n;
    }
    if (lseek(fd, 0, SEEK_SET) < 0)
        return -errno;
    *ret = steal_fd(&fd);
    return 0;
}

/* Moves a descriptor above those that the child is given. */
static int lift_fd(int *fd)
{
    if (*fd < 0)
        return -errno;
    int high = fcntl(*fd, F_DUPFD_CLOEXEC, FIRST_HIGH_FD);
    if (high < 0)
        return -errno;
    close_fd(*fd);
    *fd = high;
    return 0;
}

/* Fills the descriptors of the plan; on failure those that were opened stay for plan_close(). */
static int plan_open(ChildPlan *plan, const char *log_path, GBytes *record, int *ret_release_fd)
{
    int pair[2];

    plan->null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC | O_NOCTTY);
    int r = lift_fd(&plan->null_fd);
    if (r < 0)
        return r;
    plan->log_fd =
        open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC, 0600);
    r = lift_fd(&plan->log_fd);
    if (r < 0)
        return r;
    r = make_record_fd(record, &plan->record_fd);
    if (r >= 0)
        r = lift_fd(&plan->record_fd);
    if (r < 0)
        return r;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    plan->hold_fd = pair[0];
    *ret_release_fd = pair[1];
    return lift_fd(&plan->hold_fd);
}

static void plan_close(ChildPlan *plan)
{
    plan->null_fd = close_fd(plan->null_fd);
    plan->log_fd = close_fd(plan->log_fd);
    plan->record_fd = close_fd(plan->record_fd);
    plan->hold_fd = close_fd(plan->hold_fd);
}

static int plan_fork(const ChildPlan *plan, int *release_fd, Launched *ret)
{
    pid_t pid = fork();

    if (pid == 0)
        child_run(plan);
    if (pid < 0)
        return -errno;
    int pidfd = (int) syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0) {
        int r = -errno;
        (void) kill(pid, SIGKILL);
        (void) waitid(P_PID, (id_t) pid, &(siginfo_t) { 0 }, WEXITED | WNOHANG); /* or a zombie stays */
        return r;
    }
    if (!children)
        children = g_hash_table_new(NULL, NULL);
    g_hash_table_add(children, GINT_TO_POINTER(pid));
    *ret = (Launched) { .pid = pid, .pidfd = pidfd, .release_fd = steal_fd(release_fd) };
    return 0;
}

int launch_child(uint32_t number, const char *log_path, GBytes *record, Launched *ret)
{
    char id[WORKER_ID_MAX];
    const char *program = g_getenv("PAREXEC_WORKER_PROGRAM"), *level = g_getenv("PAREXEC_LOG_LEVEL");
    g_autofree char *log_level = level ? g_strconcat("PAREXEC_LOG_LEVEL=", level, NULL) : NULL;
    _cleanup_close_ int release_fd = -EBADF;

    worker_id_format(id, number);
    ChildPlan plan = {
        .program = program && *program ? program : PAREXEC_LIBEXECDIR "/parexec-worker",
        .argv = { (char *) "parexec-worker", id, NULL },
        .environment = { (char *) "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                         (char *) "LANG=C.UTF-8", log_level, NULL },
        .null_fd = -EBADF,
        .log_fd = -EBADF,
        .record_fd = -EBADF,
        .hold_fd = -EBADF,
    };
    int r = plan_open(&plan, log_path, record, &release_fd);
    if (r >= 0)
        r = plan_fork(&plan, &release_fd, ret);
    plan_close(&plan);
    return r;
}

int launch_release(Launched *launched)
{
    _cleanup_close_ int fd = steal_fd(&launched->release_fd);

    if (fd < 0)
        return -EPIPE;
    return send(fd, "", 1, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

void launch_cancel(Launched *launched)
{
    if (launched->pidfd >= 0)
        (void) proc_signal(launched->pidfd, SIGKILL);
    launched->release_fd = close_fd(launched->release_fd);
}

char *launch_describe_end(int code, int status)
{
    if (code == CLD_EXITED)
        return g_strdup_printf("exited with status %d", status);
    const char *name = sigabbrev_np(status);
    if (name)
        return g_strdup_printf("killed by signal %s", name);
    return g_strdup_printf("killed by signal %d", status);
}

int launch_reap(Launched *launched, char **ret_why)
{
    siginfo_t info = { 0 };

    if (waitid(P_PIDFD, (id_t) launched->pidfd, &info, WEXITED | WNOHANG) < 0)
        return -errno;
    if (info.si_pid == 0)
        return 0;
    (void) g_hash_table_remove(children, GINT_TO_POINTER(info.si_pid));
    *ret_why = launch_describe_end(info.si_code, info.si_status);
    return 1;
}

bool launch_is_child(int32_t pid)
{
    return children && g_hash_table_contains(children, GINT_TO_POINTER(pid));
}

void launch_reap_strays(void)
{
    g_autoptr(GArray) pids = g_array_new(FALSE, FALSE, sizeof(int32_t));

    proc_children(pids);
    for (guint i = 0; i < pids->len; i++) {
        int32_t pid = g_array_index(pids, int32_t, i);
        if (!launch_is_child(pid))
            (void) waitid(P_PID, (id_t) pid, &(siginfo_t) { 0 }, WEXITED | WNOHANG);
    }
}

void launched_done(Launched *launched)
{
    launched->pidfd = close_fd(launched->pidfd);
    launched->release_fd = close_fd(launched->release_fd);
    launched->pid = 0;
}

/* The "<5>" that sd-daemon(3) puts before a line is for the journal, not for people. */
static void drop_log_levels(char *text)
{
    char *to = text;

    for (const char *p = text; *p;) {
        bool line_begins = p == text || p[-1] == '\n';
        if (line_begins && p[0] == '<' && g_ascii_isdigit(p[1]) && p[2] == '>')
            p += 3;
        else
            *to++ = *p++;
    }
    *to = '\0';
}

char *launch_last_words(const char *log_path)
{
    _cleanup_close_ int fd = open(log_path, O_RDONLY | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    char buffer[LAST_WORDS_BYTES];
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return g_strdup("");
    off_t from = st.st_size > (off_t) sizeof buffer ? st.st_size - (off_t) sizeof buffer : 0;
    ssize_t n = pread(fd, buffer, sizeof buffer, from), skip = 0;
    while (from > 0 && skip < n && ((unsigned char) buffer[skip] & 0xc0) == 0x80)
        skip++; /* the rest of a character that was cut */
    if (n <= skip)
        return g_strdup("");
    char *words = g_utf8_make_valid(buffer + skip, n - skip);
    drop_log_levels(words);
    for (char *p = words; *p; p++)
        if (g_ascii_iscntrl(*p))
            *p = ' ';
    return g_strstrip(words);
}
