/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The worker as a whole: the real program ($PAREXEC_WORKER), driven over the real protocol, without cgroups. With
 * PAREXEC_TEST_SCOPE=1 (root, below systemd) it runs in a delegated scope, and what cgroups give is tested too. */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "fake-daemon.h"
#include "model/spool.h"
#include "util/strv-blob.h"

#define MSEC USEC_PER_MSEC
#define ARGV(...) ((const char *const[]) { __VA_ARGS__, NULL })
#define SHELL(command) ARGV("/bin/sh", "-c", command)
#define HOG(size) ARGV("/bin/bash", "-c", "exec tail -c " size " < <(exec cat /dev/zero)") /* buffers so much */

typedef struct Fixture {
    FakeDaemon *fake;
} Fixture;

static bool in_scope(void)
{
    return getenv("PAREXEC_TEST_SCOPE") != NULL;
}

static void launch(Fixture *f)
{
    static int n;
    g_autofree char *unit = g_strdup_printf("--unit=parexec-test-%d-%d", (int) getpid(), n++);
    char *prefix[] = { (char *) "systemd-run", (char *) "--quiet", (char *) "--scope", (char *) "--property=Delegate=yes",
                       (char *) "--property=MemoryMax=256M", unit, NULL };

    f->fake->record->delegated = in_scope();
    fake_daemon_start_worker(f->fake, in_scope() ? prefix : NULL);
}

static void set_up_unstarted(Fixture *f, const void *data)
{
    f->fake = fake_daemon_new("w1");
    fake_daemon_listen(f->fake);
}

static void set_up(Fixture *f, const void *data)
{
    set_up_unstarted(f, data);
    f->fake->record->slots = data ? GPOINTER_TO_UINT(data) : 1;
    launch(f);
    fake_daemon_wait(f->fake, fake_has_registrations, 1);
}

static void tear_down(Fixture *f, const void *data)
{
    f->fake = fake_daemon_free(f->fake);
}

static const TaskResult *run_one(Fixture *f, uint64_t id, const char *const *argv)
{
    guint n = f->fake->results->len;

    fake_daemon_run_command(f->fake, id, argv);
    fake_daemon_wait(f->fake, fake_has_results, n + 1);
    g_assert_nonnull(fake_daemon_result(f->fake, id));
    return fake_daemon_result(f->fake, id);
}

static void run_in(Fixture *f, const FakeContext *context, uint64_t id, const char *const *argv)
{
    const FakeTask task = { .id = id, .argv = argv, .context = context->id };
    guint n = f->fake->results->len;

    fake_daemon_run(f->fake, context, 1, &task, 1);
    fake_daemon_wait(f->fake, fake_has_results, n + 1);
}

static void assert_outcome(const TaskResult *result, Outcome outcome, int status, int signal, int error)
{
    g_assert_cmpstr(outcome_to_string(result->outcome), ==, outcome_to_string(outcome));
    g_assert_cmpint(result->exit_status, ==, status);
    g_assert_cmpint(result->signal, ==, signal);
    g_assert_cmpint(result->error, ==, error);
}

static void assert_output(Fixture *f, uint64_t id, const char *suffix, const char *expected)
{
    g_autofree char *text = fake_daemon_output(f->fake, id, 1, suffix);

    g_assert_cmpstr(text, ==, expected);
}

/* Tasks 1 … n. */
static void fill_tasks(FakeTask *tasks, size_t n, const char *const *argv)
{
    for (size_t i = 0; i < n; i++)
        tasks[i] = (FakeTask) { .id = i + 1, .argv = argv };
}

static bool process_lives(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int) pid), *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) && !strstr(text, ") Z ");
}

/* The number that a task wrote into a file of the test's directory. */
static pid_t pid_in(Fixture *f, const char *name)
{
    g_autofree char *path = g_build_filename(f->fake->directory, name, NULL), *text = NULL;
    int64_t pid = 0;

    for (int i = 0; i < 2000 && pid == 0; i++) {
        if (g_file_get_contents(path, &text, NULL, NULL))
            pid = g_ascii_strtoll(text, NULL, 10);
        g_clear_pointer(&text, g_free);
        fake_daemon_pass(f->fake, pid ? 0 : MSEC);
    }
    g_assert_cmpint(pid, >, 1);
    return (pid_t) pid;
}

/* ------------------------------------------------------------------ outcomes */

static void test_outcomes(Fixture *f, const void *data)
{
    uint64_t before = (uint64_t) g_get_real_time();
    const TaskResult *result;

    g_assert_cmpmem(f->fake->token, LAUNCH_TOKEN_BYTES, f->fake->record->token, LAUNCH_TOKEN_BYTES);
    result = run_one(f, 11, ARGV("true"));
    assert_outcome(result, OUTCOME_EXITED, 0, 0, 0);
    g_assert_cmpuint(result->fence, ==, 11);
    g_assert_cmpuint(result->start_usec, >=, before);
    g_assert_cmpuint(result->end_usec, >=, result->start_usec);
    g_assert_cmpuint(result->cpu_nsec, >, 0);
    g_assert_null(result->stderr_tail);
    assert_outcome(run_one(f, 12, SHELL("exit 42")), OUTCOME_EXITED, 42, 0, 0);
    assert_outcome(run_one(f, 13, SHELL("kill -SEGV $$")), OUTCOME_SIGNALLED, 0, SIGSEGV, 0);
    assert_outcome(run_one(f, 14, ARGV("/no/such")), OUTCOME_SPAWN_FAILED, 0, 0, ENOENT);
    assert_outcome(run_one(f, 15, ARGV("/etc/passwd")), OUTCOME_SPAWN_FAILED, 0, 0, EACCES);
    assert_outcome(run_one(f, 16, ARGV(NULL)), OUTCOME_SPAWN_FAILED, 0, 0, EINVAL); /* no argv at all */
}

