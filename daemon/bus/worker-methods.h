/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "bus/bus-internal.h"

/* What Manager1 and Worker1 do with a worker whose caller may do it: 1 answered or to be answered, negative with error set. */
int worker_bus_end(Bus *bus, sd_bus_message *m, Worker *worker, int (*end)(Manager *, Worker *),
                   sd_bus_error *error);
int worker_bus_freeze(Bus *bus, sd_bus_message *m, Worker *worker, bool frozen, bool reclaim,
                      sd_bus_error *error);
/* Reads the limits from the message. */
int worker_bus_set_limits(Bus *bus, sd_bus_message *m, Worker *worker, sd_bus_error *error);
