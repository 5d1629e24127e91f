/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* machine.c: lists, counts, and what is freed. */
#include "model/machine.h"

static void test_list(void)
{
    static const struct {
        uint32_t numbers[6];
        size_t n;
        const char *list;
    } cases[] = {
        { { 0 }, 0, "" },
        { { 0 }, 1, "0" },
        { { 7 }, 1, "7" },
        { { 0, 1 }, 2, "0-1" },
        { { 0, 2 }, 2, "0,2" },
        { { 0, 1, 2, 5 }, 4, "0-2,5" },
        { { 1, 3, 4, 6, 8, 9 }, 6, "1,3-4,6,8-9" },
        { { 0, 64, 65 }, 3, "0,64-65" },
        { { UINT32_MAX - 1, UINT32_MAX }, 2, "4294967294-4294967295" },
        { { UINT32_MAX }, 1, "4294967295" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *list = machine_format_list(cases[i].numbers, cases[i].n);
        g_assert_cmpstr(list, ==, cases[i].list);
    }
    g_autofree char *none = machine_format_list(NULL, 0);
    g_assert_cmpstr(none, ==, "");
}

/* Two cores of two threads, numbered as Linux does it, and two nodes. */
static const Machine of_two_cores = {
    .cores = (MachineCore[]){ { .cpus = (uint32_t[]){ 0, 2 }, .n_cpus = 2 }, { .cpus = (uint32_t[]){ 1, 3 }, .n_cpus = 2 } },
    .n_cores = 2,
    .nodes = (MachineNode[]){ { 0, 1 }, { 3, 1 } },
    .n_nodes = 2,
};

static void test_narrow(void)
{
    static const struct {
        const char *list, *kept;
        bool all;
    } cases[] = {
        { "0-3", "0-3", true }, { "1,0", "0-1", true },     { "3", "3", true },
        { "0-4", "0-3", false }, { "0-1,77", "0-1", false }, { "77", "", false },
        { "4-8191", "", false }, { "9,2-8,1", "1-3", false }, { "", "", true },
    };
    g_autoptr(GArray) cpus = machine_cpus(&of_two_cores);

    g_assert_cmpuint(cpus->len, ==, 4);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        bool all = !cases[i].all;
        g_autofree char *kept = machine_narrow(cases[i].list, cpus, &all);
        g_assert_cmpstr(kept, ==, cases[i].kept);
        g_assert_true(all == cases[i].all);
    }
}

static void test_nodes(void)
{
    const Machine unknown = { 0 };
    g_autoptr(GArray) nodes = machine_nodes(&of_two_cores), one = machine_nodes(&unknown), none = machine_cpus(&unknown);
    bool all;
    g_autofree char *kept = machine_narrow("0-3", nodes, &all), *first = machine_narrow("0", one, &all);

    g_assert_cmpstr(kept, ==, "0,3");
    g_assert_cmpstr(first, ==, "0"); /* every machine has that */
    g_assert_cmpuint(one->len, ==, 1);
    g_assert_cmpuint(none->len, ==, 0);
}

static void test_whole(void)
{
    Machine machine = { .n_packages = 1, .n_cores = 2, .n_nodes = 1, .n_gpus = 1 };

    machine.cores = g_new0(MachineCore, 2);
    machine.cores[0] = (MachineCore){ 0, 0, g_new0(uint32_t, 2), 2 };
    machine.cores[1] = (MachineCore){ 0, 0, g_new0(uint32_t, 1), 1 };
    machine.nodes = g_new0(MachineNode, 1);
    machine.gpus = g_new0(MachineGpu, 1);
    machine.gpus[0] = (MachineGpu){ 0, g_strdup("nvidia"), g_strdup(""), g_strdup("0000:01:00.0"), NULL, -1 };
    g_assert_cmpuint(machine_n_cpus(&machine), ==, 3);
    machine_done(&machine);
    g_assert_cmpuint(machine.n_cores + machine.n_nodes + machine.n_gpus + machine.n_packages, ==, 0);
    g_assert_null(machine.cores);
    g_assert_cmpuint(machine_n_cpus(&machine), ==, 0);
    machine_done(&machine);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/machine/list", test_list);
    g_test_add_func("/machine/narrow", test_narrow);
    g_test_add_func("/machine/nodes", test_nodes);
    g_test_add_func("/machine/whole", test_whole);
    return g_test_run();
}
