/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Workers over the bus: added, refused, drained, aborted, failed; their objects come and go. */
#include <signal.h>
#include <string.h>

#include "calls.h"
#include "recorder.h"

/* ---- AddWorker */

static void test_add(Harness *h)
{
    g_autofree char *id =
        worker_add(h->bus, "'name': <'render'>, 'slots': <uint32 3>, 'memory-max': <uint64 104857600>,"
                           "'cpu-quota': <uint64 500000>, 'user': <'root'>, 'env': <['COLOUR=red']>");
    g_autofree char *path = worker_path(id);
    Target get_all = { path, PROPERTIES, "GetAll" };
    g_autoptr(GVariant) reply = bus_call(h->bus, get_all, "('" WORKER "',)"),
                        all = g_variant_get_child_value(reply, 0);
    g_autoptr(GVariant) not_enforced = g_variant_lookup_value(all, "NotEnforced", NULL);
    g_autofree char *shape = dict_shape(all);

    g_assert_cmpstr(
        shape, ==,
        "AllowedCPUs:s CPUQuota:t CPUUsageNSec:t ControlGroup:s CurrentTasks:at Engine:s Exec:as Forced:b Frozen:b GPUs:s "
        "Id:s LastHeartbeat:t MemoryCurrent:t MemoryMax:t MemoryPeak:t Name:s NotEnforced:as Pid:u Reason:s Resources:s "
        "Slots:u Stalled:b State:s TasksDone:t TasksFailed:t Unit:s User:u WorkerClass:s");
    g_assert_cmpstr(id, ==, "w1");
    g_assert_cmpstr(dict_string(all, "Id"), ==, "w1");
    g_assert_cmpstr(dict_string(all, "Name"), ==, "render");
    g_assert_cmpstr(dict_string(all, "State"), ==, "running");
    g_assert_cmpstr(dict_string(all, "Engine"), ==, "cgroup");
    g_assert_cmpuint(dict_number(all, "Slots"), ==, 3);
    g_assert_cmpuint(dict_number(all, "MemoryMax"), ==, 104857600);
    g_assert_cmpuint(dict_number(all, "CPUQuota"), ==, 500000);
    g_assert_cmpuint(dict_number(all, "User"), ==, 0);
    g_assert_cmpint(kill((pid_t) dict_number(all, "Pid"), 0), ==, 0);
    g_assert_cmpuint(dict_number(all, "LastHeartbeat"), >, 0);
    g_assert_cmpuint(g_variant_n_children(not_enforced), >=,
                     2); /* a plain process: memory and CPU are not limited, and it says so */
}

/* Its environment reaches its tasks, and overrides theirs. */
static void test_environment(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, "'env': <['COLOUR=red', 'SHAPE=round']>");
    uint64_t task = task_submit(
        h->bus,
        "'argv': <[b'sh', b'-c', b'echo $COLOUR $SHAPE $PAREXEC_WORKER']>, 'env': <[b'SHAPE=square']>");

    task_wait(h, task, "succeeded");
    g_autofree char *output = task_output(h->bus, task, "stdout");
    g_assert_true(g_str_has_prefix(output, "red round"));
}

