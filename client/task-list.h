/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/client.h"
#include "client/task-info.h"
#include "model/task-filter.h"

/* Filters as messages, and listings page by page. */

#define TASK_STATES_ENDED                                                                                    \
    (1U << TASK_SUCCEEDED | 1U << TASK_FAILED | 1U << TASK_CANCELLED | 1U << TASK_SKIPPED)
#define TASK_STATES_ALL ((1U << _TASK_STATE_MAX) - 1)
#define TASK_STATES_UNFINISHED (TASK_STATES_ALL & ~TASK_STATES_ENDED)

/* "failed,cancelled", "unfinished", …, given several times, as bits 1 << TaskState; none: otherwise.
 * Reports. */
int task_states_parse(Client *client, const GPtrArray *words, uint32_t otherwise, uint32_t *ret);

/* Appends the filter as an a{sv}; paging: with limit, cursor and reverse. */
int task_filter_append(const TaskFilter *filter, bool paging, sd_bus_message *m) _warn_unused_;

/* An unfilled call of ListTasks with this filter. */
int task_list_new_call(Client *client, const TaskFilter *filter, sd_bus_message **ret);

/* One page; the rows (TaskInfo) are appended. Reports. */
int task_list_page(Client *client, const TaskFilter *filter, GPtrArray *rows, uint64_t *ret_cursor);

/* All pages, at most so many rows. *ret_more: there are others. Changes filter->cursor and limit. */
int task_list_all(Client *client, TaskFilter *filter, uint64_t max, GPtrArray *rows, bool *ret_more);

/* Reads "aa{sv}t". */
int task_list_read(sd_bus_message *m, GPtrArray *rows, uint64_t *ret_cursor) _warn_unused_;

/* As task_info_describe_end(). What a signal does not tell, of a command that could not be started, the daemon is asked for:
 * changes go to everybody, and the command is its owner's. */
char *task_list_describe_end(Client *client, const TaskInfo *info);
/* "task 17: exited with status 3" */
char *task_list_end_note(Client *client, const TaskInfo *info);

GPtrArray *task_rows_new(void); /* of TaskInfo, with its free function */
