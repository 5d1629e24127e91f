/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The program is killed at any moment: what was acknowledged is there, and the tables are whole. And a disk that is really full. */
#include "tests/unit/store/store-fixture.h"

#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

/* What the child tells through the pipe once it is acknowledged. */
typedef struct Told {
    enum { TOLD_SUBMITTED, TOLD_SETTLED } what;
    uint64_t id;
} Told;

typedef struct Child {
    Fixture *f;
    int fd;
    uint64_t task; /* the one being settled */
} Child;

static void tell(Child *child, Told told)
{
    g_assert_cmpint(write(child->fd, &told, sizeof(told)), ==, sizeof(told));
}

static void child_submitted(int r, Submission *submission, void *userdata)
{
    if (r == 0)
        tell(userdata, (Told){ TOLD_SUBMITTED, submission->first });
}

static void child_settled(int r, void *userdata)
{
    Child *child = userdata;

    if (r == 0)
        tell(child, (Told){ TOLD_SETTLED, child->task++ });
}

/* Submits and runs tasks as fast as it can, until it is killed. */
static void child_main(Fixture *f, int fd, uint64_t first)
{
    Child child = { .f = f, .fd = fd, .task = first };
    struct pollfd pollfd;
    uint64_t next = first;

    fixture_open(f);
    pollfd = (struct pollfd){ .fd = store_get_fd(f->store), .events = POLLIN };
    for (;;) {
        Submission *submission = submission_new(1000, true);
        Settlement settlement = settlement_of(next, 1, TASK_SUCCEEDED, 1);
        add_task(f, submission, "");
        f->port->submit(f->port, submission, child_submitted, &child);
        f->port->assign(f->port, &(Assignment){ .task = next, .fence = 1, .worker = 2 }, 1);
        f->port->started(f->port, &(Assignment){ .task = next, .fence = 1, .start_usec = 5 }, 1);
        f->port->settle(f->port, &settlement, 1, child_settled, &child);
        next++;
        while (poll(&pollfd, 1, next % 8 == 0 ? -1 : 0) > 0)
            store_dispatch(f->store);
    }
}

static void read_told(Fixture *f, int fd, uint64_t *next)
{
    Told told;

    while (read(fd, &told, sizeof(told)) == sizeof(told)) {
        g_assert_cmpint(get_state(f, told.id), >=, TASK_QUEUED);
        if (told.what == TOLD_SETTLED)
            g_assert_cmpint(get_state(f, told.id), ==, TASK_SUCCEEDED);
        *next = MAX(*next, told.id + 1);
    }
}

static void test_killed(void)
{
    Fixture *f = fixture_new();
    uint64_t next = 1, before;

    for (int round = 0; round < 15; round++) {
        int fds[2], status;
        pid_t pid;
        fixture_close(f);
        g_assert_cmpint(pipe(fds), ==, 0);
        before = (uint64_t) fixture_query(f, "SELECT value FROM counters WHERE id = 100");
        pid = fork();
        g_assert_cmpint(pid, >=, 0);
        if (pid == 0)
            child_main(f, fds[1], before);
        close_fd(fds[1]);
        g_usleep((gulong) g_test_rand_int_range(1000, 60000));
        g_assert_cmpint(kill(pid, SIGKILL), ==, 0);
        g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
        g_assert_true(WIFSIGNALED(status));
        fixture_open(f);
        read_told(f, fds[0], &next);
        close_fd(fds[0]);
        fixture_verify(f);
    }
    g_test_message("%" G_GUINT64_FORMAT " tasks in 15 lives", next - 1);
    fixture_free(f);
}

/* Ends without closing anything, with much in the log and a batch half handed over. */
static void test_exits(void)
{
    Fixture *f = fixture_new();
    int status;
    pid_t pid;

    fixture_close(f);
    pid = fork();
    g_assert_cmpint(pid, >=, 0);
    if (pid == 0) {
        Submission *submission = submission_new(1000, false);
        fixture_open(f);
        submit_tasks(f, 3000, 0);
        add_task(f, submission, "open")->array_count = 1000;
        submit(f, submission);
        run_task(f, 1, TASK_SUCCEEDED);
        assign(f, 2, 1, 7);
        started(f, 2, 1, 555);
        _exit(0);
    }
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_cmpint(status, ==, 0);
    fixture_open(f);
    g_assert_cmpuint(f->snapshot->held->len, ==, 1);
    g_assert_cmpuint(f->snapshot->counts.by_state[TASK_QUEUED], ==, 2998);
    g_assert_cmpuint(f->snapshot->counts.by_state[TASK_RUNNING], ==, 1);
    g_assert_cmpuint(f->snapshot->counts.by_state[TASK_SUCCEEDED], ==, 1);
    for (int i = 0; i < 10; i++)
        fixture_drain(f);
    fixture_verify(f);
    g_assert_null(get_row(f, 3001));
    g_assert_cmpuint(submit_tasks(f, 1, 0).first, ==, 4001);
    fixture_free(f);
}

/* ------------------------------------------------------------------ a small disk of its own */

static bool mount_small_disk(const char *directory)
{
    if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return false;
    return mount("tmpfs", directory, "tmpfs", 0, "size=1m") == 0;
}

static void test_small_disk(void)
{
    Fixture *f = fixture_new();
    Submitted submitted = { 0 };
    uint64_t count = 0;

    submit_tasks(f, 1, 0);
    fixture_close(f);
    if (!mount_small_disk(f->directory)) {
        g_test_skip("mounting a small disk needs root");
        fixture_open(f);
        fixture_free(f);
        return;
    }
    fixture_open(f);
    do {
        Submission *submission = submission_new(1000, true);
        for (int i = 0; i < 200; i++)
            add_task(f, submission, "fills the disk up");
        submitted = submit(f, submission);
        count += submitted.r == 0 ? submitted.count : 0;
    } while (submitted.r == 0 && count < 100000);
    g_assert_cmpint(submitted.r, ==, -ENOSPC);
    g_assert_cmpint(f->failing, ==, -ENOSPC);
    g_assert_cmpuint(f->counts.by_state[TASK_QUEUED], ==, count);
    assert_string(window_of(f, UID_ANYBODY, 2), "1 2 +");
    g_assert_cmpint(mount("tmpfs", f->directory, "tmpfs", MS_REMOUNT, "size=64m"), ==, 0);
    submit_tasks(f, 1000, 0);
    fixture_drain(f);
    g_assert_cmpint(f->failing, ==, 0);
    fixture_verify(f);
    fixture_close(f);
    g_assert_cmpint(umount2(f->directory, MNT_DETACH), ==, 0);
    fixture_open(f);
    g_assert_cmpuint(f->counts.by_state[TASK_QUEUED], ==, 1);
    fixture_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/store/crash/killed", test_killed);
    g_test_add_func("/store/crash/exits", test_exits);
    g_test_add_func("/store/crash/small-disk", test_small_disk);
    return g_test_run();
}
