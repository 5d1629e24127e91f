/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "core/manager.h"

/* The wire form of the worker protocol; see dbus/org.parexec.Worker.Link1.xml. */

/* Fills the body of Run. */
int link_append_run(sd_bus_message *m, TaskSpec *const *tasks, size_t n) _warn_unused_;

/* Fills the body of Limit. */
int link_append_limits(sd_bus_message *m, const TaskLimits *limits) _warn_unused_;

/* Reads the reply of Freeze, a(ts); the elements of ret are FrozenFailure, whose sentences are the message's. */
int link_read_failures(sd_bus_message *m, GArray **ret) _warn_unused_;

/* How many of these, at least one, one message of Run should carry. */
size_t link_run_portion(TaskSpec *const *tasks, size_t n);

/* Read the arrays a(ttt) and a(ttsiiittttaya{sv}); the elements of ret are HeldReport and TaskResult. */
int link_read_held(sd_bus_message *m, GArray **ret) _warn_unused_;
int link_read_results(sd_bus_message *m, GArray **ret) _warn_unused_;
