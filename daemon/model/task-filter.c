/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which tasks a listing or a cancellation is about. */
#include "model/task-filter.h"

TaskFilter *task_filter_new(void)
{
    TaskFilter *filter = g_new0(TaskFilter, 1);

    filter->owner = UID_ANYBODY;
    filter->limit = TASK_PAGE_MAX;
    return filter;
}

TaskFilter *task_filter_free(TaskFilter *filter)
{
    if (!filter)
        return NULL;
    g_clear_pointer(&filter->ids, g_array_unref);
    g_free(filter->name);
    g_free(filter->tag);
    g_free(filter);
    return NULL;
}

bool task_filter_is_empty(const TaskFilter *filter)
{
    return !filter->ids && filter->batch == 0 && filter->states == 0 && !filter->name && !filter->tag &&
           filter->owner == UID_ANYBODY;
}
