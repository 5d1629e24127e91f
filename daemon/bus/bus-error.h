/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

/* From what the core answers to what the caller is told: the one place where errno meets org.parexec.Error.*. Each sets
 * the error and returns a negative errno, to be returned from a handler. subject: what it is about, "worker w7". */

int bus_error_set(sd_bus_error *error, int r, const char *subject);

/* The same as the reply to a call that is answered later. */
void bus_error_reply(sd_bus_message *m, int r, const char *subject);
