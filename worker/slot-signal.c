/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signals to the processes of a task, as the leaf or, without one, the process tree tells them. A PID that
 * was read may belong to another process by the time it is used. So a process is pinned by a pidfd first,
 * and gets its signal only if its PID is still among the task's when they are read again: then the pidfd
 * can mean no other. */
#include "worker/slot-signal.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#include "worker/kernel-file.h"

#define PINNED_AT_ONCE 128
#define ROUNDS_MAX 1000 /* against a task that forks for ever; its end is the kill */

typedef struct Pinned {
    pid_t pid;
    int fd; /* -EBADF: there are no pidfds here */
} Pinned;

typedef struct Delivery {
    const Slot *slot;
    int signal;
    bool warn, alone;
    GHashTable *done; /* PIDs */
} Delivery;

static GArray *slot_members(const Slot *slot, bool alone)
{
    const ProcessOwner owner = { .task = slot->task->id, .first = slot->pid, .alone = alone };

    return slot->leaf ? leaf_cgroup_members(slot->leaf) : process_tree_members(&owner);
}

/* Is the signal in the set that a line of /proc/PID/status gives in hexadecimal? */
static bool set_has(const char *status, const char *name, int signal)
{
    const char *line = strstr(status, name);

    return line && (g_ascii_strtoull(line + strlen(name), NULL, 16) >> (signal - 1)) & 1;
}

static bool awaits(pid_t pid, int signal)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/status", (int) pid), *status = NULL;

    return signal >= 1 && signal <= 64 && kernel_file_read(AT_FDCWD, path, &status) >= 0 &&
           (set_has(status, "\nSigCgt:", signal) || set_has(status, "\nSigBlk:", signal));
}

static void send_signal(const Pinned *process, int signal)
{
    if (process->fd >= 0)
        (void) syscall(SYS_pidfd_send_signal, process->fd, signal, NULL, 0);
    else
        (void) kill(process->pid, signal);
}

static void deliver(const Delivery *delivery, const Pinned *process)
{
    if (delivery->warn) {
        if (awaits(process->pid, delivery->signal))
            send_signal(process, delivery->signal);
        return;
    }
    send_signal(process, delivery->signal);
    send_signal(process, SIGCONT); /* a stopped one would not notice */
}

static size_t pin(const Delivery *delivery, const GArray *members, Pinned *processes)
{
    size_t n = 0;

    for (guint i = 0; i < members->len && n < PINNED_AT_ONCE; i++) {
        pid_t pid = g_array_index(members, pid_t, i);

        if (!g_hash_table_add(delivery->done, GINT_TO_POINTER(pid)))
            continue;
        processes[n].pid = pid;
        processes[n].fd = (int) syscall(SYS_pidfd_open, pid, 0);
        if (processes[n].fd >= 0 || errno != ESRCH)
            n++;
    }
    return n;
}

static bool is_member(const GArray *members, pid_t pid)
{
    for (guint i = 0; i < members->len; i++)
        if (g_array_index(members, pid_t, i) == pid)
            return true;
    return false;
}

/* False: nobody was there who has not had it. */
static bool deliver_round(Delivery *delivery)
{
    g_autoptr(GArray) before = slot_members(delivery->slot, delivery->alone), after = NULL;
    Pinned processes[PINNED_AT_ONCE];
    size_t n = pin(delivery, before, processes);

    if (n == 0)
        return false;
    after = slot_members(delivery->slot, delivery->alone);
    for (size_t i = 0; i < n; i++) {
        if (is_member(after, processes[i].pid))
            deliver(delivery, &processes[i]);
        close_fd(processes[i].fd);
    }
    return true;
}

static void slot_deliver(const Slot *slot, int signal, bool warn, bool alone)
{
    Delivery delivery = { slot, signal, warn, alone, g_hash_table_new(NULL, NULL) };
    int rounds = 0;

    while (rounds++ < ROUNDS_MAX && deliver_round(&delivery))
        continue;
    g_hash_table_unref(delivery.done);
}

void slot_signal_stop(const Slot *slot, int signal, bool alone)
{
    slot_deliver(slot, signal, false, alone);
}

void slot_signal_warn(const Slot *slot, int signal, bool alone)
{
    slot_deliver(slot, signal, true, alone);
}
