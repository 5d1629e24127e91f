/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* proc-file.c: stat lines with hostile names, reused numbers, and trees that fork while they are hunted. */
#include "engine/proc-file.h"
#include "engine-fixture.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static void test_stat_parse(void)
{
    static const char tail[] = " 77 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456789 1 1";
    static const char *const names[] = { "sh", "a b", ") S 1 (", "x) R 5 5 5 5", "", "))))" };
    static const char *const bad[] = { "", "5", "5 (sh", "5 (sh) S", "5 (sh) S 1 2 3", "5 (sh) S x y z" };
    ProcStat stat;

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *text = g_strdup_printf("5 (%s) S%s", names[i], tail);
        g_assert_cmpint(proc_stat_parse(text, &stat), ==, 0);
        g_assert_cmpint(stat.state, ==, 'S');
        g_assert_cmpint(stat.parent, ==, 77);
        g_assert_cmpuint(stat.start_time, ==, 123456789);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
        g_assert_cmpint(proc_stat_parse(bad[i], &stat), ==, -EINVAL);
}

static void test_open(void)
{
    ProcStat self;
    int fd = -EBADF;

    g_assert_cmpint(proc_stat(getpid(), &self), ==, 0);
    g_assert_cmpint(self.parent, ==, getppid());
    g_assert_cmpint(proc_open(getpid(), self.start_time + 1, &fd), ==, -ESRCH);
    g_assert_cmpint(proc_open(0, 0, &fd), ==, -ESRCH);
    g_assert_cmpint(proc_open(-1, 0, &fd), ==, -ESRCH);
    g_assert_cmpint(proc_open(INT32_MAX, 0, &fd), ==, -ESRCH);
    g_assert_cmpint(fd, ==, -EBADF);
    g_assert_cmpint(proc_open(getpid(), self.start_time, &fd), ==, 0);
    g_assert_false(proc_has_ended(fd));
    close_fd(fd);
}

static int32_t spawn(const char *script)
{
    char *argv[] = { (char *) "/bin/sh", (char *) "-c", (char *) script, NULL };
    GPid pid;

    g_assert_true(g_spawn_async(NULL, argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &pid, NULL));
    return pid;
}

static void test_descends_from(void)
{
    int32_t child = spawn("exec sleep 100");

    g_assert_true(proc_descends_from(child, getpid()));
    g_assert_true(proc_descends_from(child, child));
    g_assert_false(proc_descends_from(getpid(), child));
    g_assert_false(proc_descends_from(0, getpid()));
    g_assert_cmpint(kill(child, SIGKILL), ==, 0);
    g_assert_cmpint(waitpid(child, NULL, 0), ==, child);
}

static void wait_for_ends(GArray *pidfds)
{
    gint64 deadline = g_get_monotonic_time() + 5 * G_USEC_PER_SEC;

    for (guint i = 0; i < pidfds->len; i++) {
        while (!proc_has_ended(g_array_index(pidfds, int, i))) {
            g_assert_cmpint(g_get_monotonic_time(), <, deadline);
            g_thread_yield();
        }
        close_fd(g_array_index(pidfds, int, i));
    }
}

/* Children that are in sessions of their own, have lost their parents, or are being forked all the time. */
static const char family[] = "cd '%s'\n"
                             "setsid sh -c ': > 1; exec sleep 100' &\n"
                             "sh -c 'sh -c \": > 2; exec sleep 100\" & setsid sh -c \": > 3; exec sleep 100\" & wait' &\n"
                             "(setsid sh -c ': > 4; exec sleep 100' &)\n"
                             "i=0; while [ $i -lt 100000 ]; do sleep 0.01 & i=$((i+1)); wait $!; done";

static void wait_for_family(const char *directory)
{
    gint64 deadline = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;

    for (int i = 1; i <= 4; i++) {
        g_autofree char *path = g_strdup_printf("%s/%d", directory, i);
        while (!g_file_test(path, G_FILE_TEST_EXISTS)) {
            g_assert_cmpint(g_get_monotonic_time(), <, deadline);
            g_thread_yield();
        }
    }
}

static void test_tree_kill(void)
{
    g_autoptr(GArray) pidfds = g_array_new(FALSE, FALSE, sizeof(int));
    g_autoptr(GArray) children = g_array_new(FALSE, FALSE, sizeof(int32_t));
    EngineFixture fixture;

    engine_fixture_init(&fixture);
    g_autofree char *script = g_strdup_printf(family, fixture.directory);
    /* The fourth has lost its parent: without cgroups only a subreaper keeps it, as the worker is one. */
    g_assert_cmpint(prctl(PR_SET_CHILD_SUBREAPER, 1), ==, 0);
    int32_t root = spawn(script);
    wait_for_family(fixture.directory);
    proc_children(children);
    proc_tree_kill((const int32_t *) (const void *) children->data, children->len, pidfds);
    g_assert_cmpuint(pidfds->len, >=, 6);
    wait_for_ends(pidfds);

    /* all that is left of them are zombies, which came to us */
    bool reaped_root = false;
    for (pid_t pid; (pid = waitpid(-1, NULL, WNOHANG)) > 0;)
        reaped_root = reaped_root || pid == root;
    g_assert_true(reaped_root);
    g_array_set_size(children, 0);
    proc_children(children);
    g_assert_cmpuint(children->len, ==, 0);
    g_assert_cmpint(prctl(PR_SET_CHILD_SUBREAPER, 0), ==, 0);
    engine_fixture_done(&fixture);
}

/* Neither the daemon nor init is ever a root. */
static void test_tree_kill_refuses(void)
{
    g_autoptr(GArray) pidfds = g_array_new(FALSE, FALSE, sizeof(int));
    int32_t roots[] = { getpid(), 1, 0, -1, INT32_MAX };

    proc_tree_kill(roots, G_N_ELEMENTS(roots), pidfds);
    g_assert_cmpuint(pidfds->len, ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/proc-file/stat-parse", test_stat_parse);
    g_test_add_func("/proc-file/open", test_open);
    g_test_add_func("/proc-file/descends-from", test_descends_from);
    g_test_add_func("/proc-file/tree-kill", test_tree_kill);
    g_test_add_func("/proc-file/tree-kill-refuses", test_tree_kill_refuses);
    return g_test_run();
}
