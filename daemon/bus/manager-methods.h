/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

/* The handlers of org.parexec.Manager1 that its table in manager-bus.c takes from other files; userdata is the Bus. */
typedef int MethodHandler(sd_bus_message *m, void *userdata, sd_bus_error *error);
typedef int PropertyGetter(sd_bus *connection, const char *path, const char *interface, const char *property,
                           sd_bus_message *reply, void *userdata, sd_bus_error *error);

/* worker-methods.c */
MethodHandler worker_method_add;

/* task-methods.c */
MethodHandler task_method_submit, task_method_list, task_method_cancel, task_method_hold, task_method_release,
    task_method_retry, task_method_edit, task_method_explain;

/* queue-bus.c */
MethodHandler queue_method_list, queue_method_set, queue_method_remove;

/* task-limits.c */
MethodHandler task_method_set_limits, task_method_freeze, task_method_thaw;

/* scale-bus.c */
MethodHandler scale_method_scale, scale_method_unscale, scale_method_list_profiles;
PropertyGetter scale_property_profile, scale_property_autoscale, scale_property_target;

/* capacity-bus.c */
MethodHandler capacity_method_statistics, capacity_method_topology;

/* output-bus.c */
MethodHandler output_method_open;

/* manager-properties.c */
PropertyGetter manager_property_version, manager_property_workers, manager_property_max_workers,
    manager_property_enabled, manager_property_queue_length, manager_property_running_tasks;
/* Catches Properties.Set before sd-bus does. */
MethodHandler manager_property_on_set;
/* The setter that makes properties writable and is never called. */
int manager_property_refuse_set(sd_bus *connection, const char *path, const char *interface,
                                const char *property, sd_bus_message *value, void *userdata,
                                sd_bus_error *error);
