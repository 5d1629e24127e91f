/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading over holes, where the file system can make them; and policies in words. */

#include "client/sparse-read.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "client/policy-words.h"

#define MIB (1U << 20)

/* 1 MiB of 'a', a hole that ends within a block, and 'b' up to the size; -EBADF: no holes here. */
static int file_new(size_t hole_end, size_t size)
{
    int fd = memfd_create("sparse", MFD_CLOEXEC);
    g_autofree char *a = g_strnfill(MIB, 'a'), *b = g_strnfill(size - hole_end, 'b');

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(pwrite(fd, a, MIB, 0), ==, MIB);
    g_assert_cmpint(pwrite(fd, b, size - hole_end, (off_t) hole_end), ==, (ssize_t) (size - hole_end));
    return fd;
}

static void test_hole(void)
{
    _cleanup_close_ int fd = file_new(8 * MIB + 100, 8 * MIB + 200);
    g_autoptr(GString) read = g_string_new(NULL);
    char buffer[65536];
    uint64_t dropped, sum = 0, places = 0;
    ssize_t n;

    while ((n = sparse_read(fd, buffer, sizeof buffer, &dropped)) > 0) {
        if (dropped > 0) {
            g_assert_cmpuint(read->len, ==, MIB);
            places++;
        }
        sum += dropped;
        g_string_append_len(read, buffer, n);
    }
    g_assert_cmpint(n, ==, 0);
    g_assert_cmpuint(read->len, ==, MIB + 100);
    g_assert_cmpuint(sum, ==, 7 * MIB + 100);
    g_assert_cmpuint(places, ==, 1);
    g_assert_null(memchr(read->str, '\0', read->len));
    g_assert_cmpint(read->str[MIB - 1], ==, 'a');
    g_assert_cmpint(read->str[MIB], ==, 'b');
}

/* What grows is read on from where the last read ended. */
static void test_growing(void)
{
    _cleanup_close_ int fd = memfd_create("sparse", MFD_CLOEXEC);
    char buffer[16];
    uint64_t dropped;

    g_assert_cmpint(sparse_read(fd, buffer, sizeof buffer, &dropped), ==, 0);
    g_assert_cmpuint(dropped, ==, 0);
    g_assert_cmpint(pwrite(fd, "abc", 3, 0), ==, 3);
    g_assert_cmpint(sparse_read(fd, buffer, sizeof buffer, &dropped), ==, 3);
    g_assert_cmpint(sparse_read(fd, buffer, sizeof buffer, &dropped), ==, 0);
    g_assert_cmpint(pwrite(fd, "\0d", 2, 3), ==, 2);
    g_assert_cmpint(sparse_read(fd, buffer, sizeof buffer, &dropped), ==, 2);
    g_assert_cmpuint(dropped, ==, 0); /* a NUL that was written is no hole */
}

static void test_pipe(void)
{
    int fds[2];
    char buffer[16];
    uint64_t dropped = 7;

    g_assert_cmpint(pipe2(fds, O_CLOEXEC), ==, 0);
    g_assert_cmpint(write(fds[1], "abc", 3), ==, 3);
    g_assert_cmpint(sparse_read(fds[0], buffer, sizeof buffer, &dropped), ==, 3);
    g_assert_cmpuint(dropped, ==, 0);
    close_fd(fds[0]);
    close_fd(fds[1]);
}

static void test_note(void)
{
    g_autofree char *note = sparse_note(UINT64_C(1288490189));

    g_assert_cmpstr(note, ==, "[parexec: 1.2G dropped here]\n");
}

static void test_policy(void)
{
    g_autofree char *usual = policy_in_words(""),
                    *all =
                        policy_in_words("retries=2 timeout=3600000000 warn-signal=10 warn=60000000 merge=1 "
                                        "on=exit=3:hold later=1"),
                    *bad = policy_in_words("retries=x");

    g_assert_cmpstr(usual, ==, "");
    g_assert_cmpstr(all, ==,
                    "2 retries, delays from 1s to 5min, times 2, on exit=3:hold, timeout 1h, "
                    "warned with USR1 1min before, stderr merged");
    g_assert_cmpstr(bad, ==, "retries=x");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sparse-read/hole", test_hole);
    g_test_add_func("/sparse-read/growing", test_growing);
    g_test_add_func("/sparse-read/pipe", test_pipe);
    g_test_add_func("/sparse-read/note", test_note);
    g_test_add_func("/policy-words/words", test_policy);
    return g_test_run();
}
