/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* placement.c: the text of each field, there and back, and what is no such text. */
#include "model/placement.h"

static void test_round_trip(void)
{
    static const char *const texts[] = {
        "",
        "pin=1",
        "numa=auto",
        "numa=0",
        "numa=2147483647",
        "gpus=1",
        "gpus=4?",
        "gpus=4294967295",
        "gpu-list=0,2",
        "resources=licence=1,tape=4294967295",
        "pin=1 own-cores=3",
        "pin=1 numa=1 gpus=2? gpu-list=0,3 resources=a=1,b=2",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        Placement placement, copy;
        placement_init(&placement);
        placement_init(&copy);
        g_assert_cmpint(placement_from_text(texts[i], &placement), ==, 0);
        placement_copy(&copy, &placement);
        g_autofree char *text = placement_to_text(&placement), *again = placement_to_text(&copy);
        g_assert_cmpstr(text, ==, texts[i]);
        g_assert_cmpstr(again, ==, texts[i]);
        placement_done(&placement);
        g_autofree char *own = placement_to_text(&copy); /* the copy owns what it has */
        g_assert_cmpstr(own, ==, texts[i]);
        placement_copy(&copy, &copy);
        placement_done(&copy);
    }
}

static void test_fields(void)
{
    Placement placement;

    placement_init(&placement);
    g_assert_false(placement.pin);
    g_assert_cmpint(placement.numa, ==, NUMA_NONE);
    g_assert_cmpint(placement_from_text("numa=3 gpus=2? gpu-list=1", &placement), ==, 0);
    g_assert_cmpint(placement.numa, ==, 3);
    g_assert_cmpuint(placement.gpus, ==, 2);
    g_assert_true(placement.gpus_optional);
    g_assert_cmpint(placement_from_text("gpus=3 numa=auto resources=x=5 resources=y=6", &placement), ==, 0);
    g_assert_false(placement.gpus_optional);
    g_assert_cmpint(placement.numa, ==, NUMA_AUTO);
    g_assert_cmpuint(resources_count(placement.resources, "x"), ==, 0); /* the later word counts */
    g_assert_cmpuint(resources_count(placement.resources, "y"), ==, 6);
    /* of a newer version, or no word at all */
    g_assert_cmpint(placement_from_text("colour=red  pin pin=0 =5", &placement), ==, 0);
    g_assert_false(placement.pin);
    g_assert_cmpstr(placement.gpu_list, ==, "1");
    placement_done(&placement);
    placement_done(&placement);
}

static void test_bad(void)
{
    static const char *const texts[] = {
        "numa=",
        "numa=-1",
        "numa=2147483648",
        "numa=18446744073709551616",
        "numa=automatic",
        "numa=1?",
        "gpus=",
        "gpus=?",
        "gpus=-1",
        "gpus=4294967296",
        "gpus=1??",
        "gpus=one",
        "resources=a=0x1",
        "resources==1",
        "resources=a=1,a=2",
        "resources=a=4294967296",
        "resources=a,,b",
        "resources=\n=1",
        "resources=a\xff=1",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        Placement placement;
        placement_init(&placement);
        g_test_message("%zu", i);
        g_assert_cmpint(placement_from_text(texts[i], &placement), <, 0);
        placement_done(&placement);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/placement/round-trip", test_round_trip);
    g_test_add_func("/placement/fields", test_fields);
    g_test_add_func("/placement/bad", test_bad);
    return g_test_run();
}
