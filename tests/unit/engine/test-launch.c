/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* launch.c: the child is held, released, cancelled; what it is given, and what it is not. */
#include "engine/launch.h"
#include "engine/proc-file.h"
#include "engine-fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

typedef struct Fixture {
    EngineFixture base;
    char *log;
    GBytes *record;
    Launched child;
} Fixture;

static void setup(Fixture *fixture, const void *data)
{
    engine_fixture_init(&fixture->base);
    fixture->log = g_build_filename(fixture->base.directory, "w7.log", NULL);
    fixture->record = g_bytes_new_static("the record\n", strlen("the record\n"));
    fixture->child = LAUNCHED_NULL;
}

static void teardown(Fixture *fixture, const void *data)
{
    launched_done(&fixture->child);
    g_free(fixture->log);
    g_bytes_unref(fixture->record);
    engine_fixture_done(&fixture->base);
}

static void launch(Fixture *fixture, const char *script)
{
    engine_fixture_program(&fixture->base, script);
    g_assert_cmpint(launch_child(7, fixture->log, fixture->record, &fixture->child), >=, 0);
    g_assert_true(launch_is_child(fixture->child.pid));
}

static char *wait_for_end(Fixture *fixture)
{
    char *why = NULL;
    int r = 0;

    fixture_run_until(&fixture->base, (r = launch_reap(&fixture->child, &why)) != 0);
    g_assert_cmpint(r, ==, 1);
    g_assert_false(launch_is_child(fixture->child.pid));
    return why;
}

static char *output_of(Fixture *fixture, const char *script)
{
    char *text = NULL;

    launch(fixture, script);
    g_assert_cmpint(launch_release(&fixture->child), ==, 0);
    g_autofree char *why = wait_for_end(fixture);
    g_assert_cmpstr(why, ==, "exited with status 0");
    g_assert_true(g_file_get_contents(fixture->log, &text, NULL, NULL));
    return text;
}

static void test_hold_and_release(Fixture *fixture, const void *data)
{
    launch(fixture, "echo ran; exit 42");
    engine_fixture_run_for(&fixture->base, 50000);
    g_assert_true(process_lives(fixture->child.pid));
    g_autofree char *before = launch_last_words(fixture->log);
    g_assert_cmpstr(before, ==, "");

    g_assert_cmpint(launch_release(&fixture->child), ==, 0);
    g_autofree char *why = wait_for_end(fixture);
    g_assert_cmpstr(why, ==, "exited with status 42");
    g_autofree char *after = launch_last_words(fixture->log);
    g_assert_cmpstr(after, ==, "ran");
}

/* As when the daemon dies: its end of the socket is closed without a word. */
static void test_end_of_file(Fixture *fixture, const void *data)
{
    launch(fixture, "echo ran");
    fixture->child.release_fd = close_fd(fixture->child.release_fd);
    g_autofree char *why = wait_for_end(fixture);
    g_assert_cmpstr(why, ==, "exited with status 0");
    g_autofree char *words = launch_last_words(fixture->log);
    g_assert_cmpstr(words, ==, "");
}

static void test_cancel(Fixture *fixture, const void *data)
{
    launch(fixture, "echo ran");
    launch_cancel(&fixture->child);
    g_autofree char *why = wait_for_end(fixture);
    g_assert_cmpstr(why, ==, "killed by signal KILL");
    g_assert_cmpint(launch_release(&fixture->child), ==, -EPIPE);
}

static void test_release_of_dead(Fixture *fixture, const void *data)
{
    launch(fixture, "echo ran");
    g_assert_cmpint(kill(fixture->child.pid, SIGKILL), ==, 0);
    fixture_run_until(&fixture->base, proc_has_ended(fixture->child.pidfd));
    g_assert_cmpint(launch_release(&fixture->child), ==, -EPIPE);
    g_autofree char *why = wait_for_end(fixture);
    g_assert_cmpstr(why, ==, "killed by signal KILL");
}

static void test_record_and_arguments(Fixture *fixture, const void *data)
{
    g_autofree char *text = output_of(fixture, "echo \"$#:$1\"; cat <&3");

    g_assert_cmpstr(text, ==, "1:w7\nthe record\n");
}

