/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processes as /proc shows them: start times against reused numbers, and whole trees for workers that have
 * no cgroup. Invariant: a process is signalled through a pidfd that was opened before its place in the
 * tree was read, so that a reused number is never hit. */
#include "engine/proc-file.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "util/parse-util.h"

#define TREE_DEPTH_MAX 4096
#define TREE_ROUNDS_MAX 64

int proc_stat_parse(const char *text, ProcStat *ret)
{
    /* The second field is the name in parentheses, which may hold anything, parentheses and blanks too. */
    const char *rest = strrchr(text, ')');
    ProcStat stat;
    unsigned long long start;
    int parent;

    if (!rest ||
        sscanf(rest + 1, " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
               &stat.state, &parent, &start) != 3)
        return -EINVAL;
    stat.parent = parent;
    stat.start_time = start;
    *ret = stat;
    return 0;
}

int proc_stat(int32_t pid, ProcStat *ret)
{
    char path[32], text[1024];

    (void) g_snprintf(path, sizeof path, "/proc/%d/stat", pid);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -ESRCH;
    ssize_t n = read(fd, text, sizeof text - 1);
    if (n <= 0)
        return -ESRCH;
    text[n] = '\0';
    return proc_stat_parse(text, ret);
}

static int pidfd_of(int32_t pid)
{
    int fd = (int) syscall(SYS_pidfd_open, pid, 0);

    return fd < 0 ? -errno : fd;
}

int proc_open(int32_t pid, uint64_t start_time, int *ret_pidfd)
{
    ProcStat stat;

    if (pid <= 0)
        return -ESRCH;
    _cleanup_close_ int fd = pidfd_of(pid);
    if (fd < 0)
        return fd == -EINVAL ? -ESRCH : fd; /* the number is a thread's */
    int r = proc_stat(pid, &stat);
    if (r < 0)
        return r;
    if (stat.start_time != start_time)
        return -ESRCH;
    *ret_pidfd = steal_fd(&fd);
    return 0;
}

bool proc_has_ended(int pidfd)
{
    struct pollfd poll_fd = { .fd = pidfd, .events = POLLIN };

    return poll(&poll_fd, 1, 0) > 0;
}

int proc_signal(int pidfd, int signal)
{
    return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

bool proc_descends_from(int32_t pid, int32_t root)
{
    for (int depth = 0; pid > 1 && depth < TREE_DEPTH_MAX; depth++) {
        ProcStat stat;
        if (pid == root)
            return true;
        if (proc_stat(pid, &stat) < 0)
            return false;
        pid = stat.parent;
    }
    return false;
}

static void each_process(void (*visit)(int32_t pid, void *userdata), void *userdata)
{
    DIR *dir = opendir("/proc");

    if (!dir)
        return;
    for (struct dirent *entry; (entry = readdir(dir));) {
        uint64_t number;
        if (parse_uint64(entry->d_name, &number) == 0 && number > 0 && number <= INT32_MAX)
            visit((int32_t) number, userdata);
    }
    closedir(dir);
}

typedef struct TreeHunt {
    GHashTable *members; /* set of pids: the roots and what descends from them */
    GArray *pidfds;
    bool grown;
} TreeHunt;

/* Stopped, it stays what it is and where it is. */
static void hunt_take(TreeHunt *hunt, int32_t pid)
{
    int fd = pidfd_of(pid);

    if (fd < 0)
        return;
    (void) proc_signal(fd, SIGSTOP);
    g_hash_table_add(hunt->members, GINT_TO_POINTER(pid));
    g_array_append_val(hunt->pidfds, fd);
    hunt->grown = true;
}

static void hunt_visit(int32_t pid, void *userdata)
{
    TreeHunt *hunt = userdata;
    ProcStat stat;

    if (g_hash_table_contains(hunt->members, GINT_TO_POINTER(pid)) || proc_stat(pid, &stat) < 0)
        return;
    if (stat.state != 'Z' && g_hash_table_contains(hunt->members, GINT_TO_POINTER(stat.parent)))
        hunt_take(hunt, pid);
}

void proc_tree_kill(const int32_t *roots, size_t n, GArray *pidfds)
{
    g_autoptr(GHashTable) members = g_hash_table_new(NULL, NULL);
    TreeHunt hunt = { .members = members, .pidfds = pidfds };
    guint first = pidfds->len;

    for (size_t i = 0; i < n; i++)
        if (roots[i] > 1 && roots[i] != getpid())
            hunt_take(&hunt, roots[i]);
    /* What was forked while the others were being found is found in the next round. */
    for (int round = 0; hunt.grown && round < TREE_ROUNDS_MAX; round++) {
        hunt.grown = false;
        each_process(hunt_visit, &hunt);
    }
    for (guint i = first; i < pidfds->len; i++)
        (void) proc_signal(g_array_index(pidfds, int, i), SIGKILL);
}

typedef struct ChildList {
    int32_t parent;
    GArray *pids;
} ChildList;

static void children_visit(int32_t pid, void *userdata)
{
    ChildList *list = userdata;
    ProcStat stat;

    if (proc_stat(pid, &stat) == 0 && stat.parent == list->parent)
        g_array_append_val(list->pids, pid);
}

void proc_children(GArray *pids)
{
    ChildList list = { .parent = getpid(), .pids = pids };

    each_process(children_visit, &list);
}
