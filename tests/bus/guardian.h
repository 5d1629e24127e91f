/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* Runs the tests in a child and stays behind as the reaper of all that they start: however they end, no process and no
 * file is left. If they fail, what is in the log files below the directory is printed as diagnostics.
 * run: gets the directory, a fresh one; its result is the program's. */
int guardian_run(int (*run)(const char *directory, int argc, char *argv[]), int argc, char *argv[]);

/* Kills every child of this process, and what thereby becomes one, until there is none. */
void guardian_kill_children(void);

/* Removes a directory with all that is in it. */
void guardian_remove(const char *directory);
