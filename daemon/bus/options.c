/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Dictionaries of options, read by table. Everything in them comes from strangers. */
#include "bus/options.h"

#include <string.h>

#include "dbus/parexec-dbus.h"
#include "model/limits.h"
#include "model/task-demand.h"
#include "util/macro.h"
#include "util/parse-util.h"
#include "util/sd-bus-util.h"

int options_invalid(sd_bus_error *error, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    (void) sd_bus_error_setfv(error, PAREXEC_ERROR_INVALID_ARGUMENT, format, ap);
    va_end(ap);
    return -EINVAL;
}

static int read_basic(sd_bus_message *m, const Option *option, void *target)
{
    char *field = (char *) target + option->offset;
    const char *string;
    int r, boolean;

    switch (option->signature[0]) {
    case 's':
        r = sd_bus_message_read_basic(m, 's', &string);
        if (r < 0)
            return r;
        g_free(*(char **) field);
        *(char **) field = g_strdup(string);
        return r;
    case 'b':
        r = sd_bus_message_read_basic(m, 'b', &boolean);
        if (r >= 0)
            *(bool *) field = boolean;
        return r;
    default: /* t, u, i, d: as they are */
        return sd_bus_message_read_basic(m, option->signature[0], field);
    }
}

static char *known_options(const Option *table)
{
    GString *known = g_string_new(NULL);

    for (; table->name; table++)
        g_string_append_printf(known, "%s%s", known->len > 0 ? ", " : "", table->name);
    return g_string_free(known, FALSE);
}

static int unknown(const Option *table, const char *key, sd_bus_error *error)
{
    g_autofree char *shown = format_foreign(key), *known = known_options(table);

    return sd_bus_error_setf(error, PAREXEC_ERROR_UNKNOWN_OPTION,
                             "There is no option \"%s\" here; known are: %s.", shown, known);
}

