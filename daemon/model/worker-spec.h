/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/limits.h"
#include "model/placement.h"
#include "util/string-table.h"

#define UID_ANYBODY UINT32_MAX
#define WORKER_SLOTS_MAX 1024U

/* How a worker is started and limited. */
typedef enum EngineKind {
    ENGINE_SYSTEMD, /* a transient scope */
    ENGINE_CGROUP,  /* a plain cgroup, or only a process */
    _ENGINE_MAX,
} EngineKind;
DECLARE_STRING_TABLE(engine_kind, EngineKind);

/* What AddWorker asked for, the configuration's defaults filled in. Immutable once the worker exists, but for
 * limits that SetLimits changes. */
typedef struct WorkerSpec {
    char *name; /* never NULL, may be empty */
    WorkerLimits limits;
    uint32_t slots; /* 1…WORKER_SLOTS_MAX */
    EngineKind engine;
    uint32_t user;       /* the only uid whose tasks it runs; UID_ANYBODY */
    bool forced;         /* admission was overridden */
    GBytes *environment; /* strv-blob added to its tasks' environments; NULL: none */
    GBytes *exec;        /* strv-blob: the program that does the tasks of that class; NULL: it runs commands */
    char *class;         /* with exec only; else NULL */
    uint32_t recycle;    /* a program is replaced after so many tasks; 0: never */
    uint64_t recycle_memory_bytes; /* or when it takes more; LIMIT_INFINITY: never */
    Placement placement;
    bool scaled; /* made to reach the target of scaling, not by AddWorker */
} WorkerSpec;

/* Placement and what else is rarely said, as one line of words, for the store. */
char *worker_spec_terms(const WorkerSpec *spec);
int worker_spec_read_terms(WorkerSpec *spec, const char *terms) _warn_unused_;

/* The slice of systemd's that such a worker is in: one for each user's private workers and one for the shared ones, so that an
 * administrator can weigh and limit them as a whole. above: "parexec.slice", which by its name has them below it. */
char *worker_spec_slice(const WorkerSpec *spec, const char *above);

WorkerSpec *worker_spec_new(void);
WorkerSpec *worker_spec_copy(const WorkerSpec *spec);
WorkerSpec *worker_spec_free(WorkerSpec *spec); /* takes NULL, returns NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(WorkerSpec, worker_spec_free)
