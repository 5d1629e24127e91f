/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A machine's parts: plain data. */
#include "model/machine.h"

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
