/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Limits that change while a task is with the worker, and the freezer. */
#include <linux/magic.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include "worker-fixture.h"

#define COUNT "i=0; while [ $i -lt 15 ]; do i=$((i+1)); echo $i > n; sleep 0.05; done"

static void test_limit_running(Fixture *f, const void *data)
{
    const FakeTask task = { .id = 1,
                            .argv = SHELL(CGROUP_FILE
                                          "until [ \"$(file memory memory.limit_in_bytes memory.max)\" = 33554432 ]; do sleep 0.02; done; "
                                          "until file cpu cpu.cfs_quota_us cpu.max | grep -q '^50000'; do sleep 0.02; done; "
                                          "until [ \"$(file pids pids.max pids.max)\" = 30 ]; do sleep 0.02; done; "
                                          "until [ \"$(file memory memory.limit_in_bytes memory.max)\" != 33554432 ]; do sleep 0.02; done") };
    const FakeContext context = { .id = 1 };

    if (fixture_skip_without_scope())
        return;
    fake_daemon_run(f->fake, &context, 1, &task, 1);
    fake_daemon_wait(f->fake, fake_has_started, 1);
    fake_daemon_send(f->fake, "Limit", "ta{sv}", UINT64_C(1), 3, "memory-max", "t", UINT64_C(33554432), "cpu-quota", "t",
                     UINT64_C(500000), "later", "s", "passed over");
    fake_daemon_send(f->fake, "Limit", "ta{sv}", UINT64_C(1), 1, "tasks-max", "t", UINT64_C(30));
    fake_daemon_send(f->fake, "Limit", "ta{sv}", UINT64_C(99), 1, "tasks-max", "t", UINT64_C(1)); /* unknown */
    fake_daemon_pass(f->fake, 1000 * MSEC * (unsigned) fake_slowness());
    g_assert_cmpuint(f->fake->results->len, ==, 0);
    fake_daemon_send(f->fake, "Limit", "ta{sv}", UINT64_C(1), 1, "memory-max", "t", UINT64_MAX);
    fake_daemon_wait(f->fake, fake_has_results, 1);
    assert_outcome(fake_daemon_result(f->fake, 1), OUTCOME_EXITED, 0, 0, 0);
    g_assert_null(fake_daemon_result(f->fake, 1)->note);
}

static void test_limit_waiting(Fixture *f, const void *data)
{
    const FakeContext context = { .id = 1 };
    const FakeTask tasks[] = {
        { .id = 1, .argv = ARGV("sleep", "0.5") },
        { .id = 2, .argv = SHELL(CGROUP_FILE "file memory memory.limit_in_bytes memory.max") },
        { .id = 3, .argv = SHELL(CGROUP_FILE "file memory memory.limit_in_bytes memory.max") },
    };
    g_autofree char *text = NULL;

    if (fixture_skip_without_scope())
        return;
    fake_daemon_run(f->fake, &context, 1, tasks, 3);
    fake_daemon_send(f->fake, "Limit", "ta{sv}", UINT64_C(2), 1, "memory-max", "t", UINT64_C(33554432));
    fake_daemon_wait(f->fake, fake_has_results, 3);
    assert_output(f, 2, "out", "33554432\n");
    text = fake_daemon_output(f->fake, 3, 1, "out");
    g_assert_cmpstr(text, !=, "33554432\n"); /* of its own alone */
}

static void run_counter(Fixture *f, const char *policy)
{
    g_autofree char *script = fixture_script(f, COUNT);
    const FakeContext context = { .id = 1, .policy = policy };
    const FakeTask task = { .id = 1, .argv = SHELL(script) };

    fake_daemon_run(f->fake, &context, 1, &task, 1);
    fixture_wait_for_file(f, "n");
    fake_daemon_pass(f->fake, 100 * MSEC);
}

static char *count(Fixture *f)
{
    g_autofree char *path = g_build_filename(f->fake->directory, "n", NULL);
    char *text = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return text;
}

