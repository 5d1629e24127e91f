/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "core/ports.h"

/* The wire form of tasks: rows of ListTasks, changes, ends of batches. */

/* private: with what only root and the owner may see. */
int task_message_append_row(sd_bus_message *m, const TaskRow *row, bool private);      /* a{sv} */
int task_message_append_attempts(sd_bus_message *m, const TaskRow *row, bool private); /* aa{sv} */
int task_message_append_change(sd_bus_message *m, const TaskChange *change);           /* tta{sv} */
int task_message_append_batch_end(sd_bus_message *m, const BatchEnd *end);             /* ta{sv} */

/* aay of a strv-blob; ay without the closing NUL of a string in bytes; ay of bytes as they are. NULL: empty */
int task_message_append_blob(sd_bus_message *m, GBytes *blob);
int task_message_append_string(sd_bus_message *m, GBytes *string);
int task_message_append_bytes(sd_bus_message *m, GBytes *bytes);

/* Reads the keys of a filter, and with paging those of a listing. */
int task_message_read_filter(sd_bus_message *m, bool paging, TaskFilter **ret, sd_bus_error *error);
/* Of a call that does something (what: "cancel") to tasks, from its beginning; an empty filter is refused. */
int task_message_read_some(sd_bus_message *m, const char *what, TaskFilter **ret, sd_bus_error *error);
