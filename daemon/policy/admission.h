/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* May one more worker start? A pure function of facts; a refusal is a verdict, not an error. */

typedef enum AdmissionVerdict {
    ADMITTED,
    REFUSED_TOO_MANY_WORKERS,
    REFUSED_MEMORY,
} AdmissionVerdict;

typedef struct AdmissionFacts {
    uint32_t active, max_workers;
    uint64_t available_bytes, reserve_bytes; /* of the machine; UINT64_MAX available: not known */
    uint64_t memory_max_bytes; /* of the new worker; UINT64_MAX: unlimited, counted as nothing */
    bool force;                /* overrides memory, never the number */
} AdmissionFacts;

/* ret_why: a sentence with the numbers, for a refusal; NULL when admitted. */
AdmissionVerdict admission_decide(const AdmissionFacts *facts, char **ret_why);

/* How many workers like this one the machine could have in all, and which fact binds: "max-workers" or "memory". */
uint32_t admission_admissible(const AdmissionFacts *facts, const char **ret_binding);
