/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A task as a whole: its class, and what goes together with file descriptors. */
#include <fcntl.h>
#include <string.h>

#include "request-fixture.h"

static void test_class(void)
{
    g_autoptr(Submission) submission = submission_of("'worker-class': <'model'>");

    g_assert_cmpstr(submission_task(submission, 0)->class, ==, "model");
    g_autoptr(Submission) none = submission_of("'name': <'n'>");
    g_assert_null(submission_task(none, 0)->class);
    task_refused("'worker-class': <''>", "InvalidArgument", "worker-class has 0 bytes");
    task_refused("'worker-class': <'a\\nb'>", "InvalidArgument", "worker-class");
    g_autofree char *name = g_strnfill(256, 'c'), *task = g_strdup_printf("'worker-class': <'%s'>", name);
    task_refused(task, "InvalidArgument", "worker-class has 256 bytes");
}

/* A command has a program; a task of a class is told anything. */
static void test_argv(void)
{
    submission_refused("{'argv': <[b'', b'x']>}", "", "InvalidArgument", "Task 1: the first element");
    submission_refused("{'name': <'n'>}", "", "InvalidArgument", "Task 1 has no argv");
    submission_refused("{'worker-class': <'model'>}", "", "InvalidArgument", "Task 1 has no argv");
    g_autoptr(Submission) submission =
        submission_read(NULL, "{'argv': <[b'', b'x']>, 'worker-class': <'m'>}", "");
    g_assert_cmpuint(submission->tasks->len, ==, 1);
}

static Submission *with_fd(const TaskPolicy *policy, const char *task)
{
    _cleanup_close_ int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    g_autofree char *tasks = g_strdup_printf("{'argv': <[b'true']>, 'stdin': <handle %d>%s}", fd, task);

    return submission_read(policy, tasks, "");
}

static void refuse_fd(const char *task, const char *snippet)
{
    _cleanup_close_ int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    g_autofree char *more = g_strdup_printf("'stdin': <handle %d>, %s", fd, task);

    task_refused(more, "InvalidArgument", snippet);
}

/* What the configuration gives to all is not given to those who cannot use it; what is asked for is refused. */
static void test_fds(void)
{
    g_autoptr(Submission) submission = NULL;
    TaskPolicy policy;

    task_policy_init(&policy);
    policy.retries = 5;
    submission = with_fd(&policy, "");
    const TaskSpec *spec = submission_task(submission, 0);
    g_assert_true(spec->has_fds);
    g_assert_cmpuint(spec->context->policy.retries, ==, 0);
    g_autoptr(Submission) zero = with_fd(NULL, ", 'retries': <uint32 0>");
    g_assert_cmpuint(submission_task(zero, 0)->context->policy.retries, ==, 0);
    refuse_fd("'retries': <uint32 2>", "Task 1: retries is 2, but a task that is given file descriptors");
    refuse_fd("'worker-class': <'model'>", "is not given file descriptors");
    refuse_fd("'array': <(uint64 0, uint64 1)>", "an array cannot be given file descriptors");
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/task-request/class", test_class);
    g_test_add_func("/task-request/argv", test_argv);
    g_test_add_func("/task-request/fds", test_fds);
    return g_test_run();
}
