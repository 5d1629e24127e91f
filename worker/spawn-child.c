/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a child does between clone and execve. It may run in the memory of its parent, so: system calls
 * only, straight to the kernel (the C library's setuid() would speak to threads that are not there), no
 * allocation, no writing to anything but its own stack and the report. Privileges are dropped before
 * anything that the user named is touched. */
#include "worker/spawn-child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

/* On a foreign stack, and left by execve without return: not for instrumentation. */
#define child_code __attribute__((no_sanitize("address", "undefined"), noinline))

#ifdef SYS_setgroups32 /* where the first numbers take 16 bits */
#define NR_SETGROUPS SYS_setgroups32
#define NR_SETRESGID SYS_setresgid32
#define NR_SETRESUID SYS_setresuid32
#else
#define NR_SETGROUPS SYS_setgroups
#define NR_SETRESGID SYS_setresgid
#define NR_SETRESUID SYS_setresuid
#endif

#define OPEN_FILES_SOFT 1024
#define KERNEL_SIGSET_BYTES 8
#define COPY_CHUNK_BYTES 4096

child_code __attribute__((noreturn)) static void child_fail(const SpawnChild *child, SpawnStage stage,
                                                            int error)
{
    child->request->report->stage = (int) stage;
    child->request->report->error = error;
    for (;;)
        syscall(SYS_exit_group, 127);
}

/* A timer that only execve takes away: if a dead file server, or a stop signal of the user, holds us up
 * while the parent waits, we die and are started again in a way that lets nobody wait. */
child_code static void child_limit_time(void)
{
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };
    struct itimerspec limit = { .it_value = { .tv_nsec = SPAWN_HOLDUP_USEC * NSEC_PER_USEC } };
    int timer;

    if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer) >= 0)
        syscall(SYS_timer_settime, timer, 0, &limit, NULL);
}

child_code static void child_join(const SpawnChild *child)
{
    const SpawnRequest *request = child->request;

    /* "0", not a number: the kernel moves a single thread that moves itself without a grace period */
    for (size_t i = 0; i < request->n_joins; i++)
        if (syscall(SYS_write, request->join_fds[i], "0", 1) < 0)
            child_fail(child, SPAWN_STAGE_JOIN, errno);
}

child_code static void child_reset_limits(const SpawnRequest *request)
{
    if (request->reset_oom_score) {
        long fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

        syscall(SYS_write, fd, "0", 1);
        syscall(SYS_close, fd);
    }
    if (request->reset_open_files) {
        struct { uint64_t soft, hard; } limit;

        if (syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit) >= 0 && limit.soft > OPEN_FILES_SOFT) {
            limit.soft = OPEN_FILES_SOFT;
            syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, NULL);
        }
    }
}

child_code static void child_change_identity(const SpawnChild *child)
{
    const SpawnRequest *request = child->request;

    if (request->change_identity &&
        (syscall(NR_SETGROUPS, request->n_groups, request->groups) < 0 ||
         syscall(NR_SETRESGID, request->gid, request->gid, request->gid) < 0 ||
         syscall(NR_SETRESUID, request->uid, request->uid, request->uid) < 0))
        child_fail(child, SPAWN_STAGE_IDENTITY, errno);
    if (request->die_with_parent) /* after the change of identity, which would take it back */
        syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

/* Of a file that the user may read, whatever it may be: nothing here waits for a writer. */
child_code static long child_open_credential(const SpawnChild *child, const char *path)
{
    struct statx facts;
    long fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    if (fd < 0 || syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_TYPE, &facts) < 0)
        child_fail(child, SPAWN_STAGE_CREDENTIAL_READ, errno);
    if (!S_ISREG(facts.stx_mode))
        child_fail(child, SPAWN_STAGE_CREDENTIAL_READ, EINVAL);
    return fd;
}

child_code static void child_copy_credential(const SpawnChild *child, const char *path, int to)
{
    char chunk[COPY_CHUNK_BYTES];
    uint64_t total = 0;
    long n, from = child_open_credential(child, path);

    while ((n = syscall(SYS_read, from, chunk, sizeof chunk)) > 0) {
        total += (uint64_t) n;
        if (total > CREDENTIAL_BYTES_MAX)
            child_fail(child, SPAWN_STAGE_CREDENTIAL_READ, EFBIG);
        errno = ENOSPC; /* as a short write would mean */
        if (syscall(SYS_write, to, chunk, n) != n)
            child_fail(child, SPAWN_STAGE_CREDENTIAL_KEEP, errno);
    }
    if (n < 0)
        child_fail(child, SPAWN_STAGE_CREDENTIAL_READ, errno);
    syscall(SYS_close, from);
}

child_code static void child_copy_credentials(const SpawnChild *child)
{
    const SpawnRequest *request = child->request;

    for (size_t i = 0; i < request->n_credentials; i++) {
        request->report->credential = (int) i;
        child_copy_credential(child, request->credentials[i].path, request->credential_fds[i]);
    }
}

child_code static void child_open_streams(const SpawnChild *child)
{
    const SpawnRequest *request = child->request;

    for (int i = 0; i < _STREAM_MAX; i++) {
        int flags = i == STREAM_STDIN ? O_RDONLY : O_WRONLY | O_CREAT | O_TRUNC | O_APPEND;
        long fd = request->fds[i];

        if (i == STREAM_STDERR && request->merge)
            fd = STREAM_STDOUT;
        /* O_NOCTTY: the child leads a session, and a terminal would become its */
        else if (request->paths[i])
            fd = syscall(SYS_openat, AT_FDCWD, request->paths[i], flags | O_NOCTTY | O_CLOEXEC, 0666);
        else if (fd < 0)
            continue;
        if (fd < 0 || syscall(SYS_dup3, fd, i, 0) < 0)
            child_fail(child, SPAWN_STAGE_STDIN + i, errno);
    }
    syscall(SYS_close_range, 3U, ~0U, 0); /* everything is close-on-exec besides */
}

/* As execvp(3), but without a shell for what is no program. */
child_code __attribute__((noreturn)) static void child_execute(const SpawnChild *child)
{
    static const uint64_t no_signals = 0;
    int error = ENOENT;

    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &no_signals, NULL, KERNEL_SIGSET_BYTES);
    for (char *const *program = child->programs; *program; program++) {
        syscall(SYS_execve, *program, child->request->argv, child->request->envp);
        if (errno == EACCES)
            error = EACCES; /* one that may be executed may follow */
        else if (errno != ENOENT && errno != ENOTDIR && errno != ESTALE && errno != ENODEV &&
                 errno != ETIMEDOUT)
            child_fail(child, SPAWN_STAGE_EXECUTE, errno);
        else if (error != EACCES)
            error = errno;
    }
    child_fail(child, SPAWN_STAGE_EXECUTE, error);
}

child_code void spawn_child_run(void *userdata)
{
    const SpawnChild *child = userdata;

    if (child->shared)
        child_limit_time();
    child_join(child);
    syscall(SYS_setsid);
    child_reset_limits(child->request);
    child_change_identity(child);
    child_copy_credentials(child);
    if (syscall(SYS_chdir, child->request->cwd) < 0)
        child_fail(child, SPAWN_STAGE_CHDIR, errno);
    child_open_streams(child);
    child_execute(child);
}
