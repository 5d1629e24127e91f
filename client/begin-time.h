/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* When a task may begin, as people write it; the absolute forms are those of systemd.time(7). */
typedef struct BeginTime {
    bool relative; /* so long after the submission; else a time of CLOCK_REALTIME */
    uint64_t usec;
} BeginTime;

/* "2026-12-01", "2026-12-01 08:00", "2026-12-01T08:00:30", "08:00" (the next one), "now", "today",
 * "tomorrow", "tomorrow 08:00", "@1700000000", "+30min"; all but the last two may end with " UTC". A time
 * that has passed is one. -EINVAL: of another form, or there is no such day. */
int begin_time_parse(const char *text, GDateTime *now /* local */, BeginTime *ret) _warn_unused_;
