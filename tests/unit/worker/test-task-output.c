/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker/task-output.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

typedef struct Fixture {
    char *top, *directory;
    OutputStore *store;
} Fixture;

static void set_up(Fixture *f, const void *data)
{
    f->top = g_dir_make_tmp("parexec-output-XXXXXX", NULL);
    f->directory = g_build_filename(f->top, "output", NULL);
    f->store = output_store_new(f->directory);
}

static void run_rm(const char *path)
{
    const char *const argv[] = { "rm", "-rf", "--", path, NULL };

    g_assert_true(
        g_spawn_sync(NULL, (char **) argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL));
}

static void tear_down(Fixture *f, const void *data)
{
    (void) output_store_free(f->store);
    run_rm(f->top);
    g_free(f->directory);
    g_free(f->top);
}

static char *path_of(const Fixture *f, const char *rest)
{
    return g_build_filename(f->directory, rest, NULL);
}

static void test_file(Fixture *f, const void *data)
{
    const OutputName name = { .task = 20017, .attempt = 3, .stream = STREAM_STDERR };
    g_autofree char *path = path_of(f, "2/20017.3.err"), *folder = path_of(f, "2");
    _cleanup_close_ int fd = -EBADF;
    struct stat st;

    g_assert_cmpint(output_store_open(f->store, &name, getuid(), getgid(), &fd), ==, 0);
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpuint(st.st_mode & 07777, ==, 0600);
    g_assert_cmpint(stat(folder, &st), ==, 0);
    g_assert_cmpuint(st.st_mode & 07777, ==, 0700);
    g_assert_true(fcntl(fd, F_GETFL) & O_APPEND);
    g_assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    g_assert_cmpint(write(fd, "abc", 3), ==, 3);
    output_store_settle(f->store, &name, fd);
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_size, ==, 3);
    close_fd(fd);
    /* an attempt made again begins anew */
    g_assert_cmpint(output_store_open(f->store, &name, getuid(), getgid(), &fd), ==, 0);
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_size, ==, 0);
    output_store_settle(f->store, &name, fd);
    g_assert_cmpint(stat(path, &st), <, 0);
}

static void test_owner(Fixture *f, const void *data)
{
    const OutputName name = { .task = 1, .attempt = 1, .stream = STREAM_STDOUT };
    _cleanup_close_ int fd = -EBADF;
    struct stat st;

    if (geteuid() != 0) {
        g_test_skip("only root gives files away");
        return;
    }
    g_assert_cmpint(output_store_open(f->store, &name, 1234, 4321, &fd), ==, 0);
    g_assert_cmpint(fstat(fd, &st), ==, 0);
    g_assert_cmpuint(st.st_uid, ==, 1234);
    g_assert_cmpuint(st.st_gid, ==, 4321);
}

/* The folder may be removed by whoever cleans up, between two tasks. */
static void test_removed_folder(Fixture *f, const void *data)
{
    OutputName name = { .task = 5, .attempt = 1, .stream = STREAM_STDOUT };
    g_autofree char *path = path_of(f, "0/6.1.out");
    _cleanup_close_ int first = -EBADF, second = -EBADF;

    g_assert_cmpint(output_store_open(f->store, &name, getuid(), getgid(), &first), ==, 0);
    run_rm(f->directory);
    output_store_settle(f->store, &name, first);
    name.task = 6;
    g_assert_cmpint(output_store_open(f->store, &name, getuid(), getgid(), &second), ==, 0);
    g_assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
}

static void test_obstacle(Fixture *f, const void *data)
{
    const OutputName name = { .task = 7, .attempt = 1, .stream = STREAM_STDOUT };
    g_autofree char *folder = path_of(f, "0"), *path = path_of(f, "0/7.1.out"),
                    *victim = g_build_filename(f->top, "victim", NULL);
    g_autofree char *text = NULL;
    int fd = -7;

    g_assert_true(g_file_set_contents(f->directory, "a file", -1, NULL));
    g_assert_cmpint(output_store_open(f->store, &name, getuid(), getgid(), &fd), ==, -ENOTDIR);
    (void) unlink(f->directory);
    g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
    g_assert_true(g_file_set_contents(victim, "keep", -1, NULL));
    g_assert_cmpint(symlink(victim, path), ==, 0); /* is not followed */
    g_assert_cmpint(output_store_open(f->store, &name, getuid(), getgid(), &fd), ==, -ELOOP);
    g_assert_cmpint(fd, ==, -7);
    g_assert_true(g_file_get_contents(victim, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "keep");
}

static void test_tail(Fixture *f, const void *data)
{
    const OutputName name = { .task = 8, .attempt = 1, .stream = STREAM_STDERR };
    g_autofree char *long_text = g_strnfill(STDERR_TAIL_BYTES, 'x');
    g_autoptr(GBytes) tail = NULL;
    _cleanup_close_ int fd = -EBADF;

    g_assert_cmpint(output_store_open(f->store, &name, getuid(), getgid(), &fd), ==, 0);
    g_assert_null(output_tail(fd));
    g_assert_cmpint(write(fd, "end", 3), ==, 3);
    tail = output_tail(fd);
    g_assert_cmpmem(g_bytes_get_data(tail, NULL), g_bytes_get_size(tail), "end", 3);
    g_bytes_unref(g_steal_pointer(&tail));
    g_assert_cmpint(write(fd, long_text, STDERR_TAIL_BYTES - 1), ==, STDERR_TAIL_BYTES - 1);
    tail = output_tail(fd);
    g_assert_cmpuint(g_bytes_get_size(tail), ==, STDERR_TAIL_BYTES);
    g_assert_cmpmem(g_bytes_get_data(tail, NULL), 2, "dx", 2);
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/task-output/file", Fixture, NULL, set_up, test_file, tear_down);
    g_test_add("/task-output/owner", Fixture, NULL, set_up, test_owner, tear_down);
    g_test_add("/task-output/removed-folder", Fixture, NULL, set_up, test_removed_folder, tear_down);
    g_test_add("/task-output/obstacle", Fixture, NULL, set_up, test_obstacle, tear_down);
    g_test_add("/task-output/tail", Fixture, NULL, set_up, test_tail, tear_down);
    return g_test_run();
}
