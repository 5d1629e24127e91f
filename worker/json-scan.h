/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* Reading one JSON text (RFC 8259) from left to right without building it up. The worker stays small for
 * the sake of its forks, so it has no JSON library; and what passes through it keeps its spelling: 2^64-1
 * and 1.0 stay what they are. */

#define JSON_DEPTH_MAX 256 /* of arrays and objects in one another */

typedef struct JsonScan {
    const char *at, *end;
} JsonScan;

/* Steps over blanks. True: that character follows, and was stepped over. */
bool json_scan_take(JsonScan *scan, char c);

/* Steps over one value of any kind; -EINVAL: there is none, -E2BIG: it is nested too deeply. *ret: where
 * it begins; it ends where the scan is then. */
int json_scan_skip(JsonScan *scan, const char **ret) _warn_unused_;

/* A string, decoded; half a surrogate pair becomes U+FFFD, and \u0000 a NUL. */
int json_scan_string(JsonScan *scan, GString **ret) _warn_unused_;

/* A whole number from 0 on, in plain digits. -ERANGE: does not fit. */
int json_scan_uint64(JsonScan *scan, uint64_t *ret) _warn_unused_;

/* Only blanks follow. */
bool json_scan_at_end(JsonScan *scan);

/* Writes a string in quotes; the text must be UTF-8. */
void json_append_string(GString *json, const char *text, size_t size);
