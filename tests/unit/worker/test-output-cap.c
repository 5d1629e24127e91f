/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* output-cap.c: how much of a file is kept while it grows. */
#include "worker/output-cap.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define MAX_BYTES UINT64_C(65536)
#define HEAD_BYTES (MAX_BYTES / 2)

static int new_file(uint64_t size)
{
    int fd = memfd_create("output", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    g_autofree char *text = g_strnfill(size, 'x');

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, text, size), ==, (ssize_t) size);
    return fd;
}

static uint64_t file_size(int fd)
{
    struct stat st;

    g_assert_cmpint(fstat(fd, &st), ==, 0);
    return (uint64_t) st.st_size;
}

static uint64_t data_bytes(int fd)
{
    struct stat st;

    g_assert_cmpint(fstat(fd, &st), ==, 0);
    return (uint64_t) st.st_blocks * 512;
}

static void test_small(void)
{
    g_autoptr(OutputCap) cap = output_cap_new();
    _cleanup_close_ int fd = new_file(MAX_BYTES);
    OutputCut cut;

    output_cap_add(cap, fd, MAX_BYTES);
    g_assert_cmpuint(output_cap_look(cap), ==, MAX_BYTES);
    g_assert_cmpuint(output_cap_look(cap), ==, 0);
    output_cap_remove(cap, fd, &cut);
    g_assert_cmpuint(cut.begin, ==, cut.end);
    g_assert_cmpuint(cut.lost, ==, 0);
}

static void test_unlimited(void)
{
    g_autoptr(OutputCap) cap = output_cap_new();
    _cleanup_close_ int fd = new_file(10 * MAX_BYTES);
    OutputCut cut;

    output_cap_add(cap, fd, UINT64_MAX);
    g_assert_cmpuint(output_cap_look(cap), ==, 0);
    output_cap_remove(cap, fd, &cut);
    g_assert_cmpuint(cut.end, ==, 0);
    g_assert_cmpuint(data_bytes(fd), >=, 10 * MAX_BYTES);
}

static void test_hole(void)
{
    g_autoptr(OutputCap) cap = output_cap_new();
    _cleanup_close_ int fd = new_file(10 * MAX_BYTES);
    g_autofree char *more = g_strnfill(3 * MAX_BYTES, 'y');
    OutputCut cut;

    output_cap_add(cap, fd, MAX_BYTES);
    (void) output_cap_look(cap);
    g_assert_cmpuint(data_bytes(fd), ==, MAX_BYTES);
    g_assert_cmpuint(file_size(fd), ==, 10 * MAX_BYTES);
    /* the hole itself is written to, as a task may */
    g_assert_cmpint(pwrite(fd, more, 3 * MAX_BYTES, HEAD_BYTES), ==, (ssize_t) (3 * MAX_BYTES));
    (void) output_cap_look(cap);
    g_assert_cmpuint(data_bytes(fd), ==, MAX_BYTES);
    output_cap_remove(cap, fd, &cut);
    g_assert_cmpuint(cut.begin, ==, HEAD_BYTES);
    g_assert_cmpuint(cut.end, ==, 10 * MAX_BYTES - HEAD_BYTES);
    g_assert_cmpuint(cut.lost, ==, 0);
}

/* What cannot be punched is cut off, when it is far too much: here, because of a seal. */
static void test_no_holes(void)
{
    g_autoptr(OutputCap) cap = output_cap_new();
    _cleanup_close_ int fd = new_file(5 * MAX_BYTES), small = new_file(2 * MAX_BYTES);
    OutputCut cut;

    g_assert_cmpint(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), ==, 0);
    g_assert_cmpint(fcntl(small, F_ADD_SEALS, F_SEAL_WRITE), ==, 0);
    output_cap_add(cap, fd, MAX_BYTES);
    output_cap_add(cap, small, MAX_BYTES);
    (void) output_cap_look(cap);
    g_assert_cmpuint(file_size(fd), ==, HEAD_BYTES);
    g_assert_cmpuint(file_size(small), ==, 2 * MAX_BYTES);
    output_cap_remove(cap, fd, &cut);
    g_assert_cmpuint(cut.end, ==, cut.begin);
    g_assert_cmpuint(cut.lost, ==, 5 * MAX_BYTES - HEAD_BYTES);
    output_cap_remove(cap, small, &cut);
    g_assert_cmpuint(cut.end - cut.begin, ==, MAX_BYTES);
    g_assert_cmpuint(cut.lost, ==, 0);
}

/* Nothing but a size: a task may make a hole itself, and closed or foreign descriptors harm nobody. */
static void test_strange(void)
{
    g_autoptr(OutputCap) cap = output_cap_new();
    _cleanup_close_ int fd = new_file(100);
    OutputCut cut;
    int pair[2];

    g_assert_cmpint(ftruncate(fd, INT64_MAX), ==, 0);
    g_assert_cmpint(pipe2(pair, O_CLOEXEC), ==, 0);
    output_cap_add(cap, fd, MAX_BYTES);
    output_cap_add(cap, pair[1], MAX_BYTES);
    output_cap_add(cap, 1000, MAX_BYTES);
    (void) output_cap_look(cap);
    output_cap_remove(cap, fd, &cut);
    g_assert_cmpuint(cut.begin, ==, HEAD_BYTES);
    g_assert_cmpuint(cut.end, ==, (uint64_t) INT64_MAX - HEAD_BYTES);
    output_cap_remove(cap, 1000, &cut);
    g_assert_cmpuint(cut.end, ==, 0);
    close_fd(pair[0]);
    close_fd(pair[1]);
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/output-cap/small", test_small);
    g_test_add_func("/output-cap/unlimited", test_unlimited);
    g_test_add_func("/output-cap/hole", test_hole);
    g_test_add_func("/output-cap/no-holes", test_no_holes);
    g_test_add_func("/output-cap/strange", test_strange);
    return g_test_run();
}
