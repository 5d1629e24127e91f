/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/task-spec.h"

/* The results that a worker without a daemon leaves behind: one text line each,
 *   task fence outcome exit-status signal errno start end cpu-nsec memory-peak
 * in decimal (the outcome by its word). Written by the worker, read and removed by the next daemon. */

void spool_append_line(GString *text, const TaskResult *result);

/* Parses one line (without its newline). 0 or -EINVAL; ret is untouched on failure. */
int spool_parse_line(const char *line, TaskResult *ret) _warn_unused_;
