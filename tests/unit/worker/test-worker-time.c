/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tasks that are told to stop: by their timeout, by the daemon, politely and then not. */
#include <signal.h>
#include <string.h>

#include "worker-fixture.h"

#define LAST_WORDS "trap 'echo got it; exit 7' TERM; echo > ready; while :; do sleep 0.02; done"

static const TaskResult *run_policy(Fixture *f, const char *policy, const char *script)
{
    static uint64_t id = 100;
    g_autofree char *text = fixture_script(f, script);
    const FakeContext context = { .id = ++id, .policy = policy };

    run_in(f, &context, id, SHELL(text));
    return fake_daemon_result(f->fake, id);
}

static uint64_t duration(const TaskResult *result)
{
    return result->end_usec - result->start_usec;
}

static void test_timeout(Fixture *f, const void *data)
{
    const TaskResult *result = run_policy(f, "timeout=200000", "sleep 100");

    assert_outcome(result, OUTCOME_TIMEOUT, 0, SIGTERM, 0);
    g_assert_cmpuint(duration(result), >=, 200 * MSEC);
    g_assert_cmpuint(duration(result), <, 5000 * MSEC);
    result = run_policy(f, "timeout=10000000", "exit 3"); /* in time */
    assert_outcome(result, OUTCOME_EXITED, 3, 0, 0);
    result = run_policy(f, "timeout=200000 stop-signal=2", "trap 'echo 2; exit 0' INT; while :; do sleep 0.02; done");
    assert_outcome(result, OUTCOME_TIMEOUT, 0, 0, 0); /* a good end comes too late */
    assert_output(f, result->task, "out", "2\n");
}

/* The next deadline is found again when the earliest is over. */
static void test_many_deadlines(Fixture *f, const void *data)
{
    const FakeContext contexts[] = { { .id = 1, .policy = "timeout=600000" },
                                     { .id = 2, .policy = "timeout=300000" },
                                     { .id = 3, .policy = "timeout=10000000" },
                                     { .id = 4 } };
    const FakeTask tasks[] = { { .id = 1, .argv = ARGV("sleep", "100"), .context = 1 },
                               { .id = 2, .argv = ARGV("sleep", "100"), .context = 2 },
                               { .id = 3, .argv = ARGV("sleep", "1"), .context = 3 },
                               { .id = 4, .argv = ARGV("sleep", "1"), .context = 4 },
                               { .id = 5, .argv = ARGV("sleep", "100"), .context = 2 } };

    fake_daemon_run(f->fake, contexts, 4, tasks, 5);
    fake_daemon_wait(f->fake, fake_has_results, 5);
    for (uint64_t id = 1; id <= 5; id++)
        g_assert_cmpstr(outcome_to_string(fake_daemon_result(f->fake, id)->outcome), ==,
                        id == 3 || id == 4 ? "exited" : "timeout");
    g_assert_cmpuint(duration(fake_daemon_result(f->fake, 1)), >=, 600 * MSEC);
    g_assert_cmpuint(duration(fake_daemon_result(f->fake, 2)), >=, 300 * MSEC);
    g_assert_cmpuint(duration(fake_daemon_result(f->fake, 2)), <, 600 * MSEC * (unsigned) fake_slowness());
}

static void test_grace(Fixture *f, const void *data)
{
    /* ignores the signal, and so does one that has left its session */
    const TaskResult *result =
        run_policy(f, "timeout=300000 grace=300000",
                   "trap '' TERM; setsid sh -c 'echo $$ > escaped; exec sleep 100' & sleep 100; sleep 100");

    assert_outcome(result, OUTCOME_TIMEOUT, 0, SIGKILL, 0);
    g_assert_cmpuint(duration(result), >=, 600 * MSEC);
    g_assert_cmpuint(duration(result), <, 10 * USEC_PER_SEC);
    g_assert_false(process_lives(pid_in(f, "escaped")));
    result = run_policy(f, "timeout=100000 grace=0", "trap 'echo never' TERM; while :; do sleep 0.02; done");
    assert_outcome(result, OUTCOME_TIMEOUT, 0, SIGKILL, 0);
    assert_output(f, result->task, "out", NULL);
}

/* Every process hears of it, stopped ones, too. */
static void test_whole_tree(Fixture *f, const void *data)
{
    const TaskResult *result =
        run_policy(f, "timeout=500000 grace=20000000",
                   "trap 'echo first; wait; exit 0' TERM; "
                   "setsid sh -c 'trap \"echo second; exit\" TERM; while :; do sleep 0.02; done' & "
                   "sh -c 'trap \"echo third; exit\" TERM; kill -STOP $$; while :; do sleep 0.02; done' & "
                   "wait; wait; wait");
    g_autofree char *out = fake_daemon_output(f->fake, result->task, 1, "out");

    assert_outcome(result, OUTCOME_TIMEOUT, 0, 0, 0);
    g_assert_nonnull(strstr(out, "first\n"));
    g_assert_nonnull(strstr(out, "second\n"));
    g_assert_nonnull(strstr(out, "third\n"));
    g_assert_cmpuint(duration(result), <, 10 * USEC_PER_SEC);
}

