/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* The items of a map that are to be run, in their order, each with the number that {#} and the job log give
 * it. Items are combinations where there are several lists. */
typedef struct MapItem {
    uint64_t number; /* from 1 */
    char **values;   /* one from each list */
} MapItem;

void map_item_free(MapItem *item);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MapItem, map_item_free)

/* "a 1": the values with blanks between them. */
char *map_item_text(const MapItem *item);

typedef struct MapItems {
    GQueue pending;   /* MapItem: not submitted yet */
    uint64_t read;    /* also of those that are passed over */
    uint64_t taken;   /* of them, those that are, or were, pending */
    GHashTable *done; /* numbers (uint64_t) that are passed over; NULL: none */
    GArray *numbers;  /* uint64_t, by the order of taking */
    GPtrArray *texts; /* char *, with a tab, by the order of taking; NULL: nobody asks for them */
} MapItems;

void map_items_init(MapItems *items);
void map_items_done(MapItems *items);
void map_items_clear(MapItems *items); /* what is pending */

/* Takes the item, unless it is one of those that are passed over. */
void map_items_add(MapItems *items, char *const *values);

/* Every combination of one item from each source (MapSource), the last one going round first; those that are
 * linked go with the one before, as far as the shortest reaches. */
void map_items_add_combinations(MapItems *items, const GPtrArray *sources);

/* The command for the item; slot 0: none. */
char **map_item_argv(const MapItem *item, char *const *argv, bool shell, uint64_t slot);
