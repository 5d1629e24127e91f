/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "bus/task-request.h"

/* Readers of what a task takes of its worker, for the table of a task's keys; target is a TaskRequest. Ranges are judged when
 * all keys have been read. */
int demand_request_read_memory_max(sd_bus_message *m, const char *option, void *target, sd_bus_error *error);
int demand_request_read_memory_auto(sd_bus_message *m, const char *option, void *target, sd_bus_error *error);
int demand_request_read_io_weight(sd_bus_message *m, const char *option, void *target, sd_bus_error *error);
int demand_request_read_retry_memory(sd_bus_message *m, const char *option, void *target,
                                     sd_bus_error *error);
int demand_request_read_resources(sd_bus_message *m, const char *option, void *target, sd_bus_error *error);

/* memory-max or memory-auto, when a whole dictionary has been read: not both; what a task says goes before the defaults. */
int demand_request_choose_memory(TaskRequest *request, sd_bus_error *error) _warn_unused_;

/* One limit of a task that there is already: memory-max, cpu-quota, tasks-max or io-weight; and all of them, when read. */
int demand_request_read_limit(sd_bus_message *m, const char *option, TaskLimits *limits, sd_bus_error *error);
int demand_request_check_limits(const TaskLimits *limits, sd_bus_error *error) _warn_unused_;
/* The limits of SetTaskLimits. */
int demand_request_read_limits(sd_bus_message *m, TaskLimits *ret, sd_bus_error *error) _warn_unused_;
