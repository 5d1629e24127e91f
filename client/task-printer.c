/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One face for the two ways of printing. Owned by the verb; one of the two is there. */

#include "client/task-printer.h"

#include "client/live-output.h"
#include "client/map-output.h"

struct TaskPrinter {
    MapOutput *whole;
    LiveOutput *live;
};

TaskPrinter *task_printer_new(Client *client, bool ordered, bool lines, const TaskPrinterHandler *handler,
                              void *userdata)
{
    TaskPrinter *output = g_new0(TaskPrinter, 1);

    if (lines)
        output->live = live_output_new(client, ordered, handler, userdata);
    else
        output->whole = map_output_new(client, ordered, handler, userdata);
    return output;
}

TaskPrinter *task_printer_free(TaskPrinter *output)
{
    if (!output)
        return NULL;
    output->whole = map_output_free(output->whole);
    output->live = live_output_free(output->live);
    g_free(output);
    return NULL;
}

void task_printer_set_watch(TaskPrinter *output, const Watch *watch)
{
    if (output->live)
        live_output_set_watch(output->live, watch);
    else
        map_output_set_watch(output->whole, watch);
}

void task_printer_set_progress(TaskPrinter *output, Progress *progress)
{
    if (output->live)
        live_output_set_progress(output->live, progress);
    else
        map_output_set_progress(output->whole, progress);
}

void task_printer_changed(TaskPrinter *output, uint64_t place, const TaskInfo *info, const char *tag)
{
    if (output->live)
        live_output_changed(output->live, place, info, tag);
    else if (task_state_is_end(info->state))
        map_output_add(output->whole, place, info->id, tag);
}

void task_printer_retry(TaskPrinter *output)
{
    if (output->live)
        live_output_retry(output->live);
    else
        map_output_retry(output->whole);
}

void task_printer_stop(TaskPrinter *output)
{
    if (output->live)
        live_output_stop(output->live);
    else
        map_output_stop(output->whole);
}

bool task_printer_is_idle(const TaskPrinter *output)
{
    return output->live ? live_output_is_idle(output->live) : map_output_is_idle(output->whole);
}

uint64_t task_printer_unread(const TaskPrinter *output)
{
    return output->live ? live_output_unread(output->live) : map_output_unread(output->whole);
}
