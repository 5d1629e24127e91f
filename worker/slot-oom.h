/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/slot.h"

/* Tasks that ran out of memory: finding out, and telling whose memory it was. */

/* Where the kernel kills single processes of a task, the slot hears of it from here on. */
int slot_oom_watch(Slot *slot) _warn_unused_;

/* Of a running one: was a process of its task killed for want of memory, so that the others are to be, too? *ret_again:
 * not that we know, but ask again soon. */
bool slot_oom_happened(Slot *slot, bool *ret_again);

/* Its first process was killed by SIGKILL, and is not reaped yet. */
void slot_oom_note_victim(Slot *slot);

/* Makes the result oom, with cause and note, if it is. kills: by the kernel, while it ran. */
void slot_oom_judge(Slot *slot, uint64_t kills, TaskResult *result);
