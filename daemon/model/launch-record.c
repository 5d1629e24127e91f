/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The launch record as a strv-blob: a version word, then the fields in order. Binary safe, since paths and environments
 * are bytes. */
#include "model/launch-record.h"

#include <string.h>

#include "model/worker-spec.h"
#include "util/parse-util.h"
#include "util/strv-blob.h"

#define VERSION_WORD "parexec-launch-2"

enum {
    FIELD_VERSION,
    FIELD_ID,
    FIELD_TOKEN,
    FIELD_SOCKET,
    FIELD_OUTPUT,
    FIELD_SPOOL,
    FIELD_SLOTS,
    FIELD_HEARTBEAT,
    FIELD_ORPHAN,
    FIELD_DELEGATED,
    FIELD_CLASS /* "": none */,
    FIELD_USER,
    FIELD_RECYCLE,
    FIELD_RECYCLE_MEMORY,
    FIELD_EXEC_SIZE /* of what follows, the first bytes are the program */,
    FIELD_SIZE /* of what follows: tells a record that was cut off */,
    FIELD_VECTORS /* program and environment: all that follow */
};

LaunchRecord *launch_record_new(void)
{
    LaunchRecord *record = g_new0(LaunchRecord, 1);

    record->user = UID_ANYBODY;
    record->recycle_memory_bytes = LIMIT_INFINITY;
    return record;
}

LaunchRecord *launch_record_free(LaunchRecord *record)
{
    if (!record)
        return NULL;
    g_free(record->id);
    g_free(record->socket);
    g_free(record->output_directory);
    g_free(record->spool_directory);
    g_free(record->class);
    g_clear_pointer(&record->environment, g_bytes_unref);
    g_clear_pointer(&record->exec, g_bytes_unref);
    g_free(record);
    return NULL;
}

static void append_string(GByteArray *array, const char *s)
{
    g_byte_array_append(array, (const guint8 *) s, (guint) strlen(s) + 1);
}

static void append_number(GByteArray *array, uint64_t number)
{
    g_autofree char *s = g_strdup_printf("%" G_GUINT64_FORMAT, number);
    append_string(array, s);
}

static size_t blob_size(GBytes *blob)
{
    return blob ? g_bytes_get_size(blob) : 0;
}

static void append_blob(GByteArray *array, GBytes *blob)
{
    if (blob)
        g_byte_array_append(array, g_bytes_get_data(blob, NULL), (guint) g_bytes_get_size(blob));
}

GBytes *launch_record_serialize(const LaunchRecord *record)
{
    GByteArray *array = g_byte_array_new();
    char token[2 * LAUNCH_TOKEN_BYTES + 1] = "";

    for (size_t i = 0; i < LAUNCH_TOKEN_BYTES; i++)
        g_snprintf(token + 2 * i, 3, "%02x", record->token[i]);
    append_string(array, VERSION_WORD);
    append_string(array, record->id);
    append_string(array, token);
    append_string(array, record->socket);
    append_string(array, record->output_directory);
    append_string(array, record->spool_directory);
    append_number(array, record->slots);
    append_number(array, record->heartbeat_usec);
    append_number(array, record->orphan_usec);
    append_number(array, record->delegated);
    append_string(array, record->class ?: "");
    append_number(array, record->user);
    append_number(array, record->recycle);
    append_number(array, record->recycle_memory_bytes);
    append_number(array, blob_size(record->exec));
    append_number(array, blob_size(record->exec) + blob_size(record->environment));
    append_blob(array, record->exec);
    append_blob(array, record->environment);
    return g_byte_array_free_to_bytes(array);
}

static int parse_token(const char *hex, uint8_t ret[static LAUNCH_TOKEN_BYTES])
{
    if (strlen(hex) != 2 * LAUNCH_TOKEN_BYTES)
        return -EINVAL;
    for (size_t i = 0; i < LAUNCH_TOKEN_BYTES; i++) {
        int high = g_ascii_xdigit_value(hex[2 * i]), low = g_ascii_xdigit_value(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return -EINVAL;
        ret[i] = (uint8_t) (high << 4 | low);
    }
    return 0;
}

static int parse_numbers(char *const *fields, LaunchRecord *record)
{
    uint64_t slots, delegated, user, recycle;

    if (parse_uint64(fields[FIELD_SLOTS], &slots) < 0 || slots == 0 || slots > UINT32_MAX ||
        parse_uint64(fields[FIELD_HEARTBEAT], &record->heartbeat_usec) < 0 || record->heartbeat_usec == 0 ||
        parse_uint64(fields[FIELD_ORPHAN], &record->orphan_usec) < 0 ||
        parse_uint64(fields[FIELD_DELEGATED], &delegated) < 0 ||
        parse_uint64(fields[FIELD_USER], &user) < 0 || user > UINT32_MAX ||
        parse_uint64(fields[FIELD_RECYCLE], &recycle) < 0 || recycle > UINT32_MAX ||
        parse_uint64(fields[FIELD_RECYCLE_MEMORY], &record->recycle_memory_bytes) < 0)
        return -EINVAL;
    record->slots = (uint32_t) slots;
    record->user = (uint32_t) user;
    record->recycle = (uint32_t) recycle;
    record->delegated = delegated != 0;
    return 0;
}

/* The rest of the record, if it is as long as it was when it was written: the program, then the environment. */
static int parse_vectors(const char *begin, size_t size, char *const *fields, LaunchRecord *record)
{
    uint64_t expected, exec_size;

    if (parse_uint64(fields[FIELD_SIZE], &expected) < 0 || expected != size ||
        parse_uint64(fields[FIELD_EXEC_SIZE], &exec_size) < 0 || exec_size > size ||
        !strv_blob_valid(begin, exec_size))
        return -EINVAL;
    record->exec = exec_size > 0 ? g_bytes_new(begin, exec_size) : NULL;
    record->environment = size > exec_size ? g_bytes_new(begin + exec_size, size - exec_size) : NULL;
    return 0;
}

int launch_record_parse(const void *data, size_t size, LaunchRecord **ret)
{
    g_autoptr(LaunchRecord) record = launch_record_new();

    if (!strv_blob_valid(data, size))
        return -EINVAL;
    g_autofree char **fields = strv_blob_pointers(data, size);
    if (!fields[0] || strcmp(fields[0], VERSION_WORD) != 0)
        return fields[0] && g_str_has_prefix(fields[0], "parexec-launch-") ? -EPROTO : -EINVAL;
    if (g_strv_length(fields) < FIELD_VECTORS)
        return -EINVAL;
    int r = parse_token(fields[FIELD_TOKEN], record->token);
    if (r < 0)
        return r;
    r = parse_numbers(fields, record);
    if (r < 0)
        return r;
    record->id = g_strdup(fields[FIELD_ID]);
    record->socket = g_strdup(fields[FIELD_SOCKET]);
    record->output_directory = g_strdup(fields[FIELD_OUTPUT]);
    record->spool_directory = g_strdup(fields[FIELD_SPOOL]);
    record->class = *fields[FIELD_CLASS] ? g_strdup(fields[FIELD_CLASS]) : NULL;
    const char *rest = fields[FIELD_SIZE] + strlen(fields[FIELD_SIZE]) + 1;
    r = parse_vectors(rest, size - (size_t) (rest - (const char *) data), fields, record);
    if (r < 0)
        return r;
    *ret = g_steal_pointer(&record);
    return 0;
}
