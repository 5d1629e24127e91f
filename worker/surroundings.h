/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/spawn.h"

/* A context made ready for starting programs in it: what all its tasks share is composed once. */
typedef struct Surroundings {
    gatomicrefcount refs;
    TaskContext *context;
    char *cwd;
    const char *streams[_STREAM_MAX]; /* the context's; NULL: the default */
    GPtrArray *environment;           /* strings of the blobs, and added ones; not closed by NULL */
    const char *search_path;
    GPtrArray *added;                 /* owns what is in no blob */
    SpawnCredential *credentials;     /* the context's; the names are owned by credential_names */
    char **credential_names;
    size_t n_credentials;
} Surroundings;

/* worker_environment: strv-blob added to each task's, NULL: none; it must stay. Asks the user database for
 * what the environment lacks of HOME, USER, LOGNAME and SHELL, once for each user. */
Surroundings *surroundings_new(TaskContext *context, GBytes *worker_environment);
Surroundings *surroundings_ref(Surroundings *surroundings);
void surroundings_unref(Surroundings *surroundings); /* takes NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Surroundings, surroundings_unref)

/* What tells a task which one it is; or a worker's program where it is (task 0). */
typedef struct TaskIdentity {
    uint64_t task, batch, array_index; /* ARRAY_INDEX_NONE */
    uint32_t attempt;
    const char *worker;
    const char *result, *inputs, *credentials; /* paths; NULL: it is not told of any */
    const char *pressure; /* path of the file that tells of memory pressure; NULL */
    const char *gpus;     /* those that it may use, "0,2"; "": none; NULL: nothing is said */
} TaskIdentity;

/* The whole environment; free the array and the string of added variables. */
char **surroundings_environment(const Surroundings *surroundings, const TaskIdentity *identity,
                                char **ret_added);