/* It stands still for longer than it may run, and has its time all the same. */
static void test_freeze(Fixture *f, const void *data)
{
    g_autofree char *before = NULL, *after = NULL, *why = NULL, *again = NULL, *let_go = NULL;
    g_autofree char *policy = g_strdup_printf("timeout=%d grace=0", 2500000 * fake_slowness());

    if (fixture_skip_without_scope())
        return;
    run_counter(f, policy);
    why = fixture_freeze(f, 1, true, false);
    g_assert_null(why);
    fake_daemon_pass(f->fake, 100 * MSEC);
    before = count(f);
    again = fixture_freeze(f, 1, true, false);
    g_assert_null(again);
    fake_daemon_pass(f->fake, 3000 * MSEC * (unsigned) fake_slowness());
    after = count(f);
    g_assert_cmpstr(before, ==, after);
    g_assert_cmpuint(f->fake->results->len, ==, 0);
    let_go = fixture_freeze(f, 1, false, false);
    g_assert_null(let_go);
    fake_daemon_wait(f->fake, fake_has_results, 1);
    assert_outcome(fake_daemon_result(f->fake, 1), OUTCOME_EXITED, 0, 0, 0);
}

/* The time that was left counts again after it. */
static void test_time_goes_on(Fixture *f, const void *data)
{
    const FakeContext context = { .id = 1, .policy = "timeout=1000000 grace=0" };
    const FakeTask task = { .id = 1, .argv = ARGV("sleep", "100") };
    g_autofree char *why = NULL, *let_go = NULL;

    if (fixture_skip_without_scope())
        return;
    fake_daemon_run(f->fake, &context, 1, &task, 1);
    fake_daemon_wait(f->fake, fake_has_started, 1);
    why = fixture_freeze(f, 1, true, false);
    g_assert_null(why);
    fake_daemon_pass(f->fake, 1500 * MSEC);
    let_go = fixture_freeze(f, 1, false, false);
    g_assert_null(let_go);
    fake_daemon_wait(f->fake, fake_has_results, 1);
    assert_outcome(fake_daemon_result(f->fake, 1), OUTCOME_TIMEOUT, 0, SIGKILL, 0);
}

/* It is let go to hear of its end; and the next one is not born into a frozen cgroup. */
static void test_stop_frozen(Fixture *f, const void *data)
{
    g_autofree char *script = fixture_script(f, "trap 'exit 7' TERM; echo > ready; while :; do sleep 0.02; done");
    const FakeContext context = { .id = 1, .policy = "grace=20000000" }, hard = { .id = 2, .policy = "grace=0" };
    const FakeTask tasks[] = { { .id = 1, .argv = SHELL(script) },
                               { .id = 2, .context = 2, .argv = ARGV("sleep", "100") } };

    if (fixture_skip_without_scope())
        return;
    fake_daemon_run(f->fake, &context, 1, tasks, 1);
    fixture_wait_for_file(f, "ready");
    g_free(fixture_freeze(f, 1, true, false));
    fake_daemon_stop(f->fake, 1, "aborted");
    fake_daemon_wait(f->fake, fake_has_results, 1);
    assert_outcome(fake_daemon_result(f->fake, 1), OUTCOME_ABORTED, 7, 0, 0);
    fake_daemon_run(f->fake, &hard, 1, tasks + 1, 1);
    fake_daemon_wait(f->fake, fake_has_started, 2);
    g_free(fixture_freeze(f, 2, true, false));
    fake_daemon_stop(f->fake, 2, "aborted");
    fake_daemon_wait(f->fake, fake_has_results, 2);
    assert_outcome(fake_daemon_result(f->fake, 2), OUTCOME_ABORTED, 0, SIGKILL, 0);
    assert_outcome(run_one(f, 3, ARGV("true")), OUTCOME_EXITED, 0, 0, 0);
}

/* Somebody else kills it while it stands still: on v1 it dies when it is let go. */
static void test_killed_frozen(Fixture *f, const void *data)
{
    g_autofree char *script = fixture_script(f, "echo $$ > pid; exec sleep 100");
    const FakeContext context = { .id = 1 };
    const FakeTask task = { .id = 1, .argv = SHELL(script) };

    if (fixture_skip_without_scope())
        return;
    fake_daemon_run(f->fake, &context, 1, &task, 1);
    pid_t pid = pid_in(f, "pid");
    g_free(fixture_freeze(f, 1, true, false));
    g_assert_cmpint(kill(pid, SIGKILL), ==, 0);
    fake_daemon_pass(f->fake, 100 * MSEC);
    g_free(fixture_freeze(f, 1, false, false));
    fake_daemon_wait(f->fake, fake_has_results, 1);
    assert_outcome(fake_daemon_result(f->fake, 1), OUTCOME_SIGNALLED, 0, SIGKILL, 0);
    assert_outcome(run_one(f, 2, ARGV("true")), OUTCOME_EXITED, 0, 0, 0);
}

