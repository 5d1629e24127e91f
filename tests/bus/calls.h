/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "harness.h"

/* Calls as a test writes them: arguments as GVariant text ("([{'argv': <[b'true']>}], @a{sv} {})", with printf's
 * conversions; NULL: none), the answer as a GVariant tuple. What is not as wanted fails the test. */

#define MANAGER "org.parexec.Manager1"
#define WORKER "org.parexec.Worker1"
#define TASK "org.parexec.Task1"
#define PROPERTIES "org.freedesktop.DBus.Properties"
#define ERROR(name) "org.parexec.Error." name

typedef struct Target {
    const char *path, *interface, *member;
    const char *destination; /* NULL: org.parexec */
} Target;

GVariant *bus_call(sd_bus *bus, Target target, const char *arguments, ...) _printf_(3, 4);
/* It must answer with an error of that name; returns its sentence. */
char *bus_refusal(sd_bus *bus, const char *error, Target target, const char *arguments, ...) _printf_(4, 5);
/* The call, not sent. */
sd_bus_message *bus_message(sd_bus *bus, Target target, const char *arguments, ...) _printf_(3, 4);

/* The same of /org/parexec and its interface. */
#define manager_call(bus, member, ...) bus_call(bus, (Target){ "/org/parexec", MANAGER, member }, __VA_ARGS__)
#define manager_refusal(bus, error, member, ...)                                                             \
    bus_refusal(bus, error, (Target){ "/org/parexec", MANAGER, member }, __VA_ARGS__)
/* For those who do not look at the answer or the sentence. */
#define manager_do(bus, ...) g_variant_unref(manager_call(bus, __VA_ARGS__))
#define manager_refuses(bus, ...) g_free(manager_refusal(bus, __VA_ARGS__))

/* A call under way. */
typedef struct Pending {
    bool done;
    char *error; /* its name; NULL: none */
    char *sentence;
    GVariant *reply;
} Pending;
Pending *bus_call_later(sd_bus *bus, Target target, const char *arguments, ...) _printf_(3, 4);
#define manager_call_later(bus, member, ...)                                                                 \
    bus_call_later(bus, (Target){ "/org/parexec", MANAGER, member }, __VA_ARGS__)
void pending_free(Pending *pending);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Pending, pending_free)

/* ---- properties */
GVariant *bus_property(sd_bus *bus, const char *path, const char *interface, const char *name);
uint64_t bus_property_number(sd_bus *bus, const char *path, const char *interface,
                             const char *name); /* of any integer type */
char *bus_property_string(sd_bus *bus, const char *path, const char *interface, const char *name);
void manager_set(sd_bus *bus, const char *property, const char *value);
uint64_t manager_number(sd_bus *bus, const char *property);

/* ---- dictionaries */
uint64_t dict_number(GVariant *dict, const char *key); /* of any integer type; fails if it is not there */
const char *dict_string(GVariant *dict, const char *key);
bool dict_has(GVariant *dict, const char *key);
/* The keys with their types, sorted: "id:t name:s". */
char *dict_shape(GVariant *dict);

/* ---- the fakes */
void polkit_answer(Harness *harness, const char *action, const char *answer); /* as fake-polkit.c tells */
GVariant *polkit_checks(Harness *harness);                    /* a(ssu): action, subject, flags */
void systemd_behave(Harness *harness, const char *behaviour); /* as fake-systemd.c tells */
void systemd_end_jobs(Harness *harness, const char *result);
bool systemd_was_asked(Harness *harness, const char *call);
GVariant *systemd_properties(Harness *harness);

/* ---- tasks and workers */
char *worker_add(sd_bus *bus, const char *options, ...)
    _printf_(2, 3); /* its id; options: the inside of the braces, or NULL; by force unless they say */
char *worker_path(const char *id);
GVariant *worker_status(sd_bus *bus, const char *id); /* its dictionary in Status; NULL: not there */
bool worker_is(sd_bus *bus, const char *id, const char *state); /* "": it is not there */

uint64_t task_submit(sd_bus *bus, const char *task, ...)
    _printf_(2, 3); /* the inside of one task's braces; its id */
uint64_t task_submit_shell(sd_bus *bus, const char *script, ...) _printf_(2, 3);
char *task_path(uint64_t id);
GVariant *task_row(sd_bus *bus, uint64_t id);
bool task_is(sd_bus *bus, uint64_t id, const char *state);
void task_wait(Harness *harness, uint64_t id, const char *state);
char *task_output(sd_bus *bus, uint64_t id, const char *stream);
uint64_t queue_count(sd_bus *bus, const char *state);
