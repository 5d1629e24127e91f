/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon goes and comes back, killed or stopped, while workers run: nothing is lost, nothing happens twice. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "calls.h"
#include "recorder.h"

static unsigned count_lines(const char *text)
{
    unsigned n = 0;

    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static bool all_succeeded(sd_bus *bus, uint64_t n)
{
    return queue_count(bus, "succeeded") == n;
}

static uint64_t n_attempts(sd_bus *bus, uint64_t task)
{
    g_autofree char *path = task_path(task);
    g_autoptr(GVariant) attempts = bus_property(bus, path, TASK, "Attempts");

    return g_variant_n_children(attempts);
}

static uint64_t n_attempts_of_all(sd_bus *bus, uint64_t n)
{
    uint64_t sum = 0;

    for (uint64_t id = 1; id <= n; id++)
        sum += n_attempts(bus, id);
    return sum;
}

/* ---- what runs goes on */

static void test_killed(Harness *h)
{
    g_autofree char *file = harness_path(h, "starts");
    const unsigned n = 12;

    for (unsigned i = 0; i < 4; i++)
        g_free(worker_add(h->bus, "'slots': <uint32 2>"));
    for (unsigned i = 0; i < n; i++)
        task_submit_shell(h->bus, "echo %u >> %s; sleep 0.8", i, file);
    HARNESS_WAIT(h, queue_count(h->bus, "running") == 8);
    harness_restart_daemon(h);
    harness_pause(h, 300);
    harness_restart_daemon(h);
    HARNESS_WAIT(h, all_succeeded(h->bus, n));
    g_autofree char *starts = harness_read(h, "starts");
    g_assert_cmpuint(count_lines(starts), ==, n); /* each was started once */
    for (uint64_t id = 1; id <= n; id++)
        g_assert_cmpuint(n_attempts(h->bus, id), ==, 1);
    g_autoptr(GVariant) workers = bus_property(h->bus, "/org/parexec", MANAGER, "Workers");
    g_assert_cmpuint(g_variant_n_children(workers), ==, 4);
}

/* What finishes while there is no daemon is told to the next. */
static void test_finished_meanwhile(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL), *path = worker_path(id);
    uint64_t task = task_submit_shell(h->bus, "echo done; sleep 0.3; exit 5"),
             next = task_submit_shell(h->bus, "exit 0");

    task_wait(h, task, "running");
    harness_kill_daemon(h);
    harness_pause(h, 600);
    harness_start_daemon(h);
    task_wait(h, task, "failed");
    g_autoptr(GVariant) row = task_row(h->bus, task);
    g_assert_cmpuint(dict_number(row, "exit-status"), ==, 5);
    g_assert_cmpuint(dict_number(row, "attempt"), ==, 1);
    g_assert_cmpuint(dict_number(row, "finished") - dict_number(row, "started"), <,
                     550000); /* when it was, not when it was told */
    g_autofree char *output = task_output(h->bus, task, "stdout");
    g_assert_cmpstr(output, ==, "done\n");
    task_wait(h, next, "succeeded");
    g_assert_true(worker_is(h->bus, id, "running"));
    g_assert_cmpuint(bus_property_number(h->bus, path, WORKER, "TasksFailed"), ==, 1);
}

/* Killed again and again while tasks come and go. Returns how often they were started. */
static unsigned kill_often(Harness *h, unsigned n)
{
    g_autofree char *file = harness_path(h, "starts");

    for (unsigned i = 0; i < 2; i++)
        g_free(worker_add(h->bus, "'slots': <uint32 2>"));
    manager_do(
        h->bus, "Submit",
        "([{'argv': <[b'sh', b'-c', b'echo x >> %s; sleep 0.02']>, 'array': <(uint64 1, uint64 %u)>}], @a{sv} {})",
        file, n);
    for (unsigned i = 0; i < 6; i++) {
        harness_pause(h, 120 + 37 * i);
        harness_restart_daemon(h);
    }
    HARNESS_WAIT(h, all_succeeded(h->bus, n));
    g_autofree char *starts = harness_read(h, "starts");
    return count_lines(starts);
}

static void test_many_kills(Harness *h)
{
    g_assert_cmpuint(kill_often(h, 200), >=, 200);
    g_assert_cmpuint(queue_count(h->bus, "queued") + queue_count(h->bus, "running"), ==, 0);
    g_assert_cmpuint(queue_count(h->bus, "succeeded"), ==, 200);
}

/* Wherever in the way of a task the daemon is killed, each is started once. */
static void test_started_once(Harness *h)
{
    g_assert_cmpuint(kill_often(h, 200), ==, 200);
    g_assert_cmpuint(n_attempts_of_all(h->bus, 200), ==, 200);
}