static void test_bad_options(Harness *h)
{
    static const struct {
        const char *error, *options;
    } cases[] = {
        { ERROR("UnknownOption"), "'colour': <'red'>" },
        { ERROR("UnknownOption"), "'': <1>" },
        { ERROR("InvalidArgument"), "'slots': <'three'>" },
        { ERROR("InvalidArgument"), "'slots': <3>" },
        { ERROR("InvalidArgument"), "'slots': <uint32 0>" },
        { ERROR("InvalidArgument"), "'slots': <uint32 4294967295>" },
        { ERROR("InvalidArgument"), "'memory-max': <uint64 0>" },
        { ERROR("InvalidArgument"), "'memory-max': <uint64 1>" },
        { ERROR("InvalidArgument"), "'memory-max': <uint64 18446744073709551614>" },
        { ERROR("InvalidArgument"), "'memory-high': <uint64 1>" },
        { ERROR("InvalidArgument"), "'cpu-quota': <uint64 0>" },
        { ERROR("InvalidArgument"), "'cpu-quota': <uint64 18446744073709551614>" },
        { ERROR("InvalidArgument"), "'cpu-weight': <uint64 0>" },
        { ERROR("InvalidArgument"), "'cpu-weight': <uint64 10001>" },
        { ERROR("InvalidArgument"), "'tasks-max': <uint64 0>" },
        { ERROR("InvalidArgument"), "'io-weight': <uint64 0>" },
        { ERROR("InvalidArgument"), "'io-weight': <uint64 10001>" },
        { ERROR("InvalidArgument"), "'numa': <'first'>" },
        { ERROR("InvalidArgument"), "'numa': <'-1'>" },
        { ERROR("InvalidArgument"), "'gpus-optional': <true>" },
        { ERROR("InvalidArgument"), "'gpus': <uint32 4294967295>" },
        { ERROR("InvalidArgument"), "'resources': <'a b'>" },
        { ERROR("InvalidArgument"), "'resources': <'a=1,a=2'>" },
        { ERROR("NoSuchNode"), "'numa': <'4000'>, 'force': <true>" },
        { ERROR("InsufficientResources"), "'gpus': <uint32 1000>, 'force': <true>" },
        { ERROR("InsufficientResources"), "'resources': <'licence=1'>, 'force': <true>" },
        { ERROR("InsufficientResources"), "'pin': <true>, 'slots': <uint32 1000>, 'force': <true>" },
        { ERROR("InvalidArgument"), "'allowed-cpus': <''>" },
        { ERROR("InvalidArgument"), "'allowed-cpus': <'3-1'>" },
        { ERROR("InvalidArgument"), "'allowed-cpus': <'all'>" },
        { ERROR("InvalidArgument"), "'name': <'two\\nlines'>" },
        { ERROR("InvalidArgument"), "'engine': <'steam'>" },
        { ERROR("InvalidArgument"), "'env': <['COLOUR']>" },
        { ERROR("InvalidArgument"), "'env': <['=red']>" },
        { ERROR("InvalidArgument"), "'env': <[b'COLOUR=red']>" },
        { ERROR("InvalidArgument"), "'force': <1>" },
        { ERROR("NoSuchUser"), "'user': <'no-such-user'>" },
        { ERROR("NoSuchUser"), "'user': <'4294967295'>" },
        { ERROR("NoSuchUser"), "'user': <''>" },
        { ERROR("WorkerStartFailed"), "'engine': <'systemd'>" }, /* not on this bus */
    };
    g_autofree char *long_name = g_strnfill(256, 'n');

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        manager_refuses(h->bus, cases[i].error, "AddWorker", "({%s},)", cases[i].options);
    manager_refuses(h->bus, ERROR("InvalidArgument"), "AddWorker", "({'name': <'%s'>},)", long_name);
    g_autofree char *sentence =
        manager_refusal(h->bus, ERROR("InvalidArgument"), "AddWorker", "({'slots': <uint32 0>},)");
    g_assert_nonnull(strstr(sentence, "slots is 0"));
    g_autoptr(GVariant) workers = bus_property(h->bus, "/org/parexec", MANAGER, "Workers");
    g_assert_cmpuint(g_variant_n_children(workers), ==, 0);
}

/* More memory than there is; forced, it works, and is remembered. */
static void test_admission(Harness *h)
{
    const char *options = "'memory-max': <uint64 1125899906842624>";
    g_autofree char *modest =
        worker_add(h->bus, "'memory-max': <uint64 16777216>, 'cpu-quota': <uint64 10000>, 'force': <true>");
    g_autofree char *sentence = manager_refusal(h->bus, ERROR("InsufficientMemory"), "AddWorker",
                                                "({%s, 'cpu-quota': <uint64 10000>},)", options);

    g_assert_nonnull(strstr(sentence, "needs "));
    g_assert_nonnull(strstr(sentence, "\n- ")); /* what it would mean to force it */
    g_assert_nonnull(strstr(sentence, "free"));
    g_autofree char *id = worker_add(h->bus, "%s, 'force': <true>", options);
    g_autoptr(GVariant) worker = worker_status(h->bus, id), other = worker_status(h->bus, modest);
    g_assert_cmpuint(dict_number(worker, "forced"), ==, 1);
    g_assert_cmpuint(dict_number(other, "forced"), ==, 0); /* it needed no force */
}

/* ---- Drain */

static void expect_states(Harness *h, Recorder *recorder, const char *id, const char *const *states)
{
    for (unsigned n = 0; states[n + 1]; n++) {
        const char *worker, *old, *new;
        HARNESS_WAIT(h, recorder_find(recorder, "WorkerStateChanged", n));
        g_variant_get(recorder_find(recorder, "WorkerStateChanged", n)->body, "(&s&s&s)", &worker, &old,
                      &new);
        g_assert_cmpstr(worker, ==, id);
        g_assert_cmpstr(old, ==, states[n]);
        g_assert_cmpstr(new, ==, states[n + 1]);
    }
}

