/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "store/store-row.h"

int range_insert(Database *database, const StoredRange *range) _warn_unused_;

/* Takes the elements first … last out of the range that has them. */
int range_remove(Database *database, const StoredRange *range, uint64_t first, uint64_t last) _warn_unused_;

/* Puts the elements first … last into another state. */
int range_set_state(Database *database, const StoredRange *range, uint64_t first, uint64_t last,
                    int state, uint64_t since_usec) _warn_unused_;

/* Gives the element a row in tasks, in that state. The caller removes it from its range. */
int range_make_task(Database *database, const StoredRange *range, uint64_t id, int state, uint64_t fence) _warn_unused_;
