/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/progress.h"
#include "client/task-info.h"
#include "client/watch.h"

/* What tasks print, onto our own stdout and stderr: whole tasks at a time as they end, or their lines while
 * they run; as it comes, or in an order. */
typedef struct TaskPrinter TaskPrinter;

typedef struct TaskPrinterHandler {
    void (*idle)(void *userdata);          /* everything that was to be printed so far is */
    void (*broken)(int r, void *userdata); /* it cannot go on: nobody reads (-EPIPE), or what was reported */
} TaskPrinterHandler;

TaskPrinter *task_printer_new(Client *client, bool ordered, bool lines, const TaskPrinterHandler *handler,
                              void *userdata);
TaskPrinter *task_printer_free(TaskPrinter *output);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TaskPrinter, task_printer_free)

void task_printer_set_watch(TaskPrinter *output, const Watch *watch);    /* not owned */
void task_printer_set_progress(TaskPrinter *output, Progress *progress); /* not owned; NULL: none */

/* The task at this place of the order (from 0) has begun, is tried again, or has ended; every one has to be
 * told of when it has ended, once. tag: in front of each of its lines; NULL: nothing. */
void task_printer_changed(TaskPrinter *output, uint64_t place, const TaskInfo *info, const char *tag);
/* The daemon is back: asks again for what it did not answer. */
void task_printer_retry(TaskPrinter *output);
/* Prints nothing any more. */
void task_printer_stop(TaskPrinter *output);

bool task_printer_is_idle(const TaskPrinter *output);
uint64_t task_printer_unread(const TaskPrinter *output); /* that could not be had, and were reported */
