/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* May one more worker start? A pure function of facts; a refusal is a verdict, not an error. */

typedef enum AdmissionVerdict {
    ADMITTED,
    REFUSED_TOO_MANY_WORKERS, /* never overridden */
    REFUSED_USER_SHARE,       /* of this user's private workers; never overridden */
    REFUSED_USER_MEMORY,      /* likewise */
    REFUSED_CORES,
    REFUSED_MEMORY,
} AdmissionVerdict;

typedef struct AdmissionFacts {
    uint32_t active, max_workers;
    uint32_t user_active, user_max; /* private workers of the one that the new one is for; UINT32_MAX: any number */
    uint64_t user_committed_bytes, user_max_bytes; /* the limits of those; UINT64_MAX: any amount */
    double cores;         /* that count: physical, or hardware threads with UseSMT=; 0: not known */
    bool use_smt;         /* they are hardware threads; for the sentence only, as is the next */
    uint32_t threads;     /* hardware threads there are; 0: not known */
    double cores_taken;   /* by the live workers, see admission_cores() */
    double group_cpus;    /* CPU time that the cgroups above the workers allow; INFINITY: no limit */
    uint64_t available_bytes, reserve_bytes; /* of the machine; UINT64_MAX available: not known */
    uint64_t committed_bytes; /* what live workers may still take: the sum of limit less use; those without a limit count nothing */
    uint64_t group_free_bytes; /* left below the memory limits of the cgroups above the workers; UINT64_MAX: no limit */
    /* of cores_taken and committed_bytes, what workers have that are not below the cgroups that the numbers above are of */
    double cores_elsewhere;
    uint64_t committed_elsewhere_bytes;
    /* of the new worker */
    double worker_cores;
    uint64_t memory_max_bytes; /* UINT64_MAX: unlimited, counted as nothing */
    bool force;                /* overrides cores and memory */
} AdmissionFacts;

/* How much of the cores a worker counts as: its CPU quota, or one core without. (A machine, or a cgroup, with less than a core
 * carries one worker without a quota all the same.) */
double admission_cores(uint64_t cpu_quota_usec_per_sec);

/* A cgroup that the new worker is to be in with some of the others only: its engine's, or its user's slice. */
typedef struct AdmissionSlice {
    double cpus, cores_taken;             /* INFINITY cpus: no limit; taken by the workers in it */
    uint64_t free_bytes, committed_bytes; /* likewise */
} AdmissionSlice;

/* Of the CPU time, and of the memory, of the facts' cgroups and of this one, that counts from now on which has room for less. */
void admission_add_slice(AdmissionFacts *facts, const AdmissionSlice *slice);

/* ret_why: a sentence with the numbers, for a refusal; NULL when admitted. */
AdmissionVerdict admission_decide(const AdmissionFacts *facts, char **ret_why);

/* How many workers like this one the machine could have in all, and which fact binds: "max-workers", "cores", "memory",
 * "cgroup-memory", "cgroup-cpu", "user-share". */
uint32_t admission_admissible(const AdmissionFacts *facts, const char **ret_binding);

/* What forcing it means for people at this machine: a strv of sentences with numbers, empty if cores and memory are enough. */
char **admission_risks(const AdmissionFacts *facts);