static void assert_tail(const TaskResult *result, const char *expected)
{
    g_assert_nonnull(result->stderr_tail);
    g_assert_cmpmem(g_bytes_get_data(result->stderr_tail, NULL), g_bytes_get_size(result->stderr_tail), expected, strlen(expected));
}

static void test_spawn_failure_is_told(Fixture *f, const void *data)
{
    const FakeContext context = { .id = 7, .cwd = "/no/such" };

    assert_tail(run_one(f, 1, ARGV("foo-bar")), "parexec: cannot execute 'foo-bar': No such file or directory\n");
    assert_output(f, 1, "err", "parexec: cannot execute 'foo-bar': No such file or directory\n");
    run_in(f, &context, 2, ARGV("true"));
    assert_tail(fake_daemon_result(f->fake, 2), "parexec: cannot change to directory '/no/such': No such file or directory\n");
}

static void test_other_user(Fixture *f, const void *data)
{
    const FakeContext context = { .id = 2, .uid = 65534, .gid = 65534 };

    run_in(f, &context, 1, SHELL("id -u; id -g; cat /proc/self/oom_score_adj; echo $USER; echo again >> /dev/stdout"));
    if (geteuid() != 0) {
        assert_outcome(fake_daemon_result(f->fake, 1), OUTCOME_SPAWN_FAILED, 0, 0, EPERM);
        return;
    }
    assert_outcome(fake_daemon_result(f->fake, 1), OUTCOME_EXITED, 0, 0, 0);
    assert_output(f, 1, "out", "65534\n65534\n0\nnobody\nagain\n");
}

static void test_large_argv(Fixture *f, const void *data)
{
    g_autofree char *page = g_strnfill(100 * 1024, 'x');
    const char *argv[23] = { "true" };

    for (size_t i = 1; i < 22; i++)
        argv[i] = page;
    assert_outcome(run_one(f, 1, argv), OUTCOME_SPAWN_FAILED, 0, 0, E2BIG);
    argv[9] = NULL;
    assert_outcome(run_one(f, 2, argv), OUTCOME_EXITED, 0, 0, 0);
}

/* ------------------------------------------------------------------ output and surroundings */

static void test_output(Fixture *f, const void *data)
{
    g_autofree char *folder = NULL, *long_line = g_strnfill(2000, 'e');
    g_autofree char *command = g_strdup_printf("echo %s >&2; exit 3", long_line);
    const TaskResult *result;

    run_one(f, 70001, SHELL("echo out; echo err >&2"));
    assert_output(f, 70001, "out", "out\n");
    assert_output(f, 70001, "err", "err\n");
    g_assert_null(fake_daemon_result(f->fake, 70001)->stderr_tail); /* it succeeded */
    run_one(f, 70002, ARGV("true"));
    assert_output(f, 70002, "out", NULL); /* nothing written: no file */
    assert_output(f, 70002, "err", NULL);
    result = run_one(f, 70003, SHELL(command));
    g_assert_cmpuint(g_bytes_get_size(result->stderr_tail), ==, 1000);
    assert_output(f, 70003, "out", NULL);
}

static void test_environment(Fixture *f, const void *data)
{
    static const char *const environment[] = { "PATH=/usr/bin:/bin", "A=\xff", "PAREXEC_TASK_ID=forged", "HOME=/h", "USER=u",
                                               "LOGNAME=u", "SHELL=/s", NULL };
    const FakeContext context = { .id = 3, .environment = environment, .cwd = f->fake->directory };
    const FakeTask task = { .id = 5, .fence = 9, .attempt = 4, .batch = 6, .array_index = 8, .context = 3,
                            .argv = SHELL("env | grep -v ^_= | sort; command pwd -P") };
    g_autofree char *expected = g_strdup_printf("A=\xff\nADDED=1\nHOME=/h\nLOGNAME=u\nPAREXEC_ARRAY_INDEX=7\nPAREXEC_ATTEMPT=4\n"
                                                "PAREXEC_BATCH_ID=6\nPAREXEC_TASK_ID=5\nPAREXEC_WORKER_ID=w1\nPATH=/usr/bin:/bin\n"
                                                "PWD=%s\nSHELL=/s\nUSER=u\n%s\n", f->fake->directory, f->fake->directory);
    g_autofree char *output = NULL;

    fake_daemon_run(f->fake, &context, 1, &task, 1);
    fake_daemon_wait(f->fake, fake_has_results, 1);
    g_assert_cmpuint(fake_daemon_result(f->fake, 5)->fence, ==, 9);
    output = fake_daemon_output(f->fake, 5, 4, "out");
    g_assert_cmpstr(output, ==, expected);
}

