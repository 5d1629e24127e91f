/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Slots of a map: the lowest free one, and never one twice. */

#include "client/map-slots.h"

static void test_lowest(void)
{
    MapSlots slots;

    map_slots_init(&slots);
    g_assert_cmpuint(map_slots_next(&slots), ==, 1);
    map_slots_take(&slots, 0);
    g_assert_cmpuint(map_slots_next(&slots), ==, 2);
    map_slots_take(&slots, 1);
    map_slots_take(&slots, 2);
    map_slots_release(&slots, 1);
    g_assert_cmpuint(map_slots_next(&slots), ==, 2);
    map_slots_take(&slots, 3);
    g_assert_cmpuint(map_slots_next(&slots), ==, 4);
    map_slots_release(&slots, 7); /* has none */
    map_slots_release(&slots, 3);
    map_slots_release(&slots, 0);
    g_assert_cmpuint(map_slots_next(&slots), ==, 1);
    g_assert_cmpuint(slots.items->len, ==, 3);
    map_slots_done(&slots);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/map-slots/lowest", test_lowest);
    return g_test_run();
}
