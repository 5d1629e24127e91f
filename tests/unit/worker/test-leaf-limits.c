/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Limits of single tasks. */
#include <string.h>

#include "worker-fixture.h"

#define SHOW                                                                                                 \
    CGROUP_FILE "file memory memory.limit_in_bytes memory.max; file cpu cpu.cfs_quota_us cpu.max; file pids pids.max pids.max"

static char *expected(const char *memory, const char *cpu, const char *tasks)
{
    return g_strdup_printf("%s\n%s%s\n%s\n", memory, cpu, fixture_is_v2() ? " 100000" : "", tasks);
}

/* What cannot be limited here is at most the IO weight. */
static void assert_enforced(const TaskResult *result)
{
    if (result->note)
        g_assert_true(g_str_has_prefix(result->note, "IO weight: not enforced (no "));
}

static void test_set(Fixture *f, const void *data)
{
    const FakeContext first = { .id = 2, .memory_max_bytes = 64 << 20,
                                .policy = "cpu-quota=500000 tasks-max=20 io-weight=200" },
                      second = { .id = 3, .memory_max_bytes = 32 << 20, .policy = "cpu-quota=2000 tasks-max=7" };
    g_autofree char *text = expected("67108864", "50000", "20"), *less = expected("33554432", "1000", "7");

    if (fixture_skip_without_scope())
        return;
    run_in(f, &first, 1, SHELL(SHOW));
    assert_outcome(fake_daemon_result(f->fake, 1), OUTCOME_EXITED, 0, 0, 0);
    assert_output(f, 1, "out", text);
    assert_enforced(fake_daemon_result(f->fake, 1));
    run_in(f, &second, 2, SHELL(SHOW));
    assert_output(f, 2, "out", less);
    g_assert_null(fake_daemon_result(f->fake, 2)->note);
}

/* A task without limits has none of those before it, in the same leaf. */
static void test_reset(Fixture *f, const void *data)
{
    const FakeContext context = { .id = 2, .memory_max_bytes = 64 << 20,
                                  .policy = "cpu-quota=500000 tasks-max=20 io-weight=200" };
    g_autofree char *text = NULL;

    if (fixture_skip_without_scope())
        return;
    run_in(f, &context, 1, ARGV("true"));
    run_one(f, 2, SHELL(SHOW));
    text = fake_daemon_output(f->fake, 2, 1, "out");
    if (fixture_is_v2())
        g_assert_cmpstr(text, ==, "max\nmax 100000\nmax\n");
    else
        g_assert_true(!strstr(text, "67108864\n") && strstr(text, "\n-1\n") && !strstr(text, "\n20\n"));
    g_assert_null(fake_daemon_result(f->fake, 2)->note);
}

static void test_holds(Fixture *f, const void *data)
{
    const FakeContext context = { .id = 2, .policy = "tasks-max=5" };
    const TaskResult *result;

    if (fixture_skip_without_scope())
        return;
    run_in(f, &context, 1, SHELL("for i in 1 2 3 4 5 6 7 8 9 10; do sleep 1 & done; wait"));
    result = fake_daemon_result(f->fake, 1);
    g_assert_cmpstr(outcome_to_string(result->outcome), ==, "exited");
    g_assert_cmpint(result->exit_status, !=, 0);
}

/* The limit of an attempt goes before that of its context. */
static void test_attempt(Fixture *f, const void *data)
{
    const FakeContext context = { .id = 2, .memory_max_bytes = 32 << 20 };
    const FakeTask task = { .id = 1, .context = 2, .memory_max_bytes = 128 << 20,
                            .argv = SHELL(CGROUP_FILE "file memory memory.limit_in_bytes memory.max") };

    if (fixture_skip_without_scope())
        return;
    fake_daemon_run(f->fake, &context, 1, &task, 1);
    fake_daemon_wait(f->fake, fake_has_results, 1);
    assert_output(f, 1, "out", "134217728\n");
}

static void test_not_enforced(Fixture *f, const void *data)
{
    const FakeContext context = { .id = 2, .policy = "tasks-max=5" };

    if (fixture_in_scope()) {
        g_test_skip("they are");
        return;
    }
    run_in(f, &context, 1, ARGV("true"));
    assert_outcome(fake_daemon_result(f->fake, 1), OUTCOME_EXITED, 0, 0, 0);
    g_assert_cmpstr(fake_daemon_result(f->fake, 1)->note, ==,
                    "limits: not enforced (the worker has no cgroup for single tasks)");
    g_assert_null(run_one(f, 2, ARGV("true"))->note);
}

/* On v2 a task may ask for notice of pressure, with the rights of its own user. */
static void test_pressure(Fixture *f, const void *data)
{
    const char *const environment[] = { "MEMORY_PRESSURE_WATCH=/somebody/elses", NULL };
    const FakeContext context = { .id = 2, .uid = 1, .gid = 1, .environment = environment };
    g_autofree char *text = NULL;

    if (fixture_skip_without_scope())
        return;
    run_in(f, &context, 1,
           SHELL("echo \"$MEMORY_PRESSURE_WATCH\"; [ -z \"$MEMORY_PRESSURE_WATCH\" ] || "
                 "{ exec 3<> \"$MEMORY_PRESSURE_WATCH\" && echo $MEMORY_PRESSURE_WRITE | base64 -d >&3 && echo watching; }"));
    text = fake_daemon_output(f->fake, 1, 1, "out");
    g_assert_cmpint(fake_daemon_result(f->fake, 1)->exit_status, ==, 0);
    if (fixture_is_v2() && access("/proc/pressure/memory", R_OK) == 0)
        g_assert_true(strstr(text, "/slot-0/memory.pressure\n") && g_str_has_suffix(text, "watching\n"));
    else
        g_assert_cmpstr(text, ==, "\n");
}

static void test_gpus(Fixture *f, const void *data)
{
    const char *const environment[] = { "CUDA_VISIBLE_DEVICES=7", NULL };
    const FakeContext context = { .id = 1, .environment = environment };
    const char *const *show = SHELL("echo $CUDA_VISIBLE_DEVICES,$PAREXEC_GPUS; env | grep -c '=0,2$'");
    const FakeTask tasks[] = { { .id = 1, .gpus = "0,2", .argv = show },
                               { .id = 2, .gpus = "", .argv = show },
                               { .id = 3, .argv = show } };

    fake_daemon_run(f->fake, &context, 1, tasks, 3);
    fake_daemon_wait(f->fake, fake_has_results, 3);
    assert_output(f, 1, "out", "0,2,0,2\n7\n");
    assert_output(f, 2, "out", ",\n0\n");
    assert_output(f, 3, "out", "7,\n0\n");
}

static const WorkerTest tests[] = {
    { "set", 1, fixture_set_up, test_set },
    { "reset", 1, fixture_set_up, test_reset },
    { "holds", 1, fixture_set_up, test_holds },
    { "attempt", 1, fixture_set_up, test_attempt },
    { "not-enforced", 1, fixture_set_up, test_not_enforced },
    { "pressure", 1, fixture_set_up, test_pressure },
    { "gpus", 1, fixture_set_up, test_gpus },
};

int main(int argc, char *argv[])
{
    return fixture_run(argc, argv, "leaf-limits", tests, G_N_ELEMENTS(tests));
}
