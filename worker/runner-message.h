/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/sd-bus-util.h"
#include "worker/runner.h"

/* The worker protocol's types on the wire; see dbus/org.parexec.Worker.Link1.xml. */

#define RESULT_GROUP_MAX 1000U /* results in one message */
#define RESULT_GROUP_BYTES (UINT64_C(8) << 20)

int runner_message_append_held(sd_bus_message *message, const HeldRow *rows, size_t n) _warn_unused_;

/* How many of the unsent results go with the next message: at most RESULT_GROUP_MAX, and about
 * RESULT_GROUP_BYTES. */
unsigned runner_message_portion(const ResultQueue *queue);
/* The oldest unsent results, as many as that. Returns how many. */
int runner_message_append_results(sd_bus_message *message, const ResultQueue *queue) _warn_unused_;

/* What came with Run. */
typedef struct RunOrder {
    GPtrArray *contexts; /* TaskContext */
    GPtrArray *tasks;    /* RunnerTask, their descriptors in place; steal them */
} RunOrder;

/* What came with Limit; what a later daemon may limit as well is passed over. */
int runner_message_read_limit(sd_bus_message *message, LimitOrder *ret) _warn_unused_;

/* -EBADMSG, with a sentence: it breaks the rules of the protocol. */
int runner_message_read_run(sd_bus_message *message, RunOrder *ret, char **ret_why) _warn_unused_;
void run_order_done(RunOrder *order);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(RunOrder, run_order_done)
