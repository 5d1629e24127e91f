/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "store/store-row.h"

/* Changing what is to be run, of a task or of elements of a range that have not started. */

/* 1: it may; 0: it is an element of an array that waits for others, or that others go by: it stays together. */
int spec_may_change(Database *database, const StoredTask *task) _warn_unused_;

/* Elements of an array part from the others: they get a spec of their own, and task->spec is that. NULL: stays. limits: those that are set in it. */
int spec_change(Database *database, StoredTask *task, GBytes *argv, const TaskLimits *limits) _warn_unused_;

/* The limit of the next attempt of a task that is not an element of a range; 0: as its context says. */
int spec_set_memory(Database *database, const StoredTask *task, uint64_t memory_bytes) _warn_unused_;

/* Write task->priority and task->queue. */
int spec_set_priority(Database *database, const StoredTask *task) _warn_unused_;
int spec_set_queue(Database *database, const StoredTask *task) _warn_unused_;
