/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "bus/peer.h"
#include "core/ports.h"
#include "util/sd-bus-util.h"

/* Arguments of calls, written as GVariant text, put into messages that were never sent. What is not as wanted fails the
 * test. */

/* The user that asks: uid and gid 1000, groups 1000 and 27. */
extern const Peer asker;

/* A call with these arguments (a tuple), as it is received. */
sd_bus_message *message_new(const char *arguments);
/* An empty one, to be appended to; message_turn() makes it one that is read. */
sd_bus_message *message_new_empty(void);
void message_turn(sd_bus_message *m);
/* Its whole body, as a tuple, as text. */
char *message_text(sd_bus_message *m);

/* Submit. options: the inside of the braces; tasks: a list of dictionaries. */
Submission *submission_read(const TaskPolicy *policy /* NULL: the built-in one */, const char *tasks,
                            const char *options);
/* One task: the inside of its braces. */
Submission *submission_of(const char *task);
const TaskSpec *submission_task(const Submission *submission, guint number);

/* It must be refused with that error (without "org.parexec.Error."); the sentence must have the snippet in it. */
void submission_refused(const char *tasks, const char *options, const char *error, const char *snippet);
/* All of the arguments of Submit; taken. */
void submission_value_refused(GVariant *arguments, const char *error, const char *snippet);
/* One task with argv and that. */
void task_refused(const char *task, const char *error, const char *snippet);
