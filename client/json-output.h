/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/client.h"

/* JSON for --json. What the bus says becomes JSON by its types: dictionaries objects, arrays arrays; byte
 * strings are strings, or {"base64": "…"} where they are no UTF-8; 2^64-1 and 2^32-1 uids ("unlimited",
 * "not known", "anybody") are null; microseconds under the keys that hold times are RFC 3339 strings, null
 * for "not yet". */
typedef struct JsonOutput JsonOutput;

JsonOutput *json_output_new(void);
JsonOutput *json_output_free(JsonOutput *json);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JsonOutput, json_output_free)

void json_output_begin_object(JsonOutput *json);
void json_output_begin_array(JsonOutput *json);
void json_output_end_object(JsonOutput *json);
void json_output_end_array(JsonOutput *json);
void json_output_key(JsonOutput *json, const char *key);
void json_output_uint64(JsonOutput *json, uint64_t value);
void json_output_string(JsonOutput *json, const char *value); /* any bytes */

/* As the value that it is, if it is JSON; else as a string. */
void json_output_json_or_string(JsonOutput *json, const char *text);

/* One complete value at the message's position, whatever it is. */
int json_output_message(JsonOutput *json, sd_bus_message *m) _warn_unused_;

/* The entries of the dictionary at the message's position, into the open object. PropertyNames become
 * property-names, those that listings have other words for those words, so that one key means one thing
 * everywhere. */
int json_output_properties(JsonOutput *json, sd_bus_message *m) _warn_unused_;

/* The text: on one line, or indented. */
char *json_output_text(JsonOutput *json, bool pretty);
/* Prints it with a newline and empties it: indented on a terminal, else on one line. */
void json_output_print(JsonOutput *json);
/* Always on one line: for streams of objects. */
void json_output_print_line(JsonOutput *json);
/* A whole reply, as json_output_message() and json_output_print(). */
int json_output_print_message(sd_bus_message *m) _warn_unused_;
