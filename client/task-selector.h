/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/client.h"
#include "model/task-filter.h"

/* Which tasks are meant: "17", "17-30", "17,19", "last" (the submission made last), "batch:4", "mine";
 * several are joined. */

#define TASK_SELECTOR_IDS_MAX                                                                                \
    UINT64_C(1000000) /* of one span: beyond, a slip of the fingers is likelier than a wish */

typedef struct IdSpan {
    uint64_t first, last;
} IdSpan;

typedef struct TaskSelector {
    GArray *spans;   /* IdSpan, as given */
    GArray *batches; /* uint64_t */
    bool last, mine;
} TaskSelector;

void task_selector_init(TaskSelector *selector);
void task_selector_done(TaskSelector *selector);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(TaskSelector, task_selector_done)

/* Adds what one argument names. -EINVAL: nothing of that form; -ERANGE: more ids than make sense in one
 * go. */
int task_selector_add(TaskSelector *selector, const char *argument) _warn_unused_;

/* Adds all arguments; reports. */
int task_selector_parse(TaskSelector *selector, Client *client, char *const *arguments);

/* Replaces "last" by the batch that it stands for. Reports when there is none. */
int task_selector_resolve(TaskSelector *selector, Client *client);

/* The selection as filters (TaskFilter) that together name it; at most TASK_PAGE_MAX ids in each. */
GPtrArray *task_selector_filters(const TaskSelector *selector);

/* The rows of all that is selected. A task that does not exist is reported, -ENOENT. */
int task_selector_list(const TaskSelector *selector, Client *client, GPtrArray *rows);

/* How many tasks are selected by number; 0 if any other way. */
uint64_t task_selector_ids(const TaskSelector *selector);
