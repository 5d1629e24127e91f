/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* The line in which a key stands, the last one if there are several, since that one counts; of a section (key NULL) the first
 * one. 0: it is not there. */
unsigned config_line_of(const char *path, const char *section, const char *key);

/* GKeyFile takes the last of several lines with the same key, and does not tell of the others. This logs them. */
void config_check_repetition(const char *path);
