/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The floor that bench/run measures against: starts COMMAND as often as told with posix_spawn(3), so many at a time, and
 * waits for each. No queue, no limits, no output kept, nothing written down: what the kernel itself takes to run a task.
 *
 *   spawn-floor TASKS JOBS COMMAND [ARGUMENT...]
 */
#include <errno.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

static int parse_number(const char *text, long *ret)
{
    char *end;

    errno = 0;
    long number = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end || number < 1)
        return -EINVAL;
    *ret = number;
    return 0;
}

static int start(char **command)
{
    pid_t pid;
    int r = posix_spawnp(&pid, command[0], NULL, NULL, command, environ);

    if (r != 0)
        fprintf(stderr, "spawn-floor: cannot start %s: %s\n", command[0], strerror(r));
    return -r;
}

/* 0: the next child to end was content. */
static int reap(void)
{
    int status;

    if (waitpid(-1, &status, 0) < 0)
        return -errno;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECHILD;
}

static int run(long tasks, long jobs, char **command)
{
    for (long started = 0, ended = 0; ended < tasks;) {
        bool more = started < tasks && started - ended < jobs;
        int r = more ? start(command) : reap();
        if (r < 0)
            return r;
        *(more ? &started : &ended) += 1;
    }
    return 0;
}

int main(int argc, char *argv[])
{
    long tasks, jobs;

    if (argc < 4 || parse_number(argv[1], &tasks) < 0 || parse_number(argv[2], &jobs) < 0) {
        fprintf(stderr, "usage: spawn-floor TASKS JOBS COMMAND [ARGUMENT...]\n");
        return 2;
    }
    return run(tasks, jobs, argv + 3) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