static void test_stopped(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL);
    uint64_t task = task_submit_shell(h->bus, "sleep 0.5");

    task_wait(h, task, "running");
    g_assert_cmpint(harness_stop_daemon(h), ==, 0);
    harness_start_daemon(h);
    g_assert_true(worker_is(h->bus, id, "running"));
    task_wait(h, task, "succeeded");
    g_assert_cmpuint(n_attempts(h->bus, task), ==, 1);
}

/* ---- what became of workers meanwhile */

static pid_t worker_pid(sd_bus *bus, const char *id)
{
    g_autofree char *path = worker_path(id);

    return (pid_t) bus_property_number(bus, path, WORKER, "Pid");
}

static void test_worker_died_meanwhile(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL), *path = worker_path(id),
                    *file = harness_path(h, "starts");
    uint64_t task = task_submit_shell(h->bus, "echo x >> %s; sleep 0.5", file);

    task_wait(h, task, "running");
    pid_t pid = worker_pid(h->bus, id);
    harness_kill_daemon(h);
    (void) kill(pid, SIGKILL);
    harness_pause(h, 100);
    harness_start_daemon(h);
    HARNESS_WAIT(h, worker_is(h->bus, id, "failed"));
    g_autofree char *reason = bus_property_string(h->bus, path, WORKER, "Reason");
    g_assert_cmpuint(strlen(reason), >, 0);
    task_wait(h, task, "queued");
    g_autofree char *second = worker_add(h->bus, NULL);
    g_assert_cmpstr(second, ==, "w2");
    task_wait(h, task, "succeeded");
    g_assert_cmpuint(n_attempts(h->bus, task), ==, 2);
}

static void test_draining(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL);
    uint64_t task = task_submit_shell(h->bus, "sleep 0.6"), next = task_submit_shell(h->bus, "exit 0");

    task_wait(h, task, "running");
    manager_do(h->bus, "Drain", "('%s',)", id);
    harness_restart_daemon(h);
    g_assert_true(worker_is(h->bus, id, "draining"));
    HARNESS_WAIT(h, worker_is(h->bus, id, ""));
    g_assert_true(task_is(h->bus, task, "succeeded"));
    g_assert_true(task_is(h->bus, next, "queued"));
}

static void test_steered_after(Harness *h)
{
    g_autofree char *drained = worker_add(h->bus, NULL), *aborted = worker_add(h->bus, NULL);
    uint64_t task = task_submit_shell(h->bus, "sleep 60"), second = task_submit_shell(h->bus, "sleep 60");

    task_wait(h, task, "running");
    task_wait(h, second, "running");
    g_autofree char *path = task_path(task), *on = bus_property_string(h->bus, path, TASK, "Worker");
    uint64_t on_drained = strcmp(on, drained) == 0 ? task : second,
             on_aborted = on_drained == task ? second : task;
    harness_restart_daemon(h);
    manager_do(h->bus, "Abort", "('%s',)", aborted); /* perhaps before it has come back */
    HARNESS_WAIT(h, worker_is(h->bus, aborted, ""));
    task_wait(h, on_aborted, "queued");
    manager_do(h->bus, "Drain", "('%s',)", drained);
    g_assert_true(worker_is(h->bus, drained, "draining"));
    manager_do(h->bus, "Cancel", "({'ids': <[uint64 %" G_GUINT64_FORMAT "]>},)", on_drained);
    HARNESS_WAIT(h, worker_is(h->bus, drained, ""));
    task_wait(h, on_drained, "cancelled");
}

/* Cancelled, and the daemon dies before the worker has heard. */
static void test_cancelled_before(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL);
    uint64_t task = task_submit_shell(h->bus, "sleep 60");
    pid_t pid = worker_pid(h->bus, id);

    task_wait(h, task, "running");
    g_assert_cmpint(kill(pid, SIGSTOP), ==, 0);
    manager_do(h->bus, "Cancel", "({'ids': <[uint64 %" G_GUINT64_FORMAT "]>},)", task);
    harness_kill_daemon(h);
    g_assert_cmpint(kill(pid, SIGCONT), ==, 0);
    harness_start_daemon(h);
    task_wait(h, task, "cancelled");
}

/* ---- what waits */

