/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whose memory ran out is read from the kernel's counters: how often the limit of the leaf, and that of the worker, was
 * reached since the task began; if neither was, somebody above did it. Who was killed is said only when it is known: from
 * the kernel's log; or because the kernel has killed one process, and the task's first one has died of it.
 *
 * On v2 the whole leaf dies at once. On v1 one process does, after the notice: so the counter is looked at for a while. */
#include "worker/slot-oom.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "model/spool.h"
#include "util/parse-util.h"
#include "worker/kernel-file.h"
#include "worker/kernel-log.h"

#define SUSPICION_USEC (2 * USEC_PER_SEC)

static int on_notice(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    Slot *slot = userdata;
    uint64_t count;

    (void) !read(fd, &count, sizeof count);
    if (slot->state != SLOT_RUNNING)
        return 0;
    slot->oom_until_usec = (uint64_t) g_get_monotonic_time() + SUSPICION_USEC;
    slot->site->attention(slot->site->attention_userdata);
    return 0;
}

int slot_oom_watch(Slot *slot)
{
    int fd = leaf_cgroup_oom_notice(slot->leaf);

    return fd < 0 ? 0 : sd_event_add_io(slot->site->event, &slot->oom_source, fd, EPOLLIN, on_notice, slot);
}

/* Has somebody killed the first process, which may not be through with dying? */
static bool first_is_killed(const Slot *slot)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/status", (int) slot->pid), *status = NULL;
    const char *pending;
    siginfo_t info = { 0 };

    if (waitid(P_PID, (id_t) slot->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid > 0)
        return info.si_code == CLD_KILLED && info.si_status == SIGKILL;
    if (kernel_file_read(AT_FDCWD, path, &status) < 0 || !(pending = strstr(status, "\nSigPnd:")))
        return false;
    return g_ascii_strtoull(pending + strlen("\nSigPnd:"), NULL, 16) >> (SIGKILL - 1) & 1;
}

bool slot_oom_happened(Slot *slot, bool *ret_again)
{
    if (slot->oom_until_usec == 0)
        return false;
    if (leaf_cgroup_oom_kills(slot->leaf) > 0) {
        if (!slot->killing && first_is_killed(slot)) /* before we kill it as well */
            slot_oom_note_victim(slot);
        return true;
    }
    if ((uint64_t) g_get_monotonic_time() < slot->oom_until_usec)
        *ret_again = true;
    else
        slot->oom_until_usec = 0;
    return false;
}

void slot_oom_note_victim(Slot *slot)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/comm", (int) slot->pid), *name = NULL;

    if (!slot->leaf || slot->killing || slot->victim || kernel_file_read(AT_FDCWD, path, &name) < 0)
        return;
    slot->victim = g_strdup(g_strchomp(name));
}

/* ------------------------------------------------------------------ the sentence */

static void say_cause(const Slot *slot, OomCause cause, GString *note)
{
    uint64_t limit = cause == OOM_TASK ? leaf_cgroup_memory_max(slot->leaf) : leaf_tree_memory_max(slot->site->tree);
    g_autofree char *size = format_bytes(limit);

    switch (cause) {
    case OOM_TASK:
        g_string_append_printf(note, "its limit of %s was reached", size);
        break;
    case OOM_WORKER:
        g_string_append_printf(note, "the limit of its worker, %s, was reached", size);
        break;
    case OOM_HOST:
        g_string_append(note, "no limit of the task or its worker was reached, but the machine, or a cgroup above, had none left");
        break;
    case OOM_OOMD:
        g_string_append(note, "killed by systemd-oomd");
        break;
    case _OOM_CAUSE_MAX:
        break;
    }
}

static void say_victim(const Slot *slot, uint64_t kills, GString *note)
{
    g_autofree char *group = g_strdup_printf("/%s/%s", slot->site->tree->name, leaf_cgroup_name(slot->leaf));
    g_auto(OomVictim) victim = { 0 };
    g_autofree char *name = NULL;

    if (kernel_log_find_victim(group, slot->start_monotonic_usec, &victim)) {
        name = format_foreign(victim.name);
        g_string_append_printf(note, "; the kernel killed %s", name);
        if (victim.pid > 0)
            g_string_append_printf(note, " (process %d)", victim.pid);
    } else if (slot->victim && kills == 1) {
        name = format_foreign(slot->victim);
        g_string_append_printf(note, "; the kernel killed its process %s", name);
    }
}

static char *sentence(const Slot *slot, uint64_t kills, const TaskResult *result)
{
    GString *note = g_string_new("out of memory: ");

    say_cause(slot, result->oom_cause, note);
    if (result->memory_peak_bytes != MEMORY_UNKNOWN) {
        g_autofree char *peak = format_bytes(result->memory_peak_bytes);
        g_string_append_printf(note, "; peak %s", peak);
    }
    if (kills > 0)
        say_victim(slot, kills, note);
    return g_string_free(note, FALSE);
}

void slot_oom_judge(Slot *slot, uint64_t kills, TaskResult *result)
{
    g_autofree char *note = NULL;
    bool killed = WIFSIGNALED(slot->status) && WTERMSIG(slot->status) == SIGKILL;

    if (kills > 0)
        result->oom_cause = leaf_cgroup_oom_cause(slot->leaf);
    else if (killed && !slot->killing && leaf_cgroup_was_killed_by_oomd(slot->leaf))
        result->oom_cause = OOM_OOMD;
    else
        return;
    result->outcome = OUTCOME_OOM;
    note = sentence(slot, kills, result);
    result_add_note(result, note);
}