static void test_drain(Harness *h)
{
    g_autoptr(Recorder) recorder = recorder_new(h->bus);
    g_autofree char *id = worker_add(h->bus, NULL);
    uint64_t running = task_submit_shell(h->bus, "sleep 0.5"), waiting = task_submit_shell(h->bus, "exit 0");

    task_wait(h, running, "running");
    manager_do(h->bus, "Drain", "('%s',)", id);
    manager_do(h->bus, "Drain", "('%s',)", id); /* twice is no error */
    g_assert_true(worker_is(h->bus, id, "draining"));
    HARNESS_WAIT(h, worker_is(h->bus, id, ""));
    g_assert_true(task_is(h->bus, running, "succeeded"));
    g_assert_true(task_is(h->bus, waiting, "queued"));
    expect_states(h, recorder, id, (const char *const[]){ "starting", "running", "draining", "dead", NULL });
    HARNESS_WAIT(h, recorder_count(recorder, "WorkerRemoved") == 1);
    manager_refuses(h->bus, ERROR("NoSuchWorker"), "Drain", "('%s',)", id);
}

static void test_drain_idle(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL), *path = worker_path(id);

    g_variant_unref(bus_call(h->bus, (Target){ path, WORKER, "Drain" }, NULL));
    HARNESS_WAIT(h, worker_is(h->bus, id, ""));
}

static void test_no_such_worker(Harness *h)
{
    static const char *const ids[] = { "",    "w",     "w0",          "w99",         "w01",
                                       "1",   "W1",    "w-1",         "w4294967297", "w99999999999999999999",
                                       "w1 ", "../w1", "w1\\u00e4\\n" };
    g_autofree char *id = worker_add(h->bus, NULL), *huge = g_strnfill(100000, 'w');

    for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) {
        manager_refuses(h->bus, ERROR("NoSuchWorker"), "Drain", "('%s',)", ids[i]);
        manager_refuses(h->bus, ERROR("NoSuchWorker"), "Abort", "('%s',)", ids[i]);
    }
    g_autofree char *sentence = manager_refusal(h->bus, ERROR("NoSuchWorker"), "Abort", "('%s',)", huge);
    g_assert_cmpuint(strlen(sentence), <, 200);
    g_assert_true(worker_is(h->bus, id, "running"));
}

/* ---- Abort */

static bool process_lives(const char *pid_text)
{
    long pid = strtol(pid_text, NULL, 10);

    g_assert_cmpint(pid, >, 1);
    return kill((pid_t) pid, 0) == 0;
}

static bool wrote_pid(Harness *h)
{
    g_autofree char *text = harness_read(h, "pid");

    return strchr(text, '\n');
}

static void test_abort(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL), *file = harness_path(h, "pid");
    uint64_t task = task_submit_shell(h->bus, "sleep 60 & echo $! > %s; wait", file);

    task_wait(h, task, "running");
    HARNESS_WAIT(h, wrote_pid(h));
    manager_do(h->bus, "Abort", "('%s',)", id);
    gint64 start = g_get_monotonic_time();
    HARNESS_WAIT(h, worker_is(h->bus, id, ""));
    g_autofree char *pid = harness_read(h, "pid");
    HARNESS_WAIT(h, !process_lives(pid)); /* the whole tree is gone */
    g_assert_cmpint(g_get_monotonic_time() - start, <, 2 * G_USEC_PER_SEC);
    g_assert_true(task_is(h->bus, task, "queued"));

    g_autofree char *path = task_path(task), *next = worker_add(h->bus, NULL);
    g_autoptr(GVariant) attempts = bus_property(h->bus, path, TASK, "Attempts"),
                        first = g_variant_get_child_value(attempts, 0);
    g_assert_cmpuint(g_variant_n_children(attempts), ==, 1);
    g_assert_cmpstr(dict_string(first, "outcome"), ==, "aborted");
    g_assert_cmpstr(dict_string(first, "worker"), ==, id);
    g_assert_cmpstr(next, ==, "w2"); /* ids are never used again */
    task_wait(h, task, "running");
    g_assert_cmpuint(bus_property_number(h->bus, path, TASK, "Attempt"), ==, 2);
}

static void test_abort_draining(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL), *path = worker_path(id);
    uint64_t task = task_submit_shell(h->bus, "sleep 60");

    task_wait(h, task, "running");
    manager_do(h->bus, "Drain", "('%s',)", id);
    g_variant_unref(bus_call(h->bus, (Target){ path, WORKER, "Abort" }, NULL));
    HARNESS_WAIT(h, worker_is(h->bus, id, ""));
    g_assert_true(task_is(h->bus, task, "queued"));
}

