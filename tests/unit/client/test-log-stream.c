/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Copying an output that grows: as it is, in whole lines, behind a tag. */

#include "client/log-stream.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

typedef struct Growing {
    LogStream stream;
    int in, out; /* the task's end, and ours */
} Growing;

static void growing_init(Growing *growing, const char *tag, bool lines)
{
    static Client client = { .quiet = true };
    g_autofree char *name = NULL;
    int pipes[2];

    growing->in = g_file_open_tmp(NULL, &name, NULL);
    g_assert_cmpint(growing->in, >=, 0);
    log_stream_init(&growing->stream, &client, 17, /* standard_error= */ false, tag, lines);
    growing->stream.fd = open(name, O_RDONLY | O_CLOEXEC);
    g_assert_cmpint(unlink(name), ==, 0);
    g_assert_cmpint(pipe2(pipes, O_NONBLOCK | O_CLOEXEC), ==, 0);
    growing->out = pipes[0];
    growing->stream.target = pipes[1];
}

static void growing_done(Growing *growing)
{
    (void) close(growing->stream.target);
    (void) close(growing->out);
    (void) close(growing->in);
    log_stream_done(&growing->stream);
}

static void expect(Growing *growing, const char *expected)
{
    char buffer[256] = "";
    ssize_t n = read(growing->out, buffer, sizeof buffer - 1);

    g_assert_cmpint(n, ==, *expected ? (ssize_t) strlen(expected) : -1);
    g_assert_cmpstr(buffer, ==, expected);
}

/* The task writes this; then that is printed. */
static void check(Growing *growing, const char *written, const char *expected)
{
    g_assert_cmpint(write(growing->in, written, strlen(written)), ==, (ssize_t) strlen(written));
    g_assert_cmpint(log_stream_copy(&growing->stream), ==, 0);
    expect(growing, expected);
}

static void check_end(Growing *growing, const char *expected)
{
    g_assert_cmpint(log_stream_end(&growing->stream), ==, 0);
    expect(growing, expected);
    growing_done(growing);
}

static void test_as_it_is(void)
{
    Growing growing;

    growing_init(&growing, NULL, /* lines= */ false);
    check(&growing, "a", "a");
    check(&growing, "b\nc", "b\nc");
    check_end(&growing, "");
}

static void test_lines(void)
{
    Growing growing;

    growing_init(&growing, NULL, /* lines= */ true);
    check(&growing, "a", "");
    check(&growing, "b\nc\nd", "ab\nc\n");
    check(&growing, "\n", "d\n");
    check(&growing, "half", "");
    check_end(&growing, "half"); /* no newline that the task did not write */
}

static void test_tag(void)
{
    Growing growing;

    growing_init(&growing, "x ", /* lines= */ false);
    check(&growing, "a\nb", "x a\n");
    check(&growing, "\n\nc", "x b\nx \n");
    check_end(&growing, "x c\n");
}

static void test_endless_line(void)
{
    g_autofree char *piece = g_strnfill((1 << 20) - 1, 'y');
    Growing growing;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC), pipe_end;

    growing_init(&growing, NULL, /* lines= */ true);
    pipe_end = growing.stream.target;
    growing.stream.target = null;
    check(&growing, piece, "");
    g_assert_cmpuint(growing.stream.line->len, ==, (1 << 20) - 1);
    check(&growing, "z", "");
    g_assert_cmpuint(growing.stream.line->len, ==, 0); /* printed in pieces, not kept */
    (void) close(null);
    growing.stream.target = pipe_end;
    check_end(&growing, "");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/log-stream/as-it-is", test_as_it_is);
    g_test_add_func("/log-stream/lines", test_lines);
    g_test_add_func("/log-stream/tag", test_tag);
    g_test_add_func("/log-stream/endless-line", test_endless_line);
    return g_test_run();
}
