/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* What is done when the machine comes under pressure, and undone when it ends. A state machine without I/O:
 *
 *   calm --over the line--> closed (nothing new is claimed)
 *   closed --stays over for `step`--> throttled --> frozen --> requeued --> killed: one rung per step, those that are on
 *   any --below the lower line for `recover`--> one rung down; frozen tasks thaw, throttles are lifted; at last calm
 */
typedef enum PressureRung {
    RUNG_CALM,
    RUNG_CLOSED,
    RUNG_THROTTLE, /* memory.high of the workers at what they take now */
    RUNG_FREEZE,   /* the youngest task of the lowest priority stands still; one more per step */
    RUNG_REQUEUE,  /* the frozen ones go back to the queue, one per step */
    RUNG_KILL,     /* the youngest of the lowest priority fails, one per step */
    _RUNG_MAX,
} PressureRung;

typedef struct PressureSettings {
    bool enabled;
    double memory_percent, cpu_percent, io_percent; /* some avg10: over it is pressure; 100: never. 20, 100, 100 */
    double recover_factor;                          /* below so much of the line it is over: 0.5 */
    uint64_t step_usec, recover_usec;               /* 5 s, 10 s */
    uint32_t rungs; /* a bit 1 << PressureRung for each that may be used; RUNG_CLOSED always: CLOSED | THROTTLE | FREEZE */
} PressureSettings;

int pressure_settings_check(const PressureSettings *settings, char **ret_why) _warn_unused_;

typedef struct PressureFacts {
    uint64_t now_usec; /* monotonic */
    double memory_percent, cpu_percent, io_percent; /* some avg10; negative: not known, counts as 0 */
} PressureFacts;

typedef struct PressureLadder {
    PressureRung rung;
    uint64_t changed_usec;      /* of the latest step, up or down, or of the latest act on the same rung */
    uint64_t below_since_usec;  /* 0: it is over the lower line */
    uint64_t over_since_usec;   /* 0: it is not over the line */
} PressureLadder;

/* Called when a trigger tells of pressure and then at *ret_next_usec (UINT64_MAX: not before a trigger). True: rung has changed,
 * or the act of the same rung is to be done once more (*ret_again). */
bool pressure_ladder_step(const PressureSettings *settings, PressureLadder *ladder, const PressureFacts *facts,
                          bool *ret_again, uint64_t *ret_next_usec);
const char *pressure_rung_to_string(PressureRung rung); /* "calm", "closed", "throttle", … */
int pressure_rung_from_string(const char *word);
