/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rate.c: events per minute as time goes on, stands still and leaps. */
#include "core/rate.h"

#define AT(seconds) ((uint64_t) (seconds) * USEC_PER_SEC)

static void test_empty(void)
{
    Rate rate = { 0 };

    g_assert_cmpfloat(rate_per_minute(&rate, AT(0)), ==, 0);
    g_assert_cmpfloat(rate_per_minute(&rate, AT(1000000)), ==, 0);
}

/* While less than a minute has been counted, it is extrapolated. */
static void test_young(void)
{
    Rate rate = { 0 };

    rate_add(&rate, AT(100), 5);
    g_assert_cmpfloat(rate_per_minute(&rate, AT(100)), ==, 300);
    g_assert_cmpfloat(rate_per_minute(&rate, AT(104)), ==, 60);
    g_assert_cmpfloat(rate_per_minute(&rate, AT(129)), ==, 10);
    g_assert_cmpfloat(rate_per_minute(&rate, AT(159)), ==, 5);
    g_assert_cmpfloat(rate_per_minute(&rate, AT(160)), ==, 0);
}

static void test_steady(void)
{
    Rate rate = { 0 };

    for (unsigned second = 0; second < 500; second++) {
        rate_add(&rate, AT(second), 2);
        g_assert_cmpfloat(rate_per_minute(&rate, AT(second) + 999999), ==, 120);
    }
}

static void test_window(void)
{
    Rate rate = { 0 };

    rate_add(&rate, AT(10), 7);
    rate_add(&rate, AT(69), 3);
    g_assert_cmpfloat(rate_per_minute(&rate, AT(69)), ==, 10);
    g_assert_cmpfloat(rate_per_minute(&rate, AT(70)), ==, 3);
    g_assert_cmpfloat(rate_per_minute(&rate, AT(129)), ==, 0);
}

static void test_leap(void)
{
    Rate rate = { 0 };

    for (unsigned second = 0; second < 60; second++)
        rate_add(&rate, AT(second), 1);
    rate_add(&rate, AT(60 * 60 * 24 * 365), 4); /* the machine slept */
    g_assert_cmpfloat(rate_per_minute(&rate, AT(60 * 60 * 24 * 365)), ==, 4);
    rate_add(&rate, AT(60 * 60 * 24 * 365 + 3599), 2); /* 59 seconds past a whole turn of the ring */
    g_assert_cmpfloat(rate_per_minute(&rate, AT(60 * 60 * 24 * 365 + 3599)), ==, 2);
    g_assert_cmpfloat(rate_per_minute(&rate, UINT64_MAX), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rate/empty", test_empty);
    g_test_add_func("/rate/young", test_young);
    g_test_add_func("/rate/steady", test_steady);
    g_test_add_func("/rate/window", test_window);
    g_test_add_func("/rate/leap", test_leap);
    return g_test_run();
}
