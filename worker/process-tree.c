/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tree of processes below the worker, read from /proc: what is left for killing a task where no cgroup
 * can be made. A snapshot is never exact; the caller kills and looks again until nothing is found. A PID
 * of the snapshot may belong to another process by the time it is killed, so each is pinned by a pidfd and
 * its start time compared first. */
#include "worker/process-tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "worker/kernel-file.h"

typedef struct Process {
    pid_t pid, parent, session;
    uint64_t start_time;
    bool zombie;
    unsigned marks;
} Process;

/* Marks that pass from parents to children. */
enum { MARK_OURS = 1 /* a descendant of the caller */, MARK_MEMBER = 2 /* of the task */ };

/* The fields of /proc/PID/stat follow the last ")" of the name, which may hold anything. */
static int process_parse(const char *stat, Process *ret)
{
    const char *rest = strrchr(stat, ')');
    char state;
    int pid, parent, session;
    uint64_t start_time;

    if (!rest || sscanf(stat, "%d", &pid) != 1)
        return -EINVAL;
    if (sscanf(rest + 1, " %c %d %*d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %" SCNu64,
               &state, &parent, &session, &start_time) != 4)
        return -EINVAL;
    *ret = (Process) { .pid = pid, .parent = parent, .session = session, .start_time = start_time,
                       .zombie = state == 'Z' || state == 'X' };
    return 0;
}

static int process_read(int proc, const char *pid, Process *ret)
{
    g_autofree char *text = NULL, *name = g_strconcat(pid, "/stat", NULL);
    int r = kernel_file_read(proc, name, &text);

    return r < 0 ? r : process_parse(text, ret);
}

static GArray *snapshot(int proc)
{
    GArray *processes = g_array_new(FALSE, FALSE, sizeof(Process));
    DIR *directory = fdopendir(fcntl(proc, F_DUPFD_CLOEXEC, 3));
    struct dirent *entry;

    while (directory && (entry = readdir(directory))) {
        Process process;

        if (g_ascii_isdigit(entry->d_name[0]) && process_read(proc, entry->d_name, &process) >= 0)
            g_array_append_val(processes, process);
    }
    if (directory)
        closedir(directory);
    return processes;
}

static bool carries_task(int proc, pid_t pid, uint64_t task)
{
    g_autofree char *name = g_strdup_printf("%d/environ", (int) pid);
    g_autofree char *wanted = g_strdup_printf("PAREXEC_TASK_ID=%" PRIu64, task);
    _cleanup_close_ int fd = openat(proc, name, O_RDONLY | O_CLOEXEC);
    g_autoptr(GString) text = g_string_new(NULL);
    char chunk[4096];
    ssize_t n;

    while (fd >= 0 && text->len < KERNEL_FILE_MAX && (n = read(fd, chunk, sizeof chunk)) > 0)
        g_string_append_len(text, chunk, n);
    for (size_t at = 0; at < text->len; at += strlen(text->str + at) + 1)
        if (strcmp(text->str + at, wanted) == 0)
            return true;
    return false;
}

/* Spreads a mark from parents to children until nothing changes: trees are shallow, few rounds do. */
static void mark_descendants(GArray *processes, GHashTable *by_pid, unsigned mark)
{
    bool changed = true;

    while (changed) {
        changed = false;
        for (guint i = 0; i < processes->len; i++) {
            Process *process = &g_array_index(processes, Process, i);
            const Process *parent = g_hash_table_lookup(by_pid, GINT_TO_POINTER(process->parent));

            if (!parent || (process->marks & mark) || !(parent->marks & mark))
                continue;
            process->marks |= mark;
            changed = true;
        }
    }
}

static void mark_members(int proc, GArray *processes, const ProcessOwner *owner)
{
    g_autoptr(GHashTable) by_pid = g_hash_table_new(NULL, NULL);

    for (guint i = 0; i < processes->len; i++) {
        Process *process = &g_array_index(processes, Process, i);

        g_hash_table_insert(by_pid, GINT_TO_POINTER(process->pid), process);
        process->marks = process->parent == getpid() ? MARK_OURS : 0;
    }
    mark_descendants(processes, by_pid, MARK_OURS);
    for (guint i = 0; i < processes->len; i++) {
        Process *process = &g_array_index(processes, Process, i);

        if (!(process->marks & MARK_OURS))
            continue;
        if (owner->alone || process->pid == owner->first || process->session == owner->first ||
            carries_task(proc, process->pid, owner->task))
            process->marks |= MARK_MEMBER;
    }
    mark_descendants(processes, by_pid, MARK_MEMBER);
}

static void process_kill(int proc, const Process *process)
{
    _cleanup_close_ int fd = (int) syscall(SYS_pidfd_open, process->pid, 0);
    int r = fd < 0 ? -errno : 0;
    g_autofree char *name = g_strdup_printf("%d", (int) process->pid);
    Process now;

    if (r == -ESRCH || process_read(proc, name, &now) < 0 || now.start_time != process->start_time)
        return;
    if (r >= 0)
        (void) syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
    else /* a container may forbid pidfds: then the moment since the comparison is not covered */
        (void) kill(process->pid, SIGKILL);
}

GArray *process_tree_members(const ProcessOwner *owner)
{
    GArray *members = g_array_new(FALSE, FALSE, sizeof(pid_t));
    _cleanup_close_ int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    g_autoptr(GArray) processes = NULL;

    if (proc < 0)
        return members;
    processes = snapshot(proc);
    mark_members(proc, processes, owner);
    for (guint i = 0; i < processes->len; i++) {
        const Process *process = &g_array_index(processes, Process, i);

        if ((process->marks & MARK_MEMBER) && !process->zombie)
            g_array_append_val(members, process->pid);
    }
    return members;
}

int process_tree_kill(const ProcessOwner *owner)
{
    _cleanup_close_ int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    g_autoptr(GArray) processes = NULL;
    int n = 0;

    if (proc < 0)
        return 0;
    processes = snapshot(proc);
    mark_members(proc, processes, owner);
    for (guint i = 0; i < processes->len; i++) {
        const Process *process = &g_array_index(processes, Process, i);

        if ((process->marks & MARK_MEMBER) && !process->zombie) {
            process_kill(proc, process);
            n++;
        }
    }
    return n;
}

static bool is_known(const pid_t *known, size_t n_known, pid_t pid)
{
    for (size_t i = 0; i < n_known; i++)
        if (known[i] == pid)
            return true;
    return false;
}

bool process_tree_has_strays(const pid_t *known, size_t n_known)
{
    g_autofree char *name = g_strdup_printf("/proc/self/task/%d/children", (int) getpid());
    g_autofree char *text = NULL;
    g_auto(GStrv) words = NULL;

    if (kernel_file_read(AT_FDCWD, name, &text) < 0)
        return true;
    words = g_strsplit(text, " ", -1);
    for (char **word = words; *word; word++) {
        pid_t pid = (pid_t) g_ascii_strtoll(*word, NULL, 10);

        if (pid > 0 && !is_known(known, n_known, pid))
            return true;
    }
    return false;
}
