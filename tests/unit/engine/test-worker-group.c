/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* worker-group.c where no group has to exist: paths and markers, and what is said of processes in none. What needs real
 * groups is in test-engine-cgroup.c. */
#include "engine/worker-group.h"

static void test_cut(void)
{
    static const struct {
        const char *path, *marker, *expected;
    } cases[] = {
        { "/parexec.slice/parexec-w1.scope", "/parexec-w1.scope", "/parexec.slice/parexec-w1.scope" },
        { "/parexec.slice/parexec-w1.scope/runtime", "/parexec-w1.scope", "/parexec.slice/parexec-w1.scope" },
        { "/parexec-w1.scope", "/parexec-w1.scope", "/parexec-w1.scope" },
        { "/parexec/w12", "/parexec/w1", NULL },
        { "/parexec/w12/parexec/w1", "/parexec/w1", "/parexec/w12/parexec/w1" },
        { "/parexec/w1/task-7/parexec/w1/x", "/parexec/w1", "/parexec/w1/task-7/parexec/w1" },
        { "/a/xparexec-w1.scope", "/parexec-w1.scope", NULL },
        { "/a/parexec-w1.scopes/b", "/parexec-w1.scope", NULL },
        { "/", "/parexec/w1", NULL },
        { "", "/parexec/w1", NULL },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *group = worker_group_cut(cases[i].path, cases[i].marker);
        g_assert_cmpstr(group, ==, cases[i].expected);
    }
}

static void test_in_none(void)
{
    WorkerGroup group = { 0 };
    WorkerLimits limits;
    EngineUsage usage;

    g_assert_cmpint(worker_group_find(&group, getpid(), "/parexec-w4294967295.scope"), ==, -ENOENT);
    g_assert_cmpint(worker_group_find(&group, INT32_MAX, "/parexec-w1.scope"), ==, -ESRCH);
    g_assert_cmpint(worker_group_recall(&group, "/", "/parexec-w1.scope"), ==, -ENOENT);
    g_assert_cmpint(worker_group_recall(&group, NULL, "/parexec-w1.scope"), ==, -ENOENT);
    g_assert_cmpint(worker_group_recall(&group, "/no/such/parexec-w1.scope", "/parexec-w1.scope"), ==, -ENOENT);
    g_assert_null(worker_group_path(&group));
    g_assert_false(worker_group_contains(&group, getpid()));
    g_assert_true(worker_group_is_empty(&group));
    g_assert_cmpint(worker_group_kill(&group), ==, 0); /* of nothing */
    worker_group_usage(&group, &usage);
    g_assert_cmpuint(usage.cpu_nsec, ==, UINT64_MAX);

    worker_limits_init(&limits);
    limits.tasks_max = 10;
    g_auto(GStrv) sentences = worker_group_not_enforced(&group, getpid(), &limits);
    g_assert_cmpuint(g_strv_length(sentences), ==, 1);
    g_assert_cmpstr(sentences[0], ==, "task limit: not enforced (this worker has no cgroup)");
    worker_limits_done(&limits);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_assert_cmpint(cgroups_init(), <=, 0);
    g_test_add_func("/worker-group/cut", test_cut);
    g_test_add_func("/worker-group/in-none", test_in_none);
    return g_test_run();
}
