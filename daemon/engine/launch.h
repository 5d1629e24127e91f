/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

#define LAST_WORDS_BYTES 1000U

/* A worker's process before it is let go. Embedded in its owner. */
typedef struct Launched {
    int32_t pid;    /* 0: none */
    int pidfd;      /* -EBADF: none */
    int release_fd; /* closed without a word, it ends the child */
} Launched;

#define LAUNCHED_NULL ((Launched) { .pidfd = -EBADF, .release_fd = -EBADF })

/* Forks a process that will become the worker's program. It waits: until launch_release() it executes
 * nothing, and if this daemon dies before, it ends by itself. Its output goes to the file log_path, which
 * is made anew (0600); the program finds the record at LAUNCH_RECORD_FD. */
int launch_child(uint32_t number, const char *log_path, GBytes *record, Launched *ret) _warn_unused_;

/* Lets it execute the program. -EPIPE: it is not there any more. */
int launch_release(Launched *launched) _warn_unused_;

/* Kills it, whether released or not; it has to be reaped. */
void launch_cancel(Launched *launched);

/* 1: reaped, with a sentence on how it ended; 0: it lives; -ECHILD: not a child of this process. */
int launch_reap(Launched *launched, char **ret_why) _warn_unused_;

/* Was this child made here and not reaped yet? */
bool launch_is_child(int32_t pid);

/* Reaps dead children that were not made here: what came to a subreaper. */
void launch_reap_strays(void);

void launched_done(Launched *launched); /* closes the descriptors */

/* The end of what was written to the log, as one line of valid UTF-8; "" if there is nothing. */
char *launch_last_words(const char *log_path);

/* "exited with status 1", "killed by signal KILL". */
char *launch_describe_end(int code /* si_code */, int status);
