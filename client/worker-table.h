/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/status-info.h"

/* The table of workers; wide: with everything that is known of them. */
void worker_table_print(const StatusInfo *status, bool wide);
void worker_table_print_ids(const StatusInfo *status);

/* What stands in the column of states. */
char *worker_table_state(const WorkerInfo *worker);
