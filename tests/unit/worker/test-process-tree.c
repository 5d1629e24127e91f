/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Real processes below this one. */
#include "worker/process-tree.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* Starts a shell with PAREXEC_TASK_ID (0: without) in a session of its own; it prints a line when it is
 * ready. */
static pid_t start_shell(uint64_t task, const char *script)
{
    g_autofree char *variable = g_strdup_printf("PAREXEC_TASK_ID=%d", (int) task);
    int fds[2];
    char byte;
    pid_t pid;

    g_assert_cmpint(pipe(fds), ==, 0);
    pid = fork();
    if (pid == 0) {
        char *const environment[] = { (char *) "PATH=/usr/bin:/bin", task ? variable : NULL, NULL };

        (void) setsid();
        (void) dup2(fds[1], STDOUT_FILENO);
        (void) close(fds[0]);
        (void) close(fds[1]);
        (void) execle("/bin/sh", "sh", "-c", script, NULL, environment);
        _exit(127);
    }
    (void) close(fds[1]);
    g_assert_cmpint(read(fds[0], &byte, 1), ==, 1);
    (void) close(fds[0]);
    return pid;
}

/* Reaps what has died; are there children left? */
static bool has_children(void)
{
    while (waitpid(-1, NULL, WNOHANG) > 0)
        continue;
    return process_tree_has_strays(NULL, 0);
}

static void kill_until_gone(const ProcessOwner *owner)
{
    for (int i = 0; i < 1000; i++) {
        if (process_tree_kill(owner) == 0)
            return;
        (void) has_children();
        g_usleep(1000);
    }
    g_assert_not_reached();
}

static void wait_for_no_children(void)
{
    for (int i = 0; i < 1000 && has_children(); i++)
        g_usleep(1000);
    g_assert_false(has_children());
}

static void test_descendants(void)
{
    pid_t pid = start_shell(0, "sleep 100 & (sleep 100 & sleep 100) & echo; wait");
    const ProcessOwner owner = { .task = 1, .first = pid };

    g_assert_true(process_tree_has_strays(NULL, 0));
    g_assert_false(process_tree_has_strays(&pid, 1));
    g_assert_cmpint(process_tree_kill(&owner), >, 1);
    kill_until_gone(&owner);
    wait_for_no_children();
}

/* Left by a double fork into another session: only its environment tells. */
static void test_escaped(void)
{
    pid_t pid = start_shell(71, "setsid sh -c 'setsid sleep 100 < /dev/null > /dev/null 2>&1 &'; echo");
    const ProcessOwner other = { .task = 7, .first = pid }, owner = { .task = 71, .first = pid };

    g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
    g_assert_true(process_tree_has_strays(NULL, 0));
    g_assert_cmpint(process_tree_kill(&other), ==, 0); /* 7 is not 71 */
    kill_until_gone(&owner);
    wait_for_no_children();
}

/* It shed its environment as well: found only if nobody else can be meant. */
static void test_anonymous(void)
{
    pid_t pid = start_shell(5, "env -i setsid sh -c 'setsid sleep 100 < /dev/null > /dev/null 2>&1 &'; echo");
    const ProcessOwner owner = { .task = 5, .first = pid },
                       alone = { .task = 5, .first = pid, .alone = true };

    g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
    g_usleep(50000); /* until env and setsid have been executed */
    g_assert_cmpint(process_tree_kill(&owner), ==, 0);
    g_assert_true(process_tree_has_strays(NULL, 0));
    kill_until_gone(&alone);
    wait_for_no_children();
}

/* Another task's processes, and those of nobody below us, are left alone. */
static void test_others(void)
{
    pid_t one = start_shell(21, "echo; exec sleep 100"), two = start_shell(22, "echo; exec sleep 100");
    const ProcessOwner owner = { .task = 21, .first = one };

    kill_until_gone(&owner);
    g_assert_cmpint(waitpid(two, NULL, WNOHANG), ==, 0);
    g_assert_cmpint(kill(two, SIGKILL), ==, 0);
    wait_for_no_children();
}

/* A name that looks like the rest of the line. */
static void test_odd_name(void)
{
    pid_t pid = start_shell(31, "printf ') R 1 1 1' > /proc/self/comm; echo; sleep 100; :");
    const ProcessOwner owner = { .task = 31, .first = pid };

    g_assert_cmpint(process_tree_kill(&owner), >, 0);
    kill_until_gone(&owner);
    wait_for_no_children();
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    g_assert_cmpint(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), ==, 0);
    g_test_add_func("/process-tree/descendants", test_descendants);
    g_test_add_func("/process-tree/escaped", test_escaped);
    g_test_add_func("/process-tree/anonymous", test_anonymous);
    g_test_add_func("/process-tree/others", test_others);
    g_test_add_func("/process-tree/odd-name", test_odd_name);
    return g_test_run();
}
