/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* JSON for --json: a JsonBuilder, and the way from D-Bus types to it. The only user of json-glib. */

#include "client/json-output.h"

#include <json-glib/json-glib.h>
#include <math.h>
#include <string.h>

#include "client/json-check.h"
#include "client/output.h"
#include "util/parse-util.h"

struct JsonOutput {
    JsonBuilder *builder;
};

/* Properties whose values listings show under other words. */
static const char *const property_keys[][2] = {
    { "CPUUsageNSec", "cpu-usage-nsec" },
    { "CPUQuota", "cpu-quota" },
    { "CurrentTasks", "tasks" },
    { "Environment", "env" },
    { "FinishTimestamp", "finished" },
    { "LastHeartbeat", "heartbeat" },
    { "MemoryCurrent", "memory" },
    { "StartTimestamp", "started" },
    { "SubmitTimestamp", "submitted" },
    { "TasksDone", "done" },
    { "TasksFailed", "failed" },
    { "WorkerClass", "class" },
    { "WorkingDirectory", "cwd" },
    { "AllowedCPUs", "allowed-cpus" },
    { "GPUs", "gpus" },
};

static const char *const time_keys[] = { "added",      "finished", "heartbeat",
                                         "not-before", "started",  "submitted" };

JsonOutput *json_output_new(void)
{
    JsonOutput *json = g_new(JsonOutput, 1);

    json->builder = json_builder_new();
    return json;
}

JsonOutput *json_output_free(JsonOutput *json)
{
    if (!json)
        return NULL;
    g_object_unref(json->builder);
    g_free(json);
    return NULL;
}

void json_output_begin_object(JsonOutput *json)
{
    json_builder_begin_object(json->builder);
}

void json_output_begin_array(JsonOutput *json)
{
    json_builder_begin_array(json->builder);
}

void json_output_end_object(JsonOutput *json)
{
    json_builder_end_object(json->builder);
}

void json_output_end_array(JsonOutput *json)
{
    json_builder_end_array(json->builder);
}

void json_output_key(JsonOutput *json, const char *key)
{
    json_builder_set_member_name(json->builder, key);
}

/* JSON-GLib knows no unsigned numbers; what does not fit is only ever the largest, which means something
 * else. */
void json_output_uint64(JsonOutput *json, uint64_t value)
{
    if (value == UINT64_MAX)
        json_builder_add_null_value(json->builder);
    else if (value > INT64_MAX)
        json_builder_add_double_value(json->builder, (double) value);
    else
        json_builder_add_int_value(json->builder, (int64_t) value);
}

static void add_bytes(JsonOutput *json, const char *value, size_t size)
{
    if (g_utf8_validate_len(value, size, NULL)) {
        g_autofree char *text = g_strndup(value, size);
        json_builder_add_string_value(json->builder, text);
        return;
    }
    g_autofree char *encoded = g_base64_encode((const guchar *) value, size);
    json_output_begin_object(json);
    json_output_key(json, "base64");
    json_builder_add_string_value(json->builder, encoded);
    json_output_end_object(json);
}

void json_output_string(JsonOutput *json, const char *value)
{
    add_bytes(json, value, strlen(value));
}

void json_output_json_or_string(JsonOutput *json, const char *text)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    g_autofree char *why = NULL;

    if (json_check(text, strlen(text), "", &why) >= 0 && json_parser_load_from_data(parser, text, -1, NULL))
        json_builder_add_value(json->builder, json_parser_steal_root(parser));
    else
        json_output_string(json, text);
}

static bool is_time(const char *key)
{
    for (size_t i = 0; key && i < G_N_ELEMENTS(time_keys); i++)
        if (strcmp(time_keys[i], key) == 0)
            return true;
    return false;
}

static void add_time(JsonOutput *json, uint64_t realtime_usec)
{
    if (realtime_usec == 0 || realtime_usec == UINT64_MAX) {
        json_builder_add_null_value(json->builder);
        return;
    }
    g_autofree char *text = format_timestamp(realtime_usec);
    json_builder_add_string_value(json->builder, text);
}

static void add_double(JsonOutput *json, double value)
{
    if (isfinite(value))
        json_builder_add_double_value(json->builder, value);
    else /* JSON has no such numbers */
        json_builder_add_null_value(json->builder);
}

/* Large enough for any basic type of the bus. */
typedef union Basic {
    const char *string;
    uint8_t byte;
    int boolean;
    int16_t i16;
    uint16_t u16;
    int32_t i32;
    uint32_t u32;
    int64_t i64;
    uint64_t u64;
    double real;
} Basic;

static void add_basic(JsonOutput *json, char type, const char *key, const Basic *value)
{
    JsonBuilder *builder = json->builder;

    switch (type) {
    case 's':
    case 'o':
    case 'g':
        json_builder_add_string_value(builder, value->string);
        break;
    case 'b':
        json_builder_add_boolean_value(builder, value->boolean);
        break;
    case 'd':
        add_double(json, value->real);
        break;
    case 'y':
        json_builder_add_int_value(builder, value->byte);
        break;
    case 'n':
        json_builder_add_int_value(builder, value->i16);
        break;
    case 'q':
        json_builder_add_int_value(builder, value->u16);
        break;
    case 'i':
        json_builder_add_int_value(builder, value->i32);
        break;
    case 'u':
        if (g_strcmp0(key, "user") == 0 && value->u32 == UINT32_MAX)
            json_builder_add_null_value(builder);
        else
            json_builder_add_int_value(builder, value->u32);
        break;
    case 'x':
        json_builder_add_int_value(builder, value->i64);
        break;
    case 't':
        if (is_time(key))
            add_time(json, value->u64);
        else
            json_output_uint64(json, value->u64);
        break;
    default: /* a descriptor has no value outside of this process */
        json_builder_add_null_value(builder);
    }
}

