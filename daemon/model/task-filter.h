/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/task-state.h"
#include "model/worker-spec.h"

#define TASK_PAGE_MAX 1000U

/* Which tasks: those that satisfy every field that is set. */
typedef struct TaskFilter {
    GArray *ids;     /* of uint64_t; NULL: any */
    uint64_t batch;  /* 0: any */
    uint32_t states; /* bits 1 << TaskState; 0: any */
    char *name;      /* NULL: any */
    char *tag;       /* NULL: any */
    uint32_t owner;  /* uid; UID_ANYBODY: any */

    /* of a listing */
    uint32_t limit;  /* 1…TASK_PAGE_MAX */
    uint64_t cursor; /* the last id of the page before; 0: from the beginning */
    bool reverse;    /* highest id first */
} TaskFilter;

TaskFilter *task_filter_new(void); /* matches everything, a page of TASK_PAGE_MAX */
TaskFilter *task_filter_free(TaskFilter *filter);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TaskFilter, task_filter_free)

bool task_filter_is_empty(const TaskFilter *filter); /* paging aside */
