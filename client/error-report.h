/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/client.h"

/* From the name of a D-Bus error to the way parctl ends and to what helps. */

/* ExitCode; PARCTL_FAILED for a name that says nothing more. */
int error_exit_code(const char *name);

/* Prints the daemon's sentence (or a kinder one where the bus itself answers) and the command that helps,
 * notes the exit code in the client and returns the negative errno. */
int error_report(Client *client, const sd_bus_error *error, int r);

/* A refusal of AddWorker has more lines, each beginning with "- ": what forcing it would mean. The sentence
 * without them, and they alone: a strv, empty if it cannot be forced. Both made harmless. */
char *error_sentence(const sd_bus_error *error);
char **error_risks(const sd_bus_error *error);
/* The sentence without "No worker was added": for those that have just told of workers that were. */
char *error_refusal_reason(const sd_bus_error *error);

/* The bus cannot be reached at all. */
int error_report_no_bus(Client *client, int r);

/* Did the daemon go away, or never come, so that asking again may help? */
bool error_is_transient(const sd_bus_error *error);
