/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Real programs, started both ways. */
#include "worker/spawn.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define NOBODY 65534

typedef struct Run {
    SpawnRequest request; /* to be changed before run_start() */
    SpawnReport *report;
    SpawnMode mode;
    FILE *output;
    char *directory;
    bool held_up;
    int status;
    char *text; /* what it printed */
} Run;

static char *const default_environment[] = { (char *) "PATH=/usr/bin:/bin", NULL };

static void set_up(Run *run, const void *mode)
{
    run->mode = (SpawnMode) GPOINTER_TO_INT(mode);
    run->report = mmap(NULL, sizeof *run->report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    run->output = tmpfile();
    run->directory = g_dir_make_tmp("parexec-spawn-XXXXXX", NULL);
    run->request = (SpawnRequest) {
        .envp = default_environment,
        .search_path = "/usr/bin:/bin",
        .cwd = "/",
        .fds = { -EBADF, fileno(run->output), fileno(run->output) },
        .cgroup_fd = -EBADF,
        .report = run->report,
    };
}

static void tear_down(Run *run, const void *mode)
{
    const char *const argv[] = { "rm", "-rf", "--", run->directory, NULL };

    g_assert_true(
        g_spawn_sync(NULL, (char **) argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL));
    g_free(run->directory);
    g_free(run->text);
    fclose(run->output);
    munmap(run->report, sizeof *run->report);
}

static pid_t run_start(Run *run, const char *const *argv)
{
    pid_t pid = 0;

    run->request.argv = (char *const *) argv;
    g_assert_cmpint(spawn_process(&run->request, run->mode, &pid, &run->held_up), ==, 0);
    g_assert_cmpint(pid, >, 0);
    return pid;
}

static void run_reap(Run *run, pid_t pid)
{
    char buffer[65536];
    ssize_t n;

    g_assert_cmpint(waitpid(pid, &run->status, 0), ==, pid);
    n = pread(fileno(run->output), buffer, sizeof buffer - 1, 0);
    g_assert_cmpint(n, >=, 0);
    buffer[n] = '\0';
    g_free(run->text);
    run->text = g_strdup(buffer);
    g_assert_cmpint(ftruncate(fileno(run->output), 0), ==, 0);
    g_assert_cmpint(lseek(fileno(run->output), 0, SEEK_SET), ==, 0);
}

static void run_to_end(Run *run, const char *const *argv)
{
    run_reap(run, run_start(run, argv));
}

#define run_argv(run, ...) run_to_end(run, (const char *const[]) { __VA_ARGS__, NULL })
#define run_shell(run, command) run_argv(run, "/bin/sh", "-c", command)

static void assert_succeeded(const Run *run, const char *text)
{
    g_assert_cmpint(run->report->error, ==, 0);
    g_assert_cmpint(run->status, ==, 0);
    g_assert_cmpstr(run->text, ==, text);
}

static void assert_failed(const Run *run, SpawnStage stage, int error)
{
    g_assert_true(WIFEXITED(run->status));
    g_assert_cmpint(WEXITSTATUS(run->status), ==, 127);
    g_assert_cmpint(run->report->stage, ==, stage);
    g_assert_cmpint(run->report->error, ==, error);
    g_assert_cmpstr(run->text, ==, "");
}

static char *file_in(const Run *run, const char *name, const char *text, mode_t mode)
{
    char *path = g_build_filename(run->directory, name, NULL);

    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    g_assert_cmpint(chmod(path, mode), ==, 0);
    return path;
}

/* ------------------------------------------------------------------ how it ends */

static void test_status(Run *run, const void *mode)
{
    run_argv(run, "/bin/true");
    assert_succeeded(run, "");
    run_shell(run, "exit 42");
    g_assert_cmpint(run->status, ==, 42 << 8);
    run_shell(run, "exit 127"); /* its own 127 is not ours */
    g_assert_cmpint(run->status, ==, 127 << 8);
    g_assert_cmpint(run->report->error, ==, 0);
    run_shell(run, "kill -TERM $$");
    g_assert_true(WIFSIGNALED(run->status));
    g_assert_cmpint(WTERMSIG(run->status), ==, SIGTERM);
    g_assert_false(run->held_up);
}

/* The shared stack, the registers: many in a row, and several at once. */
static void test_many(Run *run, const void *mode)
{
    pid_t pids[16];

    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < G_N_ELEMENTS(pids); i++)
            pids[i] = run_start(run, (const char *const[]) { "/bin/true", NULL });
        for (size_t i = 0; i < G_N_ELEMENTS(pids); i++) {
            run_reap(run, pids[i]);
            assert_succeeded(run, "");
        }
    }
}

