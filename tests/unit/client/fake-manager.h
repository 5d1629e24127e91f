/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/client.h"
#include "model/task-state.h"

/* A parexecd of the tests: org.parexec.Manager1 at the other end of a socket pair, in a thread of its own.
 * It has tasks with states that the test sets beforehand, takes submissions, and calls the test back after
 * each method, in its thread, to send signals. */

#define FAKE_TASKS_MAX 200000U

typedef struct FakeManager FakeManager;
struct FakeManager {
    GThread *thread;
    sd_bus *bus;
    int stop_fd;
    TaskState states[FAKE_TASKS_MAX]; /* by id */
    bool unknown[FAKE_TASKS_MAX];
    uint64_t next_task, next_batch;
    /* what was called */
    unsigned submits, lists, subscribes, statistics;
    unsigned classes; /* that Statistics knows */
    const char *note; /* why no task could be started: in the rows of all; NULL: in none */
    uint32_t tasks_of[64]; /* in each Submit */
    bool commits[64];
    uint64_t batches[64];
    void (*after)(FakeManager *fake, const char *method); /* NULL: nothing */
};

/* Connects the client to a new one. */
FakeManager *fake_manager_new(Client *client, void (*after)(FakeManager *fake, const char *method));
void fake_manager_free(FakeManager *fake, Client *client);

/* For after(): signals as the daemon sends them. */
void fake_manager_task_changed(FakeManager *fake, uint64_t task, uint64_t batch, TaskState state,
                               int exit_status);
void fake_manager_task_unstarted(FakeManager *fake, uint64_t task, uint64_t batch); /* ENOENT, without a note */
void fake_manager_batch_finished(FakeManager *fake, uint64_t batch, uint64_t count, uint64_t failed);
void fake_manager_owner_changed(FakeManager *fake, const char *sender, const char *old, const char *new);
void fake_manager_forged_change(FakeManager *fake, uint64_t task, uint64_t batch);

/* A bus that is good for building messages. */
sd_bus *message_bus_new(void);
/* Ready to be read from its beginning. */
void message_seal(sd_bus_message *m);