static void test_queue(Harness *h)
{
    uint64_t task = task_submit(
        h->bus,
        "'argv': <[b'true']>, 'name': <'n'>, 'tags': <['t']>, 'priority': <7>, 'env': <[b'A=\\377']>");
    uint64_t cancelled = task_submit_shell(h->bus, "exit 0");
    g_autofree char *path = task_path(task);

    manager_do(h->bus, "Cancel", "({'ids': <[uint64 %" G_GUINT64_FORMAT "]>},)", cancelled);
    g_autoptr(GVariant) before = task_row(h->bus, task),
                        environment = bus_property(h->bus, path, TASK, "Environment");
    harness_restart_daemon(h);
    g_autoptr(GVariant) after = task_row(h->bus, task),
                        still = bus_property(h->bus, path, TASK, "Environment");
    g_autofree char *text = g_variant_print(before, TRUE), *again = g_variant_print(after, TRUE);
    g_assert_cmpstr(text, ==, again);
    g_assert_true(g_variant_equal(environment, still));
    g_assert_true(task_is(h->bus, cancelled, "cancelled"));
    g_assert_cmpuint(task_submit_shell(h->bus, "exit 0"), ==, cancelled + 1);
    g_autofree char *id = worker_add(h->bus, NULL);
    task_wait(h, task, "succeeded");
}

/* An open batch goes with the daemon: its client has to begin anew, and is told so. */
static void test_open_batch(Harness *h)
{
    manager_do(h->bus, "Submit", "([{'argv': <[b'true']>}], {'commit': <false>})");
    harness_restart_daemon(h);
    manager_refuses(h->bus, ERROR("NoSuchBatch"), "Submit",
                    "([{'argv': <[b'true']>}], {'batch': <uint64 1>})");
    g_autofree char *id = worker_add(h->bus, NULL);
    uint64_t task = task_submit_shell(h->bus, "exit 0");
    g_assert_cmpuint(task, >, 1);
    task_wait(h, task, "succeeded");
    g_assert_cmpuint(queue_count(h->bus, "queued"), ==, 0);
    g_assert_cmpuint(queue_count(h->bus, "succeeded"), ==, 1);
}

static void test_descriptors(Harness *h)
{
    _cleanup_close_ int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    uint64_t waits = task_submit(h->bus, "'argv': <[b'true']>, 'stdout': <handle %d>", fd);

    harness_restart_daemon(h);
    g_autofree char *id = worker_add(h->bus, NULL), *path = task_path(waits);
    task_wait(h, waits, "failed");
    g_autofree char *reason = bus_property_string(h->bus, path, TASK, "Reason");
    g_assert_nonnull(strstr(reason, "file descriptors"));
    uint64_t runs = task_submit(h->bus, "'argv': <[b'sleep', b'0.5']>, 'stdout': <handle %d>", fd);
    task_wait(h, runs, "running");
    harness_restart_daemon(h);
    task_wait(h, runs, "succeeded"); /* its descriptors are where it runs */
}

/* A subscription is the connection's with that daemon. */
static void test_subscription(Harness *h)
{
    g_autoptr(Recorder) recorder = recorder_new(h->bus);
    g_autofree char *id = worker_add(h->bus, NULL);

    manager_do(h->bus, "Subscribe", NULL);
    harness_restart_daemon(h);
    task_wait(h, task_submit_shell(h->bus, "exit 0"), "succeeded");
    harness_pause(h, 200);
    g_assert_cmpuint(recorder_count(recorder, "BatchFinished"), ==, 0);
    manager_do(h->bus, "Subscribe", NULL);
    task_wait(h, task_submit_shell(h->bus, "exit 0"), "succeeded");
    HARNESS_WAIT(h, recorder_count(recorder, "BatchFinished") == 1);
}

static void add(void)
{
    static const HarnessOptions many = { .config = "MaxWorkers=9" };

    harness_add("/restart/killed", &many, test_killed);
    harness_add("/restart/finished-meanwhile", NULL, test_finished_meanwhile);
    harness_add("/restart/many-kills", NULL, test_many_kills);
    harness_add("/restart/started-once", NULL, test_started_once);
    harness_add("/restart/stopped", NULL, test_stopped);
    harness_add("/restart/worker-died-meanwhile", NULL, test_worker_died_meanwhile);
    harness_add("/restart/draining", NULL, test_draining);
    harness_add("/restart/steered-after", NULL, test_steered_after);
    harness_add("/restart/cancelled-before", NULL, test_cancelled_before);
    harness_add("/restart/queue", NULL, test_queue);
    harness_add("/restart/open-batch", NULL, test_open_batch);
    harness_add("/restart/descriptors", NULL, test_descriptors);
    harness_add("/restart/subscription", NULL, test_subscription);
}

int main(int argc, char *argv[])
{
    return harness_main(argc, argv, add);
}