static void set_up_environment(Fixture *f, const void *data)
{
    static const char *const added[] = { "ADDED=1", NULL };

    set_up_unstarted(f, data);
    f->fake->record->environment = strv_blob_new((char *const *) added);
    (void) setenv("LC_ALL", "C", 1);
    launch(f);
    fake_daemon_wait(f->fake, fake_has_registrations, 1);
}

static void test_descriptors(Fixture *f, const void *data)
{
    int in[2], out[2];
    const FakeContext context = { .id = 1 };
    FakeTask task = { .id = 1, .argv = SHELL("cat; echo err >&2") };
    char buffer[16] = "";

    g_assert_cmpint(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), ==, 0);
    task.fds = (const int[]) { in[0], out[1], -1 };
    fake_daemon_run(f->fake, &context, 1, &task, 1);
    fake_daemon_pass(f->fake, 20 * MSEC);
    close_fd(in[0]);
    close_fd(out[1]);
    g_assert_cmpint(write(in[1], "through\n", 8), ==, 8);
    close_fd(in[1]);
    fake_daemon_wait(f->fake, fake_has_results, 1);
    g_assert_cmpint(read(out[0], buffer, sizeof buffer), ==, 8);
    g_assert_cmpstr(buffer, ==, "through\n");
    g_assert_cmpint(read(out[0], buffer, sizeof buffer), ==, 0); /* the worker keeps none open */
    close_fd(out[0]);
    assert_output(f, 1, "out", NULL);
    assert_output(f, 1, "err", "err\n");
}

