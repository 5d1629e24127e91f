/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/manager.h"

/* Reads what workers without a daemon have left in the spool directory, hands the results to the manager, and removes
 * each file when its results are on disk. To be called once, after manager_start(), before the loop runs. */
void spool_read(Manager *manager, const char *directory);
