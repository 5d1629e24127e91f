/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Dictionaries of the bus into structs and back, by tables. Nothing here knows what the fields mean. */

#include "client/bus-dict.h"

#include <stdarg.h>
#include <string.h>

static int read_string(sd_bus_message *m, void *field)
{
    const char *value;
    int r = sd_bus_message_read_basic(m, 's', &value);

    if (r < 0)
        return r;
    g_free(*(char **) field);
    *(char **) field = g_strdup(value);
    return 0;
}

static int read_u64(sd_bus_message *m, void *field)
{
    return sd_bus_message_read_basic(m, 't', field);
}

static int read_u32(sd_bus_message *m, void *field)
{
    return sd_bus_message_read_basic(m, 'u', field);
}

static int read_i32(sd_bus_message *m, void *field)
{
    return sd_bus_message_read_basic(m, 'i', field);
}

static int read_double(sd_bus_message *m, void *field)
{
    return sd_bus_message_read_basic(m, 'd', field);
}

static int read_bool(sd_bus_message *m, void *field)
{
    int value;
    int r = sd_bus_message_read_basic(m, 'b', &value);

    if (r < 0)
        return r;
    *(bool *) field = value;
    return 0;
}

static int read_strings(sd_bus_message *m, void *field)
{
    g_autoptr(GPtrArray) strings = g_ptr_array_new_with_free_func(g_free);
    const char *value;
    int r = sd_bus_message_enter_container(m, 'a', "s");

    if (r < 0)
        return r;
    while ((r = sd_bus_message_read_basic(m, 's', &value)) > 0)
        g_ptr_array_add(strings, g_strdup(value));
    if (r < 0)
        return r;
    g_ptr_array_add(strings, NULL);
    g_strfreev(*(char ***) field);
    *(char ***) field = (char **) g_ptr_array_free(g_steal_pointer(&strings), FALSE);
    return sd_bus_message_exit_container(m);
}

/* With or without a closing NUL; one within ends the string, as it would for exec. */
static int read_byte_string(sd_bus_message *m, void *field)
{
    const void *data;
    size_t size;
    int r = sd_bus_message_read_array(m, 'y', &data, &size);

    if (r < 0)
        return r;
    g_free(*(char **) field);
    *(char **) field = g_strndup(data ?: "", size);
    return 0;
}

static int read_byte_strings(sd_bus_message *m, void *field)
{
    g_autoptr(GPtrArray) strings = g_ptr_array_new_with_free_func(g_free);
    int r = sd_bus_message_enter_container(m, 'a', "ay");

    if (r < 0)
        return r;
    while ((r = sd_bus_message_at_end(m, /* complete= */ false)) == 0) {
        char *value = NULL;
        r = read_byte_string(m, &value);
        if (r < 0)
            return r;
        g_ptr_array_add(strings, value);
    }
    if (r < 0)
        return r;
    g_ptr_array_add(strings, NULL);
    g_strfreev(*(char ***) field);
    *(char ***) field = (char **) g_ptr_array_free(g_steal_pointer(&strings), FALSE);
    return sd_bus_message_exit_container(m);
}

static int read_numbers(sd_bus_message *m, void *field)
{
    const void *data;
    size_t size;
    int r = sd_bus_message_read_array(m, 't', &data, &size);

    if (r < 0)
        return r;
    GArray **numbers = field;
    g_clear_pointer(numbers, g_array_unref);
    *numbers = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    if (size > 0)
        g_array_append_vals(*numbers, data, (guint) (size / sizeof(uint64_t)));
    return 0;
}

static void free_string(void *field)
{
    g_clear_pointer((char **) field, g_free);
}

static void free_strings(void *field)
{
    g_clear_pointer((char ***) field, g_strfreev);
}

static void free_numbers(void *field)
{
    g_clear_pointer((GArray **) field, g_array_unref);
}

typedef struct DictType {
    const char *type;
    int (*read)(sd_bus_message *m, void *field);
    void (*free)(void *field); /* NULL: nothing is allocated */
} DictType;

static const DictType dict_types[] = {
    { "s", read_string, free_string },
    { "t", read_u64, NULL },
    { "u", read_u32, NULL },
    { "i", read_i32, NULL },
    { "b", read_bool, NULL },
    { "d", read_double, NULL },
    { "as", read_strings, free_strings },
    { "at", read_numbers, free_numbers },
    { "ay", read_byte_string, free_string },
    { "aay", read_byte_strings, free_strings },
};

