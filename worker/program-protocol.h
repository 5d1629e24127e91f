/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/task-spec.h"

/* What is said to a program that does tasks, and what it says: one JSON object a line, see
 * parexec-program(7). */

#define PROGRAM_LINE_BYTES_MAX (UINT64_C(4) << 20)

/* A task as the program is told of it. */
typedef struct ProgramQuestion {
    uint64_t task, batch, array_index; /* ARRAY_INDEX_NONE */
    uint32_t attempt;
    GBytes *argv;               /* strv-blob */
    const TaskContext *context; /* of it the directory and the environment */
    const char *inputs;         /* NULL: none */
} ProgramQuestion;

/* One line, with its newline. */
GString *program_question_format(const ProgramQuestion *question);

typedef struct ProgramAnswer {
    uint64_t task;
    int exit_status;
    GString *output, *errors; /* "stdout" and "stderr"; NULL: not given */
    GBytes *result;           /* JSON text; NULL: not given */
} ProgramAnswer;

void program_answer_done(ProgramAnswer *answer);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ProgramAnswer, program_answer_done)

/* Reads one line without its newline. -EINVAL: it is no answer, and why, to follow on "its program
 * answered with". */
int program_answer_parse(const char *line, size_t size, ProgramAnswer *ret, char **ret_why) _warn_unused_;
