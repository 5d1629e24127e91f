/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host.c and topology.c on this machine: the facts agree with what the kernel says elsewhere. */
#include "host/host.h"
#include "host/topology.h"

#include <sched.h>

static void test_facts(void)
{
    HostPort *host = host_new();
    HostFacts facts = { 0 };

    host->facts(host, &facts);
    g_assert_cmpuint(facts.memory_total_bytes, >, 0);
    g_assert_cmpuint(facts.memory_available_bytes, <=, facts.memory_total_bytes);
    g_assert_cmpfloat(facts.memory_pressure_percent, <=, 100.0);
    host_free(host);
}

static void test_cpu_percent(void)
{
    HostPort *host = host_new();
    HostFacts facts;
    gint64 until = g_get_monotonic_time() + 400000;

    host->facts(host, &facts);
    g_assert_cmpfloat(facts.cpu_percent, <, 0); /* nothing to compare with yet */
    while (g_get_monotonic_time() < until)
        ; /* one CPU is busy */
    host->facts(host, &facts);
    g_assert_cmpfloat(facts.cpu_percent, >, 0);
    g_assert_cmpfloat(facts.cpu_percent, <=, 100.0);
    double percent = facts.cpu_percent;
    host->facts(host, &facts);
    g_assert_cmpfloat(facts.cpu_percent, ==, percent); /* at once: the same answer, not a guess from two ticks */
    host_free(host);
}

static void test_topology(void)
{
    Topology topology;
    cpu_set_t set;

    g_assert_cmpint(sched_getaffinity(0, sizeof set, &set), ==, 0);
    topology_read(&topology);
    g_assert_cmpuint(topology.cpus, ==, (guint) CPU_COUNT(&set));
    g_assert_cmpuint(topology.cores, >=, 1);
    g_assert_cmpuint(topology.cores, <=, topology.cpus);
}

/* A daemon that is confined to one CPU has one. */
static void test_topology_restricted(void)
{
    Topology topology;
    cpu_set_t before, one;

    g_assert_cmpint(sched_getaffinity(0, sizeof before, &before), ==, 0);
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &before))
            CPU_SET(cpu, &one);
    g_assert_cmpint(sched_setaffinity(0, sizeof one, &one), ==, 0);
    topology_read(&topology);
    g_assert_cmpint(sched_setaffinity(0, sizeof before, &before), ==, 0);
    g_assert_cmpuint(topology.cpus, ==, 1);
    g_assert_cmpuint(topology.cores, ==, 1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/host/facts", test_facts);
    g_test_add_func("/host/cpu-percent", test_cpu_percent);
    g_test_add_func("/host/topology", test_topology);
    g_test_add_func("/host/topology-restricted", test_topology_restricted);
    return g_test_run();
}