static const DictType *dict_type_find(const char *type)
{
    for (size_t i = 0; i < G_N_ELEMENTS(dict_types); i++)
        if (strcmp(dict_types[i].type, type) == 0)
            return &dict_types[i];
    return NULL;
}

static const DictField *field_find(const DictField *fields, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(fields[i].key, key) == 0)
            return &fields[i];
    return NULL;
}

/* The message is at the variant of this field. */
static int read_variant(sd_bus_message *m, const DictField *field, void *target)
{
    const char *contents;
    char kind;
    int r = sd_bus_message_peek_type(m, &kind, &contents);

    if (r < 0)
        return r;
    if (!field || strcmp(field->type, contents) != 0)
        return sd_bus_message_skip(m, "v");

    int (*read)(sd_bus_message *, void *) = field->read ?: dict_type_find(field->type)->read;
    r = sd_bus_message_enter_container(m, 'v', contents);
    if (r >= 0)
        r = read(m, (char *) target + field->offset);
    return r < 0 ? r : sd_bus_message_exit_container(m);
}

int dict_read(sd_bus_message *m, const DictField *fields, size_t n, void *target)
{
    const char *key;
    int r = sd_bus_message_enter_container(m, 'a', "{sv}");

    if (r < 0)
        return r;
    while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
        r = sd_bus_message_read_basic(m, 's', &key);
        if (r >= 0)
            r = read_variant(m, field_find(fields, n, key), target);
        if (r >= 0)
            r = sd_bus_message_exit_container(m);
        if (r < 0)
            return r;
    }
    return r < 0 ? r : sd_bus_message_exit_container(m);
}

void dict_clear(const DictField *fields, size_t n, void *target)
{
    for (size_t i = 0; i < n; i++) {
        const DictType *type = fields[i].read ? NULL : dict_type_find(fields[i].type);
        if (type && type->free)
            type->free((char *) target + fields[i].offset);
    }
}

int dict_read_each(sd_bus_message *m, int (*each)(sd_bus_message *m, void *userdata), void *userdata)
{
    int r = sd_bus_message_enter_container(m, 'a', "a{sv}");

    if (r < 0)
        return r;
    while ((r = sd_bus_message_at_end(m, /* complete= */ false)) == 0) {
        r = each(m, userdata);
        if (r < 0)
            return r;
    }
    return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int entry_open(sd_bus_message *m, const char *key, const char *type)
{
    int r = sd_bus_message_open_container(m, 'e', "sv");

    if (r >= 0)
        r = sd_bus_message_append_basic(m, 's', key);
    return r < 0 ? r : sd_bus_message_open_container(m, 'v', type);
}

static int entry_close(sd_bus_message *m)
{
    int r = sd_bus_message_close_container(m);

    return r < 0 ? r : sd_bus_message_close_container(m);
}

int dict_append(sd_bus_message *m, const char *key, const char *type, ...)
{
    va_list arguments;
    int r = entry_open(m, key, type);

    if (r < 0)
        return r;
    va_start(arguments, type);
    r = sd_bus_message_appendv(m, type, arguments);
    va_end(arguments);
    return r < 0 ? r : entry_close(m);
}

int dict_append_strings(sd_bus_message *m, const char *key, char *const *strings)
{
    int r = entry_open(m, key, "as");

    if (r >= 0)
        r = sd_bus_message_append_strv(m, (char **) strings);
    return r < 0 ? r : entry_close(m);
}

int dict_append_byte_string(sd_bus_message *m, const char *key, const char *string)
{
    int r = entry_open(m, key, "ay");

    if (r >= 0)
        r = sd_bus_message_append_array(m, 'y', string, strlen(string));
    return r < 0 ? r : entry_close(m);
}

int dict_append_byte_strings(sd_bus_message *m, const char *key, char *const *strings)
{
    int r = entry_open(m, key, "aay");

    if (r >= 0)
        r = sd_bus_message_open_container(m, 'a', "ay");
    for (size_t i = 0; r >= 0 && strings && strings[i]; i++)
        r = sd_bus_message_append_array(m, 'y', strings[i], strlen(strings[i]));
    if (r >= 0)
        r = sd_bus_message_close_container(m);
    return r < 0 ? r : entry_close(m);
}

int dict_append_numbers(sd_bus_message *m, const char *key, const uint64_t *numbers, size_t n)
{
    int r = entry_open(m, key, "at");

    if (r >= 0)
        r = sd_bus_message_append_array(m, 't', numbers, n * sizeof *numbers);
    return r < 0 ? r : entry_close(m);
}
