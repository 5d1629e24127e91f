/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The items of a map. Owned by the verb. */

#include "client/map-items.h"

#include "client/map-sources.h"
#include "client/substitution.h"

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

/* One step of the clockwork: those of the last group, and with each full turn those of the group before.
 * false: that was the last one. */
static bool step(const GPtrArray *sources, size_t *at)
{
    guint i = sources->len;

    while (i > 0) {
        bool over = false;
        guint end = i;
        do {
            const MapSource *source = sources->pdata[--i];
            over = !source->values[++at[i]] || over;
            if (!source->linked)
                break;
        } while (i > 0);
        if (!over)
            return true;
        for (guint k = i; k < end; k++)
            at[k] = 0;
    }
    return false;
}

void map_items_add_combinations(MapItems *items, const GPtrArray *sources)
{
    g_autofree size_t *at = g_new0(size_t, sources->len);
    g_autofree char **values = g_new0(char *, sources->len + 1);

    if (map_sources_count(sources) == 0)
        return;
    do {
        for (guint i = 0; i < sources->len; i++)
            values[i] = ((MapSource *) sources->pdata[i])->values[at[i]];
        map_items_add(items, values);
    } while (step(sources, at));
}

char **map_item_argv(const MapItem *item, char *const *argv, bool shell, uint64_t slot)
{
    Replacement by = { .values = item->values, .number = item->number, .slot = slot };

    return shell ? substitute_values_shell(argv, &by) : substitute_values(argv, &by);
}
