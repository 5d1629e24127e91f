/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* Whom the kernel's OOM killer has killed, from the kernel's log, where it may be read. */
typedef struct OomVictim {
    char *name; /* NULL: not known */
    int pid;    /* as we would call it; 0: not known */
} OomVictim;

static inline void oom_victim_done(OomVictim *victim)
{
    g_clear_pointer(&victim->name, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(OomVictim, oom_victim_done)

/* Is the record, as /dev/kmsg gives it, about a process of a cgroup whose path ends so ("/a.scope/slot-0"), and not older
 * than that (µs of CLOCK_MONOTONIC)? Then ret is who it was. */
bool kernel_log_match(const char *record, const char *group, uint64_t since_usec, OomVictim *ret);

/* The latest in the log; false: there is none, or it may not be read. */
bool kernel_log_find_victim(const char *group, uint64_t since_usec, OomVictim *ret);
