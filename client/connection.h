/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/client.h"

/* The connection to the bus and calls of org.parexec.Manager1. Everything that returns int reports its
 * failure itself, leaves its exit code in client->failure and returns a negative errno. */

#define CALL_TIMEOUT_USEC (60 * USEC_PER_SEC)         /* an fsync of 10 000 tasks on a slow disk is in it */
#define CALL_TIMEOUT_ASKING_USEC (300 * USEC_PER_SEC) /* somebody may be typing a password */

int connection_open(Client *client);
/* Gives the client its event loop and puts the bus on it. A lost bus ends the loop with
 * PARCTL_UNREACHABLE. */
int connection_attach(Client *client);
/* A new connection in place of one whose event loop has ended, and which was closed with it. Nothing may
 * use the old one. */
int connection_reopen(Client *client);
void connection_close(Client *client);

/* Lets polkit ask on this terminal, if there is no other place where it could: for verbs that may need it. */
void connection_offer_password_agent(Client *client);

/* A call of a method of the manager, to be filled. */
int connection_new_call(Client *client, const char *method, sd_bus_message **ret);
int connection_call(Client *client, sd_bus_message *call, sd_bus_message **ret_reply);
/* The same without report, for those who look at the error. */
int connection_try_call(Client *client, sd_bus_message *call, sd_bus_error *ret_error,
                        sd_bus_message **ret_reply);
/* *ret_slot: dropping it drops the answer; NULL: it is kept until it is answered. */
int connection_call_async(Client *client, sd_bus_message *call, sd_bus_message_handler_t done, void *userdata,
                          sd_bus_slot **ret_slot);

/* Method without arguments, or with one string. */
int connection_call_simple(Client *client, const char *method, const char *argument,
                           sd_bus_message **ret_reply);

/* All properties of an object, as the reply "a{sv}" of GetAll. */
int connection_get_all(Client *client, const char *path, const char *interface, sd_bus_error *ret_error,
                       sd_bus_message **ret);

/* What sd-bus refused while a message was written or read: a defect or a daemon of another version. */
int connection_report_message(Client *client, int r);
