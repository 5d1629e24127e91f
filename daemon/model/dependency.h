/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"
#include "util/string-table.h"

/* Dependencies in Slurm's words. What a task waits for is a list of clauses that must all hold ("," is AND); a clause holds
 * if one of its conditions does ("?" is OR). A condition looks at one earlier task or batch. */

typedef enum DependencyKind {
    DEPENDENCY_AFTER_OK,     /* it succeeded */
    DEPENDENCY_AFTER_NOT_OK, /* it ended otherwise: failed, cancelled, skipped */
    DEPENDENCY_AFTER_ANY,    /* it ended */
    DEPENDENCY_AFTER,        /* it started, or ended without */
    DEPENDENCY_AFTER_CORR,   /* of two arrays: the element with the same index succeeded */
    DEPENDENCY_EXIT,         /* it exited with that status */
    DEPENDENCY_OOM,          /* its last attempt ended like that */
    DEPENDENCY_TIMEOUT,
    _DEPENDENCY_KIND_MAX,
} DependencyKind;
DECLARE_STRING_TABLE(dependency_kind, DependencyKind); /* "afterok", …, "exit", "oom", "timeout" */

/* What a condition looks at. The numbers are the store's. */
typedef enum DependencyTarget {
    TARGET_TASK = 0,
    TARGET_BATCH = 1, /* all of its tasks */
    TARGET_LOCAL =
        2, /* in a submission only: the position of a task within the batch, from 0; an array takes as many
                         positions as it has elements */
} DependencyTarget;

typedef struct Dependency {
    uint32_t clause; /* those of equal number are alternatives */
    DependencyKind kind;
    DependencyTarget target;
    uint64_t id;
    int status; /* of DEPENDENCY_EXIT */
} Dependency;

#define DEPENDENCIES_MAX 100000U /* of one task */

/* "afterok:12" "exit=3:batch:4" */
char *dependency_format(const Dependency *dependency);

/* The text of --after: "afterok:a:b,afterany:c?exit=3:d,(afterok:e?oom:f),singleton". A target is turned into a number by
 * the caller: names of a job file, ids, batch:N. lookup: 0 and the target, or < 0 if there is no such. */
typedef int (*DependencyLookup)(const char *word, Dependency *dependency, void *userdata);
typedef struct DependencyList {
    GArray *conditions; /* Dependency, with their clauses numbered from 0 */
    bool singleton;
} DependencyList;
void dependency_list_done(DependencyList *list);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(DependencyList, dependency_list_done)

/* 0, or -EINVAL, -E2BIG, -ENOENT with a sentence. */
int dependency_parse(const char *text, DependencyLookup lookup, void *userdata, DependencyList *ret,
                     char **ret_why) _warn_unused_;
