/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* Parsing and printing of the quantities people type: as in systemd.syntax(7) and systemd.time(7). All return 0 or
 * -EINVAL (not such a quantity) or -ERANGE (does not fit). ret_x is untouched on failure. */

int parse_uint64(const char *s, uint64_t *ret); /* decimal digits only: no sign, no blanks */
int parse_boolean(const char *s, bool *ret);    /* yes/no, true/false, on/off, 1/0 */
int parse_bytes(
    const char *s,
    uint64_t *ret_bytes); /* "8G", "1.5G", "512M", "4096", "infinity"; base 1024, suffixes K M G T P */
int parse_timespan(const char *s,
                   uint64_t *ret_usec); /* "30s", "1min 30s", "100ms", "7d", "5" (seconds), "infinity" */
int parse_cpus(const char *s,
               uint64_t *ret_usec_per_sec); /* "2", "0.5", "50%", "infinity": CPU quota, µs per second */

/* "1.2G", "412.0M", "12K", "0B", as systemctl prints sizes; "infinity" for UINT64_MAX. */
char *format_bytes(uint64_t bytes);
/* "1h 5min", "12.3s", "45ms": two units at most, as systemd prints times; "infinity" for UINT64_MAX. */
char *format_timespan(uint64_t usec);
/* "2026-01-31T12:00:00.123Z"; RFC 3339, UTC. */
char *format_timestamp(uint64_t realtime_usec);

/* A stranger's text as it may stand in a sentence: valid UTF-8, at most 64 characters, "?" for what controls a terminal. */
char *format_foreign(const char *text);

/* Is the list of CPUs well formed ("0-3,8") with no CPU number over 8191? */
bool cpu_list_valid(const char *s);