/* ------------------------------------------------------------------ which program */

static void test_search(Run *run, const void *mode)
{
    g_autofree char *plain = g_build_filename(run->directory, "plain", NULL),
                    *good = g_build_filename(run->directory, "good", NULL);
    g_autofree char *path = NULL, *inner = NULL;

    g_assert_cmpint(mkdir(plain, 0755) | mkdir(good, 0755), ==, 0);
    g_free(file_in(run, "plain/prog", "#!/bin/sh\necho plain\n", 0644));
    path = g_strdup_printf("%s/plain:/no/such/directory:/dev/null:%s/good", run->directory, run->directory);
    run->request.search_path = path;
    run_argv(run, "prog");
    assert_failed(run, SPAWN_STAGE_EXECUTE, EACCES); /* found, but not executable */
    run_argv(run, "no-such-prog");
    assert_failed(run, SPAWN_STAGE_EXECUTE, ENOENT);
    g_free(file_in(run, "good/prog", "#!/bin/sh\necho good\n", 0755));
    run_argv(run, "prog");
    assert_succeeded(run, "good\n");
    run->request.cwd = good;
    run->request.search_path = "/no/such:";
    g_assert_cmpint(ftruncate(fileno(run->output), 0), ==, 0);
    run_argv(run, "prog"); /* an empty element is the working directory */
    assert_succeeded(run, "good\n");
    run->request.search_path = "";
    run_argv(run, "prog");
    assert_succeeded(run, "good\n");
}

static void test_not_executable(Run *run, const void *mode)
{
    g_autofree char *no_interpreter = file_in(run, "no-interpreter", "#!/no/such/interpreter\n", 0755);
    g_autofree char *no_format = file_in(run, "no-format", "echo a shell would run this\n", 0755);
    g_autofree char *no_right = file_in(run, "no-right", "#!/bin/sh\n", 0644);
    g_autofree char *below_file = g_strconcat(no_right, "/x", NULL);

    run_argv(run, "/no/such/program");
    assert_failed(run, SPAWN_STAGE_EXECUTE, ENOENT);
    run_argv(run, "");
    assert_failed(run, SPAWN_STAGE_EXECUTE, ENOENT);
    run_argv(run, no_interpreter);
    assert_failed(run, SPAWN_STAGE_EXECUTE, ENOENT);
    run_argv(run, no_format);
    assert_failed(run, SPAWN_STAGE_EXECUTE, ENOEXEC);
    run_argv(run, no_right);
    assert_failed(run, SPAWN_STAGE_EXECUTE, EACCES);
    run_argv(run, run->directory);
    assert_failed(run, SPAWN_STAGE_EXECUTE, EACCES);
    run_argv(run, below_file);
    assert_failed(run, SPAWN_STAGE_EXECUTE, ENOTDIR);
}

static void test_relative(Run *run, const void *mode)
{
    g_free(file_in(run, "prog", "#!/bin/sh\necho here\n", 0755));
    run->request.cwd = run->directory;
    run_argv(run, "./prog");
    assert_succeeded(run, "here\n");
}

/* ------------------------------------------------------------------ what it is given */

static void test_argv(Run *run, const void *mode)
{
    run_argv(run, "printf", "%s|", "a b", "\xff\xfe", "", "$HOME;`x`");
    assert_succeeded(run, "a b|\xff\xfe||$HOME;`x`|");
}

static void test_large_argv(Run *run, const void *mode)
{
    g_autofree char *page = g_strnfill(100 * 1024, 'x');
    const char *argv[23] = { "/bin/true" };

    for (size_t i = 1; i < 10; i++)
        argv[i] = page;
    run_to_end(run, argv); /* 0.9 MB go */
    assert_succeeded(run, "");
    for (size_t i = 1; i < 22; i++)
        argv[i] = page;
    run_to_end(run, argv); /* 2.1 MB do not */
    assert_failed(run, SPAWN_STAGE_EXECUTE, E2BIG);
}

static void test_environment(Run *run, const void *mode)
{
    char *const environment[] = { (char *) "A=1", (char *) "B=\xff", NULL };

    run->request.envp = environment;
    run_argv(run, "/usr/bin/env");
    assert_succeeded(run, "A=1\nB=\xff\n");
}