/* Only of a disk is a copy in memory that can be dropped. */
static bool is_on_disk(const char *folder)
{
    struct statfs st;

    return statfs(folder, &st) == 0 && st.f_type != TMPFS_MAGIC && st.f_type != OVERLAYFS_SUPER_MAGIC;
}

static void test_reclaim(Fixture *f, const void *data)
{
    /* 40 MiB of page cache, which is the easy kind; of a disk, where our program lies */
    g_autofree char *folder = g_path_get_dirname(getenv("PAREXEC_WORKER"));
    g_autofree char *script =
        g_strdup_printf("cd %s; big=%s/reclaim-$$.tmp; " CGROUP_FILE
                        "head -c 40M /dev/zero > $big; sync $big; file memory memory.usage_in_bytes memory.current; "
                        "echo > ready; while [ ! -e go ]; do sleep 0.02; done; "
                        "file memory memory.usage_in_bytes memory.current; rm -f $big",
                        f->fake->directory, folder);
    g_autofree char *go = g_build_filename(f->fake->directory, "go", NULL), *why = NULL, *text = NULL;
    const FakeContext context = { .id = 1 };
    const FakeTask task = { .id = 1, .argv = SHELL(script) };
    g_auto(GStrv) lines = NULL;

    if (fixture_skip_without_scope())
        return;
    fake_daemon_run(f->fake, &context, 1, &task, 1);
    fixture_wait_for_file(f, "ready");
    why = fixture_freeze(f, 1, true, true);
    fake_daemon_pass(f->fake, 1000 * MSEC * (unsigned) fake_slowness());
    g_free(fixture_freeze(f, 1, false, false));
    g_assert_true(g_file_set_contents(go, "", 0, NULL));
    fake_daemon_wait(f->fake, fake_has_results, 1);
    text = fake_daemon_output(f->fake, 1, 1, "out");
    lines = g_strsplit(text, "\n", -1);
    if (!is_on_disk(folder) || g_ascii_strtoull(lines[0], NULL, 10) < 40 << 20)
        g_test_skip("no disk to write to");
    else if (why)
        g_assert_cmpstr(why, ==, "this kernel cannot take memory back from a cgroup");
    else
        g_assert_cmpuint(g_ascii_strtoull(lines[1], NULL, 10) + (20 << 20), <, g_ascii_strtoull(lines[0], NULL, 10));
}

static void test_refused(Fixture *f, const void *data)
{
    const FakeContext context = { .id = 1 };
    const FakeTask tasks[] = { { .id = 1, .argv = ARGV("sleep", "1") }, { .id = 2, .argv = ARGV("true") } };
    g_autofree char *running = NULL, *waiting = NULL, *unknown = NULL;

    fake_daemon_run(f->fake, &context, 1, tasks, 2);
    fake_daemon_wait(f->fake, fake_has_started, 1);
    running = fixture_freeze(f, 1, true, false);
    waiting = fixture_freeze(f, 2, true, false);
    unknown = fixture_freeze(f, 3, true, false);
    g_assert_cmpstr(running, ==, fixture_in_scope() ? NULL : "it has no cgroup of its own");
    g_assert_cmpstr(waiting, ==, "it has not started");
    g_assert_null(unknown);
    g_free(fixture_freeze(f, 1, false, false));
    fake_daemon_wait(f->fake, fake_has_results, 2);
}

static const WorkerTest tests[] = {
    { "limit-running", 1, fixture_set_up, test_limit_running },
    { "limit-waiting", 1, fixture_set_up, test_limit_waiting },
    { "freeze", 1, fixture_set_up, test_freeze },
    { "time-goes-on", 1, fixture_set_up, test_time_goes_on },
    { "stop-frozen", 1, fixture_set_up, test_stop_frozen },
    { "killed-frozen", 1, fixture_set_up, test_killed_frozen },
    { "reclaim", 1, fixture_set_up, test_reclaim },
    { "refused", 1, fixture_set_up, test_refused },
};

int main(int argc, char *argv[])
{
    return fixture_run(argc, argv, "slot-control", tests, G_N_ELEMENTS(tests));
}
