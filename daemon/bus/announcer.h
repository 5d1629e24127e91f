/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "bus/peer.h"
#include "core/ports.h"

/* Tells the bus what changes, without flooding it: property changes are gathered to at most four signals a second, task
 * changes to ten; the first of a quiet time goes out at once. State changes of workers and ends of batches never wait. */
typedef struct Announcer Announcer;

int announcer_new(sd_bus *bus, Peers *peers, Announcer **ret) _warn_unused_;
Announcer *announcer_free(Announcer *announcer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Announcer, announcer_free)

void announcer_worker_added(Announcer *announcer, Worker *worker);
void announcer_worker_removed(Announcer *announcer, Worker *worker);
void announcer_worker_state_changed(Announcer *announcer, Worker *worker, WorkerState old);
void announcer_worker_changed(Announcer *announcer, Worker *worker);
void announcer_queue_changed(Announcer *announcer);
void announcer_settings_changed(Announcer *announcer);
void announcer_task_unplaceable(Announcer *announcer, uint64_t task, const char *why);
void announcer_pressure_changed(Announcer *announcer, const char *rung, const char *why);
void announcer_task_changed(Announcer *announcer, const TaskChange *change);
void announcer_batch_ended(Announcer *announcer, const BatchEnd *end);