/* The script is longer than a pipe would take at once. */
static void test_large_record(Fixture *fixture, const void *data)
{
    gsize size = 3U << 20;

    g_bytes_unref(fixture->record);
    fixture->record = g_bytes_new_take(g_malloc0(size), size);
    g_autofree char *text = output_of(fixture, "wc -c <&3");
    g_assert_cmpstr(text, ==, "3145728\n");
}

static void test_environment(Fixture *fixture, const void *data)
{
    g_setenv("NOTIFY_SOCKET", "/run/never", TRUE);
    g_setenv("LISTEN_FDS", "1", TRUE);
    g_setenv("PAREXEC_LOG_LEVEL", "debug", TRUE);
    g_autofree char *text = output_of(fixture, "tr '\\0' '\\n' < /proc/$$/environ");
    g_assert_cmpstr(text, ==,
                    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nLANG=C.UTF-8\n"
                    "PAREXEC_LOG_LEVEL=debug\n");
    g_unsetenv("NOTIFY_SOCKET");
    g_unsetenv("LISTEN_FDS");
    g_unsetenv("PAREXEC_LOG_LEVEL");
}

/* Descriptors of the daemon that are not close-on-exec must not come along either. */
static void test_descriptors(Fixture *fixture, const void *data)
{
    _cleanup_close_ int leaked = fcntl(STDERR_FILENO, F_DUPFD, 50);
    struct stat st;

    g_assert_cmpint(leaked, >=, 50);
    g_autofree char *text =
        output_of(fixture, /* 10 is the shell's own: the script */
                           "for f in /proc/$$/fd/[0-9]*; do [ ! -e $f ] || [ ${f##*/} = 10 ] || echo ${f##*/}; done\n"
                           "readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2 | sort -u");
    g_autofree char *expected = g_strdup_printf("0\n1\n2\n3\n/dev/null\n%s\n", fixture->log);
    g_assert_cmpstr(text, ==, expected);
    g_assert_cmpint(stat(fixture->log, &st), ==, 0);
    g_assert_cmpuint(st.st_mode & 07777, ==, 0600);
}

static void test_session_and_signals(Fixture *fixture, const void *data)
{
    struct sigaction ignore = { .sa_handler = SIG_IGN }, before;
    sigset_t blocked;

    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    g_assert_cmpint(sigprocmask(SIG_BLOCK, &blocked, NULL), ==, 0);
    g_assert_cmpint(sigaction(SIGPIPE, &ignore, &before), ==, 0);
    /* Not the shell itself, which ignores and blocks as it likes. */
    g_autofree char *text = output_of(fixture, "exec grep -E '^Sig(Blk|Ign):|^NSsid:|^Pid:' /proc/self/status");
    g_assert_cmpint(sigaction(SIGPIPE, &before, NULL), ==, 0);
    g_assert_cmpint(sigprocmask(SIG_UNBLOCK, &blocked, NULL), ==, 0);

    g_assert_nonnull(strstr(text, "SigBlk:\t0000000000000000\n"));
    g_assert_nonnull(strstr(text, "SigIgn:\t0000000000000000\n"));
    g_autofree char *session = g_strdup_printf("NSsid:\t%d", fixture->child.pid);
    g_assert_nonnull(strstr(text, session));
}

static void write_oom_score(const char *score)
{
    _cleanup_close_ int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, score, strlen(score)), ==, (gssize) strlen(score));
}

/* The daemon may be spared by the OOM killer; its workers are not to be. (Raised here: lowering is for the privileged.) */
static void test_oom_score(Fixture *fixture, const void *data)
{
    g_autofree char *before = NULL;

    g_assert_true(g_file_get_contents("/proc/self/oom_score_adj", &before, NULL, NULL));
    if (g_ascii_strtoll(before, NULL, 10) > 0) {
        g_test_skip("this process's own oom_score_adj is raised, which not everyone may undo");
        return;
    }
    write_oom_score("300");
    g_autofree char *text = output_of(fixture, "cat /proc/$$/oom_score_adj");
    write_oom_score(g_strchomp(before));
    g_assert_cmpstr(text, ==, "0\n");
}

