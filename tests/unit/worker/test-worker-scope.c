/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What only cgroups give: needs PAREXEC_TEST_SCOPE=1, root and systemd. */
#include <signal.h>
#include <string.h>

#include "worker-fixture.h"

#define HOG(size)                                                                                            \
    ARGV("/bin/bash", "-c", "exec tail -c " size " < <(exec cat /dev/zero)") /* buffers so much */

static void test_leaf(Fixture *f, const void *data)
{
    g_autofree char *first = NULL, *second = NULL;

    if (fixture_skip_without_scope())
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

    if (fixture_skip_without_scope())
        return;
    result = run_one(f, 1, SHELL("head -c 60M /dev/zero | tail -c 60M > /dev/null"));
    g_assert_cmpuint(result->memory_peak_bytes, >=, 60 << 20);
    g_assert_cmpuint(result->memory_peak_bytes, <, 100 << 20);
    result = run_one(f, 2, ARGV("true"));
    g_assert_cmpuint(result->memory_peak_bytes, <, 8 << 20); /* not that of the one before */
    g_assert_cmpuint(result->cpu_nsec, <, 100 * 1000000);
    /* CPU time of a process that nobody waited for counts as well */
    result = run_one(
        f, 3, SHELL("sh -c 'i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done; : > done' & exec sleep 1.5"));
    g_assert_cmpuint(result->cpu_nsec, >, 100 * 1000000);
}

static void test_oom(Fixture *f, const void *data)
{
    const FakeContext context = { .id = 2, .memory_max_bytes = 32 << 20 },
                      tiny = { .id = 3, .memory_max_bytes = 1 };
    const TaskResult *result;

    if (fixture_skip_without_scope())
        return;
    run_in(f, &context, 1, HOG("200M"));
    assert_outcome(fake_daemon_result(f->fake, 1), OUTCOME_OOM, 0, SIGKILL, 0);
    g_assert_cmpuint(fake_daemon_result(f->fake, 1)->memory_peak_bytes, <=, 32 << 20);
    run_in(f, &context, 2, SHELL("head -c 10M /dev/zero | tail -c 10M > /dev/null"));
    assert_outcome(fake_daemon_result(f->fake, 2), OUTCOME_EXITED, 0, 0,
                   0); /* the count is not that of the one before */
    run_in(f, &tiny, 3, ARGV("true"));
    result = fake_daemon_result(f->fake, 3);
    g_assert_true(result->outcome == OUTCOME_OOM ||
                  (result->outcome == OUTCOME_SPAWN_FAILED && result->error == ENOMEM));
    /* and the limit is gone with its task */
    assert_outcome(run_one(f, 4, SHELL("head -c 60M /dev/zero | tail -c 60M > /dev/null")), OUTCOME_EXITED, 0,
                   0, 0);
    /* the worker's own limit: 256 MiB */
    result = run_one(f, 5, HOG("500M"));
    assert_outcome(result, OUTCOME_OOM, 0, SIGKILL, 0);
    assert_outcome(run_one(f, 6, ARGV("true")), OUTCOME_EXITED, 0, 0, 0);
}

static void test_crowd(Fixture *f, const void *data)
{
    g_autofree char *script = g_strdup_printf(
        "cd %s; for i in 1 2 3 4 5 6 7 8 9 10; do "
        "setsid env -i /bin/sh -c 'trap \"\" TERM; echo $$ >> all; while :; do /bin/sleep 1; done' & done; "
        "while [ \"$(cat all | wc -l)\" -lt 10 ]; do sleep 0.01; done",
        f->fake->directory);
    g_autofree char *path = g_build_filename(f->fake->directory, "all", NULL), *text = NULL;
    g_auto(GStrv) pids = NULL;

    if (fixture_skip_without_scope())
        return;
    assert_outcome(run_one(f, 1, SHELL(script)), OUTCOME_EXITED, 0, 0, 0);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    pids = g_strsplit(g_strchomp(text), "\n", -1);
    g_assert_cmpuint(g_strv_length(pids), ==, 10);
    for (char **pid = pids; *pid; pid++)
        g_assert_false(process_lives((pid_t) g_ascii_strtoll(*pid, NULL, 10)));
}

static const WorkerTest tests[] = {
    { "leaf", 1, fixture_set_up, test_leaf },
    { "usage", 1, fixture_set_up, test_usage },
    { "oom", 1, fixture_set_up, test_oom },
    { "crowd", 2, fixture_set_up, test_crowd },
};

int main(int argc, char *argv[])
{
    return fixture_run(argc, argv, "worker-scope", tests, G_N_ELEMENTS(tests));
}
