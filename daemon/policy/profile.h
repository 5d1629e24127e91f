/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* A named way to use the machine: how many workers, how large, how long a task may take. */
typedef struct Profile {
    char *name;               /* letters, digits, "-", "_"; at most 64 */
    uint32_t workers;         /* a number of them, or 0: cores_factor counts */
    double cores_factor;      /* times the physical cores, at least one worker; 0: workers counts */
    uint64_t timeout_usec;    /* of a task that says nothing; UINT64_MAX: none */
    uint64_t memory_max_bytes; /* of a worker that is not told otherwise */
    uint32_t ahead;           /* tasks that a worker takes ahead per claim, at most; 0: as many as pay */
} Profile;

GPtrArray *profiles_new(void); /* of Profile, which it frees; the four that are built in */
Profile *profile_find(const GPtrArray *profiles, const char *name); /* NULL: none */
uint32_t profile_workers(const Profile *profile, uint32_t cores);
