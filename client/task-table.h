/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/client.h"
#include "client/task-info.h"

/* The table of tasks (TaskInfo). */
void task_table_print(const GPtrArray *rows);

/* How it ended, in a word or two: "exit 3", "SIGKILL", "oom", "ENOENT"; "" if well or not at all. */
char *task_table_result(const TaskInfo *info);