static int add_value(JsonOutput *json, sd_bus_message *m, const char *key);

static int add_byte_array(JsonOutput *json, sd_bus_message *m)
{
    const void *data;
    size_t size;
    int r = sd_bus_message_read_array(m, 'y', &data, &size);

    if (r < 0)
        return r;
    if (size > 0 && ((const char *) data)[size - 1] == '\0') /* the closing NUL is allowed and says nothing */
        size--;
    add_bytes(json, size > 0 ? data : "", size);
    return 0;
}

static int add_entries(JsonOutput *json, sd_bus_message *m, const char *contents,
                       char *(*rename)(const char *key))
{
    g_autofree char *entry = g_strndup(contents + 1, strlen(contents) - 2);
    const char *key;
    int r = sd_bus_message_enter_container(m, 'a', contents);

    if (r < 0)
        return r;
    while ((r = sd_bus_message_enter_container(m, 'e', entry)) > 0) {
        g_autofree char *name = NULL;
        r = sd_bus_message_read_basic(m, 's', &key);
        if (r < 0)
            return r;
        name = rename ? rename(key) : g_strdup(key);
        json_output_key(json, name);
        r = add_value(json, m, name);
        if (r >= 0)
            r = sd_bus_message_exit_container(m);
        if (r < 0)
            return r;
    }
    return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int add_array(JsonOutput *json, sd_bus_message *m, const char *contents)
{
    int r;

    if (strcmp(contents, "y") == 0)
        return add_byte_array(json, m);
    if (g_str_has_prefix(contents, "{s")) {
        json_output_begin_object(json);
        r = add_entries(json, m, contents, NULL);
        json_output_end_object(json);
        return r;
    }
    r = sd_bus_message_enter_container(m, 'a', contents);
    if (r < 0)
        return r;
    json_output_begin_array(json);
    while ((r = sd_bus_message_at_end(m, /* complete= */ false)) == 0) {
        r = add_value(json, m, NULL);
        if (r < 0)
            return r;
    }
    json_output_end_array(json);
    return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int add_struct(JsonOutput *json, sd_bus_message *m, const char *contents)
{
    int r = sd_bus_message_enter_container(m, 'r', contents);

    if (r < 0)
        return r;
    json_output_begin_array(json);
    while ((r = sd_bus_message_at_end(m, /* complete= */ false)) == 0) {
        r = add_value(json, m, NULL);
        if (r < 0)
            return r;
    }
    json_output_end_array(json);
    return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int add_variant(JsonOutput *json, sd_bus_message *m, const char *contents, const char *key)
{
    int r = sd_bus_message_enter_container(m, 'v', contents);

    if (r >= 0)
        r = add_value(json, m, key);
    return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int add_value(JsonOutput *json, sd_bus_message *m, const char *key)
{
    const char *contents;
    Basic value;
    char type;
    int r = sd_bus_message_peek_type(m, &type, &contents);

    if (r <= 0)
        return r < 0 ? r : -EBADMSG;
    if (type == 'a')
        return add_array(json, m, contents);
    if (type == 'r')
        return add_struct(json, m, contents);
    if (type == 'v')
        return add_variant(json, m, contents, key);
    r = sd_bus_message_read_basic(m, type, &value);
    if (r < 0)
        return r;
    add_basic(json, type, key, &value);
    return 0;
}

int json_output_message(JsonOutput *json, sd_bus_message *m)
{
    return add_value(json, m, NULL);
}

/* "MemoryMax" → "memory-max" */
static char *property_key(const char *property)
{
    GString *key = g_string_new(NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(property_keys); i++)
        if (strcmp(property_keys[i][0], property) == 0)
            return g_string_free(g_string_assign(key, property_keys[i][1]), FALSE);
    for (const char *p = property; *p; p++) {
        if (g_ascii_isupper(*p) && p > property)
            g_string_append_c(key, '-');
        g_string_append_c(key, g_ascii_tolower(*p));
    }
    return g_string_free(key, FALSE);
}

int json_output_properties(JsonOutput *json, sd_bus_message *m)
{
    return add_entries(json, m, "{sv}", property_key);
}

char *json_output_text(JsonOutput *json, bool pretty)
{
    g_autoptr(JsonNode) root = json_builder_get_root(json->builder);
    g_autoptr(JsonGenerator) generator = json_generator_new();

    json_generator_set_pretty(generator, pretty);
    json_generator_set_root(generator, root);
    return json_generator_to_data(generator, NULL);
}

static void print(JsonOutput *json, bool pretty)
{
    g_autofree char *text = json_output_text(json, pretty);

    printf("%s\n", text);
    json_builder_reset(json->builder);
}

void json_output_print(JsonOutput *json)
{
    print(json, output_is_terminal(STDOUT_FILENO));
}

void json_output_print_line(JsonOutput *json)
{
    print(json, /* pretty= */ false);
}

int json_output_print_message(sd_bus_message *m)
{
    g_autoptr(JsonOutput) json = json_output_new();
    int r = json_output_message(json, m);

    if (r >= 0)
        json_output_print(json);
    return r;
}
