/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* worker-group.c where no group has to exist: paths and markers, and what is said of processes in none. What needs real
 * groups is in test-engine-cgroup.c. */
#include "engine/worker-group.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

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

/* A process in the worker's group or below it; that group, or the one above, is frozen. */
static void kill_frozen(const char *group_path, const char *process_path, const char *frozen_path)
{
    int i = cgroup_hierarchy_of(CGROUP_FREEZER);
    const CgroupHierarchy *hierarchy = cgroup_hierarchy((size_t) i);
    WorkerGroup group = { 0 };

    group.paths[i] = g_strdup(group_path);
    g_assert_cmpint(cgroup_create(hierarchy, process_path, CGROUP_BIT(CGROUP_FREEZER)), ==, 0);
    pid_t pid = fork();
    while (pid == 0)
        (void) pause();
    g_assert_cmpint(cgroup_attach(hierarchy, process_path, pid), ==, 0);
    g_assert_cmpint(cgroup_write_core(hierarchy, frozen_path, "freezer.state", "FROZEN"), ==, 0);
    g_assert_cmpint(kill(pid, SIGKILL), ==, 0);
    g_usleep(20000);
    g_assert_cmpint(waitpid(pid, NULL, WNOHANG), ==, 0); /* frozen, it cannot die */
    int r = worker_group_kill(&group);
    pid_t ended = 0;
    for (unsigned n = 0; ended == 0 && n < 500; n++) {
        g_usleep(10000);
        ended = waitpid(pid, NULL, WNOHANG);
    }
    if (ended == 0)
        (void) !cgroup_write_core(hierarchy, frozen_path, "freezer.state", "THAWED"); /* leaves nothing behind */
    g_assert_cmpint(r, ==, 0);
    g_assert_cmpint(ended, ==, pid);
    g_assert_true(worker_group_is_empty(&group));
    worker_group_remove(&group);
    worker_group_done(&group);
}

static void test_kill_frozen(void)
{
    g_autofree char *path = g_strdup_printf("/parexec-test-%d", getpid()), *task = g_strconcat(path, "/task", NULL);
    int i = cgroup_hierarchy_of(CGROUP_FREEZER);

    if (i < 0 || cgroup_create(cgroup_hierarchy((size_t) i), path, CGROUP_BIT(CGROUP_FREEZER)) < 0) {
        g_test_skip("no freezer controller of v1 here");
        return;
    }
    kill_frozen(path, path, path);
    kill_frozen(path, task, path);
    kill_frozen(path, task, task);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_assert_cmpint(cgroups_init(), <=, 0);
    g_test_add_func("/worker-group/cut", test_cut);
    g_test_add_func("/worker-group/in-none", test_in_none);
    g_test_add_func("/worker-group/kill-frozen", test_kill_frozen);
    return g_test_run();
}