static void test_cwd(Run *run, const void *mode)
{
    g_autofree char *expected = g_strdup_printf("%s\n", run->directory),
                    *file = file_in(run, "file", "", 0644);

    run->request.cwd = run->directory;
    run_argv(run, "pwd", "-P");
    assert_succeeded(run, expected);
    run->request.cwd = "/no/such/directory";
    run_argv(run, "pwd");
    assert_failed(run, SPAWN_STAGE_CHDIR, ENOENT);
    run->request.cwd = file;
    run_argv(run, "pwd");
    assert_failed(run, SPAWN_STAGE_CHDIR, ENOTDIR);
}

static void test_descriptors(Run *run, const void *mode)
{
    int leaks = open("/dev/null", O_RDONLY); /* not close-on-exec */

    run_argv(run, "ls", "/proc/self/fd");
    assert_succeeded(run, "0\n1\n2\n3\n"); /* the last is its own, of the folder */
    close_fd(leaks);
}

static void test_session(Run *run, const void *mode)
{
    pid_t pid =
        run_start(run, (const char *const[]){
                           "/bin/sh", "-c", "read _ _ _ _ g s t _ < /proc/self/stat; echo $s $g $t", NULL });
    g_autofree char *expected = g_strdup_printf("%d %d 0\n", pid, pid);

    run_reap(run, pid);
    assert_succeeded(run, expected);
}

static void test_signals(Run *run, const void *mode)
{
    sigset_t mask, old;

    sigfillset(&mask);
    sigprocmask(SIG_SETMASK, &mask, &old);
    run_shell(run, "cat /proc/self/status | grep -E '^Sig(Blk|Ign|Cgt)' | cut -f2 | uniq");
    sigprocmask(SIG_SETMASK, &old, NULL);
    assert_succeeded(run, "0000000000000000\n");
}

static void test_open_files(Run *run, const void *mode)
{
    struct rlimit before, limit;

    g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &before), ==, 0);
    if (before.rlim_max < 4096) {
        g_test_skip("the hard limit of open files is too low");
        return;
    }
    limit = (struct rlimit) { 4096, before.rlim_max };
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    run->request.reset_open_files = true;
    run_shell(run, "ulimit -Sn");
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &before), ==, 0);
    assert_succeeded(run, "1024\n");
}

static void test_oom_score(Run *run, const void *mode)
{
    g_autofree char *mine = NULL;

    if (!g_file_set_contents_full("/proc/self/oom_score_adj", "300", -1, G_FILE_SET_CONTENTS_NONE, 0, NULL)) {
        g_test_skip("oom_score_adj cannot be written");
        return;
    }
    run->request.reset_oom_score = true;
    run_shell(run, "cat /proc/self/oom_score_adj");
    assert_succeeded(run, "0\n");
    /* the child that shared our memory must not have changed ours */
    g_assert_true(g_file_get_contents("/proc/self/oom_score_adj", &mine, NULL, NULL));
    g_assert_cmpstr(mine, ==, "300\n");
    g_assert_true(
        g_file_set_contents_full("/proc/self/oom_score_adj", "0", -1, G_FILE_SET_CONTENTS_NONE, 0, NULL));
}

/* ------------------------------------------------------------------ paths a user names */

