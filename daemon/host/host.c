/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* HostPort: what the machine has, from /proc and hwloc. Owned by main. The topology is read once, when it
 * is made; all else at each call, since files of /proc do not block. */
#include "host/host.h"
#include "host/cpu-time.h"
#include "host/meminfo.h"
#include "host/pressure.h"
#include "host/topology.h"

#define READ_INTERVAL_USEC 200000

typedef struct Host {
    HostPort port; /* first: the port is the host */
    Topology topology;
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
        .memory_pressure_percent = pressure_read("/proc/pressure/memory"),
        .cpu_percent = cpu_percent_since(host),
        .cpus = host->topology.cpus,
        .cores = host->topology.cores,
    };
}

HostPort *host_new(void)
{
    Host *host = g_new0(Host, 1);

    host->port.facts = host_facts;
    topology_read(&host->topology);
    host->cpu_percent = -1.0;
    (void) cpu_percent_since(host);
    return &host->port;
}

HostPort *host_free(HostPort *port)
{
    g_free(port);
    return NULL;
}
