/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The configuration may come from another machine, or be older than this one's parts. What it says of CPUs and memory nodes is
 * judged when the machine is known, once each time that it is read. */
#include "config/config-machine.h"

#include "util/log.h"

static void narrow(char **list, const char *key, const char *what, const GArray *there_are)
{
    bool all;
    g_autofree char *kept = *list ? machine_narrow(*list, there_are, &all) : NULL;

    if (!kept || all)
        return;
    g_autofree char *has = machine_format_list((const uint32_t *) (const void *) there_are->data, there_are->len);
    g_autofree char *what_then = *kept ? g_strdup_printf("using %s", kept) : g_strdup("ignoring it");
    log_warning("%s=%s: this machine has %s %s, %s.", key, *list, what, has, what_then);
    g_free(*list);
    *list = *kept ? g_steal_pointer(&kept) : NULL;
}

void config_check_machine(Settings *settings, const Machine *machine)
{
    g_autoptr(GArray) cpus = machine_cpus(machine), nodes = machine_nodes(machine);

    if (cpus->len > 0)
        narrow(&settings->limits.allowed_cpus, "AllowedCPUs", "CPUs", cpus);
    narrow(&settings->limits.allowed_memory_nodes, "AllowedMemoryNodes", nodes->len == 1 ? "memory node" : "memory nodes", nodes);
}
