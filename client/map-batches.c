/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which task runs which item. The ids of tasks only ever grow, so a batch belongs at, or near, the end of
 * the list. */

#include "client/map-batches.h"

void map_batches_init(MapBatches *batches)
{
    *batches = (MapBatches){ .list = g_array_new(FALSE, FALSE, sizeof(MapBatch)) };
}

void map_batches_done(MapBatches *batches)
{
    g_clear_pointer(&batches->list, g_array_unref);
}

/* The index behind the last batch that begins with this task or an earlier one. */
static guint position_behind(const MapBatches *batches, uint64_t task)
{
    guint low = 0, high = batches->list->len;

    while (low < high) {
        guint middle = low + (high - low) / 2;
        if (g_array_index(batches->list, MapBatch, middle).first_task <= task)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void map_batches_add(MapBatches *batches, uint64_t batch, uint64_t first_task, uint64_t count,
                     uint64_t first_item)
{
    MapBatch entry = {
        .batch = batch, .first_task = first_task, .count = count, .first_item = first_item, .open = count
    };

    g_array_insert_val(batches->list, position_behind(batches, first_task), entry);
    batches->open += count;
}

static MapBatch *batch_of(const MapBatches *batches, uint64_t task)
{
    guint position = position_behind(batches, task);
    MapBatch *entry = position > 0 ? &g_array_index(batches->list, MapBatch, position - 1) : NULL;

    return entry && task - entry->first_task < entry->count ? entry : NULL;
}

int map_batches_find(const MapBatches *batches, uint64_t task, uint64_t *ret_item)
{
    const MapBatch *entry = batch_of(batches, task);

    if (!entry)
        return -ENOENT;
    *ret_item = entry->first_item + (task - entry->first_task);
    return 0;
}

int map_batches_end(MapBatches *batches, uint64_t task, uint64_t *ret_item)
{
    MapBatch *entry = batch_of(batches, task);

    if (!entry || entry->open == 0)
        return -ENOENT;
    entry->open--;
    batches->open--;
    *ret_item = entry->first_item + (task - entry->first_task);
    return 0;
}
