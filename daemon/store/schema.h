/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "store/sqlite-util.h"

/* What brings a database of version - 1 to version. */
typedef struct Migration {
    int version;
    const char *sql;
} Migration;

/* Marks a file as ours (PRAGMA application_id): "prex". */
#define SCHEMA_APPLICATION_ID 0x70726578

/* Brings the database up to date, each version in a transaction of its own. -EPROTONOSUPPORT: it is of a newer version
 * or not ours, and is left alone; any other error: it stays at the last version that was reached. */
int schema_migrate(Sql *sql) _warn_unused_;

/* The same with other migrations, in ascending order from version 1. */
int schema_migrate_with(Sql *sql, const Migration *migrations, size_t n) _warn_unused_;
