/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The worker and its daemon: losing each other, and how a worker ends. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "worker-fixture.h"
#include "model/spool.h"

static void test_reconnect(Fixture *f, const void *data)
{
    const FakeContext context = { .id = 1 };
    const FakeTask tasks[] = { { .id = 1, .fence = 3, .argv = SHELL("sleep 0.5") },
                               { .id = 2, .argv = SHELL("sleep 0.5") } };
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
    const FakeTask tasks[] = { { .id = 1, .argv = SHELL("sleep 0.1") },
                               { .id = 2, .argv = SHELL("exit 2") } };

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

/* Lets the worker register once, without an answer, and looks at what it presents: is everything done? */
static bool all_done(Fixture *f, size_t n)
{
    g_array_set_size(f->fake->results, 0);
    fake_daemon_listen(f->fake);
    fake_daemon_wait(f->fake, fake_has_registrations, f->fake->registrations + 1);
    fake_daemon_vanish(f->fake);
    g_assert_cmpuint(f->fake->results->len + f->fake->held->len, ==, n); /* nothing is missing at any time */
    g_assert_cmpuint(f->fake->results->len, <=, 1000);
    for (guint i = 0; i < f->fake->held->len; i++)
        if (g_array_index(f->fake->held, FakeRow, i).start_usec == 0)
            return false;
    return true;
}

/* More results than one message takes: what Register does not carry counts as held until it is told. */
static void test_many_results(Fixture *f, const void *data)
{
    enum { N = 1100 };
    const FakeContext context = { .id = 1 };
    g_autofree FakeTask *tasks = g_new0(FakeTask, N);
    g_autoptr(GHashTable) told = g_hash_table_new(NULL, NULL);

    fill_tasks(tasks, N, ARGV("/no/such"));
    f->fake->silent = true;
    fake_daemon_run(f->fake, &context, 1, tasks, N);
    fake_daemon_wait(f->fake, fake_has_results, 1);
    fake_daemon_vanish(f->fake);
    while (!all_done(f, N))
        fake_daemon_pass(f->fake, 100 * MSEC);
    f->fake->silent = false;
    g_array_set_size(f->fake->results, 0);
    fake_daemon_listen(f->fake);
    fake_daemon_wait(f->fake, fake_has_results, N);
    for (guint i = 0; i < f->fake->results->len; i++)
        g_hash_table_add(told, GUINT_TO_POINTER(g_array_index(f->fake->results, TaskResult, i).task));
    g_assert_cmpuint(g_hash_table_size(told), ==, N);
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
    g_autofree char *script =
        g_strdup_printf("trap '' TERM; echo $$ > %s/main; while :; do sleep 1; done", f->fake->directory);

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
    fixture_launch(f);
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
    fixture_set_up_unstarted(f, data);
    f->fake->record->orphan_usec = 600 * MSEC;
    fixture_launch(f);
    fake_daemon_wait(f->fake, fake_has_registrations, 1);
}

static void test_orphan(Fixture *f, const void *data)
{
    const FakeContext context = { .id = 1 };
    g_autofree char *script = g_strdup_printf("touch %s/ran", f->fake->directory),
                    *ran = g_build_filename(f->fake->directory, "ran", NULL);
    const FakeTask tasks[] = { { .id = 1, .argv = SHELL("sleep 1; exit 4") },
                               { .id = 2, .argv = SHELL(script) } };
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
    fixture_launch(f);
    assert_ended(f, 0);
    text = spool_text(f);
    g_assert_null(text);
}

/* Without a cgroup that would hold them, tasks die with their worker. */
static void test_worker_killed(Fixture *f, const void *data)
{
    pid_t pid = start_sleeper(f, 1);

    if (fixture_in_scope()) {
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
    fake_daemon_start_worker(
        f->fake, (char *[]){ (char *) "sh", (char *) "-c", (char *) "exec \"$0\" w2 2> /dev/null", NULL });
    assert_ended(f, 1); /* not the record of w2 */
}

static const WorkerTest tests[] = {
    { "reconnect", 1, fixture_set_up, test_reconnect },
    { "lost-acknowledgement", 1, fixture_set_up, test_lost_acknowledgement },
    { "results-meanwhile", 1, fixture_set_up, test_results_meanwhile },
    { "many-results", 1, fixture_set_up, test_many_results },
    { "heartbeat", 1, fixture_set_up, test_heartbeat },
    { "exit", 1, fixture_set_up, test_exit },
    { "exit-delivers", 1, fixture_set_up, test_exit_delivers },
    { "terminate", 1, fixture_set_up, test_terminate },
    { "refused-at-start", 1, fixture_set_up_unstarted, test_refused_at_start },
    { "refused-later", 1, fixture_set_up, test_refused_later },
    { "orphan", 1, set_up_orphan, test_orphan },
    { "no-orphan", 1, set_up_orphan, test_no_orphan },
    { "orphan-from-birth", 1, fixture_set_up_unstarted, test_orphan_from_birth },
    { "worker-killed", 1, fixture_set_up, test_worker_killed },
    { "bad-record", 1, fixture_set_up_unstarted, test_bad_record },
};

int main(int argc, char *argv[])
{
    return fixture_run(argc, argv, "worker-link", tests, G_N_ELEMENTS(tests));
}
