/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/task-info.h"
#include "client/client.h"

/* A log of ended tasks as GNU parallel writes it: Seq, Host, Starttime, JobRuntime, Send, Receive, Exitval,
 * Signal, Command, with tabs between them. Times and commands are asked of the daemon, many tasks at a
 * time. */
typedef struct Joblog Joblog;

/* append: goes on behind what is there. idle is called whenever nothing is left to be written. Reports. */
int joblog_open(Client *client, const char *path, bool append, void (*idle)(void *userdata), void *userdata,
                Joblog **ret);
Joblog *joblog_free(Joblog *log);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Joblog, joblog_free)

/* This task has ended. Needs client->event. */
void joblog_add(Joblog *log, uint64_t seq, uint64_t task);
bool joblog_is_idle(const Joblog *log);
/* The daemon is back: asks again. */
void joblog_retry(Joblog *log);

/* The line of a task, with the newline; NULL: it has never run. */
char *joblog_line(uint64_t seq, const char *host, const TaskInfo *info);

/* Which numbers stand in a log, those whose latest attempt failed only if failed is set: a set of uint64_t.
 * -ENOENT: there is no such file. -EBADMSG: it is none of these logs. */
int joblog_read(const char *path, bool failed_too, GHashTable *seqs) _warn_unused_;
