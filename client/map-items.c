/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The items of a map. Owned by the verb. */

#include "client/map-items.h"

#include <string.h>

void map_item_free(MapItem *item)
{
    if (!item)
        return;
    g_strfreev(item->values);
    g_free(item);
}

char *map_item_text(const MapItem *item)
{
    return g_strjoinv(" ", item->values);
}

void map_items_init(MapItems *items)
{
    *items = (MapItems){ .numbers = g_array_new(FALSE, FALSE, sizeof(uint64_t)) };
    g_queue_init(&items->pending);
}

void map_items_clear(MapItems *items)
{
    g_queue_clear_full(&items->pending, (GDestroyNotify) map_item_free);
}

void map_items_done(MapItems *items)
{
    map_items_clear(items);
    g_clear_pointer(&items->numbers, g_array_unref);
    g_clear_pointer(&items->texts, g_ptr_array_unref);
    g_clear_pointer(&items->done, g_hash_table_unref);
}

void map_items_add(MapItems *items, char *const *values)
{
    uint64_t number = ++items->read;

    if (items->done && g_hash_table_contains(items->done, &number))
        return;
    MapItem *item = g_new(MapItem, 1);
    *item = (MapItem){ .number = number, .values = g_strdupv((char **) values) };
    g_queue_push_tail(&items->pending, item);
    g_array_append_val(items->numbers, number);
    if (items->texts) {
        g_autofree char *text = map_item_text(item);
        g_ptr_array_add(items->texts, g_strconcat(text, "\t", NULL));
    }
    items->taken++;
}

GPtrArray *map_lists_split(char **argv)
{
    GPtrArray *lists = NULL;

    for (size_t i = 0; argv[i]; i++) {
        if (strcmp(argv[i], ":::") != 0)
            continue;
        argv[i] = NULL;
        if (!lists)
            lists = g_ptr_array_new();
        g_ptr_array_add(lists, argv + i + 1);
    }
    return lists;
}

void map_items_add_combinations(MapItems *items, const GPtrArray *lists)
{
    g_autofree size_t *at = g_new0(size_t, lists->len);
    g_autofree char **values = g_new0(char *, lists->len + 1);

    for (guint i = 0; i < lists->len; i++)
        if (!((char **) lists->pdata[i])[0])
            return;
    for (;;) {
        guint i = lists->len;
        for (guint k = 0; k < lists->len; k++)
            values[k] = ((char **) lists->pdata[k])[at[k]];
        map_items_add(items, values);
        while (i > 0 && !((char **) lists->pdata[i - 1])[++at[i - 1]])
            at[--i] = 0;
        if (i == 0)
            return;
    }
}
