/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "model/launch-record.h"
#include "model/task-spec.h"
#include "util/sd-bus-util.h"

/* The daemon's end of the worker protocol, for tests: starts the real worker program and notes all it
 * says. */

typedef struct FakeRow {
    uint64_t task, fence, start_usec;
} FakeRow;

typedef struct FakeDaemon {
    sd_event *event;
    char *directory;          /* everything of this test is below it */
    LaunchRecord *record;     /* to be changed before the worker is started */
    int listen_fd;
    sd_event_source *listen_source;
    sd_bus *bus;              /* NULL: not connected */
    pid_t worker;             /* 0: not started, or reaped */
    int status;               /* of the reaped worker */
    bool silent;              /* answer nothing: the replies are kept in pending */
    const char *refusal;      /* answer Register with this error */
    GPtrArray *pending;       /* sd_bus_message */
    uint8_t token[LAUNCH_TOKEN_BYTES]; /* of the latest Register */
    GArray *held, *started;   /* FakeRow: of the latest Register; all */
    GArray *results;          /* TaskResult: all, in the order they came */
    GArray *given_back;       /* uint64_t: of Recall */
    unsigned registrations, heartbeats, losses, groups, recalls;
} FakeDaemon;

typedef struct FakeInput {
    const char *name, *data;
} FakeInput;

/* One task as a test writes it; what is not set has a sensible value. */
typedef struct FakeTask {
    uint64_t id, fence, batch, array_index /* + 1; 0: none */, context;
    uint32_t attempt;
    const char *const *argv;
    const int *fds; /* three, -1: not given; NULL: none */
    const FakeInput *inputs; /* closed by one without a name; NULL: none */
    uint64_t memory_max_bytes; /* 0: as the context says */
    const char *gpus;
} FakeTask;

typedef struct FakeContext {
    uint64_t id, memory_max_bytes; /* 0: none */
    const char *cwd;
    const char *const *environment;
    const char *streams[3];
    uint32_t uid, gid; /* 0: the caller's */
    const char *const *credentials; /* NAME=/PATH */
    const char *policy;
} FakeContext;

FakeDaemon *fake_daemon_new(const char *worker_id);
FakeDaemon *fake_daemon_free(FakeDaemon *fake); /* kills the worker, removes the directory */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FakeDaemon, fake_daemon_free)

void fake_daemon_listen(FakeDaemon *fake);
void fake_daemon_hang_up(FakeDaemon *fake);        /* closes the connection, goes on listening */
void fake_daemon_vanish(FakeDaemon *fake);         /* closes the connection and the socket */
void fake_daemon_start_worker(FakeDaemon *fake,
                              char *const *prefix); /* prefix: a program to start it by; NULL: none */
void fake_daemon_answer_pending(FakeDaemon *fake);

/* So many times slower than usual is this machine: $PAREXEC_TEST_SLOWNESS, set where it is emulated. */
int fake_slowness(void);

/* Runs the loop until the condition holds; aborts the test after some seconds. */
typedef bool (*FakeCondition)(FakeDaemon *fake, uint64_t argument);
void fake_daemon_wait(FakeDaemon *fake, FakeCondition condition, uint64_t argument);
void fake_daemon_pass(FakeDaemon *fake, uint64_t usec); /* runs the loop for so long */
bool fake_has_results(FakeDaemon *fake, uint64_t n);
bool fake_has_registrations(FakeDaemon *fake, uint64_t n);
bool fake_has_started(FakeDaemon *fake, uint64_t task);
bool fake_worker_has_ended(FakeDaemon *fake, uint64_t unused);

void fake_daemon_run(FakeDaemon *fake, const FakeContext *contexts, size_t n_contexts, const FakeTask *tasks,
                     size_t n_tasks);
/* One command of context 1, in the caller's surroundings. */
void fake_daemon_run_command(FakeDaemon *fake, uint64_t id, const char *const *argv);
void fake_daemon_send_ids(FakeDaemon *fake, const char *member, const uint64_t *ids,
                          size_t n); /* Recall */
void fake_daemon_stop(FakeDaemon *fake, uint64_t task, const char *outcome);
void fake_daemon_send(FakeDaemon *fake, const char *member, const char *signature,
                      ...); /* anything, no reply */

const TaskResult *fake_daemon_result(const FakeDaemon *fake, uint64_t task); /* NULL: none came */
char *fake_daemon_output(const FakeDaemon *fake, uint64_t task, uint32_t attempt,
                         const char *suffix); /* NULL: no file */
