/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/task-template.h"

/* Submitting: messages that stay below what the bus and the daemon's loop can bear, as many as it takes,
 * in one batch. */

#define SUBMIT_MESSAGE_BYTES_MAX                                                                             \
    (UINT64_C(16) << 20) /* the system bus cuts a sender off at 32 MiB, and others wait meanwhile */

/* A Submit message that is being filled. */
typedef struct SubmitMessage {
    sd_bus_message *m; /* NULL: not begun */
    uint32_t tasks;    /* an array is one */
    uint64_t elements; /* an array is as many as it has */
    size_t bytes;
} SubmitMessage;

typedef struct SubmitReply {
    uint64_t batch, first;
    uint32_t count;
} SubmitReply;

/* May a task of that size be added to what is there? */
bool submit_message_has_room(const SubmitMessage *message, size_t task_bytes);
/* Begins the message if it is the first. Reports a task that no message can carry. */
int submit_message_add(SubmitMessage *message, Client *client, const TaskTemplate *template,
                       const TaskEntry *entry);
/* Completes it; batch 0: a new one. */
int submit_message_finish(SubmitMessage *message, Client *client, const TaskTemplate *template,
                          uint64_t batch, bool commit);
void submit_message_done(SubmitMessage *message);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(SubmitMessage, submit_message_done)

int submit_reply_read(Client *client, sd_bus_message *m, SubmitReply *ret);

/* One batch in as many calls as it takes, each waited for. */
typedef struct Submitter {
    Client *client;
    const TaskTemplate *template;
    SubmitMessage message;
    uint64_t batch, first, last,
        count;       /* count: tasks on disk so far; others' may lie between first and last */
    bool known;      /* the template's key was: this is the batch of then */
    GArray *replies; /* SubmitReply, one for each call */
} Submitter;

void submitter_init(Submitter *submitter, Client *client, const TaskTemplate *template);
void submitter_done(Submitter *submitter);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Submitter, submitter_done)
int submitter_add(Submitter *submitter, const TaskEntry *entry);
/* Sends the rest and lets the batch run. */
int submitter_commit(Submitter *submitter);
/* The id of the task at this position of the batch, counted from 0; 0: it is not there. */
uint64_t submitter_id(const Submitter *submitter, uint64_t position);
