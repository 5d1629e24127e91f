/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "bus/task-request.h"

/* Readers of how a task is treated and of what it is given, for the table of a task's keys; target is a TaskRequest.
 * Ranges are judged when all keys have been read. */
int policy_request_read_retries(sd_bus_message *m, const char *option, void *target, sd_bus_error *error);
int policy_request_read_backoff(sd_bus_message *m, const char *option, void *target, sd_bus_error *error);
int policy_request_read_on_failure(sd_bus_message *m, const char *option, void *target, sd_bus_error *error);
int policy_request_read_warn(sd_bus_message *m, const char *option, void *target, sd_bus_error *error);
int policy_request_read_credentials(sd_bus_message *m, const char *option, void *target, sd_bus_error *error);