static int read_value(sd_bus_message *m, const Option *option, void *target, sd_bus_error *error)
{
    const char *contents;
    char type;

    int r = sd_bus_message_peek_type(m, &type, &contents);
    if (r < 0)
        return r;
    if (option->signature && strcmp(contents, option->signature) != 0)
        return sd_bus_error_setf(error, PAREXEC_ERROR_INVALID_ARGUMENT,
                                 "Option \"%s\" takes the type \"%s\", not \"%s\".", option->name,
                                 option->signature, contents);
    r = sd_bus_message_enter_container(m, 'v', contents);
    if (r >= 0)
        r = option->read ? option->read(m, option->name, target, error) : read_basic(m, option, target);
    return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* *seen: a bit for each row of the table. */
static int read_entry(sd_bus_message *m, const Option *table, void *target, uint64_t *seen, sd_bus_error *error)
{
    const char *key;
    int r = sd_bus_message_read_basic(m, 's', &key);

    if (r < 0)
        return r;
    for (const Option *option = table; option->name; option++) {
        if (strcmp(option->name, key) != 0)
            continue;
        g_assert(option - table < 64);
        uint64_t bit = UINT64_C(1) << (option - table);
        if (*seen & bit)
            return options_invalid(error, "%s stands twice.", option->name);
        *seen |= bit;
        return read_value(m, option, target, error);
    }
    return unknown(table, key, error);
}

static int read_entries(sd_bus_message *m, const Option *table, void *target, size_t *ret_n,
                        sd_bus_error *error)
{
    uint64_t seen = 0;
    size_t n = 0;
    int r = sd_bus_message_enter_container(m, 'a', "{sv}");

    if (r < 0)
        return r;
    for (; (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0; n++) {
        r = read_entry(m, table, target, &seen, error);
        if (r < 0)
            return r;
        r = sd_bus_message_exit_container(m);
        if (r < 0)
            return r;
    }
    *ret_n = n;
    return r < 0 ? r : sd_bus_message_exit_container(m);
}

int options_read(sd_bus_message *m, const Option *table, void *target, sd_bus_error *error)
{
    size_t n;

    return read_entries(m, table, target, &n, error);
}

int options_read_changes(sd_bus_message *m, const Option *table, void *target, sd_bus_error *error)
{
    size_t n;
    int r = read_entries(m, table, target, &n, error);

    if (r < 0 || n > 0)
        return r;
    g_autofree char *known = known_options(table);
    return options_invalid(error, "Nothing is to be changed; known are: %s.", known);
}

/* One ay: a closing NUL is allowed, any other is not. */
static int read_string(sd_bus_message *m, const char *name, const char **ret, size_t *ret_length,
                       sd_bus_error *error)
{
    const void *data;
    size_t size;
    int r = sd_bus_message_read_array(m, 'y', &data, &size);

    if (r < 0)
        return r;
    size_t length = size > 0 ? strnlen(data, size) : 0;
    if (size > 0 && length < size - 1)
        return sd_bus_error_setf(error, PAREXEC_ERROR_INVALID_ARGUMENT,
                                 "Option \"%s\" has a NUL byte at position %zu of %zu.", name, length, size);
    *ret = data;
    *ret_length = length;
    return r;
}

int options_read_bytes(sd_bus_message *m, const char *name, GBytes **ret, sd_bus_error *error)
{
    const char *data;
    size_t length;
    int r = read_string(m, name, &data, &length, error);

    if (r < 0)
        return r;
    g_clear_pointer(ret, g_bytes_unref);
    *ret = g_bytes_new_take(g_strndup(length > 0 ? data : "", length), length + 1);
    return 0;
}

int options_read_byte_strv(sd_bus_message *m, const char *name, GBytes **ret, sd_bus_error *error)
{
    g_autoptr(GByteArray) blob = g_byte_array_new();
    const char *data;
    size_t length;
    int r = sd_bus_message_enter_container(m, 'a', "ay");

    if (r < 0)
        return r;
    while ((r = sd_bus_message_at_end(m, 0)) == 0) {
        r = read_string(m, name, &data, &length, error);
        if (r < 0)
            return r;
        if (blob->len + length + 1 > PAREXEC_ARGV_BYTES_MAX)
            return sd_bus_error_setf(
                error, PAREXEC_ERROR_TOO_LARGE,
                "Option \"%s\" is longer than %u bytes, which no command could be given.", name,
                PAREXEC_ARGV_BYTES_MAX);
        if (length > 0)
            g_byte_array_append(blob, (const guint8 *) data, (guint) length);
        g_byte_array_append(blob, (const guint8 *) "", 1);
    }
    if (r >= 0)
        r = sd_bus_message_exit_container(m);
    if (r < 0)
        return r;
    g_clear_pointer(ret, g_bytes_unref);
    *ret = g_byte_array_free_to_bytes(g_steal_pointer(&blob));
    return 0;
}

static int refuse_task_memory(uint64_t bytes, const char *option, sd_bus_error *error)
{
    g_autofree char *shown = limit_format_bytes(bytes), *least = limit_format_bytes(LIMIT_MEMORY_MIN_BYTES);

    if (bytes < LIMIT_MEMORY_MIN_BYTES)
        return options_invalid(error, "%s is %s; a task has a limit of at least %s, or of 2^64-1 for none.", option,
                               shown, least);
    return options_invalid(error, "%s is %s, more than any machine has; a task without a limit has 2^64-1.", option,
                           shown);
}

int options_check_task_memory(uint64_t bytes, const char *option, sd_bus_error *error)
{
    g_autofree char *why = NULL;
    WorkerLimits limits; /* the bounds are the same */

    worker_limits_init(&limits);
    limits.memory_max_bytes = bytes;
    return worker_limits_check(&limits, &why) < 0 ? refuse_task_memory(bytes, option, error) : 0;
}

int options_read_memory_max(sd_bus_message *m, const char *name, uint64_t *ret, sd_bus_error *error)
{
    uint64_t bytes;
    int r = sd_bus_message_read_basic(m, 't', &bytes);

    if (r >= 0)
        r = options_check_task_memory(bytes, name, error);
    if (r >= 0)
        *ret = bytes;
    return r;
}

int options_read_resources(sd_bus_message *m, GArray **ret, sd_bus_error *error)
{
    g_autofree char *why = NULL;
    GArray *resources;
    const char *text;
    int r = sd_bus_message_read_basic(m, 's', &text);

    if (r < 0)
        return r;
    if (resources_parse(text, &resources, &why) < 0)
        return options_invalid(error, "resources: %s.", why);
    g_clear_pointer(ret, g_array_unref);
    if (resources->len > 0)
        *ret = resources;
    else
        g_array_unref(resources);
    return r;
}
