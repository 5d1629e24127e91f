/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/client.h"

/* The lists of items on a command line, as GNU parallel has them: "::: WORD..." is one, ":::: FILE..." the
 * lines of each file; with a "+" they go in step with the list before, instead of being combined with it. */
typedef struct MapSource {
    char **values;
    bool linked;
} MapSource;

/* Cuts the words at the first mark of a list and reads the files. *ret: MapSource; NULL: there is no mark.
 * Reports. */
int map_sources_take(Client *client, char **argv, GPtrArray **ret);

/* So many items they make; UINT64_MAX: more than can be counted. */
uint64_t map_sources_count(const GPtrArray *sources);
