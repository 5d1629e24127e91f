/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* Workers are "w1", "w2", …; tasks and batches are numbers from 1. None is ever used again. */

#define WORKER_ID_MAX 12 /* "w4294967295" and NUL */

int worker_id_parse(const char *id, uint32_t *ret_number) _warn_unused_;
void worker_id_format(char buffer[static WORKER_ID_MAX], uint32_t number);

/* Names are shown in listings and journal records: UTF-8, at most 255 bytes, no control characters. May be empty. */
bool name_is_valid(const char *name);
