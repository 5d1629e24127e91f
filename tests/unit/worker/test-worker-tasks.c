/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tasks in the worker: how they end, what they are given, their order. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "worker-fixture.h"
#include "dbus/parexec-dbus.h"
#include "util/strv-blob.h"

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
    g_assert_cmpmem(g_bytes_get_data(result->stderr_tail, NULL), g_bytes_get_size(result->stderr_tail),
                    expected, strlen(expected));
}

static void test_spawn_failure_is_told(Fixture *f, const void *data)
{
    const FakeContext context = { .id = 7, .cwd = "/no/such" };

    assert_tail(run_one(f, 1, ARGV("foo-bar")),
                "parexec: cannot execute 'foo-bar': No such file or directory\n");
    assert_output(f, 1, "err", "parexec: cannot execute 'foo-bar': No such file or directory\n");
    run_in(f, &context, 2, ARGV("true"));
    assert_tail(fake_daemon_result(f->fake, 2),
                "parexec: cannot change to directory '/no/such': No such file or directory\n");
}

static void test_other_user(Fixture *f, const void *data)
{
    const FakeContext context = { .id = 2, .uid = geteuid() == 0 ? 65534 : geteuid() + 1, .gid = 65534 };

    run_in(f, &context, 1,
           SHELL("id -u; id -g; cat /proc/self/oom_score_adj; echo $USER; echo again >> /dev/stdout"));
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
    static const char *const environment[] = {
        "PATH=/usr/bin:/bin",
        "A=\xff",
        "PAREXEC_TASK_ID=forged",
        "PAREXEC_INPUTS=/forged",
        "CREDENTIALS_DIRECTORY=/forged",
        "HOME=/h",
        "USER=u",
        "LOGNAME=u",
        "SHELL=/s",
        NULL
    };
    const FakeContext context = { .id = 3, .environment = environment, .cwd = f->fake->directory };
    const FakeTask task = { .id = 5, .fence = 9, .attempt = 4, .batch = 6, .array_index = 8, .context = 3,
                            .argv = SHELL("env | grep -v ^_= | sort; command pwd -P") };
    g_autofree char *expected = g_strdup_printf(
        "A=\xff\nADDED=1\nHOME=/h\nLOGNAME=u\nPAREXEC_ARRAY_INDEX=7\nPAREXEC_ATTEMPT=4\nPAREXEC_BATCH_ID=6\n"
        "PAREXEC_RESULT=%s/slots/w1-0/result\nPAREXEC_TASK_ID=5\nPAREXEC_WORKER_ID=w1\nPATH=/usr/bin:/bin\n"
        "PWD=%s\nSHELL=/s\nUSER=u\n%s\n",
        f->fake->directory, f->fake->directory, f->fake->directory);
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

    fixture_set_up_unstarted(f, data);
    f->fake->record->environment = strv_blob_new((char *const *) added);
    (void) setenv("LC_ALL", "C", 1);
    fixture_launch(f);
    fake_daemon_wait(f->fake, fake_has_registrations, 1);
}

static void test_descriptors(Fixture *f, const void *data)
{
    int in[2], out[2];
    const FakeContext context = { .id = 1 };
    FakeTask task = { .id = 1, .argv = SHELL("head -c 8; exec > /dev/null; cat; echo err >&2") };
    struct pollfd end;
    char buffer[16] = "";

    g_assert_cmpint(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), ==, 0);
    task.fds = (const int[]) { in[0], out[1], -1 };
    fake_daemon_run(f->fake, &context, 1, &task, 1);
    fake_daemon_wait(f->fake, fake_has_started, 1);
    close_fd(in[0]);
    close_fd(out[1]);
    g_assert_cmpint(write(in[1], "through\n", 8), ==, 8);
    g_assert_cmpint(read(out[0], buffer, sizeof buffer), ==, 8);
    g_assert_cmpstr(buffer, ==, "through\n");
    /* the task has closed its end and goes on; the worker keeps none open */
    end = (struct pollfd) { .fd = out[0], .events = POLLIN };
    g_assert_cmpint(poll(&end, 1, 10000), ==, 1);
    g_assert_cmpint(read(out[0], buffer, sizeof buffer), ==, 0);
    close_fd(in[1]);
    fake_daemon_wait(f->fake, fake_has_results, 1);
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
}

