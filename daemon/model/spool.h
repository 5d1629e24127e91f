/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/task-spec.h"

/* The results that a worker without a daemon leaves behind: one text line each,
 *   task fence outcome exit-status signal errno start end cpu-nsec memory-peak [key=value ...]
 * in decimal (the outcome by its word), followed by what applies:
 *   data=BASE64 note=BASE64 tail=BASE64 dropped=STDOUT,STDERR stdout=OFFSET,SIZE stderr=OFFSET,SIZE oom=CAUSE
 * Unknown keys are passed over. Written by the worker, read and removed by the next daemon. */

#define NOTE_BYTES_MAX 255U        /* of TaskResult.note; UTF-8, nothing that controls a terminal */
#define STDERR_TAIL_BYTES_MAX 4096U /* of TaskResult.stderr_tail, as the daemon takes it */

/* Is it a note as it may come from a worker? */
bool result_note_valid(const char *note);
/* Makes one of any text: what may not be in it is replaced, what is too long is cut. */
char *result_note_clean(const char *text);
/* Adds a sentence to the note of a result. */
void result_add_note(TaskResult *result, const char *text);
/* May an output lie there? */
bool output_place_valid(uint64_t offset, uint64_t size);

void spool_append_line(GString *text, const TaskResult *result);

/* Parses one line (without its newline). 0 or -EINVAL; ret is untouched on failure. */
int spool_parse_line(const char *line, TaskResult *ret) _warn_unused_;
