/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* Is a text JSON as RFC 8259 has it, and nothing worse? JSON-GLib takes comments, keeps one of several
 * members of one name without a word, and calls itself for each level: what it is given has passed here
 * first. */

#define JSON_DEPTH_MAX 64U
#define JSON_STRING_BYTES_MAX (1U << 20)

/* 0, or -EINVAL and a sentence with the place: "tasks[3].name: the member is there twice". root: what an
 * array at the top is called. */
int json_check(const char *text, size_t size, const char *root, char **ret_why) _warn_unused_;
