/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/task-spec.h"

/* Where an attempt's output lies: DIRECTORY/<task / 10000>/<task>.<attempt>.out or .err */
char *output_path(const char *directory, uint64_t task, uint32_t attempt, StdStream stream);

/* Small outputs of finished attempts are packed: DIRECTORY/<task / 10000>/w<worker>.pack, which only that
 * worker writes. It is a sequence of records, each a header line "parexec-output TASK ATTEMPT out|err
 * SIZE\n" and then SIZE bytes; an OutputPlace names these bytes, without the header. */
char *output_pack_path(const char *directory, uint64_t task, uint32_t worker);
