/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "model/task-spec.h"

/* Starting one program. Everything is prepared by the caller; from the clone on nothing is allocated. */

typedef enum SpawnStage { /* how far the child came */
    SPAWN_STAGE_NONE,
    SPAWN_STAGE_JOIN,
    SPAWN_STAGE_IDENTITY,
    SPAWN_STAGE_CREDENTIAL_READ,
    SPAWN_STAGE_CREDENTIAL_KEEP,
    SPAWN_STAGE_CHDIR,
    SPAWN_STAGE_STDIN,
    SPAWN_STAGE_STDOUT,
    SPAWN_STAGE_STDERR,
    SPAWN_STAGE_EXECUTE,
} SpawnStage;

/* What the child tells, in memory that both share. error stays 0 if the program was executed. */
typedef struct SpawnReport {
    volatile int stage, error;
    volatile int credential; /* of the stages that deal with one: which */
} SpawnReport;

/* A file of the user's, a copy of which the program finds under that name. */
typedef struct SpawnCredential {
    const char *name, *path;
} SpawnCredential;

#define CREDENTIAL_BYTES_MAX (UINT64_C(1) << 20)

typedef struct SpawnRequest {
    char *const *argv;
    char *const *envp;
    const char *search_path;         /* where argv[0] is looked for if it has no slash */
    const char *cwd;
    const char *paths[_STREAM_MAX];  /* opened with the rights of the task; NULL: none */
    int fds[_STREAM_MAX];            /* over 2; -EBADF: the caller's own, or a path */
    bool merge;                      /* stderr is what stdout is, whatever the two above say */
    bool change_identity;            /* to these; else the caller's stays */
    uint32_t uid, gid;
    const uint32_t *groups;
    size_t n_groups;
    int cgroup_fd;                   /* v2 cgroup to be born in; -EBADF: the caller's */
    const int *join_fds;             /* v1 "tasks" files */
    size_t n_joins;
    const SpawnCredential *credentials; /* with SPAWN_FORK only */
    size_t n_credentials;
    const int *credential_fds;       /* the files they are copied to */
    bool reset_oom_score;            /* to 0: the caller protects itself */
    bool reset_open_files;           /* soft limit of open files back to 1024: the caller raised it */
    bool die_with_parent;            /* no cgroup holds it if the caller dies */
    SpawnReport *report;
} SpawnRequest;

typedef enum SpawnMode {
    SPAWN_FORK, /* like fork(2): nothing the child meets holds the caller up */
    SPAWN_SHARED, /* like vfork(2), where there is code for it: no copy, but the caller waits for execve */
} SpawnMode;

/* A child that a dead file server or a signal holds up makes a SPAWN_SHARED caller wait no longer than
 * this. */
#define SPAWN_HOLDUP_USEC (900 * USEC_PER_MSEC) /* below a second; slow machines take a while to execute a program */

/* Returns 0 and the child's PID, or the errno of clone(2). That the program could not be executed shows in
 * the report when the child is reaped (status 127). *ret_held_up: SPAWN_SHARED took too long, the child
 * was started again by SPAWN_FORK; better take that for the like of it. The caller must ignore no signal
 * and handle none: the child has the dispositions of the caller. */
int spawn_process(const SpawnRequest *request, SpawnMode mode, pid_t *ret_pid, bool *ret_held_up)
    _warn_unused_;

/* "cannot execute 'foo': No such file or directory" */
char *spawn_describe_failure(const SpawnRequest *request, SpawnStage stage, int error);