static void test_paths(Fixture *f, const void *data)
{
    g_autofree char *fifo = g_build_filename(f->fake->directory, "fifo", NULL);
    g_autofree char *out = g_build_filename(f->fake->directory, "out", NULL), *text = NULL;
    const FakeContext context = { .id = 4, .streams = { fifo, out, NULL } };
    const FakeTask task = { .id = 1, .argv = ARGV("cat"), .context = 4 };
    _cleanup_close_ int fd = -EBADF;

    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    fake_daemon_run(f->fake, &context, 1, &task, 1);
    assert_outcome(run_one(f, 2, ARGV("true")), OUTCOME_EXITED, 0, 0, 0); /* the FIFO holds nobody up */
    fd = open(fifo, O_WRONLY | O_CLOEXEC);
    g_assert_cmpint(write(fd, "late\n", 5), ==, 5);
    fd = close_fd(fd);
    fake_daemon_wait(f->fake, fake_has_results, 2);
    g_assert_true(g_file_get_contents(out, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "late\n");
}

/* ------------------------------------------------------------------ order, ahead, recall, cancel */

static void test_ahead(Fixture *f, const void *data)
{
    const FakeContext context = { .id = 1 };
    FakeTask tasks[200];

    fill_tasks(tasks, G_N_ELEMENTS(tasks), ARGV("true"));
    fake_daemon_run(f->fake, &context, 1, tasks, G_N_ELEMENTS(tasks));
    fake_daemon_wait(f->fake, fake_has_results, G_N_ELEMENTS(tasks));
    for (guint i = 0; i < f->fake->results->len; i++) {
        const TaskResult *result = &g_array_index(f->fake->results, TaskResult, i);

        g_assert_true(task_result_is_success(result));
        g_assert_cmpuint(result->task, ==, i + 1); /* one slot: in the order given */
    }
    g_assert_cmpuint(f->fake->groups, <, G_N_ELEMENTS(tasks) * 3 / 4); /* in groups */
}

static void test_recall(Fixture *f, const void *data)
{
    const uint64_t ids[] = { 1, 2, 4, 99 };
    const FakeContext context = { .id = 1 };
    const FakeTask tasks[] = { { .id = 1, .argv = SHELL("sleep 0.2") }, { .id = 2, .argv = ARGV("true") },
                               { .id = 3, .argv = ARGV("true") }, { .id = 4, .argv = ARGV("true") } };

    fake_daemon_run(f->fake, &context, 1, tasks, G_N_ELEMENTS(tasks));
    fake_daemon_wait(f->fake, fake_has_started, 1);
    fake_daemon_send_ids(f->fake, "Recall", ids, G_N_ELEMENTS(ids));
    fake_daemon_wait(f->fake, fake_has_results, 2);
    g_assert_cmpuint(f->fake->given_back->len, ==, 2);
    g_assert_cmpuint(g_array_index(f->fake->given_back, uint64_t, 0), ==, 2);
    g_assert_cmpuint(g_array_index(f->fake->given_back, uint64_t, 1), ==, 4);
    fake_daemon_pass(f->fake, 50 * MSEC);
    g_assert_cmpuint(f->fake->results->len, ==, 2);
    g_assert_null(fake_daemon_result(f->fake, 2));
    g_assert_nonnull(fake_daemon_result(f->fake, 3));
}

static void test_started(Fixture *f, const void *data)
{
    const FakeContext context = { .id = 1 };
    const FakeTask tasks[] = { { .id = 1, .argv = ARGV("true") }, { .id = 2, .fence = 8, .argv = SHELL("sleep 0.3") } };
    const TaskResult *result;

    fake_daemon_run(f->fake, &context, 1, tasks, 2);
    fake_daemon_wait(f->fake, fake_has_results, 2);
    result = fake_daemon_result(f->fake, 2);
    g_assert_true(fake_has_started(f->fake, 2));
    for (guint i = 0; i < f->fake->started->len; i++)
        if (g_array_index(f->fake->started, FakeRow, i).task == 2) {
            g_assert_cmpuint(g_array_index(f->fake->started, FakeRow, i).fence, ==, 8);
            g_assert_cmpuint(g_array_index(f->fake->started, FakeRow, i).start_usec, ==, result->start_usec);
        }
    g_assert_cmpuint(result->end_usec - result->start_usec, >=, 300 * MSEC);
}

static void test_cancel(Fixture *f, const void *data)
{
    const uint64_t ids[] = { 1, 2, 99 };
    const FakeContext context = { .id = 1 };
    g_autofree char *script = g_strdup_printf(
        "cd %s; setsid sh -c 'sleep 300 & echo $! > escaped; exit' & trap '' TERM INT HUP; echo $$ > main; while :; do sleep 1; done",
        f->fake->directory);
    const FakeTask tasks[] = { { .id = 1, .argv = SHELL(script) }, { .id = 2, .argv = ARGV("true") }, { .id = 3, .argv = ARGV("true") } };
    pid_t escaped, first;

    fake_daemon_run(f->fake, &context, 1, tasks, G_N_ELEMENTS(tasks));
    first = pid_in(f, "main");
    escaped = pid_in(f, "escaped");
    fake_daemon_send_ids(f->fake, "Cancel", ids, G_N_ELEMENTS(ids));
    fake_daemon_wait(f->fake, fake_has_results, 3);
    assert_outcome(fake_daemon_result(f->fake, 1), OUTCOME_ABORTED, 0, SIGKILL, 0);
    assert_outcome(fake_daemon_result(f->fake, 2), OUTCOME_ABORTED, 0, 0, 0);
    g_assert_cmpuint(fake_daemon_result(f->fake, 2)->start_usec, ==, 0);
    assert_outcome(fake_daemon_result(f->fake, 3), OUTCOME_EXITED, 0, 0, 0);
    g_assert_false(process_lives(first));
    g_assert_false(process_lives(escaped));
}

/* What a task leaves behind is gone before its result is told. */
static void test_left_over(Fixture *f, const void *data)
{
    g_autofree char *script = g_strdup_printf("cd %s; setsid sh -c 'trap \"\" TERM HUP; echo $$ > escaped; while :; do sleep 1; done' "
                                              "< /dev/null > /dev/null 2>&1 & while ! [ -s escaped ]; do sleep 0.01; done",
                                              f->fake->directory);
    const TaskResult *result = run_one(f, 1, SHELL(script));

    assert_outcome(result, OUTCOME_EXITED, 0, 0, 0);
    g_assert_false(process_lives(pid_in(f, "escaped")));
}

static void test_slots(Fixture *f, const void *data)
{
    const FakeContext context = { .id = 1 };
    FakeTask tasks[8];
    gint64 begin = g_get_monotonic_time();

    fill_tasks(tasks, G_N_ELEMENTS(tasks), SHELL("sleep 0.3"));
    fake_daemon_run(f->fake, &context, 1, tasks, G_N_ELEMENTS(tasks));
    fake_daemon_wait(f->fake, fake_has_results, G_N_ELEMENTS(tasks));
    g_assert_cmpint(g_get_monotonic_time() - begin, >=, 600 * (gint64) MSEC); /* four at once, two times */
    g_assert_cmpint(g_get_monotonic_time() - begin, <, 2000 * (gint64) MSEC);
}

/* ------------------------------------------------------------------ nonsense from the daemon */

static void test_nonsense(Fixture *f, const void *data)
{
    const FakeContext context = { .id = 1 };
    const FakeTask orphan = { .id = 5, .fence = 50, .argv = ARGV("true"), .context = 77 };
    const FakeTask twice[] = { { .id = 6, .fence = 1, .argv = SHELL("sleep 0.1") }, { .id = 6, .fence = 1, .argv = ARGV("true") },
                               { .id = 6, .fence = 2, .argv = ARGV("true") } };

    fake_daemon_send(f->fake, "Run", "s", "wrong signature");
    fake_daemon_send(f->fake, "NoSuchMethod", "u", 1);
    fake_daemon_send(f->fake, "Cancel", "s", "x");
    /* argv not closed by NUL; a path with NUL inside; a descriptor that belongs to no task */
    fake_daemon_send(f->fake, "Run", "a(tuuauayayayayayt)a(ttutttay)a(tuh)", 0, 1, UINT64_C(1), UINT64_C(1), 1U, UINT64_C(1),
                     UINT64_MAX, UINT64_C(1), 1, 'x', 0);
    fake_daemon_send(f->fake, "Run", "a(tuuauayayayayayt)a(ttutttay)a(tuh)", 1, UINT64_C(1), 0U, 0U, 0, 3, '/', 0, 'x', 0, 0, 0, 0,
                     UINT64_MAX, 0, 0);
    fake_daemon_send(f->fake, "Run", "a(tuuauayayayayayt)a(ttutttay)a(tuh)", 0, 0, 1, UINT64_C(3), 0U, STDIN_FILENO);
    assert_outcome(run_one(f, 1, ARGV("true")), OUTCOME_EXITED, 0, 0, 0); /* it lives */
    fake_daemon_run(f->fake, NULL, 0, &orphan, 1);
    fake_daemon_wait(f->fake, fake_has_results, 2);
    assert_outcome(fake_daemon_result(f->fake, 5), OUTCOME_LOST, 0, 0, 0);
    g_assert_cmpuint(fake_daemon_result(f->fake, 5)->fence, ==, 50);
    fake_daemon_run(f->fake, &context, 1, twice, G_N_ELEMENTS(twice));
    fake_daemon_wait(f->fake, fake_has_results, 4);
    fake_daemon_pass(f->fake, 30 * MSEC);
    g_assert_cmpuint(f->fake->results->len, ==, 4); /* one real, one lost, none for the repetition */
    g_assert_cmpuint(f->fake->registrations, ==, 1);
}

/* ------------------------------------------------------------------ the daemon goes and comes */

static void test_reconnect(Fixture *f, const void *data)
{
    const FakeContext context = { .id = 1 };
    const FakeTask tasks[] = { { .id = 1, .fence = 3, .argv = SHELL("sleep 0.5") }, { .id = 2, .argv = SHELL("sleep 0.5") } };
    const FakeRow *rows;

    fake_daemon_run(f->fake, &context, 1, tasks, 2);
    fake_daemon_wait(f->fake, fake_has_started, 1);
    fake_daemon_vanish(f->fake);
    fake_daemon_pass(f->fake, 100 * MSEC);
    fake_daemon_listen(f->fake);
    fake_daemon_wait(f->fake, fake_has_registrations, 2);
    g_assert_cmpuint(f->fake->held->len, ==, 2);
    rows = (const FakeRow *) (void *) f->fake->held->data;
    for (int i = 0; i < 2; i++) {
        g_assert_cmpuint(rows[i].fence, ==, rows[i].task == 1 ? 3 : 2);
        g_assert_true((rows[i].start_usec > 0) == (rows[i].task == 1));
    }
    g_assert_cmpuint(f->fake->results->len, ==, 0);
    fake_daemon_wait(f->fake, fake_has_results, 2);
}

/* A result whose acknowledgement was lost is told again, and forgotten once it is acknowledged. */
static void test_lost_acknowledgement(Fixture *f, const void *data)
{
    f->fake->silent = true;
    run_one(f, 1, ARGV("true"));
    f->fake->silent = false;
    fake_daemon_hang_up(f->fake);
    fake_daemon_wait(f->fake, fake_has_registrations, 2);
    g_assert_cmpuint(f->fake->results->len, ==, 2); /* twice the same */
    g_assert_cmpuint(g_array_index(f->fake->results, TaskResult, 1).task, ==, 1);
    fake_daemon_pass(f->fake, 50 * MSEC);
    fake_daemon_hang_up(f->fake);
    fake_daemon_wait(f->fake, fake_has_registrations, 3);
    g_assert_cmpuint(f->fake->results->len, ==, 2);
}

static void test_results_meanwhile(Fixture *f, const void *data)
{
    const FakeContext context = { .id = 1 };
    const FakeTask tasks[] = { { .id = 1, .argv = SHELL("sleep 0.1") }, { .id = 2, .argv = SHELL("exit 2") } };

    fake_daemon_run(f->fake, &context, 1, tasks, 2);
    fake_daemon_wait(f->fake, fake_has_started, 1);
    fake_daemon_vanish(f->fake);
    fake_daemon_pass(f->fake, 300 * MSEC);
    fake_daemon_listen(f->fake);
    fake_daemon_wait(f->fake, fake_has_registrations, 2);
    g_assert_cmpuint(f->fake->results->len, ==, 2);
    g_assert_cmpuint(f->fake->held->len, ==, 0);
    g_assert_cmpint(fake_daemon_result(f->fake, 2)->exit_status, ==, 2);
    fake_daemon_pass(f->fake, 50 * MSEC);
    fake_daemon_hang_up(f->fake); /* they were acknowledged: not again */
    fake_daemon_wait(f->fake, fake_has_registrations, 3);
    g_assert_cmpuint(f->fake->results->len, ==, 2);
}

/* More results than one message takes: what Register does not carry counts as held until it is told. */
static void test_many_results(Fixture *f, const void *data)
{
    enum { N = 1100 };
    const FakeContext context = { .id = 1 };
    g_autofree FakeTask *tasks = g_new0(FakeTask, N);
    g_autoptr(GHashTable) told = g_hash_table_new(NULL, NULL);

    fill_tasks(tasks, N, ARGV("/no/such"));
    fake_daemon_run(f->fake, &context, 1, tasks, N);
    fake_daemon_pass(f->fake, MSEC);
    fake_daemon_vanish(f->fake);
    for (int i = 0; i < 100 && f->fake->results->len + 2 * f->fake->held->len < N; i++) {
        fake_daemon_pass(f->fake, 200 * MSEC);
        g_array_set_size(f->fake->results, 0);
        f->fake->silent = true;
        fake_daemon_listen(f->fake);
        fake_daemon_wait(f->fake, fake_has_registrations, f->fake->registrations + 1);
        for (guint k = 0; k < f->fake->results->len; k++)
            g_assert_true(g_hash_table_add(told, GUINT_TO_POINTER(g_array_index(f->fake->results, TaskResult, k).task)));
        for (guint k = 0; k < f->fake->held->len; k++)
            g_assert_true(g_hash_table_add(told, GUINT_TO_POINTER(g_array_index(f->fake->held, FakeRow, k).task)));
        g_assert_cmpuint(f->fake->results->len, <=, 1000);
        g_hash_table_remove_all(told);
        fake_daemon_vanish(f->fake);
    }
    f->fake->silent = false;
    g_array_set_size(f->fake->results, 0);
    fake_daemon_listen(f->fake);
    fake_daemon_wait(f->fake, fake_has_results, 1000);
    g_assert_cmpuint(f->fake->held->len, >=, 50);
    fake_daemon_pass(f->fake, 300 * MSEC);
    for (guint k = 0; k < f->fake->results->len; k++)
        g_hash_table_add(told, GUINT_TO_POINTER(g_array_index(f->fake->results, TaskResult, k).task));
    g_assert_cmpuint(g_hash_table_size(told), >=, N - 100);
}

static void test_heartbeat(Fixture *f, const void *data)
{
    fake_daemon_pass(f->fake, 400 * MSEC); /* the fake asks for one each 50 ms */
    g_assert_cmpuint(f->fake->heartbeats, >=, 4);
    g_assert_cmpuint(f->fake->heartbeats, <=, 9);
}

/* ------------------------------------------------------------------ how it ends */

static void assert_ended(Fixture *f, int status)
{
    fake_daemon_wait(f->fake, fake_worker_has_ended, 0);
    g_assert_true(WIFEXITED(f->fake->status));
    g_assert_cmpint(WEXITSTATUS(f->fake->status), ==, status);
}

static char *spool_text(Fixture *f)
{
    g_autofree char *path = g_build_filename(f->fake->record->spool_directory, "w1", NULL);
    char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) ? text : NULL;
}

