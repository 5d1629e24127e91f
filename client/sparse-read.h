/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* Reading files of which the middle was cut out: the hole is stepped over, and told.
 *
 * As read(2), from where the descriptor is. *ret_dropped: so many bytes are missing in front of what was read,
 * else 0. A hole at the very end is told with a return of 0. */
ssize_t sparse_read(int fd, void *buffer, size_t size, uint64_t *ret_dropped) _warn_unused_;

/* "[parexec: 1.2G dropped here]\n" */
char *sparse_note(uint64_t dropped);