static void test_no_program(Fixture *fixture, const void *data)
{
    launch(fixture, "true");
    launch_cancel(&fixture->child);
    g_autofree char *cancelled = wait_for_end(fixture);
    launched_done(&fixture->child);

    g_setenv("PAREXEC_WORKER_PROGRAM", "/nonexistent/program", TRUE);
    g_assert_cmpint(launch_child(7, fixture->log, fixture->record, &fixture->child), >=, 0);
    g_assert_cmpint(launch_release(&fixture->child), ==, 0);
    g_autofree char *why = wait_for_end(fixture);
    g_assert_cmpstr(why, ==, "exited with status 127");
    g_autofree char *words = launch_last_words(fixture->log);
    g_assert_cmpstr(words, ==, "cannot execute the worker's program: No such file or directory");
}

/* The log is made anew, and never through a link that someone laid. */
static void test_log_file(Fixture *fixture, const void *data)
{
    g_autofree char *elsewhere = g_build_filename(fixture->base.directory, "elsewhere", NULL);

    g_assert_true(g_file_set_contents(fixture->log, "of an earlier worker", -1, NULL));
    g_autofree char *text = output_of(fixture, "echo new");
    g_assert_cmpstr(text, ==, "new\n");

    launched_done(&fixture->child);
    g_assert_cmpint(unlink(fixture->log), ==, 0);
    g_assert_cmpint(symlink(elsewhere, fixture->log), ==, 0);
    g_assert_cmpint(launch_child(7, fixture->log, fixture->record, &fixture->child), ==, -ELOOP);
    g_assert_false(g_file_test(elsewhere, G_FILE_TEST_EXISTS));
}

static void test_last_words(Fixture *fixture, const void *data)
{
    g_autoptr(GString) text = g_string_new(NULL);

    /* cut within a character, a NUL and a broken byte further on */
    for (int i = 0; i < 400; i++)
        g_string_append(text, "ä€x");
    g_string_append_len(text, "\n\0bad \xff byte\t\n\n", 15);
    g_assert_true(g_file_set_contents(fixture->log, text->str, (gssize) text->len, NULL));
    g_autofree char *words = launch_last_words(fixture->log);
    g_assert_true(g_utf8_validate(words, -1, NULL));
    g_assert_cmpuint(strlen(words), <=, LAST_WORDS_BYTES + 6);
    g_assert_true(g_str_has_suffix(words, "bad \xef\xbf\xbd byte"));
    g_assert_true(g_str_has_prefix(words, "ä€x") || g_str_has_prefix(words, "€x") || g_str_has_prefix(words, "x"));
    for (const char *p = words; *p; p++)
        g_assert_false(g_ascii_iscntrl(*p));

    g_autofree char *none = launch_last_words("/nonexistent");
    g_assert_cmpstr(none, ==, "");
}

static void test_describe_end(void)
{
    g_autofree char *exited = launch_describe_end(CLD_EXITED, 3);
    g_autofree char *killed = launch_describe_end(CLD_KILLED, SIGSEGV);
    g_autofree char *dumped = launch_describe_end(CLD_DUMPED, SIGABRT);
    g_autofree char *unnamed = launch_describe_end(CLD_KILLED, 60);

    g_assert_cmpstr(exited, ==, "exited with status 3");
    g_assert_cmpstr(killed, ==, "killed by signal SEGV");
    g_assert_cmpstr(dumped, ==, "killed by signal ABRT");
    g_assert_cmpstr(unnamed, ==, "killed by signal 60");
}

static void add(const char *path, void (*test)(Fixture *fixture, const void *data))
{
    g_test_add(path, Fixture, NULL, setup, test, teardown);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("/launch/hold-and-release", test_hold_and_release);
    add("/launch/end-of-file", test_end_of_file);
    add("/launch/cancel", test_cancel);
    add("/launch/release-of-dead", test_release_of_dead);
    add("/launch/record-and-arguments", test_record_and_arguments);
    add("/launch/large-record", test_large_record);
    add("/launch/environment", test_environment);
    add("/launch/descriptors", test_descriptors);
    add("/launch/session-and-signals", test_session_and_signals);
    add("/launch/oom-score", test_oom_score);
    add("/launch/no-program", test_no_program);
    add("/launch/log-file", test_log_file);
    add("/launch/last-words", test_last_words);
    g_test_add_func("/launch/describe-end", test_describe_end);
    return g_test_run();
}
