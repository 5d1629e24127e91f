/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ahead.c: how many tasks are handed out ahead of need. */
#include "policy/ahead.h"

#include <glib.h>

static const struct {
    uint32_t slots;
    double mean_usec;
    size_t queued, workers, target;
} cases[] = {
    { 1, 0, 1000, 1, 0 },            /* nothing is known of the tasks yet */
    { 1, -1, 1000, 1, 0 },
    { 1, 50000, 1000, 1, 0 },        /* long ones are never handed out ahead */
    { 1, 1e12, 1000, 1, 0 },
    { 1, 49999, 1000, 1, 1 },
    { 1, 25000, 1000, 1, 1 },
    { 1, 12500, 1000, 1, 2 },
    { 4, 12500, 1000, 1, 8 },
    { 1, 1000, 1000, 1, 25 },
    { 1, 1, 1000, 1, 64 },           /* at most 64 for a slot */
    { 1024, 1, 1000000, 1, 65536 },
    { 1, 1000, 10, 1, 10 },          /* never more than is queued */
    { 1, 1000, 10, 4, 2 },           /* nor than its share */
    { 1, 1000, 3, 4, 0 },
    { 1, 1000, 0, 4, 0 },
    { 1, 1000, 1000, 0, 0 },
};

static void test_table(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        g_assert_cmpuint(ahead_target(cases[i].slots, cases[i].mean_usec, cases[i].queued, cases[i].workers), ==, cases[i].target);
}

/* Shorter tasks and longer queues never lower it; together the workers never get more than is queued. */
static void test_monotonic(void)
{
    for (size_t queued = 0; queued < 200; queued += 7)
        for (double mean = 1; mean < 60000; mean *= 1.7) {
            size_t target = ahead_target(2, mean, queued, 3);
            g_assert_cmpuint(target, >=, ahead_target(2, mean * 1.7, queued, 3));
            g_assert_cmpuint(target, <=, ahead_target(2, mean, queued + 7, 3));
            g_assert_cmpuint(3 * target, <=, queued);
        }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ahead/table", test_table);
    g_test_add_func("/ahead/monotonic", test_monotonic);
    return g_test_run();
}