/* ---- workers that fail */

static void test_start_fails(Harness *h)
{
    g_autofree char *sentence =
        manager_refusal(h->bus, ERROR("WorkerStartFailed"), "AddWorker", "(@a{sv} {},)");

    g_assert_nonnull(strstr(sentence, "w1"));
    g_assert_nonnull(strstr(sentence, "exited with status 1"));
    g_autoptr(GVariant) worker = worker_status(h->bus, "w1");
    g_assert_cmpstr(dict_string(worker, "state"), ==, "failed");
    g_assert_nonnull(strstr(sentence, dict_string(worker, "reason")));
    manager_refuses(h->bus, ERROR("InvalidState"), "Drain", "('w1',)");
    manager_refuses(h->bus, ERROR("InvalidState"), "Abort", "('w1',)");
    g_free(bus_refusal(h->bus, ERROR("InvalidState"), (Target){ "/org/parexec/worker/w1", WORKER, "Drain" },
                       NULL));
    HARNESS_WAIT(h, worker_is(h->bus, "w1", "")); /* after KeepFailed */
}

static void test_no_program(Harness *h)
{
    g_autofree char *sentence =
        manager_refusal(h->bus, ERROR("WorkerStartFailed"), "AddWorker", "(@a{sv} {},)");

    g_assert_nonnull(strstr(sentence, "cannot execute the worker's program"));
    g_assert_nonnull(strstr(sentence, "No such file or directory"));
}

/* It starts, and says nothing: WorkerStartTimeout. */
static void test_start_timeout(Harness *h)
{
    gint64 start = g_get_monotonic_time();
    g_autofree char *sentence =
        manager_refusal(h->bus, ERROR("WorkerStartFailed"), "AddWorker", "(@a{sv} {},)");

    g_assert_nonnull(strstr(sentence, "did not report within 700ms"));
    g_assert_cmpint(g_get_monotonic_time() - start, >=, 700000);
    g_assert_true(worker_is(h->bus, "w1", "failed"));
}

static void test_killed(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL), *path = worker_path(id);
    uint64_t task = task_submit_shell(h->bus, "sleep 60");

    task_wait(h, task, "running");
    g_assert_cmpint(kill((pid_t) bus_property_number(h->bus, path, WORKER, "Pid"), SIGKILL), ==, 0);
    HARNESS_WAIT(h, worker_is(h->bus, id, "failed"));
    g_autofree char *reason = bus_property_string(h->bus, path, WORKER, "Reason");
    g_assert_nonnull(strstr(reason, "killed by signal KILL"));
    g_assert_true(task_is(h->bus, task, "queued")); /* lost through no fault of its own */
    g_autofree char *second = worker_add(h->bus, NULL);
    task_wait(h, task, "running");
    g_autofree char *row_path = task_path(task),
                    *worker = bus_property_string(h->bus, row_path, TASK, "Worker");
    g_assert_cmpstr(worker, ==, second);
}

/* A worker that hangs is shown as stalled, and is not once it speaks again. */
static void test_stalled(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL), *path = worker_path(id);
    pid_t pid = (pid_t) bus_property_number(h->bus, path, WORKER, "Pid");
    g_autoptr(Recorder) recorder = recorder_new(h->bus);

    g_assert_cmpint(kill(pid, SIGSTOP), ==, 0);
    HARNESS_WAIT(h, bus_property_number(h->bus, path, WORKER, "Stalled") == 1);
    HARNESS_WAIT(h, recorder_count_changes(recorder, path, "Stalled") > 0);
    g_assert_cmpint(kill(pid, SIGCONT), ==, 0);
    HARNESS_WAIT(h, bus_property_number(h->bus, path, WORKER, "Stalled") == 0);
    g_assert_cmpint(kill(pid, SIGSTOP), ==, 0);
    manager_do(h->bus, "Abort", "('%s',)", id);
    HARNESS_WAIT(h, worker_is(h->bus, id, ""));
}

/* ---- only one user's tasks */

static void test_user(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, "'user': <'65533'>"), *path = worker_path(id);
    uint64_t task = task_submit_shell(h->bus, "exit 0");

    g_assert_cmpuint(bus_property_number(h->bus, path, WORKER, "User"), ==, 65533);
    harness_pause(h, 200);
    g_assert_true(task_is(h->bus, task, "queued"));
    g_autofree char *anybody = worker_add(h->bus, NULL);
    task_wait(h, task, "succeeded");
}

