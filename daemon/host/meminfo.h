/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

typedef struct Meminfo {
    uint64_t total_bytes, available_bytes;
    uint64_t swap_total_bytes;
} Meminfo;

/* The text of /proc/meminfo. 0; -EINVAL: MemTotal or MemAvailable is missing or no number. */
int meminfo_parse(const char *text, Meminfo *ret) _warn_unused_;
int meminfo_read(Meminfo *ret) _warn_unused_;
