/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* HostPort: what the machine has, from /proc, the cgroups and hwloc. Owned by main. The topology is read once, when it
 * is made; all else at each call, since such files do not block. */
#include "host/host.h"
#include "host/cpu-time.h"
#include "host/group-limits.h"
#include "host/meminfo.h"
#include "host/psi.h"
#include "host/topology.h"

#define READ_INTERVAL_USEC 200000
#define WORKERS_SLICE "parexec.slice"
#define WORKERS_GROUP "parexec" /* of the cgroup engine, which has no slices */

typedef struct Host {
    HostPort port; /* first: the port is the host */
    Machine machine;
    CpuTime cpu_time;  /* at the reading before */
    int64_t read_usec; /* when that was, CLOCK_MONOTONIC; 0: never */
    double cpu_percent;
} Host;

/* Calls in quick succession get the same answer: a few clock ticks say nothing. */
static double cpu_percent_since(Host *host)
{
    int64_t now_usec = g_get_monotonic_time();
    CpuTime now;

    if ((host->read_usec > 0 && now_usec - host->read_usec < READ_INTERVAL_USEC) || cpu_time_read(&now) < 0)
        return host->cpu_percent;
    if (host->read_usec > 0)
        host->cpu_percent = cpu_time_percent(&host->cpu_time, &now);
    host->cpu_time = now;
    host->read_usec = now_usec;
    return host->cpu_percent;
}

static void host_facts(HostPort *port, HostFacts *ret)
{
    Host *host = (Host *) port;
    Meminfo memory = { 0 };

    if (meminfo_read(&memory) < 0)
        memory = (Meminfo) { 0 }; /* nothing is known to be free: admission refuses */
    *ret = (HostFacts) {
        .memory_total_bytes = memory.total_bytes,
        .memory_available_bytes = memory.available_bytes,
        .memory_pressure_percent = psi_read("/proc/pressure/memory"),
        .cpu_pressure_percent = psi_read("/proc/pressure/cpu"),
        .io_pressure_percent = psi_read("/proc/pressure/io"),
        .cpu_percent = cpu_percent_since(host),
        .cpus = machine_n_cpus(&host->machine),
        .cores = (uint32_t) host->machine.n_cores,
    };
}

static void host_groups(HostPort *port, const WorkerSpec *spec, HostGroups *ret)
{
    g_autofree char *slice = spec->engine == ENGINE_SYSTEMD ? worker_spec_slice(spec, WORKERS_SLICE) : NULL;

    group_limits_read("", slice ? WORKERS_SLICE : WORKERS_GROUP, slice, ret);
}

static const Machine *host_machine(HostPort *port)
{
    return &((Host *) port)->machine;
}

HostPort *host_new(void)
{
    Host *host = g_new0(Host, 1);

    host->port.facts = host_facts;
    host->port.groups = host_groups;
    host->port.machine = host_machine;
    topology_read(&host->machine);
    host->cpu_percent = -1.0;
    (void) cpu_percent_since(host);
    return &host->port;
}

HostPort *host_free(HostPort *port)
{
    if (port)
        machine_done(&((Host *) port)->machine);
    g_free(port);
    return NULL;
}
