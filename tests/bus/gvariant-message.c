/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Both type systems are D-Bus's: one function walks a GVariant into a message, one a message into a GVariant. */
#include "gvariant-message.h"

#include <string.h>

/* ---- into a message */

static int append_fixed(sd_bus_message *m, GVariant *value)
{
    char type = g_variant_get_type_string(value)[0];
    int number;

    if (type == 'b')
        number = g_variant_get_boolean(value);
    else if (type == 'h')
        number = g_variant_get_handle(value);
    else
        return sd_bus_message_append_basic(m, type, g_variant_get_data(value));
    return sd_bus_message_append_basic(m, type, &number);
}

static int append_container(sd_bus_message *m, char container, const char *contents, GVariant *value)
{
    int r = sd_bus_message_open_container(m, container, contents);

    for (gsize i = 0; r >= 0 && i < g_variant_n_children(value); i++) {
        g_autoptr(GVariant) child = g_variant_get_child_value(value, i);
        r = message_append_gvariant(m, child);
    }
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_array(sd_bus_message *m, const char *contents, GVariant *value)
{
    if (strcmp(contents, "y") == 0)
        return sd_bus_message_append_array(m, 'y', g_variant_get_data(value), g_variant_get_size(value));
    return append_container(m, 'a', contents, value);
}

/* What is between the brackets of "(…)" and "{…}". */
static char *inside(const char *type)
{
    return g_strndup(type + 1, strlen(type) - 2);
}

int message_append_gvariant(sd_bus_message *m, GVariant *value)
{
    const char *type = g_variant_get_type_string(value);
    g_autofree char *contents = NULL;

    switch (g_variant_classify(value)) {
    case G_VARIANT_CLASS_STRING:
    case G_VARIANT_CLASS_OBJECT_PATH:
    case G_VARIANT_CLASS_SIGNATURE:
        return sd_bus_message_append_basic(m, type[0], g_variant_get_string(value, NULL));
    case G_VARIANT_CLASS_ARRAY:
        return append_array(m, type + 1, value);
    case G_VARIANT_CLASS_TUPLE:
        contents = inside(type);
        return append_container(m, 'r', contents, value);
    case G_VARIANT_CLASS_DICT_ENTRY:
        contents = inside(type);
        return append_container(m, 'e', contents, value);
    case G_VARIANT_CLASS_VARIANT: {
        g_autoptr(GVariant) child = g_variant_get_variant(value);
        return append_container(m, 'v', g_variant_get_type_string(child), value);
    }
    case G_VARIANT_CLASS_MAYBE:
        return -EINVAL;
    default:
        return append_fixed(m, value);
    }
}

int message_append_arguments(sd_bus_message *m, GVariant *arguments)
{
    int r = 0;

    for (gsize i = 0; arguments && r >= 0 && i < g_variant_n_children(arguments); i++) {
        g_autoptr(GVariant) child = g_variant_get_child_value(arguments, i);
        r = message_append_gvariant(m, child);
    }
    return r;
}

/* ---- out of a message */

static int read_value(sd_bus_message *m, GVariant **ret);

static int read_basic(sd_bus_message *m, char type, GVariant **ret)
{
    union {
        const char *string;
        int number;
        uint64_t bits;
    } value = { 0 };
    int r = sd_bus_message_read_basic(m, type, &value);

    if (r < 0)
        return r;
    if (type == 's')
        *ret = g_variant_new_string(value.string);
    else if (type == 'o')
        *ret = g_variant_new_object_path(value.string);
    else if (type == 'g')
        *ret = g_variant_new_signature(value.string);
    else if (type == 'b')
        *ret = g_variant_new_boolean(value.number);
    else if (type == 'h')
        *ret = g_variant_new_handle(value.number);
    else {
        const char name[2] = { type, 0 };
        g_autoptr(GVariant) padded = g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, &value, sizeof value, 1);
        gsize size = strchr("y", type) ? 1 : strchr("nq", type) ? 2 : strchr("iu", type) ? 4 : 8;
        g_autoptr(GBytes) bytes = g_bytes_new(g_variant_get_data(padded), size);
        *ret = g_variant_new_from_bytes(G_VARIANT_TYPE(name), bytes, TRUE);
    }
    return r;
}

static GVariant *container_new(char type, const char *contents, GPtrArray *children)
{
    GVariant **values = (GVariant **) children->pdata;

    switch (type) {
    case 'a':
        return g_variant_new_array(G_VARIANT_TYPE(contents), values, children->len);
    case 'e':
        return g_variant_new_dict_entry(values[0], values[1]);
    case 'v':
        return g_variant_new_variant(values[0]);
    default:
        return g_variant_new_tuple(values, children->len);
    }
}

static int read_container(sd_bus_message *m, char type, const char *contents, GVariant **ret)
{
    g_autoptr(GPtrArray) children = g_ptr_array_new();
    g_autofree char *kept = g_strdup(contents);
    GVariant *child;
    int r = sd_bus_message_enter_container(m, type, kept);

    if (r <= 0)
        return r < 0 ? r : -EBADMSG;
    while ((r = read_value(m, &child)) > 0)
        g_ptr_array_add(children, child);
    if (r < 0)
        return r;
    r = sd_bus_message_exit_container(m);
    if (r < 0)
        return r;
    *ret = container_new(type, kept, children);
    return 1;
}

static int read_bytes(sd_bus_message *m, GVariant **ret)
{
    const void *data;
    size_t size;
    int r = sd_bus_message_read_array(m, 'y', &data, &size);

    if (r < 0)
        return r;
    g_autoptr(GBytes) bytes = g_bytes_new(data, size);
    *ret = g_variant_new_from_bytes(G_VARIANT_TYPE_BYTESTRING, bytes, TRUE);
    return 1;
}

/* 0: at the end. */
static int read_value(sd_bus_message *m, GVariant **ret)
{
    const char *contents;
    char type;
    int r = sd_bus_message_peek_type(m, &type, &contents);

    if (r <= 0)
        return r;
    if (type == 'a' && strcmp(contents, "y") == 0)
        return read_bytes(m, ret);
    return contents ? read_container(m, type, contents, ret) : read_basic(m, type, ret);
}

int message_to_gvariant(sd_bus_message *m, GVariant **ret)
{
    g_autoptr(GPtrArray) children = g_ptr_array_new();
    GVariant *child;
    int r = sd_bus_message_rewind(m, 1);

    if (r < 0)
        return r;
    while ((r = read_value(m, &child)) > 0)
        g_ptr_array_add(children, child);
    if (r < 0)
        return r;
    *ret = g_variant_ref_sink(g_variant_new_tuple((GVariant **) children->pdata, children->len));
    return 0;
}
