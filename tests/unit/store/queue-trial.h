/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "tests/unit/store/queue-model.h"

/* One random history: a store and its model, and steps that change both. A step does not wait for the store. */
typedef struct Trial {
    Fixture *f;
    Model *m;
    GRand *random;
    size_t tail_bytes; /* of stderr, of every attempt that ends */
    bool
        forgetful; /* something is forgotten that others had waited for: it is worth nothing any more if they are counted anew */
} Trial;

typedef void (*TrialStep)(Trial *t);

unsigned trial_dice(Trial *t, unsigned n);
TrialStep trial_step(Trial *t);      /* a random one */
TrialStep trial_kept_step(Trial *t); /* one that is never refused */

/* Of model and dice; the fixture is the same. */
Trial trial_copy(const Trial *t);
void trial_take(Trial *t, Trial *from);
void trial_done(Trial *t); /* leaves the fixture */

char *trial_seen_states(Fixture *f); /* as model_states() */
char *trial_describe(Trial *t, const ModelTask *task);
void trial_check_states(Trial *t);
void trial_check_counts(Trial *t);
