/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parent of the tests. Workers and tasks are made to outlive the daemon, and would outlive a test that aborts: as the
 * nearest subreaper the guardian gets them all. */
#include "guardian.h"

#include <ftw.h>
#include <glib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOG_BYTES 8000 /* of each log that are shown */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void) remove(path);
    return 0;
}

void guardian_remove(const char *directory)
{
    (void) nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void kill_each_child(void)
{
    g_autofree char *path = g_strdup_printf("/proc/self/task/%d/children", getpid()), *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return;
    for (char *p = text; *p;) {
        long pid = strtol(p, &p, 10);
        if (pid > 1)
            (void) kill((pid_t) pid, SIGKILL);
        while (*p == ' ')
            p++;
    }
}

void guardian_kill_children(void)
{
    do
        kill_each_child();
    while (waitpid(-1, NULL, 0) > 0);
}

/* ---- diagnostics */

static void print_log(const char *path)
{
    g_autofree char *text = NULL;
    gsize length;

    if (!g_file_get_contents(path, &text, &length, NULL) || length == 0)
        return;
    const char *tail = length > LOG_BYTES ? text + length - LOG_BYTES : text;
    g_auto(GStrv) lines = g_strsplit(tail, "\n", -1);
    printf("# %s:\n", path);
    for (char **line = lines; *line; line++)
        if (**line)
            printf("#   %s\n", *line);
}

static int print_if_log(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    if (type == FTW_F && g_str_has_suffix(path, ".log"))
        print_log(path);
    return 0;
}

/* ---- life */

/* Waits for the tests, reaping whatever else ends; TERM ends them. */
static int watch(pid_t tests, const sigset_t *signals)
{
    for (;;) {
        int status, number = sigwaitinfo(signals, NULL);
        if (number == SIGTERM || number == SIGINT)
            (void) kill(tests, SIGKILL);
        for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
            if (pid == tests)
                return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
}

int guardian_run(int (*run)(const char *directory, int argc, char *argv[]), int argc, char *argv[])
{
    g_autofree char *directory = g_build_filename(g_get_tmp_dir(), "parexec-bus-XXXXXX", NULL);
    sigset_t signals, before;

    /* others than its owner must come to the bus's socket */
    if (!g_mkdtemp(directory) || chmod(directory, 0711) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) {
        perror("guardian");
        return 99;
    }
    (void) sigemptyset(&signals);
    (void) sigaddset(&signals, SIGCHLD);
    (void) sigaddset(&signals, SIGTERM);
    (void) sigaddset(&signals, SIGINT);
    (void) sigprocmask(SIG_BLOCK, &signals, &before);
    pid_t tests = fork();
    if (tests == 0) {
        (void) sigprocmask(SIG_SETMASK, &before, NULL);
        (void) prctl(PR_SET_CHILD_SUBREAPER, 1);
        exit(run(directory, argc, argv));
    }
    int result = tests < 0 ? 99 : watch(tests, &signals);
    guardian_kill_children();
    if (result != 0)
        (void) nftw(directory, print_if_log, 16, FTW_PHYS);
    guardian_remove(directory);
    return result;
}
