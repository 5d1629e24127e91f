/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which starts the daemon is told of: not of those of tasks that end within some milliseconds, whose result
 * says it all. No state of its own: each slot remembers whether its task was told of. */
#include "worker/held-row.h"

bool held_rows_has_untold(const Slot *slots, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (slots[i].state == SLOT_RUNNING && !slots[i].told)
            return true;
    return false;
}

GArray *held_rows_tell_started(Slot *slots, uint32_t n, uint64_t since_usec)
{
    GArray *rows = g_array_new(FALSE, FALSE, sizeof(HeldRow));

    for (uint32_t i = 0; i < n; i++) {
        Slot *slot = &slots[i];
        HeldRow row;

        if (slot->state != SLOT_RUNNING || slot->told || slot->start_monotonic_usec > since_usec)
            continue;
        row = (HeldRow) { slot->task->id, slot->task->fence, slot->start_usec };
        g_array_append_val(rows, row);
        slot->told = true;
    }
    return rows;
}
