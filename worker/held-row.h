/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/slot.h"

/* A task the runner holds, as the protocol tells it. */
typedef struct HeldRow {
    uint64_t task, fence;
    uint64_t start_usec; /* 0: ahead */
} HeldRow;

/* Does a task run that the daemon does not know to have started? */
bool held_rows_has_untold(const Slot *slots, uint32_t n);

/* Those of them that started before since_usec (CLOCK_MONOTONIC); now they are told of. Of HeldRow. */
GArray *held_rows_tell_started(Slot *slots, uint32_t n, uint64_t since_usec);
