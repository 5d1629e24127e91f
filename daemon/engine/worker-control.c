/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Answers from the loop, never from inside the call: the core has not noted yet what it asked for. Answers that come faster
 * than the loop goes round are one, the last. */
#include "engine/worker-control.h"

struct WorkerControl {
    sd_event *event;
    uint32_t number;
    const EngineEvents *events;

    sd_event_source *limits_answer;
    int limits_r;
    char *limits_why;
};

WorkerControl *worker_control_new(sd_event *event, uint32_t number, const EngineEvents *events)
{
    WorkerControl *control = g_new0(WorkerControl, 1);

    control->event = sd_event_ref(event);
    control->number = number;
    control->events = events;
    return control;
}

WorkerControl *worker_control_free(WorkerControl *control)
{
    if (!control)
        return NULL;
    sd_event_source_disable_unref(control->limits_answer);
    sd_event_unref(control->event);
    g_free(control->limits_why);
    g_free(control);
    return NULL;
}

static int on_limits_answer(sd_event_source *source, void *userdata)
{
    WorkerControl *control = userdata;
    const EngineEvents *events = control->events;
    g_autofree char *why = g_steal_pointer(&control->limits_why);

    control->limits_answer = sd_event_source_disable_unref(control->limits_answer);
    if (events->limits_set)
        events->limits_set(control->number, control->limits_r, why, events->userdata);
    return 0;
}

void worker_control_answer_limits(WorkerControl *control, int r, char *why)
{
    g_free(control->limits_why);
    control->limits_r = r;
    control->limits_why = why;
    if (control->limits_answer)
        return;
    int added = sd_event_add_defer(control->event, &control->limits_answer, on_limits_answer, control);
    g_assert(added >= 0); /* only for want of memory */
}