static void test_paths(Run *run, const void *mode)
{
    g_autofree char *in = file_in(run, "in", "text\n", 0600),
                    *out = g_build_filename(run->directory, "out", NULL);
    g_autofree char *both = file_in(run, "both", "old content", 0600), *text = NULL;
    mode_t mask = umask(022);
    struct stat st;

    run->request.paths[STREAM_STDIN] = in;
    run->request.paths[STREAM_STDOUT] = out;
    run->request.paths[STREAM_STDERR] = both;
    run_shell(run, "cat; echo error >&2; exec ls /proc/self/fd");
    umask(mask);
    g_assert_cmpint(run->status, ==, 0);
    g_assert_true(g_file_get_contents(out, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "text\n0\n1\n2\n3\n");
    g_free(g_steal_pointer(&text));
    g_assert_true(g_file_get_contents(both, &text, NULL, NULL)); /* truncated */
    g_assert_cmpstr(text, ==, "error\n");
    g_assert_cmpint(stat(out, &st), ==, 0);
    g_assert_cmpuint(st.st_mode & 0777, ==, 0644);
    run->request.paths[STREAM_STDOUT] = "/no/such/file";
    run_argv(run, "/bin/true");
    g_assert_cmpint(run->report->stage, ==, SPAWN_STAGE_STDOUT);
    g_assert_cmpint(run->report->error, ==, ENOENT);
}

/* Nobody may be made to wait by a FIFO without a writer. */
static void test_fifo(Run *run, const void *mode)
{
    g_autofree char *fifo = g_build_filename(run->directory, "fifo", NULL);
    gint64 begin = g_get_monotonic_time();
    _cleanup_close_ int fd = -EBADF;
    pid_t pid;

    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    run->request.paths[STREAM_STDIN] = fifo;
    pid = run_start(run, (const char *const[]) { "cat", NULL });
    /* the shared way has to give up first */
    g_assert_cmpint(g_get_monotonic_time() - begin, <, (gint64) (5 * SPAWN_HOLDUP_USEC));
    g_assert_true(run->held_up == (run->mode == SPAWN_SHARED));
    g_assert_cmpint(waitpid(pid, NULL, WNOHANG), ==, 0);
    fd = open(fifo, O_WRONLY | O_CLOEXEC);
    g_assert_cmpint(write(fd, "late\n", 5), ==, 5);
    fd = close_fd(fd);
    run_reap(run, pid);
    assert_succeeded(run, "late\n");
}

/* A file system whose server never answers: what the shared way must survive too. Alone in a namespace of
 * its own. */
static void dead_file_system(Run *run)
{
    _cleanup_close_ int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    g_autofree char *options = g_strdup_printf("fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
    g_autofree char *inside = g_build_filename(run->directory, "x", NULL);
    gint64 begin;
    pid_t pid;

    if (fd < 0 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("test", run->directory, "fuse", MS_NOSUID | MS_NODEV, options) < 0)
        _exit(77);
    run->request.cwd = inside;
    begin = g_get_monotonic_time();
    pid = run_start(run, (const char *const[]) { "/bin/true", NULL });
    if (g_get_monotonic_time() - begin > (gint64) (5 * SPAWN_HOLDUP_USEC) ||
        run->held_up != (run->mode == SPAWN_SHARED))
        _exit(1);
    if (waitpid(pid, NULL, WNOHANG) != 0 || kill(pid, SIGKILL) < 0 || waitpid(pid, NULL, 0) != pid)
        _exit(2);
    _exit(0);
}

static void test_dead_file_system(Run *run, const void *mode)
{
    pid_t pid = fork();
    int status;

    if (pid == 0)
        dead_file_system(run);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    if (status == 77 << 8)
        g_test_skip("needs root, /dev/fuse and mount namespaces");
    else
        g_assert_cmpint(status, ==, 0);
}

/* ------------------------------------------------------------------ as whom */

static bool may_change_identity(Run *run)
{
    static const uint32_t groups[] = { 7, 9 };

    run->request.change_identity = true;
    run->request.uid = NOBODY;
    run->request.gid = 123;
    run->request.groups = groups;
    run->request.n_groups = G_N_ELEMENTS(groups);
    if (geteuid() == 0)
        return true;
    g_test_skip("only root can become somebody else");
    return false;
}

static void test_identity(Run *run, const void *mode)
{
    if (!may_change_identity(run))
        return;
    run_shell(run, "grep -E '^(Uid|Gid|Groups)' /proc/self/status | cut -f2- | tr -s '\\t ' ' '");
    assert_succeeded(run, "65534 65534 65534 65534\n123 123 123 123\n7 9 \n");
    g_assert_cmpuint(geteuid(), ==, 0); /* we are still ourselves */
}

static void test_identity_refused(Run *run, const void *mode)
{
    if (geteuid() == 0) {
        g_test_skip("root may become anybody");
        return;
    }
    run->request.change_identity = true;
    run_argv(run, "/bin/true");
    assert_failed(run, SPAWN_STAGE_IDENTITY, EPERM);
}

/* The rights that count are those of the task, for its directory and its files. */
static void test_rights(Run *run, const void *mode)
{
    g_autofree char *theirs = g_build_filename(run->directory, "theirs", NULL),
                    *ours = g_build_filename(run->directory, "ours", NULL);
    g_autofree char *secret = file_in(run, "secret", "secret", 0600);

    if (!may_change_identity(run))
        return;
    g_assert_cmpint(chmod(run->directory, 0755) | mkdir(theirs, 0700) | chown(theirs, NOBODY, 0) |
                        mkdir(ours, 0700),
                    ==, 0);
    run->request.cwd = theirs;
    run_argv(run, "/bin/true");
    assert_succeeded(run, "");
    run->request.cwd = ours;
    run_argv(run, "/bin/true");
    assert_failed(run, SPAWN_STAGE_CHDIR, EACCES);
    run->request.cwd = "/";
    run->request.paths[STREAM_STDIN] = secret;
    run_argv(run, "/bin/true");
    assert_failed(run, SPAWN_STAGE_STDIN, EACCES);
    run->request.paths[STREAM_STDIN] = NULL;
    run->request.paths[STREAM_STDOUT] = secret;
    run_argv(run, "/bin/true");
    assert_failed(run, SPAWN_STAGE_STDOUT, EACCES);
}

/* ------------------------------------------------------------------ what is told */

static void test_describe(Run *run, const void *mode)
{
    static const struct { SpawnStage stage; int error; const char *text; } cases[] = {
        { SPAWN_STAGE_NONE, EAGAIN, "cannot start a process: Resource temporarily unavailable" },
        { SPAWN_STAGE_CHDIR, EACCES, "cannot change to directory '/x': Permission denied" },
        { SPAWN_STAGE_STDOUT, EISDIR, "cannot open '/out' as stdout: Is a directory" },
        { SPAWN_STAGE_EXECUTE, ENOENT, "cannot execute 'foo': No such file or directory" },
        { SPAWN_STAGE_IDENTITY, EPERM, "cannot become user 12: Operation not permitted" },
    };
    const char *const argv[] = { "foo", NULL };

    run->request.argv = (char *const *) argv;
    run->request.cwd = "/x";
    run->request.uid = 12;
    run->request.paths[STREAM_STDOUT] = "/out";
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = spawn_describe_failure(&run->request, cases[i].stage, cases[i].error);

        g_assert_cmpstr(text, ==, cases[i].text);
    }
}

/* ------------------------------------------------------------------ how fast (run with -m perf) */

static double measure_spawn(Run *run, int n)
{
    static const char *const argv[] = { "/bin/true", NULL };
    gint64 begin = g_get_monotonic_time();

    for (int i = 0; i < n; i++)
        g_assert_cmpint(waitpid(run_start(run, argv), NULL, 0), >, 0);
    return (double) (g_get_monotonic_time() - begin) / n;
}

static void test_speed(Run *run, const void *mode)
{
    double usec;

    if (!g_test_perf()) {
        g_test_skip("only with -m perf");
        return;
    }
    (void) measure_spawn(run, 100);
    usec = measure_spawn(run, 1000);
    g_test_minimized_result(usec, "%s: %.0f µs", run->mode == SPAWN_SHARED ? "shared" : "fork", usec);
}

typedef void (*RunTest)(Run *run, const void *mode);

static const struct { const char *name; RunTest function; } tests[] = {
    { "status", test_status },
    { "many", test_many },
    { "search", test_search },
    { "not-executable", test_not_executable },
    { "relative", test_relative },
    { "argv", test_argv },
    { "large-argv", test_large_argv },
    { "environment", test_environment },
    { "cwd", test_cwd },
    { "descriptors", test_descriptors },
    { "session", test_session },
    { "signals", test_signals },
    { "open-files", test_open_files },
    { "oom-score", test_oom_score },
    { "paths", test_paths },
    { "fifo", test_fifo },
    { "dead-file-system", test_dead_file_system },
    { "identity", test_identity },
    { "identity-refused", test_identity_refused },
    { "rights", test_rights },
    { "describe", test_describe },
    { "speed", test_speed },
};

int main(int argc, char *argv[])
{
    static const char *const modes[] = { [SPAWN_FORK] = "fork", [SPAWN_SHARED] = "shared" };

    g_test_init(&argc, &argv, NULL);
    if (strstr(g_getenv("LD_PRELOAD") ?: "", "vgpreload")) {
        g_print("1..0 # SKIP valgrind does not survive an execve that fails\n");
        return 0;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
        for (int mode = SPAWN_FORK; mode <= SPAWN_SHARED; mode++) {
            g_autofree char *path = g_strdup_printf("/spawn/%s/%s", modes[mode], tests[i].name);

            g_test_add(path, Run, GINT_TO_POINTER(mode), set_up, tests[i].function, tear_down);
        }
    return g_test_run();
}
