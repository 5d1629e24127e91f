/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/slot.h"

/* A long-lived program that does the tasks of one slot; see parexec-program(7). It is started with the
 * first task, kept from task to task, and replaced when it cannot be trusted any more, or has done
 * enough.
 *
 *   NONE ──ask──► BUSY ──answer──► IDLE ──ask──► BUSY
 *     ▲             │                │
 *     │        nonsense, death     enough, idle talk
 *     │             ▼                ▼
 *     └──gone──── DYING ◄──grace── LEAVING
 */
typedef struct Program Program;

Program *program_new(Slot *slot); /* the slot of a worker that has a program */
Program *program_free(Program *program);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Program, program_free)

/* Hands it the slot's task, whose outputs are open; starts it, if need be. On failure the slot's trouble
 * says why. */
int program_ask(Program *program) _warn_unused_;

bool program_is_ready(const Program *program); /* may it be asked? */
bool program_is_kept(const Program *program); /* nothing of it is to be killed with the task that has ended */
bool program_is_dying(const Program *program); /* it is to be killed until nothing is left */
pid_t program_pid(const Program *program);     /* 0: none */

/* Its process was reaped: while it was asked (the slot's status is that of the process, and is made that
 * of the task; true: it had not read the task, which is to be given to the next), or at any other time. */
bool program_ended(Program *program) _warn_unused_;
bool program_reaped(Program *program, pid_t pid); /* false: not its process */
/* Nothing of it is left in the leaf. */
void program_gone(Program *program);
/* Ends it for good. */
void program_stop(Program *program);

/* What became of the task, beside its outcome and status. After that the program may leave. */
void program_collect(Program *program, TaskResult *result);
