/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "bus/task-request.h"

/* Readers of what a task waits for, for the table of a task's keys; target is a TaskRequest. */
int gate_request_read_after(sd_bus_message *m, const char *option, void *target, sd_bus_error *error);
int gate_request_read_queue(sd_bus_message *m, const char *option, void *target, sd_bus_error *error);
int gate_request_read_parallel(sd_bus_message *m, const char *option, void *target, sd_bus_error *error);
int gate_request_read_not_before(sd_bus_message *m, const char *option, void *target, sd_bus_error *error);
int gate_request_read_delay(sd_bus_message *m, const char *option, void *target, sd_bus_error *error);

/* Do the keys go together? number: of the task. */
int gate_request_check(const TaskRequest *request, size_t number, sd_bus_error *error) _warn_unused_;
/* NULL if the task need not wait for anything; takes the dependencies. */
TaskGate *gate_request_take(TaskRequest *request);
