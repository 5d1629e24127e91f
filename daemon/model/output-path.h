/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/task-spec.h"

/* Where an attempt's output lies: DIRECTORY/<task / 10000>/<task>.<attempt>.out or .err */
char *output_path(const char *directory, uint64_t task, uint32_t attempt, StdStream stream);
