/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A machine's parts: plain data. */
#include "model/machine.h"

#include <stdlib.h>

void machine_done(Machine *machine)
{
    for (size_t i = 0; i < machine->n_cores; i++)
        g_free(machine->cores[i].cpus);
    for (size_t i = 0; i < machine->n_gpus; i++) {
        g_free(machine->gpus[i].vendor);
        g_free(machine->gpus[i].name);
        g_free(machine->gpus[i].bus);
        g_free(machine->gpus[i].device);
    }
    g_free(machine->cores);
    g_free(machine->nodes);
    g_free(machine->gpus);
    *machine = (Machine){ 0 };
}

uint32_t machine_n_cpus(const Machine *machine)
{
    uint32_t n = 0;

    for (size_t i = 0; i < machine->n_cores; i++)
        n += machine->cores[i].n_cpus;
    return n;
}

static gint compare_numbers(gconstpointer a, gconstpointer b)
{
    uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;

    return (x > y) - (x < y);
}

GArray *machine_cpus(const Machine *machine)
{
    GArray *cpus = g_array_new(FALSE, FALSE, sizeof(uint32_t));

    for (size_t i = 0; i < machine->n_cores; i++)
        g_array_append_vals(cpus, machine->cores[i].cpus, machine->cores[i].n_cpus);
    g_array_sort(cpus, compare_numbers);
    return cpus;
}

GArray *machine_nodes(const Machine *machine)
{
    GArray *nodes = g_array_new(FALSE, TRUE, sizeof(uint32_t));

    for (size_t i = 0; i < machine->n_nodes; i++) {
        uint32_t number = (uint32_t) machine->nodes[i].number;
        g_array_append_val(nodes, number);
    }
    if (machine->n_nodes == 0)
        g_array_set_size(nodes, 1);
    return nodes;
}

char *machine_narrow(const char *list, const GArray *there_are, bool *ret_all)
{
    g_autoptr(GArray) kept = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    bool all = true;

    for (const char *p = list; p && *p;) {
        char *end;
        unsigned long first = strtoul(p, &end, 10), last = *end == '-' ? strtoul(end + 1, &end, 10) : first;
        unsigned long n = 0;
        for (guint i = 0; i < there_are->len; i++) {
            uint32_t number = g_array_index(there_are, uint32_t, i);
            if (number < first || number > last)
                continue;
            g_array_append_val(kept, number);
            n++;
        }
        all = all && n == last - first + 1;
        p = *end == ',' ? end + 1 : NULL;
    }
    g_array_sort(kept, compare_numbers);
    *ret_all = all;
    return machine_format_list((const uint32_t *) (const void *) kept->data, kept->len);
}

char *machine_format_list(const uint32_t *numbers, size_t n)
{
    GString *text = g_string_new(NULL);

    for (size_t i = 0; i < n;) {
        size_t last = i;
        while (last + 1 < n && numbers[last + 1] == numbers[last] + 1)
            last++;
        g_string_append_printf(text, "%s%u", text->len > 0 ? "," : "", numbers[i]);
        if (last > i)
            g_string_append_printf(text, "-%u", numbers[last]);
        i = last + 1;
    }
    return g_string_free(text, FALSE);
}

char *machine_list_cpus(const Machine *machine)
{
    g_autoptr(GArray) numbers = machine_cpus(machine);

    return machine_format_list((const uint32_t *) (const void *) numbers->data, numbers->len);
}
