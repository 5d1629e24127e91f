/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* The slots of map -j: which item is in which, numbered from 1. The lowest free one is taken. */
typedef struct MapSlots {
    GArray *items; /* uint64_t: of each slot the item, counted from 1; 0: it is free */
} MapSlots;

void map_slots_init(MapSlots *slots);
void map_slots_done(MapSlots *slots);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MapSlots, map_slots_done)

uint64_t map_slots_next(const MapSlots *slots); /* the one that would be taken */
void map_slots_take(MapSlots *slots, uint64_t item);
void map_slots_release(MapSlots *slots, uint64_t item);
