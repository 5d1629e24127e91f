/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Starting one program: the parent's side. Two ways to the same child code: a clone that shares the memory
 * (no page tables to copy, no faults afterwards), and one that copies it. The shared one stops the caller
 * until execve, so it is bounded by a timer in the child; see child_limit_time(). */
#include "worker/spawn.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "worker/kernel-file.h"
#include "worker/spawn-child.h"

#define SHARED_STACK_BYTES ((size_t) 64 << 10)
#define PF_EXITING 0x4U     /* the kernel's flags of a process: on its way to death, */
#define PF_FORKNOEXEC 0x40U /* and forked, but has not executed anything */

#ifdef __x86_64__

/* The stack of a child that shares our memory. One is enough: we stand still while it is used. */
static void *shared_stack(void)
{
    static char *stack;

    if (!stack) {
        stack = mmap(NULL, SHARED_STACK_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
        if (stack == MAP_FAILED)
            stack = NULL;
        else
            (void) mprotect(stack, 4096, PROT_NONE);
    }
    return stack;
}

/* The child begins on its own, empty stack and calls run() there; it never comes back to this frame, so
 * the red zone below our stack pointer stays whole. rsp is 16-aligned at the call, since the stack's end
 * is. */
static pid_t enter_shared(const struct clone_args *args, SpawnChild *child)
{
    /* no call may stand between these and the asm: it would clobber the registers */
    register void (*run)(void *) __asm__("r8") = spawn_child_run;
    register void *argument __asm__("r9") = child;
    long pid;

    __asm__ volatile("syscall\n\t"
                     "testq %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xorl %%ebp, %%ebp\n\t"
                     "movq %%r9, %%rdi\n\t"
                     "callq *%%r8\n\t"
                     "hlt\n"
                     "1:"
                     : "=a"(pid)
                     : "0"((long) SYS_clone3), "D"(args), "S"(sizeof *args), "r"(run), "r"(argument)
                     : "rcx", "r11", "cc", "memory");
    return (pid_t) pid;
}

static pid_t clone_shared(struct clone_args *args, SpawnChild *child)
{
    args->flags |= CLONE_VM | CLONE_VFORK;
    args->stack = (uintptr_t) shared_stack();
    args->stack_size = SHARED_STACK_BYTES;
    return args->stack ? enter_shared(args, child) : -ENOMEM;
}

#else

static pid_t clone_shared(struct clone_args *args, SpawnChild *child)
{
    return -ENOSYS;
}

#endif

static pid_t clone_copied(struct clone_args *args, SpawnChild *child)
{
    long pid;

    child->shared = false;
    pid = syscall(SYS_clone3, args, sizeof *args);
    if (pid < 0 && errno == ENOSYS && !(args->flags & CLONE_INTO_CGROUP))
        pid = fork();
    if (pid == 0)
        spawn_child_run(child);
    return pid < 0 ? -errno : (pid_t) pid;
}

static uint64_t now_usec(void)
{
    struct timespec now;

    (void) clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * USEC_PER_SEC + (uint64_t) now.tv_nsec / NSEC_PER_USEC;
}

/* The kernel's flags of a process, also of one that has died and is not reaped; 0: not known. */
static unsigned process_flags(pid_t pid)
{
    g_autofree char *name = g_strdup_printf("/proc/%d/stat", (int) pid), *text = NULL;
    const char *rest;
    unsigned flags;

    if (kernel_file_read(AT_FDCWD, name, &text) < 0 || !(rest = strrchr(text, ')')) ||
        sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %u", &flags) != 1)
        return 0;
    return flags;
}

/* Did the child, which no longer holds us up, die before it executed anything? Then nobody has seen it,
 * and it can be started again. The kernel lets us go on its way into execve or into death, a moment before
 * the flags tell which. */
static bool died_unexecuted(pid_t pid)
{
    siginfo_t info = { 0 };
    unsigned flags;

    while ((flags = process_flags(pid)) & PF_FORKNOEXEC) {
        if (!(flags & PF_EXITING)) {
            (void) sched_yield();
            continue;
        }
        if (waitid(P_PID, (id_t) pid, &info, WEXITED | WNOWAIT) < 0 || info.si_code != CLD_KILLED ||
            info.si_status != SIGKILL)
            return false;
        return waitpid(pid, NULL, WNOHANG) == pid;
    }
    return false;
}

/* The programs that argv[0] may mean: itself, or itself in each directory of the path (an empty one: the
 * working directory). */
static char **program_candidates(const char *name, const char *search_path)
{
    g_auto(GStrv) directories = NULL;
    GPtrArray *programs = g_ptr_array_new();

    if (strchr(name, '/') || *name == '\0') {
        g_ptr_array_add(programs, g_strdup(name));
    } else {
        directories = g_strsplit(search_path, ":", -1);
        for (char **directory = directories; *directory; directory++)
            g_ptr_array_add(programs,
                            **directory ? g_strconcat(*directory, "/", name, NULL) : g_strdup(name));
        if (programs->len == 0) /* an empty path is the working directory */
            g_ptr_array_add(programs, g_strdup(name));
    }
    g_ptr_array_add(programs, NULL);
    return (char **) g_ptr_array_free(programs, FALSE);
}

int spawn_process(const SpawnRequest *request, SpawnMode mode, pid_t *ret_pid, bool *ret_held_up)
{
    g_auto(GStrv) programs = program_candidates(request->argv[0], request->search_path);
    SpawnChild child = { .request = request, .programs = programs, .shared = true };
    struct clone_args args = { .exit_signal = SIGCHLD };
    uint64_t begin = now_usec();
    pid_t pid = -ENOSYS;

    if (request->cgroup_fd >= 0) {
        args.flags = CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t) request->cgroup_fd;
    }
    request->report->stage = SPAWN_STAGE_NONE;
    request->report->error = 0;
    *ret_held_up = false;
    if (mode == SPAWN_SHARED) {
        struct clone_args shared = args;

        pid = clone_shared(&shared, &child);
        *ret_held_up = pid > 0 && now_usec() - begin >= SPAWN_HOLDUP_USEC && died_unexecuted(pid);
    }
    if (pid == -ENOSYS || *ret_held_up)
        pid = clone_copied(&args, &child);
    if (pid < 0)
        return pid;
    *ret_pid = pid;
    return 0;
}

static char *describe_credential(const SpawnCredential *credential, SpawnStage stage, int error)
{
    if (stage == SPAWN_STAGE_CREDENTIAL_KEEP)
        return g_strdup_printf("cannot keep credential '%s' for the task: %s", credential->name,
                               g_strerror(error));
    return g_strdup_printf("cannot read credential '%s' from %s: %s", credential->name, credential->path,
                           error == EFBIG  ? "it is over 1M" :
                           error == EINVAL ? "not a regular file" :
                                             g_strerror(error));
}

char *spawn_describe_failure(const SpawnRequest *request, SpawnStage stage, int error)
{
    static const char *const streams[] = { "stdin", "stdout", "stderr" };
    const char *why = g_strerror(error);

    switch (stage) {
    case SPAWN_STAGE_NONE:
        return g_strdup_printf("cannot start a process: %s", why);
    case SPAWN_STAGE_JOIN:
        return g_strdup_printf("cannot enter the task's cgroup: %s", why);
    case SPAWN_STAGE_IDENTITY:
        return g_strdup_printf("cannot become user %u: %s", request->uid, why);
    case SPAWN_STAGE_CREDENTIAL_READ:
    case SPAWN_STAGE_CREDENTIAL_KEEP:
        return describe_credential(&request->credentials[request->report->credential], stage, error);
    case SPAWN_STAGE_CHDIR:
        return g_strdup_printf("cannot change to directory '%s': %s", request->cwd, why);
    case SPAWN_STAGE_STDIN:
    case SPAWN_STAGE_STDOUT:
    case SPAWN_STAGE_STDERR:
        return g_strdup_printf("cannot open '%s' as %s: %s",
                               request->paths[stage - SPAWN_STAGE_STDIN] ?: "a descriptor",
                               streams[stage - SPAWN_STAGE_STDIN], why);
    case SPAWN_STAGE_EXECUTE:
        return g_strdup_printf("cannot execute '%s': %s", request->argv[0], why);
    }
    return NULL;
}
