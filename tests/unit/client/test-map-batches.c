/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which task runs which item. */

#include "client/map-batches.h"

static void check_end(MapBatches *batches, uint64_t task, int result, uint64_t item)
{
    uint64_t got = UINT64_MAX;

    g_assert_cmpint(map_batches_end(batches, task, &got), ==, result);
    if (result == 0)
        g_assert_cmpuint(got, ==, item);
}

static void test_items(void)
{
    g_auto(MapBatches) batches;

    map_batches_init(&batches);
    check_end(&batches, 1, -ENOENT, 0);
    map_batches_add(&batches, 1, 100, 10, 0);
    map_batches_add(&batches, 3, 200, 5, 20); /* answered before the one in front of it */
    map_batches_add(&batches, 2, 150, 10, 10);
    g_assert_cmpuint(batches.open, ==, 25);
    check_end(&batches, 100, 0, 0);
    check_end(&batches, 109, 0, 9);
    check_end(&batches, 110, -ENOENT, 0);
    check_end(&batches, 155, 0, 15);
    check_end(&batches, 204, 0, 24);
    check_end(&batches, 205, -ENOENT, 0);
    check_end(&batches, 99, -ENOENT, 0);
    g_assert_cmpuint(batches.open, ==, 21);
    g_assert_cmpuint(g_array_index(batches.list, MapBatch, 1).open, ==, 9);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/map-batches/items", test_items);
    return g_test_run();
}