/* One group in 5 ms at most, and one at the end. */
static void test_groups(Fixture *f, const void *data)
{
    const FakeContext context = { .id = 1 };
    FakeTask tasks[500];
    gint64 begin = g_get_monotonic_time();

    fill_tasks(tasks, G_N_ELEMENTS(tasks), ARGV("/no/such"));
    fake_daemon_run(f->fake, &context, 1, tasks, G_N_ELEMENTS(tasks));
    fake_daemon_wait(f->fake, fake_has_results, G_N_ELEMENTS(tasks));
    g_assert_cmpint(f->fake->groups, <=, (g_get_monotonic_time() - begin) / (5 * (gint64) MSEC) + 2);
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
    const FakeTask tasks[] = { { .id = 1, .argv = ARGV("true") },
                               { .id = 2, .fence = 8, .argv = SHELL("sleep 0.3") } };
    const TaskResult *result;
    unsigned n = 0;

    fake_daemon_run(f->fake, &context, 1, tasks, 2);
    fake_daemon_wait(f->fake, fake_has_results, 2);
    result = fake_daemon_result(f->fake, 2);
    for (guint i = 0; i < f->fake->started->len; i++) {
        const FakeRow *row = &g_array_index(f->fake->started, FakeRow, i);

        if (row->task != 2)
            continue;
        g_assert_cmpuint(row->fence, ==, 8);
        g_assert_cmpuint(row->start_usec, ==, result->start_usec);
        n++;
    }
    g_assert_cmpuint(n, ==, 1);
    g_assert_cmpuint(result->end_usec - result->start_usec, >=, 300 * MSEC);
}