static void assert_spooled(Fixture *f, uint64_t task, int status)
{
    g_autofree char *text = spool_text(f);
    g_auto(GStrv) lines = NULL;
    TaskResult result = { 0 };

    g_assert_nonnull(text);
    lines = g_strsplit(text, "\n", -1);
    g_assert_cmpuint(g_strv_length(lines), ==, 2);
    g_assert_cmpint(spool_parse_line(lines[0], &result), ==, 0);
    g_assert_cmpuint(result.task, ==, task);
    g_assert_cmpint(result.exit_status, ==, status);
}

static pid_t start_sleeper(Fixture *f, uint64_t id)
{
    g_autofree char *script = g_strdup_printf("trap '' TERM; echo $$ > %s/main; while :; do sleep 1; done", f->fake->directory);

    fake_daemon_run_command(f->fake, id, SHELL(script));
    return pid_in(f, "main");
}

static void test_exit(Fixture *f, const void *data)
{
    g_autofree char *text = NULL;

    run_one(f, 1, ARGV("true"));
    fake_daemon_send(f->fake, "Exit", NULL);
    assert_ended(f, 0);
    text = spool_text(f);
    g_assert_null(text);
}

static void test_exit_delivers(Fixture *f, const void *data)
{
    g_autofree char *text = NULL;

    f->fake->silent = true;
    run_one(f, 1, ARGV("true"));
    fake_daemon_send(f->fake, "Exit", NULL);
    fake_daemon_pass(f->fake, 200 * MSEC);
    g_assert_false(fake_worker_has_ended(f->fake, 0)); /* it waits for the acknowledgement */
    fake_daemon_answer_pending(f->fake);
    assert_ended(f, 0);
    text = spool_text(f);
    g_assert_null(text);
}

