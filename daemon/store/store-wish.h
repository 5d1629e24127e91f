/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "store/store-database.h"

/* What is remembered over a restart beside tasks and workers; for the snapshot. */
int wishes_load(Database *database, GHashTable **ret) _warn_unused_;
int learned_load(Database *database, GPtrArray **ret) _warn_unused_; /* LearnedRow */
