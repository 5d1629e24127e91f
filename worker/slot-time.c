/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The times of a slot. No state of its own: it is in the slot, and the runner has the timer.
 *
 *   running ──warn_at──► warned ──stop_at or Stop──► ending: the stop signal ──kill_at──► killing
 *
 * The outcome is decided when the task is told to stop, whatever its processes make of it; an aborted task
 * stays aborted. */
#include "worker/slot-time.h"

#include <sys/wait.h>

#include "worker/slot-signal.h"

static void forget_times(Slot *slot)
{
    slot->warn_at_usec = slot->stop_at_usec = slot->kill_at_usec = UINT64_MAX;
}

void slot_time_begin(Slot *slot)
{
    const TaskPolicy *policy = &slot->task->surroundings->context->policy;

    forget_times(slot);
    slot->ending = OUTCOME_NONE;
    slot->killing = false;
    if (policy->timeout_usec == UINT64_MAX)
        return;
    slot->stop_at_usec = usec_add(slot->start_monotonic_usec, policy->timeout_usec);
    if (policy->warn_signal > 0 && policy->warn_usec < policy->timeout_usec)
        slot->warn_at_usec = usec_add(slot->start_monotonic_usec, policy->timeout_usec - policy->warn_usec);
}

void slot_time_halt(Slot *slot)
{
    if (slot->frozen_usec == 0)
        slot->frozen_usec = (uint64_t) g_get_monotonic_time();
}

void slot_time_continue(Slot *slot)
{
    uint64_t *const times[] = { &slot->warn_at_usec, &slot->stop_at_usec, &slot->kill_at_usec };
    uint64_t halted_usec = (uint64_t) g_get_monotonic_time() - slot->frozen_usec;

    if (slot->frozen_usec == 0)
        return;
    for (size_t i = 0; i < G_N_ELEMENTS(times); i++)
        *times[i] = usec_add(*times[i], halted_usec); /* never stays never */
    slot->frozen_usec = 0;
}

uint64_t slot_time_next(const Slot *slot)
{
    if (slot->state != SLOT_RUNNING || slot->killing || slot->frozen_usec > 0)
        return UINT64_MAX;
    return MIN(MIN(slot->warn_at_usec, slot->stop_at_usec), slot->kill_at_usec);
}

/* Has its first process ended, and has only not been reaped yet? Then it was in time. */
static bool has_ended(const Slot *slot)
{
    siginfo_t info = { 0 };

    return waitid(P_PID, (id_t) slot->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0;
}

static bool slot_begin_end(Slot *slot, Outcome outcome, uint64_t now_usec, bool alone)
{
    const TaskPolicy *policy = &slot->task->surroundings->context->policy;

    forget_times(slot);
    slot->ending = outcome;
    slot->killing = policy->grace_usec == 0;
    if (slot->killing)
        return true;
    slot->kill_at_usec = usec_add(now_usec, policy->grace_usec);
    slot_signal_stop(slot, policy->stop_signal, alone);
    return false;
}

bool slot_time_pass(Slot *slot, uint64_t now_usec, bool alone)
{
    if (now_usec < slot_time_next(slot))
        return false;
    if (has_ended(slot)) {
        forget_times(slot);
        return false;
    }
    if (slot->kill_at_usec <= now_usec) {
        slot->killing = true;
        return true;
    }
    if (slot->stop_at_usec <= now_usec)
        return slot_begin_end(slot, OUTCOME_TIMEOUT, now_usec, alone);
    slot->warn_at_usec = UINT64_MAX;
    slot_signal_warn(slot, slot->task->surroundings->context->policy.warn_signal, alone);
    return false;
}

bool slot_time_stop(Slot *slot, Outcome outcome, bool alone)
{
    if (slot->state != SLOT_RUNNING || has_ended(slot))
        return false;
    if (slot->ending != OUTCOME_NONE) {
        if (outcome == OUTCOME_ABORTED)
            slot->ending = outcome;
        return false;
    }
    return slot_begin_end(slot, outcome, (uint64_t) g_get_monotonic_time(), alone);
}
