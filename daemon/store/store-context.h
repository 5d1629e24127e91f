/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "store/store-database.h"

ContextCache *context_cache_new(void);
ContextCache *context_cache_free(ContextCache *cache);
void context_cache_clear(ContextCache *cache);

/* Makes sure that there is a row for what the context says, and sets context->id. */
int context_save(Database *database, TaskContext *context) _warn_unused_;

/* A reference; -EIO: there is no such row. */
int context_load(Database *database, uint64_t id, TaskContext **ret) _warn_unused_;