static void test_terminate(Fixture *f, const void *data)
{
    pid_t pid;

    run_one(f, 1, SHELL("exit 9"));
    pid = start_sleeper(f, 2);
    f->fake->silent = true;
    fake_daemon_pass(f->fake, 20 * MSEC);
    g_assert_cmpint(kill(f->fake->worker, SIGTERM), ==, 0);
    assert_ended(f, 0);
    g_assert_false(process_lives(pid));
    g_assert_null(fake_daemon_result(f->fake, 2)); /* no result: the daemon gives it back to the queue */
}

static void test_refused_at_start(Fixture *f, const void *data)
{
    f->fake->refusal = "org.parexec.Error.NotAuthorized";
    launch(f);
    assert_ended(f, 1);
}

static void test_refused_later(Fixture *f, const void *data)
{
    pid_t pid = start_sleeper(f, 1);

    f->fake->refusal = "org.parexec.Error.NoSuchWorker";
    fake_daemon_hang_up(f->fake);
    assert_ended(f, 1);
    g_assert_false(process_lives(pid));
}

static void set_up_orphan(Fixture *f, const void *data)
{
    set_up_unstarted(f, data);
    f->fake->record->orphan_usec = 600 * MSEC;
    launch(f);
    fake_daemon_wait(f->fake, fake_has_registrations, 1);
}

