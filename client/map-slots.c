/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Slots of a map. Pure bookkeeping; there are never more than run at once. */

#include "client/map-slots.h"

void map_slots_init(MapSlots *slots)
{
    *slots = (MapSlots){ .items = g_array_new(FALSE, FALSE, sizeof(uint64_t)) };
}

void map_slots_done(MapSlots *slots)
{
    g_clear_pointer(&slots->items, g_array_unref);
}

/* The first slot with this mark, from 0; as many as there are: none. */
static guint slot_find(const MapSlots *slots, uint64_t mark)
{
    guint i = 0;

    while (i < slots->items->len && g_array_index(slots->items, uint64_t, i) != mark)
        i++;
    return i;
}

uint64_t map_slots_next(const MapSlots *slots)
{
    return (uint64_t) slot_find(slots, 0) + 1;
}

void map_slots_take(MapSlots *slots, uint64_t item)
{
    guint i = slot_find(slots, 0);
    uint64_t mark = item + 1;

    if (i == slots->items->len)
        g_array_append_val(slots->items, mark);
    else
        g_array_index(slots->items, uint64_t, i) = mark;
}

void map_slots_release(MapSlots *slots, uint64_t item)
{
    guint i = slot_find(slots, item + 1);

    if (i < slots->items->len)
        g_array_index(slots->items, uint64_t, i) = 0;
}
