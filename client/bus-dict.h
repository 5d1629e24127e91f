/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "util/macro.h"

/* Reading an a{sv} into a struct by a table of fields. A key that is not in the table, or has another
 * type, is passed over: a newer daemon may say more than this client knows. */

typedef struct DictField {
    const char *key;
    const char *type; /* the D-Bus signature of the value; the field's C type follows from it, see below */
    size_t offset;    /* of the field in the struct */
    int (*read)(sd_bus_message *m,
                void *field); /* for types of one's own; NULL: the table of types is used */
} DictField;

/* s: char * · t: uint64_t · u: uint32_t · i: int32_t · b: bool · d: double · as: char ** · at: GArray * of
 * uint64_t · aay: char ** (byte strings) · ay: char * (a byte string). The struct owns what is read;
 * values there before are freed, so it has to be initialised. */

#define DICT_FIELD(key_, type_, Struct, member)                                                              \
    {                                                                                                        \
        .key = key_, .type = type_, .offset = offsetof(Struct, member)                                       \
    }
#define DICT_FIELD_BY(key_, type_, Struct, member, read_)                                                    \
    {                                                                                                        \
        .key = key_, .type = type_, .offset = offsetof(Struct, member), .read = read_                        \
    }

/* Reads the dictionary at the message's position. 0 or negative errno (malformed). */
int dict_read(sd_bus_message *m, const DictField *fields, size_t n, void *target) _warn_unused_;

/* Frees what dict_read() allocated and sets it to NULL. */
void dict_clear(const DictField *fields, size_t n, void *target);

/* Reads an array of dictionaries ("aa{sv}"): each() gets the message at the position of one. */
int dict_read_each(sd_bus_message *m, int (*each)(sd_bus_message *m, void *userdata), void *userdata)
    _warn_unused_;

/* Appends one entry to an open a{sv}. The value is as in sd_bus_message_append(). */
int dict_append(sd_bus_message *m, const char *key, const char *type, ...);
int dict_append_strings(sd_bus_message *m, const char *key, char *const *strings); /* as */
int dict_append_byte_strings(sd_bus_message *m, const char *key,
                             char *const *strings); /* aay, without the NULs */
int dict_append_byte_string(sd_bus_message *m, const char *key, const char *string);            /* ay */
int dict_append_numbers(sd_bus_message *m, const char *key, const uint64_t *numbers, size_t n); /* at */
