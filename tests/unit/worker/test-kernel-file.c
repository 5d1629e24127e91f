/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker/kernel-file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

static int file_of(const char *text)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    g_assert_cmpint(write(fd, text, strlen(text)), ==, strlen(text));
    return fd;
}

static void test_number(void)
{
    static const struct { const char *text; int r; uint64_t value;
    } cases[] = {
        { "0\n", 0, 0 },      { "18446744073709551615\n", 0, UINT64_MAX },
        { "12 34", 0, 12 },   { "max\n", -EINVAL, 7 },
        { "", -EINVAL, 7 },   { "-1\n", -EINVAL, 7 },
        { " 1", -EINVAL, 7 }, { "18446744073709551616\n", -ERANGE, 7 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        _cleanup_close_ int fd = file_of(cases[i].text);
        uint64_t value = 7;

        g_assert_cmpint(kernel_fd_number(fd, &value), ==, cases[i].r);
        g_assert_cmpuint(value, ==, cases[i].value);
    }
    g_assert_cmpint(kernel_fd_number(-EBADF, &(uint64_t) { 0 }), ==, -EBADF);
}

static void test_key(void)
{
    static const char text[] = "low 0\noom 3\noom_kill 4\noom_group_kill 1\nbroken x\nbare\n";
    _cleanup_close_ int fd = file_of(text);
    uint64_t value = 7;

    g_assert_cmpint(kernel_fd_key(fd, "oom_kill", &value), ==, 0);
    g_assert_cmpuint(value, ==, 4);
    g_assert_cmpint(kernel_fd_key(fd, "oom", &value), ==, 0);
    g_assert_cmpuint(value, ==, 3);
    g_assert_cmpint(kernel_fd_key(fd, "low", &value), ==, 0);
    g_assert_cmpuint(value, ==, 0);
    value = 7;
    g_assert_cmpint(kernel_fd_key(fd, "kill", &value), ==, -ENODATA);
    g_assert_cmpint(kernel_fd_key(fd, "bare", &value), ==, -ENODATA);
    g_assert_cmpint(kernel_fd_key(fd, "broken", &value), ==, -EINVAL);
    g_assert_cmpuint(value, ==, 7);
}

/* What is read again must be what the file says then. */
static void test_again(void)
{
    _cleanup_close_ int fd = file_of("1\n");
    uint64_t value;

    g_assert_cmpint(kernel_fd_number(fd, &value), ==, 0);
    g_assert_cmpint(pwrite(fd, "2\n", 2, 0), ==, 2);
    g_assert_cmpint(kernel_fd_number(fd, &value), ==, 0);
    g_assert_cmpuint(value, ==, 2);
}

static void test_whole(void)
{
    g_autofree char *text = NULL;

    g_assert_cmpint(kernel_file_read(AT_FDCWD, "/proc/self/status", &text), ==, 0);
    g_assert_nonnull(strstr(text, "\nPid:"));
    g_assert_cmpint(kernel_file_read(AT_FDCWD, "/proc/self/no-such", &text), ==, -ENOENT);
    g_assert_cmpint(kernel_file_read(AT_FDCWD, "/dev/zero", &(char *) { NULL }), ==, -EFBIG);
    g_assert_cmpint(kernel_file_write(AT_FDCWD, "/proc/self/no-such", "1"), ==, -ENOENT);
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kernel-file/number", test_number);
    g_test_add_func("/kernel-file/key", test_key);
    g_test_add_func("/kernel-file/again", test_again);
    g_test_add_func("/kernel-file/whole", test_whole);
    return g_test_run();
}
