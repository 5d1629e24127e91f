/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tasks that run out of memory: whose it was, and who lives. The worker has 256 MiB. */
#include <signal.h>
#include <string.h>
#include <sys/xattr.h>

#include "worker-fixture.h"

#define HOG(size) "exec tail -c " size " < <(exec cat /dev/zero)" /* buffers so much */
#define BASH(command) ARGV("/bin/bash", "-c", command)

static const FakeContext small = { .id = 2, .memory_max_bytes = 32 << 20 };

static void assert_oom(const TaskResult *result, OomCause cause, const char *note)
{
    g_assert_cmpstr(outcome_to_string(result->outcome), ==, "oom");
    g_assert_cmpstr(oom_cause_to_string(result->oom_cause), ==, oom_cause_to_string(cause));
    g_assert_nonnull(result->note);
    if (!g_str_has_prefix(result->note, note))
        g_error("the note is: %s", result->note);
}

static void test_own_limit(Fixture *f, const void *data)
{
    if (fixture_skip_without_scope())
        return;
    run_in(f, &small, 1, BASH(HOG("200M")));
    assert_outcome(fake_daemon_result(f->fake, 1), OUTCOME_OOM, 0, SIGKILL, 0);
    assert_oom(fake_daemon_result(f->fake, 1), OOM_TASK, "out of memory: its limit of 32.0M was reached; peak 3");
    if (!fixture_is_v2()) /* one was killed, and it was the first */
        g_assert_true(g_str_has_suffix(fake_daemon_result(f->fake, 1)->note, "the kernel killed its process tail"));
}

static void test_workers_limit(Fixture *f, const void *data)
{
    if (fixture_skip_without_scope())
        return;
    run_in(f, &small, 1, BASH(HOG("200M")));
    assert_oom(run_one(f, 2, BASH(HOG("500M"))), OOM_WORKER,
               "out of memory: the limit of its worker, 256.0M, was reached; peak ");
    run_in(f, &small, 3, BASH(HOG("200M"))); /* its own again, in the same leaf or not */
    assert_oom(fake_daemon_result(f->fake, 3), OOM_TASK, "out of memory: its limit of 32.0M was reached");
}

/* Whatever the last command of a pipeline says. */
static void test_pipeline(Fixture *f, const void *data)
{
    if (fixture_skip_without_scope())
        return;
    run_in(f, &small, 1, SHELL("head -c 200M /dev/zero | tail -c 200M | wc -c; exit 0"));
    assert_oom(fake_daemon_result(f->fake, 1), OOM_TASK, "out of memory: its limit of 32.0M");
}

/* The whole task dies, at once. */
static void test_rest(Fixture *f, const void *data)
{
    g_autofree char *script =
        fixture_script(f, "setsid sleep 100 & echo $! > rest; head -c 200M /dev/zero | tail -c 200M; sleep 100");
    gint64 begin = g_get_monotonic_time();

    if (fixture_skip_without_scope())
        return;
    run_in(f, &small, 1, SHELL(script));
    assert_oom(fake_daemon_result(f->fake, 1), OOM_TASK, "out of memory: its limit of 32.0M");
    g_assert_cmpint(g_get_monotonic_time() - begin, <, 5000 * (gint64) MSEC * fake_slowness());
    g_assert_false(process_lives(pid_in(f, "rest")));
    assert_outcome(run_one(f, 2, ARGV("true")), OUTCOME_EXITED, 0, 0, 0);
}

static void test_kill_by_somebody(Fixture *f, const void *data)
{
    const TaskResult *result;

    if (fixture_skip_without_scope())
        return;
    result = run_one(f, 1, SHELL("kill -9 $$"));
    assert_outcome(result, OUTCOME_SIGNALLED, 0, SIGKILL, 0);
    g_assert_null(result->note);
    run_in(f, &small, 2, SHELL("kill -9 $$"));
    assert_outcome(fake_daemon_result(f->fake, 2), OUTCOME_SIGNALLED, 0, SIGKILL, 0);
}

