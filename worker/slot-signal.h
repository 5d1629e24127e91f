/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/slot.h"

/* Signals to every process of a slot's task. alone: no other slot is in use; see process-tree.h. */

/* Asks them to end, stopped ones as well. What is forked at the same moment may be missed. */
void slot_signal_stop(const Slot *slot, int signal, bool alone);

/* Warns those that have a handler for the signal or wait for it with the signal blocked; to others it would
 * be death. */
void slot_signal_warn(const Slot *slot, int signal, bool alone);
