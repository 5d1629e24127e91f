/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-event.h>

#include "util/macro.h"

/* Keeps the outputs of tasks that have ended from filling the disk: by age and by size, in a thread of
 * its own that takes small steps. A round every ten minutes, and one two minutes after the start. */
typedef struct OutputKeeper OutputKeeper;

#define OUTPUT_KEEPER_FIRST_USEC (120 * USEC_PER_SEC)
#define OUTPUT_KEEPER_EVERY_USEC (600 * USEC_PER_SEC)

/* The tasks that have not ended and may have output: of uint64_t, in any order; called in the loop before
 * each round. The keeper frees it. NULL: none. */
typedef GArray *(*OutputKeeperActive)(void *userdata);

int output_keeper_new(sd_event *event, const char *directory, OutputKeeperActive active, void *userdata,
                      OutputKeeper **ret) _warn_unused_;
OutputKeeper *output_keeper_free(
    OutputKeeper *keeper); /* waits for the step at hand; takes NULL, returns NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OutputKeeper, output_keeper_free)

/* From the next round on; UINT64_MAX: no limit. */
void output_keeper_set_limits(OutputKeeper *keeper, uint64_t keep_usec, uint64_t quota_bytes);

/* Begins a round now, unless one is under way. */
void output_keeper_wake(OutputKeeper *keeper);
