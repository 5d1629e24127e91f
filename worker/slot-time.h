/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/slot.h"

/* How long the task in a slot may take, and how it is brought to its end. Times are of CLOCK_MONOTONIC:
 * what counts is how long it runs, and while the machine sleeps nothing runs. */

/* The task has started: its policy counts from here. */
void slot_time_begin(Slot *slot);

/* Its time stands still from now on; or goes on, and all that was to come comes so much later. */
void slot_time_halt(Slot *slot);
void slot_time_continue(Slot *slot);

/* When slot_time_pass() is to be called next; UINT64_MAX: never. */
uint64_t slot_time_next(const Slot *slot);

/* Does what is due: the warning, the stop signal. True: now its processes are to be killed. alone: no other
 * slot is in use. */
bool slot_time_pass(Slot *slot, uint64_t now_usec, bool alone) _warn_unused_;

/* Brings a running task to its end with this outcome. True: its processes are to be killed at once. */
bool slot_time_stop(Slot *slot, Outcome outcome, bool alone) _warn_unused_;
