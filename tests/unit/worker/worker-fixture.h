/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "fake-daemon.h"

/* The worker as a whole: the real program ($PAREXEC_WORKER), driven over the real protocol by a fake of the
 * daemon. Without cgroups; with PAREXEC_TEST_SCOPE=1 (root, below systemd) in a delegated scope each time. */

#define MSEC USEC_PER_MSEC
#define ARGV(...) ((const char *const[]) { __VA_ARGS__, NULL })
#define SHELL(command) ARGV("/bin/sh", "-c", command)

typedef struct Fixture {
    FakeDaemon *fake;
} Fixture;

typedef void (*FixtureFunction)(Fixture *f, const void *slots);

typedef struct WorkerTest {
    const char *name;
    unsigned slots;
    FixtureFunction set_up, function;
} WorkerTest;

void fixture_set_up(Fixture *f, const void *slots);           /* the worker is registered */
void fixture_set_up_unstarted(Fixture *f, const void *slots); /* to be started by fixture_launch() */
void fixture_launch(Fixture *f);
int fixture_run(int argc, char **argv, const char *prefix, const WorkerTest *tests, size_t n);

bool fixture_in_scope(void);

/* Run one command to its end. */
const TaskResult *run_one(Fixture *f, uint64_t id, const char *const *argv);
void run_in(Fixture *f, const FakeContext *context, uint64_t id, const char *const *argv);
void fill_tasks(FakeTask *tasks, size_t n, const char *const *argv); /* tasks 1 … n */

void assert_outcome(const TaskResult *result, Outcome outcome, int status, int signal, int error);
void assert_output(Fixture *f, uint64_t id, const char *suffix, const char *expected); /* NULL: no file */

/* For the head of a shell script: file V1-CONTROLLER V1-NAME V2-NAME prints a file of its own cgroup. */
#define CGROUP_FILE                                                                                          \
    "file() { "                                                                                              \
    "if [ -e /sys/fs/cgroup/cgroup.controllers ]; then "                                                     \
    "cat \"/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)/$3\"; "                                      \
    "else cat \"/sys/fs/cgroup/$1$(sed -n \"s/^[0-9]*:$1://p\" /proc/self/cgroup)/$2\"; fi; }; "

bool fixture_is_v2(void); /* all controllers are of cgroup v2 */
bool fixture_skip_without_scope(void); /* says so, if it does */
void fixture_wait_for_file(Fixture *f, const char *name); /* in the test's directory */
char *fixture_script(Fixture *f, const char *script); /* that runs there */

/* Calls Freeze and returns why it could not be done for that task; NULL: it was, or the task is unknown. */
char *fixture_freeze(Fixture *f, uint64_t task, bool frozen, bool reclaim);

bool process_lives(pid_t pid);
pid_t pid_in(Fixture *f,
             const char *name); /* the number that a task writes into a file of the test's directory */
