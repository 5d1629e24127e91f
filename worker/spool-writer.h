/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/result-queue.h"

/* Lays the results of a queue that are not acknowledged down in DIRECTORY/ID, durably, for the next
 * daemon. Nothing to write: no file. */
int spool_write(const char *directory, const char *id, ResultQueue *queue) _warn_unused_;
