/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/line-reader.h"

/* The items of a map: arguments behind ":::", or lines of stdin as they come. */
typedef struct MapInput MapInput;

typedef struct MapInputHandler {
    void (*item)(const char *item, void *userdata);
    void (*pause)(void *userdata);      /* nothing more can be had at the moment */
    void (*end)(int r, void *userdata); /* 0: that was all; negative: it broke off, and was reported */
} MapInputHandler;

/* Reads stdin from the client's event loop. */
int map_input_new(Client *client, const MapInputHandler *handler, void *userdata, MapInput **ret);
MapInput *map_input_free(MapInput *input);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MapInput, map_input_free)

/* Reads on, or does not for now. */
void map_input_enable(MapInput *input, bool enable);