/* systemd-oomd(8) leaves a mark before it kills. */
static void test_oomd(Fixture *f, const void *data)
{
    g_autofree char *script = fixture_script(f, "sed -n 's/^0:://p' /proc/self/cgroup > group; echo $$ > pid; exec sleep 100");
    g_autofree char *path = g_build_filename(f->fake->directory, "group", NULL), *group = NULL, *directory = NULL;
    const FakeContext context = { .id = 1 };
    const FakeTask task = { .id = 1, .argv = SHELL(script) };

    if (fixture_skip_without_scope())
        return;
    fake_daemon_run(f->fake, &context, 1, &task, 1);
    pid_t pid = pid_in(f, "pid");
    g_assert_true(g_file_get_contents(path, &group, NULL, NULL));
    directory = g_strconcat("/sys/fs/cgroup", fixture_is_v2() ? "" : "/unified", g_strchomp(group), NULL);
    if (setxattr(directory, "user.oomd_kill", "1", 1, 0) < 0) {
        g_test_skip("this kernel lets nobody mark a cgroup");
        return;
    }
    g_assert_cmpint(kill(pid, SIGKILL), ==, 0);
    fake_daemon_wait(f->fake, fake_has_results, 1);
    assert_oom(fake_daemon_result(f->fake, 1), OOM_OOMD, "out of memory: killed by systemd-oomd; peak ");
    assert_outcome(run_one(f, 2, SHELL("kill -9 $$")), OUTCOME_SIGNALLED, 0, SIGKILL, 0); /* the mark is gone */
}

/* Tasks that fight for the worker's memory: neither the worker nor the one beside them is hurt. */
static void test_beside(Fixture *f, const void *data)
{
    g_autofree char *script = fixture_script(f, "while [ ! -e go ]; do sleep 0.02; done; exit 5");
    g_autofree char *go = g_build_filename(f->fake->directory, "go", NULL);
    const FakeContext context = { .id = 1 };
    const FakeTask beside = { .id = 1, .argv = SHELL(script) };
    const char *const *hog = BASH(HOG("300M"));
    FakeTask hogs[12];

    if (fixture_skip_without_scope())
        return;
    fake_daemon_run(f->fake, &context, 1, &beside, 1);
    for (size_t i = 0; i < G_N_ELEMENTS(hogs); i++)
        hogs[i] = (FakeTask) { .id = i + 2, .argv = hog };
    fake_daemon_run(f->fake, &context, 1, hogs, G_N_ELEMENTS(hogs));
    fake_daemon_wait(f->fake, fake_has_results, G_N_ELEMENTS(hogs));
    g_assert_cmpuint(f->fake->registrations, ==, 1);
    for (size_t i = 0; i < G_N_ELEMENTS(hogs); i++)
        assert_oom(fake_daemon_result(f->fake, i + 2), OOM_WORKER, "out of memory: the limit of its worker, 256.0M");
    g_assert_true(g_file_set_contents(go, "", 0, NULL));
    fake_daemon_wait(f->fake, fake_has_results, G_N_ELEMENTS(hogs) + 1);
    assert_outcome(fake_daemon_result(f->fake, 1), OUTCOME_EXITED, 5, 0, 0);
}

static const WorkerTest tests[] = {
    { "own-limit", 1, fixture_set_up, test_own_limit },
    { "workers-limit", 1, fixture_set_up, test_workers_limit },
    { "pipeline", 1, fixture_set_up, test_pipeline },
    { "rest", 1, fixture_set_up, test_rest },
    { "kill-by-somebody", 1, fixture_set_up, test_kill_by_somebody },
    { "oomd", 1, fixture_set_up, test_oomd },
    { "beside", 3, fixture_set_up, test_beside },
};

int main(int argc, char *argv[])
{
    return fixture_run(argc, argv, "slot-oom", tests, G_N_ELEMENTS(tests));
}