/* ---- objects */

static GVariant *managed_objects(sd_bus *bus)
{
    Target get = { "/org/parexec", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects" };
    g_autoptr(GVariant) reply = bus_call(bus, get, NULL);

    return g_variant_get_child_value(reply, 0);
}

static void test_object_manager(Harness *h)
{
    g_autoptr(GVariant) none = managed_objects(h->bus);
    g_autoptr(Recorder) recorder = recorder_new(h->bus);
    g_autofree char *id = worker_add(h->bus, NULL), *path = worker_path(id),
                    *second = worker_add(h->bus, NULL);
    g_autoptr(GVariant) both = managed_objects(h->bus), interfaces = g_variant_lookup_value(both, path, NULL);
    const char *changed;

    g_assert_cmpuint(g_variant_n_children(none), ==, 0);
    g_assert_cmpuint(g_variant_n_children(both), ==, 2); /* no tasks: they are looked up on demand */
    g_assert_nonnull(interfaces);
    g_autoptr(GVariant) properties = g_variant_lookup_value(interfaces, WORKER, G_VARIANT_TYPE_VARDICT);
    g_assert_cmpstr(dict_string(properties, "Id"), ==, id);

    HARNESS_WAIT(h, recorder_count(recorder, "InterfacesAdded") == 2 &&
                        recorder_count(recorder, "WorkerAdded") == 2);
    g_autoptr(GVariant) added = NULL;
    g_variant_get(recorder_find(recorder, "InterfacesAdded", 0)->body, "(&o@a{sa{sv}})", &changed, &added);
    g_assert_cmpstr(changed, ==, path);
    g_autoptr(GVariant) with = g_variant_lookup_value(added, WORKER, G_VARIANT_TYPE_VARDICT);
    g_assert_cmpstr(dict_string(with, "State"), ==, "starting");
    g_assert_cmpuint(recorder_count_changes(recorder, "/org/parexec", "Workers"), >=, 2);

    manager_do(h->bus, "Drain", "('%s',)", id);
    HARNESS_WAIT(h, recorder_count(recorder, "InterfacesRemoved") == 1);
    g_autofree const char **gone = NULL;
    g_variant_get(recorder_find(recorder, "InterfacesRemoved", 0)->body, "(&o^a&s)", &changed, &gone);
    g_assert_cmpstr(changed, ==, path);
    g_assert_true(g_strv_contains(gone, WORKER));
    g_autoptr(GVariant) one = managed_objects(h->bus),
                        workers = bus_property(h->bus, "/org/parexec", MANAGER, "Workers");
    g_assert_cmpuint(g_variant_n_children(one), ==, 1);
    g_assert_cmpuint(g_variant_n_children(workers), ==, 1);
}

static void add(void)
{
    static const HarnessOptions fails = { .worker_program = "/bin/false", .config = "KeepFailed=500ms" };
    static const HarnessOptions none = { .worker_program = "/nonexistent/parexec-worker" };
    static const HarnessOptions silent = { .worker_program = TOP "/tests/bus/silent-worker",
                                           .config = "WorkerStartTimeout=700ms" };
    static const HarnessOptions hasty = { .config = "HeartbeatInterval=100ms\nStalledAfter=400ms" };
    static const HarnessOptions root = { .needs_root = true };

    harness_add("/workers/add", NULL, test_add);
    harness_add("/workers/environment", NULL, test_environment);
    harness_add("/workers/bad-options", NULL, test_bad_options);
    harness_add("/workers/admission", NULL, test_admission);
    harness_add("/workers/drain", NULL, test_drain);
    harness_add("/workers/drain-idle", NULL, test_drain_idle);
    harness_add("/workers/no-such-worker", NULL, test_no_such_worker);
    harness_add("/workers/abort", NULL, test_abort);
    harness_add("/workers/abort-draining", NULL, test_abort_draining);
    harness_add("/workers/start-fails", &fails, test_start_fails);
    harness_add("/workers/no-program", &none, test_no_program);
    harness_add("/workers/start-timeout", &silent, test_start_timeout);
    harness_add("/workers/killed", NULL, test_killed);
    harness_add("/workers/stalled", &hasty, test_stalled);
    harness_add("/workers/user", &root, test_user);
    harness_add("/workers/object-manager", NULL, test_object_manager);
}

int main(int argc, char *argv[])
{
    return harness_main(argc, argv, add);
}
