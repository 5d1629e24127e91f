/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/client.h"

/* How long tasks may still take, by what such tasks took before. */

/* rows: TaskInfo; statistics: ClassStatistics; slots: of the workers. UINT64_MAX: nothing is known of any of them, or nothing
 * runs. Tasks that are held do not count. */
uint64_t time_left_usec(const GPtrArray *rows, const GPtrArray *statistics, uint64_t slots,
                        uint64_t now_usec);

/* Asks the daemon, and prints a line if something is known. Reports. */
int time_left_print(Client *client, const GPtrArray *rows);