/* Those that know the signal get it; the others live. */
static void test_warning(Fixture *f, const void *data)
{
    const TaskResult *result =
        run_policy(f, "timeout=20000000 warn-signal=10 warn=19500000",
                   "trap 'echo warned; w=1' USR1; sleep 1 & while [ -z \"$w\" ]; do sleep 0.02; done; wait $!");

    assert_outcome(result, OUTCOME_EXITED, 0, 0, 0);
    assert_output(f, result->task, "out", "warned\n");
    g_assert_cmpuint(duration(result), >=, 500 * MSEC);
    result = run_policy(f, "timeout=20000000 warn-signal=10 warn=19900000", "exec sleep 0.4");
    assert_outcome(result, OUTCOME_EXITED, 0, 0, 0);
}

static void test_stop(Fixture *f, const void *data)
{
    const FakeContext context = { .id = 1, .policy = "grace=20000000" };
    g_autofree char *script = fixture_script(f, LAST_WORDS);
    const FakeTask tasks[] = { { .id = 1, .argv = SHELL(script) }, { .id = 2, .argv = ARGV("true") } };

    fake_daemon_run(f->fake, &context, 1, tasks, 2);
    fixture_wait_for_file(f, "ready");
    fake_daemon_stop(f->fake, 2, "timeout"); /* has not started */
    fake_daemon_stop(f->fake, 1, "aborted");
    fake_daemon_wait(f->fake, fake_has_results, 2);
    assert_outcome(fake_daemon_result(f->fake, 1), OUTCOME_ABORTED, 7, 0, 0);
    assert_outcome(fake_daemon_result(f->fake, 2), OUTCOME_TIMEOUT, 0, 0, 0);
    assert_output(f, 1, "out", "got it\n");
}

static void test_stop_ignored(Fixture *f, const void *data)
{
    const FakeContext context = { .id = 1, .policy = "grace=300000" };
    g_autofree char *script = fixture_script(f, "trap '' TERM; echo > ready; while :; do sleep 0.02; done");
    const FakeTask task = { .id = 1, .argv = SHELL(script) };
    gint64 begin;

    fake_daemon_run(f->fake, &context, 1, &task, 1);
    fixture_wait_for_file(f, "ready");
    begin = g_get_monotonic_time();
    fake_daemon_stop(f->fake, 1, "timeout");
    fake_daemon_stop(f->fake, 1, "aborted"); /* while it is being stopped: the user's word is the last */
    fake_daemon_stop(f->fake, 1, "timeout");
    fake_daemon_wait(f->fake, fake_has_results, 1);
    assert_outcome(fake_daemon_result(f->fake, 1), OUTCOME_ABORTED, 0, SIGKILL, 0);
    g_assert_cmpint(g_get_monotonic_time() - begin, >=, 300 * (gint64) MSEC);
}

/* A worker that ends grants no grace. */
static void test_end_of_worker(Fixture *f, const void *data)
{
    const FakeContext context = { .id = 1, .policy = "grace=60000000" };
    g_autofree char *script = fixture_script(f, "trap '' TERM; echo $$ > first; echo > ready; sleep 100; sleep 100");
    const FakeTask task = { .id = 1, .argv = SHELL(script) };
    gint64 begin;

    fake_daemon_run(f->fake, &context, 1, &task, 1);
    fixture_wait_for_file(f, "ready");
    fake_daemon_stop(f->fake, 1, "aborted");
    fake_daemon_pass(f->fake, 50 * MSEC);
    begin = g_get_monotonic_time();
    fake_daemon_send(f->fake, "Exit", NULL);
    fake_daemon_wait(f->fake, fake_worker_has_ended, 0);
    g_assert_cmpint(g_get_monotonic_time() - begin, <, 4000 * (gint64) MSEC * fake_slowness());
    g_assert_false(process_lives(pid_in(f, "first")));
}

static const WorkerTest tests[] = {
    { "timeout", 1, fixture_set_up, test_timeout },
    { "many-deadlines", 5, fixture_set_up, test_many_deadlines },
    { "grace", 1, fixture_set_up, test_grace },
    { "grace-beside-others", 3, fixture_set_up, test_grace },
    { "whole-tree", 1, fixture_set_up, test_whole_tree },
    { "warning", 1, fixture_set_up, test_warning },
    { "stop", 1, fixture_set_up, test_stop },
    { "stop-ignored", 1, fixture_set_up, test_stop_ignored },
    { "end-of-worker", 1, fixture_set_up, test_end_of_worker },
};

int main(int argc, char *argv[])
{
    return fixture_run(argc, argv, "worker-time", tests, G_N_ELEMENTS(tests));
}