static void test_orphan(Fixture *f, const void *data)
{
    const FakeContext context = { .id = 1 };
    g_autofree char *script = g_strdup_printf("touch %s/ran", f->fake->directory), *ran = g_build_filename(f->fake->directory, "ran", NULL);
    const FakeTask tasks[] = { { .id = 1, .argv = SHELL("sleep 1; exit 4") }, { .id = 2, .argv = SHELL(script) } };
    gint64 begin;

    fake_daemon_pass(f->fake, 900 * MSEC);
    g_assert_cmpint(f->fake->worker, >, 0); /* with a daemon it is no orphan */
    fake_daemon_run(f->fake, &context, 1, tasks, 2);
    fake_daemon_wait(f->fake, fake_has_started, 1);
    fake_daemon_vanish(f->fake);
    begin = g_get_monotonic_time();
    assert_ended(f, 0);
    g_assert_cmpint(g_get_monotonic_time() - begin, >, 600 * (gint64) MSEC); /* what ran was let finish */
    assert_spooled(f, 1, 4);
    g_assert_false(g_file_test(ran, G_FILE_TEST_EXISTS)); /* what was ahead was given up */
}

static void test_no_orphan(Fixture *f, const void *data)
{
    g_autofree char *text = NULL;

    fake_daemon_vanish(f->fake);
    fake_daemon_pass(f->fake, 150 * MSEC);
    fake_daemon_listen(f->fake);
    fake_daemon_wait(f->fake, fake_has_registrations, 2);
    fake_daemon_pass(f->fake, 900 * MSEC);
    g_assert_cmpint(f->fake->worker, >, 0);
    assert_outcome(run_one(f, 1, ARGV("true")), OUTCOME_EXITED, 0, 0, 0);
    text = spool_text(f);
    g_assert_null(text);
}

/* Never heard of a daemon at all, and has nothing to leave behind. */
static void test_orphan_from_birth(Fixture *f, const void *data)
{
    g_autofree char *text = NULL;

    fake_daemon_vanish(f->fake);
    f->fake->record->orphan_usec = 200 * MSEC;
    launch(f);
    assert_ended(f, 0);
    text = spool_text(f);
    g_assert_null(text);
}

/* Without a cgroup that would hold them, tasks die with their worker. */
static void test_worker_killed(Fixture *f, const void *data)
{
    pid_t pid = start_sleeper(f, 1);

    if (in_scope()) {
        g_test_skip("with cgroups it is the daemon who kills the scope");
        return;
    }
    g_assert_cmpint(kill(f->fake->worker, SIGKILL), ==, 0);
    fake_daemon_wait(f->fake, fake_worker_has_ended, 0);
    fake_daemon_pass(f->fake, 100 * MSEC);
    g_assert_false(process_lives(pid));
}

