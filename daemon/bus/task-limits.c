/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SetTaskLimits, Freeze and Thaw: what is done to tasks that run. */
#include <stddef.h>

#include "bus/bus-internal.h"
#include "bus/demand-request.h"
#include "bus/manager-methods.h"
#include "bus/options.h"
#include "bus/task-message.h"

int task_method_set_limits(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    g_autoptr(TaskFilter) filter = NULL;
    TaskDeed deed = { .kind = DEED_LIMIT };
    int r = task_message_read_some(m, "change", &filter, error);

    if (r >= 0)
        r = demand_request_read_limits(m, &deed.limits, error);
    return r < 0 ? r : task_action_run(userdata, m, g_steal_pointer(&filter), deed, error);
}

static const Option freeze_options[] = {
    { "reclaim", "b", offsetof(TaskDeed, reclaim) },
    { NULL },
};

int task_method_freeze(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    g_autoptr(TaskFilter) filter = NULL;
    TaskDeed deed = { .kind = DEED_FREEZE, .frozen = true };
    int r = task_message_read_some(m, "freeze", &filter, error);

    if (r >= 0)
        r = options_read(m, freeze_options, &deed, error);
    return r < 0 ? r : task_action_run(userdata, m, g_steal_pointer(&filter), deed, error);
}

int task_method_thaw(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    TaskFilter *filter;
    int r = task_message_read_some(m, "thaw", &filter, error);

    return r < 0 ? r : task_action_run(userdata, m, filter, (TaskDeed){ .kind = DEED_FREEZE }, error);
}
