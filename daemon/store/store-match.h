/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "store/store-row.h"

/* Whose tasks; each may be UID_ANYBODY: no restriction. */
typedef struct MatchUser {
    uint32_t only, except;
} MatchUser;

/* Called for each task, or the elements task->id … task->last that have no rows. > 0: that is enough; < 0: error. Must not read
 * from the tables tasks, ranges, assignments. */
typedef int (*MatchFound)(const StoredTask *task, void *userdata);

/* Finds the tasks that have not ended, are not hidden, and match; in no particular order, each once. */
int match_live(Database *database, const TaskFilter *filter, MatchUser user, MatchFound found, void *userdata)
    _warn_unused_;

/* The same for those that ended otherwise than by success. */
int match_ended(Database *database, const TaskFilter *filter, MatchUser user, MatchFound found, void *userdata)
    _warn_unused_;

/* Do name, tag and owner fit? 1 or 0. */
int match_spec(Database *database, const TaskFilter *filter, const StoredTask *task) _warn_unused_;

/* The ids of a batch: IdRange, ascending. */
int match_load_segments(Database *database, uint64_t batch, GArray **ret) _warn_unused_;

/* The ids of a filter, ascending, each once. */
GArray *match_sorted_ids(const TaskFilter *filter);
