/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* The batches of a map: which item became which task, and what is still open. Pure bookkeeping. */
typedef struct MapBatch {
    uint64_t batch, first_task, count;
    uint64_t first_item; /* counted from 0 */
    uint64_t open;       /* tasks that have not ended */
} MapBatch;

typedef struct MapBatches {
    GArray *list; /* MapBatch, by first_task */
    uint64_t open;
} MapBatches;

void map_batches_init(MapBatches *batches);
void map_batches_done(MapBatches *batches);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MapBatches, map_batches_done)

void map_batches_add(MapBatches *batches, uint64_t batch, uint64_t first_task, uint64_t count,
                     uint64_t first_item);
/* The item that a task was made of. -ENOENT: none of ours. */
int map_batches_find(const MapBatches *batches, uint64_t task, uint64_t *ret_item);
/* A task has ended: the item it was made of. -ENOENT: none of ours. */
int map_batches_end(MapBatches *batches, uint64_t task, uint64_t *ret_item);
