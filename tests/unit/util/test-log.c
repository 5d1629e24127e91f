/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* log.c: what goes to stderr, as seen through a pipe and on a terminal. */
#include "util/log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* Runs the function with stderr on this descriptor. */
static void with_stderr(int fd, void (*function)(void))
{
    _cleanup_close_ int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

    g_assert_cmpint(saved, >=, 0);
    g_assert_cmpint(dup2(fd, STDERR_FILENO), >=, 0);
    function();
    g_assert_cmpint(dup2(saved, STDERR_FILENO), >=, 0);
}

static char *capture(void (*function)(void))
{
    char buffer[8192];
    int fds[2];

    g_assert_cmpint(pipe2(fds, O_CLOEXEC | O_NONBLOCK), ==, 0);
    with_stderr(fds[1], function);
    close_fd(fds[1]);
    ssize_t n = read(fds[0], buffer, sizeof buffer);
    close_fd(fds[0]);
    g_assert_cmpint(n, >=, 0);
    return g_strndup(buffer, (size_t) n);
}

static void log_each(void)
{
    log_error("an error");
    log_warning("a warning of %d", 7);
    log_notice("a notice");
    log_info("info");
    log_debug("debug");
}

static void test_prefixes(void)
{
    log_set_max_level(LOG_DEBUG);
    g_autofree char *all = capture(log_each);
    g_assert_cmpstr(all, ==, "<3>an error\n<4>a warning of 7\n<5>a notice\n<6>info\n<7>debug\n");
}

static void test_level(void)
{
    log_set_max_level(LOG_WARNING);
    g_assert_cmpint(log_get_max_level(), ==, LOG_WARNING);
    g_autofree char *some = capture(log_each);
    g_assert_cmpstr(some, ==, "<3>an error\n<4>a warning of 7\n");
    log_set_max_level(LOG_DEBUG);
}

static void log_errno(void)
{
    g_assert_cmpint(log_error_errno(-ENOSPC, "Cannot write: %m"), ==, -ENOSPC);
    g_assert_cmpint(log_warning_errno(ENOENT, "Cannot open: %m"), ==, -ENOENT);
    g_assert_cmpint(log_warning_errno(0, "nothing"), ==, 0);
}

static void test_errno(void)
{
    g_autofree char *text = capture(log_errno);
    g_assert_cmpstr(text, ==, "<3>Cannot write: No space left on device\n<4>Cannot open: No such file or directory\n<4>nothing\n");
}

static void log_silent(void)
{
    log_set_max_level(LOG_ERR);
    g_assert_cmpint(log_debug_errno(-EIO, "not seen"), ==, -EIO);
    log_set_max_level(LOG_DEBUG);
}

static void test_silent_returns(void)
{
    g_autofree char *text = capture(log_silent);
    g_assert_cmpstr(text, ==, "");
}

static void log_long(void)
{
    g_autofree char *text = g_strnfill(5000, 'x');
    log_error("%s", text);
}

/* Too long a record is cut, but still ends its line. */
static void test_long(void)
{
    g_autofree char *text = capture(log_long);
    size_t n = strlen(text);

    g_assert_cmpuint(n, >, 2000);
    g_assert_cmpuint(n, <, 2100);
    g_assert_true(g_str_has_prefix(text, "<3>xxx"));
    g_assert_true(g_str_has_suffix(text, "xxx\n"));
    g_assert_null(strstr(text, "\n<"));
}

static void log_hostile(void)
{
    log_error("unknown key \"%s\"", "a\n<0>the machine burns\n");
}

/* A record is one line: what strangers sent cannot look like a record of its own. */
static void test_newline(void)
{
    g_autofree char *text = capture(log_hostile);

    g_assert_cmpuint(strlen(text), ==, strlen("<3>unknown key \"a <0>the machine burns \"\n"));
    g_assert_true(strchr(text, '\n') == text + strlen(text) - 1);
}

static void test_environment(void)
{
    if (!g_test_subprocess()) {
        g_setenv("PAREXEC_LOG_LEVEL", "warning", TRUE);
        g_test_trap_subprocess(NULL, 0, 0);
        g_unsetenv("PAREXEC_LOG_LEVEL");
        g_test_trap_assert_passed();
        g_test_trap_assert_stderr("*<4>a warning of 7*");
        g_test_trap_assert_stderr_unmatched("*a notice*");
        return;
    }
    log_each();
}

static void test_terminal(void)
{
    char buffer[256] = "";
    _cleanup_close_ int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), terminal = -EBADF;

    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0 || (terminal = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0) {
        g_test_skip("there are no pseudo terminals here");
        return;
    }
    with_stderr(terminal, log_each);
    g_assert_cmpint(read(master, buffer, sizeof buffer - 1), >, 0);
    g_assert_true(g_str_has_prefix(buffer, "an error\r\n"));
    g_assert_null(strchr(buffer, '<'));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/log/environment", test_environment); /* first: the level is remembered */
    g_test_add_func("/log/prefixes", test_prefixes);
    g_test_add_func("/log/level", test_level);
    g_test_add_func("/log/errno", test_errno);
    g_test_add_func("/log/silent-returns", test_silent_returns);
    g_test_add_func("/log/long", test_long);
    g_test_add_func("/log/newline", test_newline);
    g_test_add_func("/log/terminal", test_terminal);
    return g_test_run();
}