static void test_cancel(Fixture *f, const void *data)
{
    const FakeContext context = { .id = 1, .policy = "grace=0" };
    g_autofree char *script = g_strdup_printf(
        "cd %s; setsid sh -c 'sleep 300 & echo $! > escaped; exit' & trap '' TERM INT HUP; "
        "echo $$ > main; while :; do sleep 1; done",
        f->fake->directory);
    const FakeTask tasks[] = { { .id = 1, .argv = SHELL(script) },
                               { .id = 2, .argv = ARGV("true") },
                               { .id = 3, .argv = ARGV("true") } };
    pid_t escaped, first;

    fake_daemon_run(f->fake, &context, 1, tasks, G_N_ELEMENTS(tasks));
    first = pid_in(f, "main");
    escaped = pid_in(f, "escaped");
    fake_daemon_send(f->fake, "Stop", "ats", 3, UINT64_C(1), UINT64_C(2), UINT64_C(99), "aborted");
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
    g_autofree char *script = g_strdup_printf(
        "cd %s; setsid sh -c 'trap \"\" TERM HUP; echo $$ > escaped; while :; do sleep 1; done' "
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
    g_assert_cmpint(g_get_monotonic_time() - begin, <, 2000 * (gint64) MSEC * fake_slowness());
}

/* ------------------------------------------------------------------ nonsense from the daemon */

#define RUN_SIGNATURE "a" PAREXEC_LINK_CONTEXT "a" PAREXEC_LINK_TASK "a" PAREXEC_LINK_TASK_FD

static void test_nonsense(Fixture *f, const void *data)
{
    const FakeContext context = { .id = 1 };
    const FakeTask orphan = { .id = 5, .fence = 50, .argv = ARGV("true"), .context = 77 };
    const FakeTask twice[] = { { .id = 6, .fence = 1, .argv = SHELL("sleep 0.1") },
                               { .id = 6, .fence = 1, .argv = ARGV("true") },
                               { .id = 6, .fence = 2, .argv = ARGV("true") } };

    fake_daemon_send(f->fake, "Run", "s", "wrong signature");
    fake_daemon_send(f->fake, "NoSuchMethod", "u", 1);
    fake_daemon_send(f->fake, "Cancel", "at", 0);
    fake_daemon_send(f->fake, "Stop", "s", "x");
    fake_daemon_send(f->fake, "Stop", "ats", 1, UINT64_C(1), "exited");
    fake_daemon_send(f->fake, "Limit", "t", UINT64_C(1));
    fake_daemon_send(f->fake, "Limit", "ta{sv}", UINT64_C(1), 1, "memory-max", "s", "1G");
    fake_daemon_send(f->fake, "Limit", "ta{sv}", UINT64_C(1), 1, "io-weight", "t", UINT64_MAX);
    fake_daemon_send(f->fake, "Freeze", "atb", 1, UINT64_C(1), 1);
    /* argv not closed by NUL; a path with NUL inside; a descriptor that belongs to no task */
    fake_daemon_send(f->fake, "Run", RUN_SIGNATURE, 0, 1, UINT64_C(1), UINT64_C(1), 1U, UINT64_C(1), UINT64_MAX,
                     UINT64_C(1), 1, 'x', 0, 0, 0);
    fake_daemon_send(f->fake, "Run", RUN_SIGNATURE, 1, UINT64_C(1), 0U, 0U, 0, 3, '/', 0, 'x', 0, 0, 0, 0,
                     UINT64_MAX, 0, "", 0, 0);
    fake_daemon_send(f->fake, "Run", RUN_SIGNATURE, 0, 0, 1, UINT64_C(3), 0U, STDIN_FILENO);
    /* an input that would lie elsewhere; a credential without a path; a policy of no sense */
    fake_daemon_send(f->fake, "Run", RUN_SIGNATURE, 0, 1, UINT64_C(1), UINT64_C(1), 1U, UINT64_C(1), UINT64_MAX,
                     UINT64_C(1), 2, 'x', 0, 1, "../x", 0, 0, 0);
    fake_daemon_send(f->fake, "Run", RUN_SIGNATURE, 1, UINT64_C(1), 0U, 0U, 0, 0, 0, 0, 0, 0, UINT64_MAX, 2,
                     'x', 0, "", 0, 0);
    fake_daemon_send(f->fake, "Run", RUN_SIGNATURE, 1, UINT64_C(1), 0U, 0U, 0, 0, 0, 0, 0, 0, UINT64_MAX, 0,
                     "timeout=soon", 0, 0);
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

static const WorkerTest tests[] = {
    { "outcomes", 1, fixture_set_up, test_outcomes },
    { "spawn-failure-is-told", 1, fixture_set_up, test_spawn_failure_is_told },
    { "other-user", 1, fixture_set_up, test_other_user },
    { "large-argv", 1, fixture_set_up, test_large_argv },
    { "output", 1, fixture_set_up, test_output },
    { "environment", 1, set_up_environment, test_environment },
    { "descriptors", 1, fixture_set_up, test_descriptors },
    { "paths", 2, fixture_set_up, test_paths },
    { "ahead", 1, fixture_set_up, test_ahead },
    { "groups", 1, fixture_set_up, test_groups },
    { "recall", 1, fixture_set_up, test_recall },
    { "started", 1, fixture_set_up, test_started },
    { "cancel", 1, fixture_set_up, test_cancel },
    { "left-over", 1, fixture_set_up, test_left_over },
    { "left-over-beside-others", 3, fixture_set_up, test_left_over },
    { "slots", 4, fixture_set_up, test_slots },
    { "nonsense", 1, fixture_set_up, test_nonsense },
};

int main(int argc, char *argv[])
{
    return fixture_run(argc, argv, "worker-tasks", tests, G_N_ELEMENTS(tests));
}
