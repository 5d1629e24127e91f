/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host.c on this machine: the facts agree with what the kernel says elsewhere. */
#include "host/host.h"

#include <math.h>

static void test_facts(void)
{
    HostPort *host = host_new();
    HostFacts facts = { 0 };

    host->facts(host, &facts);
    g_assert_cmpuint(facts.memory_total_bytes, >, 0);
    g_assert_cmpuint(facts.memory_available_bytes, <=, facts.memory_total_bytes);
    g_assert_cmpfloat(facts.memory_pressure_percent, <=, 100.0);
    g_assert_cmpfloat(facts.cpu_pressure_percent, <=, 100.0);
    g_assert_cmpfloat(facts.io_pressure_percent, <=, 100.0);
    host_free(host);
}

static void test_groups(void)
{
    g_autoptr(WorkerSpec) spec = worker_spec_new();
    HostPort *host = host_new();
    HostGroups groups = { 0 };

    spec->user = UINT32_MAX - 1; /* nobody's: it has no slice */
    host->groups(host, spec, &groups);
    g_assert_cmpfloat(groups.all.cpus, >, 0.0);
    g_assert_cmpuint(groups.slice.free_bytes, ==, UINT64_MAX);
    g_assert_cmpfloat(groups.slice.cpus, ==, INFINITY);
    spec->engine = ENGINE_CGROUP;
    spec->user = UID_ANYBODY;
    host->groups(host, spec, &groups);
    g_assert_cmpfloat(groups.all.cpus, >, 0.0);
    g_assert_cmpuint(groups.slice.free_bytes, ==, UINT64_MAX);
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

static void test_machine(void)
{
    HostPort *host = host_new();
    const Machine *machine = host->machine(host);
    HostFacts facts;

    host->facts(host, &facts);
    g_assert_cmpuint(machine->n_cores, >=, 1);
    g_assert_cmpuint(facts.cores, ==, machine->n_cores);
    g_assert_cmpuint(facts.cpus, ==, machine_n_cpus(machine));
    host_free(host);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/host/facts", test_facts);
    g_test_add_func("/host/groups", test_groups);
    g_test_add_func("/host/cpu-percent", test_cpu_percent);
    g_test_add_func("/host/machine", test_machine);
    return g_test_run();
}
