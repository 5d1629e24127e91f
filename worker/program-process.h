/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/slot.h"

/* The process of a program that does tasks: how it is started. */
typedef struct ProgramProcess {
    pid_t pid;
    int in_fd, out_fd, err_fd; /* our ends of its standard descriptors, which do not block */
} ProgramProcess;

#define PROGRAM_PROCESS_NULL ((ProgramProcess){ 0, -EBADF, -EBADF, -EBADF })

/* Starts the program of the slot's worker in the slot's leaf, as the user whose task is at hand. On
 * failure *ret_why is a sentence. That it could not be executed shows in the slot's report when it is
 * reaped. */
int program_process_start(Slot *slot, ProgramProcess *ret, char **ret_why) _warn_unused_;
void program_process_close(ProgramProcess *process); /* its descriptors */

/* The slot's task as a line of the protocol. On failure the slot's trouble may say why. */
int program_process_question(Slot *slot, GString **ret) _warn_unused_;

/* "cannot execute '/bin/model': No such file or directory" */
char *program_process_describe_failure(const Slot *slot);

/* What it has in memory; 0: not known. */
uint64_t program_process_memory(const ProgramProcess *process);
