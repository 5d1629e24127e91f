/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <systemd/sd-bus.h>

#include "util/macro.h"

/* Reading an a{sv} whose keys are known: one table {name, signature, offset or reader}. Unknown keys, keys that
 * stand twice and wrong types are refused with a sentence that names them. A table has at most 64 rows. */
typedef struct Option {
    const char *name;
    const char *signature; /* of the variant's content; NULL: the reader looks for itself */
    size_t offset;         /* of the field, for the basic types: s → char* (copied), t, u, b (bool), i, d */
    /* for everything else: m stands inside the variant */
    int (*read)(sd_bus_message *m, const char *name, void *target, sd_bus_error *error);
} Option;

/* The table ends with a name of NULL. */
int options_read(sd_bus_message *m, const Option *table, void *target, sd_bus_error *error);
/* The same of what is to be changed: an empty dictionary is refused. */
int options_read_changes(sd_bus_message *m, const Option *table, void *target, sd_bus_error *error);

/* Sets org.parexec.Error.InvalidArgument with the sentence; returns -EINVAL. */
int options_invalid(sd_bus_error *error, const char *format, ...) _printf_(2, 3);

/* Readers for use in tables and elsewhere; m stands before the value. */
int options_read_bytes(sd_bus_message *m, const char *name, GBytes **ret,
                       sd_bus_error *error); /* ay → "…\0" */
int options_read_byte_strv(sd_bus_message *m, const char *name, GBytes **ret,
                           sd_bus_error *error); /* aay → strv-blob */
/* t: a task's limit of memory, within the bounds of one */
int options_read_memory_max(sd_bus_message *m, const char *name, uint64_t *ret, sd_bus_error *error);
int options_check_task_memory(uint64_t bytes, const char *option, sd_bus_error *error);
/* s: "licence=1,tape=2" → Resource; NULL for none. Replaces what is there. */
int options_read_resources(sd_bus_message *m, GArray **ret, sd_bus_error *error);