static int run_program(const char *record, const char *id)
{
    const char *const argv[] = { getenv("PAREXEC_WORKER"), id, NULL };
    int fds[2], status;
    pid_t pid;

    g_assert_cmpint(pipe2(fds, O_CLOEXEC), ==, 0);
    pid = fork();
    if (pid == 0) {
        (void) dup2(open("/dev/null", O_RDWR), STDERR_FILENO);
        int fd = fcntl(fds[0], F_DUPFD_CLOEXEC, 10);

        (void) dup2(fd, LAUNCH_RECORD_FD);
        (void) execv(argv[0], (char **) argv);
        _exit(126);
    }
    (void) close(fds[0]);
    (void) !write(fds[1], record, strlen(record));
    (void) close(fds[1]);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_bad_record(Fixture *f, const void *data)
{
    g_assert_cmpint(run_program("", NULL), ==, 2);
    g_assert_cmpint(run_program("", "w1"), ==, 1);
    g_assert_cmpint(run_program("nonsense", "w1"), ==, 1);
    fake_daemon_start_worker(f->fake, (char *[]) { (char *) "sh", (char *) "-c", (char *) "exec \"$0\" w2 2> /dev/null", NULL });
    assert_ended(f, 1); /* not the record of w2 */
}

/* ------------------------------------------------------------------ in a delegated scope */

static bool skip_without_scope(void)
{
    if (!in_scope())
        g_test_skip("needs PAREXEC_TEST_SCOPE=1, root and systemd");
    return !in_scope();
}

static void test_leaf(Fixture *f, const void *data)
{
    g_autofree char *first = NULL, *second = NULL;

    if (skip_without_scope())
        return;
    run_one(f, 1, SHELL("cat /proc/self/cgroup"));
    run_one(f, 2, SHELL("cat /proc/self/cgroup"));
    first = fake_daemon_output(f->fake, 1, 1, "out");
    second = fake_daemon_output(f->fake, 2, 1, "out");
    g_assert_nonnull(strstr(first, "/slot-0\n"));
    g_assert_cmpstr(first, ==, second);
}

static void test_usage(Fixture *f, const void *data)
{
    const TaskResult *result;

    if (skip_without_scope())
        return;
    result = run_one(f, 1, SHELL("head -c 60M /dev/zero | tail -c 60M > /dev/null"));
    g_assert_cmpuint(result->memory_peak_bytes, >=, 60 << 20);
    g_assert_cmpuint(result->memory_peak_bytes, <, 100 << 20);
    result = run_one(f, 2, ARGV("true"));
    g_assert_cmpuint(result->memory_peak_bytes, <, 8 << 20); /* not that of the one before */
    g_assert_cmpuint(result->cpu_nsec, <, 100 * 1000000);
    /* CPU time of a process that nobody waited for counts as well */
    result = run_one(f, 3, SHELL("sh -c 'i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done; : > done' & exec sleep 1.5"));
    g_assert_cmpuint(result->cpu_nsec, >, 100 * 1000000);
}

static void test_oom(Fixture *f, const void *data)
{
    const FakeContext context = { .id = 2, .memory_max_bytes = 32 << 20 }, tiny = { .id = 3, .memory_max_bytes = 1 };
    const TaskResult *result;

    if (skip_without_scope())
        return;
    run_in(f, &context, 1, HOG("200M"));
    assert_outcome(fake_daemon_result(f->fake, 1), OUTCOME_OOM, 0, SIGKILL, 0);
    g_assert_cmpuint(fake_daemon_result(f->fake, 1)->memory_peak_bytes, <=, 32 << 20);
    run_in(f, &context, 2, SHELL("head -c 10M /dev/zero | tail -c 10M > /dev/null"));
    assert_outcome(fake_daemon_result(f->fake, 2), OUTCOME_EXITED, 0, 0, 0); /* the count is not that of the one before */
    run_in(f, &tiny, 3, ARGV("true"));
    result = fake_daemon_result(f->fake, 3);
    g_assert_true(result->outcome == OUTCOME_OOM || (result->outcome == OUTCOME_SPAWN_FAILED && result->error == ENOMEM));
    /* and the limit is gone with its task */
    assert_outcome(run_one(f, 4, SHELL("head -c 60M /dev/zero | tail -c 60M > /dev/null")), OUTCOME_EXITED, 0, 0, 0);
    /* the worker's own limit: 256 MiB */
    result = run_one(f, 5, HOG("500M"));
    assert_outcome(result, OUTCOME_OOM, 0, SIGKILL, 0);
    assert_outcome(run_one(f, 6, ARGV("true")), OUTCOME_EXITED, 0, 0, 0);
}

static void test_crowd(Fixture *f, const void *data)
{
    g_autofree char *script = g_strdup_printf(
        "cd %s; for i in 1 2 3 4 5 6 7 8 9 10; do setsid env -i /bin/sh -c 'trap \"\" TERM; echo $$ >> all; while :; do /bin/sleep 1; done' & done; "
        "while [ \"$(cat all | wc -l)\" -lt 10 ]; do sleep 0.01; done", f->fake->directory);
    g_autofree char *path = g_build_filename(f->fake->directory, "all", NULL), *text = NULL;
    g_auto(GStrv) pids = NULL;

    if (skip_without_scope())
        return;
    assert_outcome(run_one(f, 1, SHELL(script)), OUTCOME_EXITED, 0, 0, 0);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    pids = g_strsplit(g_strchomp(text), "\n", -1);
    g_assert_cmpuint(g_strv_length(pids), ==, 10);
    for (char **pid = pids; *pid; pid++)
        g_assert_false(process_lives((pid_t) g_ascii_strtoll(*pid, NULL, 10)));
}

typedef void (*FixtureFunction)(Fixture *f, const void *data);

static const struct { const char *name; unsigned slots; FixtureFunction set_up, function; } tests[] = {
    { "outcomes", 1, set_up, test_outcomes },
    { "spawn-failure-is-told", 1, set_up, test_spawn_failure_is_told },
    { "other-user", 1, set_up, test_other_user },
    { "large-argv", 1, set_up, test_large_argv },
    { "output", 1, set_up, test_output },
    { "environment", 1, set_up_environment, test_environment },
    { "descriptors", 1, set_up, test_descriptors },
    { "paths", 2, set_up, test_paths },
    { "ahead", 1, set_up, test_ahead },
    { "recall", 1, set_up, test_recall },
    { "started", 1, set_up, test_started },
    { "cancel", 1, set_up, test_cancel },
    { "left-over", 1, set_up, test_left_over },
    { "left-over-beside-others", 3, set_up, test_left_over },
    { "slots", 4, set_up, test_slots },
    { "nonsense", 1, set_up, test_nonsense },
    { "reconnect", 1, set_up, test_reconnect },
    { "lost-acknowledgement", 1, set_up, test_lost_acknowledgement },
    { "results-meanwhile", 1, set_up, test_results_meanwhile },
    { "many-results", 1, set_up, test_many_results },
    { "heartbeat", 1, set_up, test_heartbeat },
    { "exit", 1, set_up, test_exit },
    { "exit-delivers", 1, set_up, test_exit_delivers },
    { "terminate", 1, set_up, test_terminate },
    { "refused-at-start", 1, set_up_unstarted, test_refused_at_start },
    { "refused-later", 1, set_up, test_refused_later },
    { "orphan", 1, set_up_orphan, test_orphan },
    { "no-orphan", 1, set_up_orphan, test_no_orphan },
    { "orphan-from-birth", 1, set_up_unstarted, test_orphan_from_birth },
    { "worker-killed", 1, set_up, test_worker_killed },
    { "bad-record", 1, set_up_unstarted, test_bad_record },
    { "leaf", 1, set_up, test_leaf },
    { "usage", 1, set_up, test_usage },
    { "oom", 1, set_up, test_oom },
    { "crowd", 2, set_up, test_crowd },
};

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *path = g_strconcat("/worker-program/", tests[i].name, NULL);

        g_test_add(path, Fixture, GUINT_TO_POINTER(tests[i].slots), tests[i].set_up, tests[i].function, tear_down);
    }
    return g_test_run();
}
