/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* memory-growth.c: had, asked for, at most → the next attempt's memory. */
#include "policy/memory-growth.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static void test_next(void)
{
    static const struct {
        const char *retry_memory; /* NULL: nothing is asked for */
        uint64_t had, most, next;
    } cases[] = {
        { NULL, 256 * MIB, UINT64_MAX, 0 },
        { "2x", 256 * MIB, UINT64_MAX, 512 * MIB },
        { "2x", 256 * MIB, 512 * MIB, 512 * MIB },
        { "2x", 256 * MIB, 400 * MIB, 400 * MIB }, /* what there is, though it is less than twice as much */
        { "2x", 256 * MIB, 256 * MIB, 0 },
        { "2x", 256 * MIB, 100 * MIB, 0 },
        { "1.5x", 1000 * MIB, UINT64_MAX, 1500 * MIB },
        { "64x", UINT64_MAX / 2, UINT64_MAX, 0 },
        { "64x", UINT64_MAX / 2, UINT64_MAX - 1, UINT64_MAX - 1 },
        { "2x", UINT64_MAX, UINT64_MAX, 0 }, /* it had no limit */
        { "2x", 0, UINT64_MAX, 0 },
        { "4G,8G,16G", 256 * MIB, UINT64_MAX, 4 * GIB },
        { "4G,8G,16G", 4 * GIB, UINT64_MAX, 8 * GIB },
        { "4G,8G,16G", 5 * GIB, UINT64_MAX, 8 * GIB },
        { "4G,8G,16G", 8 * GIB, 12 * GIB, 12 * GIB },
        { "4G,8G,16G", 12 * GIB, 12 * GIB, 0 },
        { "4G,8G,16G", 16 * GIB, UINT64_MAX, 0 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        TaskDemand demand;
        g_autofree char *why = NULL;
        task_demand_init(&demand);
        if (cases[i].retry_memory)
            g_assert_cmpint(task_demand_parse_retry_memory(cases[i].retry_memory, &demand, &why), ==, 0);
        g_test_message("case %zu", i);
        g_assert_cmpuint(memory_growth_next(&demand, cases[i].had, cases[i].most), ==, cases[i].next);
        task_demand_done(&demand);
    }
}

/* A task that needs 700M, from 256M on: it gets there, and an endless one gets to an end. */
static void test_escalation(void)
{
    TaskDemand demand;
    uint64_t had = 256 * MIB;
    unsigned n = 0;

    task_demand_init(&demand);
    demand.memory_factor = 2;
    while (had < 700 * MIB)
        had = memory_growth_next(&demand, had, 8 * GIB);
    g_assert_cmpuint(had, ==, 1024 * MIB);
    for (; (had = memory_growth_next(&demand, had, 8 * GIB)) > 0; n++)
        g_assert_cmpuint(had, <=, 8 * GIB);
    g_assert_cmpuint(n, ==, 3);
    demand.memory_factor = 1.0000001; /* no more by a byte: does not grow, and is not tried for ever */
    g_assert_cmpuint(memory_growth_next(&demand, 1000, 8 * GIB), ==, 0);
    task_demand_done(&demand);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/memory-growth/next", test_next);
    g_test_add_func("/memory-growth/escalation", test_escalation);
    return g_test_run();
}
